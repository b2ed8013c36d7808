//! A block: norms, attention and MLP around the residual stream, in the order of its architecture.

use burn::module::Module;
use burn::tensor::Tensor;
use massval_hooks::Site;

use super::added;
use super::attention::Attention;
use super::mlp::Mlp;
use super::norm::Norm;
use super::pass::Pass;
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
        let x = pass.hidden(layer, Site::ResidPre, x)?;
        let on_stream = self.order == BlockOrder::StreamNorm;
        let before = |norm: &Option<Norm>, x: &Tensor<3>| match norm {
            Some(norm) if !on_stream => norm.forward(x.clone()),
            _ => x.clone(),
        };
        let after = |norm: &Option<Norm>, x: Tensor<3>| match norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let normed = before(&self.attn_norm, &x);
        // With one norm for both, the MLP reads what attention reads.
        let shared = (self.order == BlockOrder::ParallelOneNorm).then(|| normed.clone());
        let Some(out) = self.attention.forward(normed, layer, pass, qkv_only)? else {
            return Ok(None);
        };
        let attn_out = pass.hidden(layer, Site::AttnOut, after(&self.attn_out_norm, out))?;

        if self.order.is_parallel() {
            let normed = shared.unwrap_or_else(|| before(&self.mlp_norm, &x));
            let out = self.mlp.forward(normed, layer, pass)?;
            let mlp_out = pass.hidden(layer, Site::MlpOut, after(&self.mlp_out_norm, out))?;
            let x = added(x, added(mlp_out, attn_out));
            return pass.hidden(layer, Site::ResidPost, x).map(Some);
        }

        let mut x = added(x, attn_out);
        if on_stream {
            x = after(&self.attn_norm, x);
        }
        let x = pass.hidden(layer, Site::ResidMid, x)?;
        let out = self.mlp.forward(before(&self.mlp_norm, &x), layer, pass)?;
        let mlp_out = pass.hidden(layer, Site::MlpOut, after(&self.mlp_out_norm, out))?;
        let mut x = added(x, mlp_out);
        if on_stream {
            x = after(&self.mlp_norm, x);
        }
        pass.hidden(layer, Site::ResidPost, x).map(Some)
    }
}
