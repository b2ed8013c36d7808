//! A block: norms, attention and MLP around the residual stream, in the order of its architecture.

use burn::module::Module;
use burn::tensor::Tensor;
use massval_hooks::Site;

use super::attention::Attention;
use super::mlp::Mlp;
use super::norm::Norm;
use super::pass::Pass;
use super::{LinearGroup, added, linear};
use crate::Result;
use crate::config::BlockOrder;

#[derive(Module, Debug)]
pub(crate) struct Block {
    pub(crate) attn_norm: Option<Norm>,
    pub(crate) attention: Attention,
    /// Of what attention adds to the stream.
    pub(crate) attn_out_norm: Option<Norm>,
    pub(crate) mlp_norm: Option<Norm>,
    pub(crate) mlp: Mlp,
    /// Of what the MLP adds to the stream.
    pub(crate) mlp_out_norm: Option<Norm>,
    #[module(skip)]
    pub(crate) order: BlockOrder,
}

/// A pass within a block, where it has come to the input of a group of linears.
#[derive(Debug, Clone)]
pub(crate) struct Halt {
    /// The residual stream.
    stream: Tensor<3>,
    /// What the linears read.
    pub(crate) input: Tensor<3>,
    /// What both attention and MLP read, where one norm serves both.
    shared: Option<Tensor<3>>,
    /// What attention adds to the stream, where the MLP does not read it.
    attn_out: Option<Tensor<3>>,
}

impl Block {
    /// The stream `[batch, seq, d_model]` to the same. `None` if `qkv_only`: then the pass ends within
    /// the attention.
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        layer: usize,
        pass: &mut Pass<'_, '_>,
        qkv_only: bool,
    ) -> Result<Option<Tensor<3>>> {
        let halt = self.to_attention(x, layer, pass)?;
        let Some(halt) = self.to_attn_out(halt, layer, pass, qkv_only)? else { return Ok(None) };
        let halt = self.to_mlp(halt, layer, pass)?;
        let halt = self.to_down(halt, layer, pass)?;
        self.to_end(halt, layer, pass).map(Some)
    }

    /// From the block's beginning to the input of Q, K and V.
    pub(crate) fn to_attention(
        &self,
        x: Tensor<3>,
        layer: usize,
        pass: &mut Pass<'_, '_>,
    ) -> Result<Halt> {
        let stream = pass.hidden(layer, Site::ResidPre, x)?;
        let input = self.before(&self.attn_norm, &stream);
        // With one norm for both, the MLP reads what attention reads.
        let shared = (self.order == BlockOrder::ParallelOneNorm).then(|| input.clone());
        Ok(Halt { stream, input, shared, attn_out: None })
    }

    /// On to the input of the output projection; `None` if `qkv_only`.
    pub(crate) fn to_attn_out(
        &self,
        halt: Halt,
        layer: usize,
        pass: &mut Pass<'_, '_>,
        qkv_only: bool,
    ) -> Result<Option<Halt>> {
        let Halt { stream, input, shared, attn_out } = halt;
        let input = pass.rounded(layer, LinearGroup::Qkv, input)?;
        let z = self.attention.mixed(input, layer, pass, qkv_only)?;
        Ok(z.map(|input| Halt { stream, input, shared, attn_out }))
    }

    /// On to the input of the MLP.
    pub(crate) fn to_mlp(&self, halt: Halt, layer: usize, pass: &mut Pass<'_, '_>) -> Result<Halt> {
        let Halt { stream, input, shared, .. } = halt;
        let input = pass.rounded(layer, LinearGroup::AttnOut, input)?;
        let out = linear(&self.attention.out, input);
        let attn_out = pass.hidden(layer, Site::AttnOut, after(&self.attn_out_norm, out))?;
        if self.order.is_parallel() {
            let input = shared.unwrap_or_else(|| self.before(&self.mlp_norm, &stream));
            return Ok(Halt { stream, input, shared: None, attn_out: Some(attn_out) });
        }
        let mut stream = added(stream, attn_out);
        if self.is_on_stream() {
            stream = after(&self.attn_norm, stream);
        }
        let stream = pass.hidden(layer, Site::ResidMid, stream)?;
        let input = self.before(&self.mlp_norm, &stream);
        Ok(Halt { stream, input, shared: None, attn_out: None })
    }

    /// On to the input of the down projection; among experts to what they add to the stream.
    pub(crate) fn to_down(
        &self,
        halt: Halt,
        layer: usize,
        pass: &mut Pass<'_, '_>,
    ) -> Result<Halt> {
        let input = pass.rounded(layer, LinearGroup::GateUp, halt.input)?;
        let input = self.mlp.inner(input, layer, pass)?;
        Ok(Halt { input, ..halt })
    }

    /// On to the block's end.
    pub(crate) fn to_end(
        &self,
        halt: Halt,
        layer: usize,
        pass: &mut Pass<'_, '_>,
    ) -> Result<Tensor<3>> {
        let Halt { stream, input, attn_out, .. } = halt;
        let input = pass.rounded(layer, LinearGroup::Down, input)?;
        let out = self.mlp.out(input);
        let mlp_out = pass.hidden(layer, Site::MlpOut, after(&self.mlp_out_norm, out))?;
        let mut x = match attn_out {
            Some(attn_out) => added(stream, added(mlp_out, attn_out)),
            None => added(stream, mlp_out),
        };
        if self.is_on_stream() {
            x = after(&self.mlp_norm, x);
        }
        pass.hidden(layer, Site::ResidPost, x)
    }

    fn is_on_stream(&self) -> bool {
        self.order == BlockOrder::StreamNorm
    }

    fn before(&self, norm: &Option<Norm>, x: &Tensor<3>) -> Tensor<3> {
        match norm {
            Some(norm) if !self.is_on_stream() => norm.forward(x.clone()),
            _ => x.clone(),
        }
    }
}

fn after(norm: &Option<Norm>, x: Tensor<3>) -> Tensor<3> {
    match norm {
        Some(norm) => norm.forward(x),
        None => x,
    }
}
