//! A decoder's weights under the names and in the layout of its architecture: what `build` reads, written.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{DType, Tensor};

use super::Decoder;
use super::attention::Attention;
use super::block::Block;
use super::mlp::{Dense, Mlp};
use super::norm::{Layer, Norm, Tanh};
use crate::arch::names::{
    EMBED_SCALE, FusedOrder, KEY_BIAS, MlpNames, Qkv, Stored, VALUE_BIAS, WeightNames,
};
use crate::tensorfile::{NamedTensor, TensorData};
use crate::{Error, Result, arch};

impl Decoder {
    /// All weights in f32, under the names and in the layout in which a checkpoint of this architecture has them.
    ///
    /// # Errors
    /// [`Error::Input`] for a decoder that is streamed, a mixture of experts, or an architecture that is part of
    /// another one; [`Error::Device`] if the weights cannot be read back.
    pub fn named_tensors(&self) -> Result<Vec<NamedTensor>> {
        if self.is_streamed() {
            return Err(Error::input("the weights of a streamed decoder are in its checkpoint"));
        }
        let names = arch::weight_names(&self.config)?;
        let prefix = names.prefixes.first().map_or("", |prefix| prefix.body);
        let mut out = Out { names: &names, prefix, tensors: Vec::new() };
        out.matrix(&format!("{}.weight", names.embed), self.embed.val())?;
        if let Some(scale) = &self.embed_scale {
            out.vector(EMBED_SCALE, scale)?;
        }
        if let (Some(norm), Some(name)) = (&self.embed_norm, names.embed_norm) {
            out.norm(name, norm)?;
        }
        if let (Some(positions), Some(name)) = (&self.positions, names.positions) {
            out.matrix(&format!("{name}.weight"), positions.val())?;
        }
        if let (Some(to), Some(from), Some((name_in, name_out))) =
            (&self.project_in, &self.project_out, names.projections)
        {
            out.linear(name_in, to)?;
            out.linear(name_out, from)?;
        }
        for (layer, block) in self.blocks.iter().enumerate() {
            out.block(block, layer, self.config.kv_heads)?;
        }
        if let Some(norm) = &self.final_norm {
            out.norm(names.final_norm, norm)?;
        }
        if let Some(head) = &self.head {
            out.prefix = names.prefixes.first().map_or("", |prefix| prefix.head);
            out.stored(names.head, head, Stored::OutIn)?;
        }
        Ok(out.tensors)
    }
}

struct Out<'a> {
    names: &'a WeightNames,
    prefix: &'a str,
    tensors: Vec<NamedTensor>,
}

impl Out<'_> {
    fn block(&mut self, block: &Block, layer: usize, kv_heads: usize) -> Result<()> {
        let names = self.names;
        let at = |name: &str| name.replace("{l}", &layer.to_string());
        for (norm, name) in [
            (&block.attn_norm, names.norms.attn),
            (&block.attn_out_norm, names.norms.attn_out),
            (&block.mlp_norm, names.norms.mlp),
            (&block.mlp_out_norm, names.norms.mlp_out),
        ] {
            if let (Some(norm), Some(name)) = (norm, name) {
                self.norm(&at(name), norm)?;
            }
        }
        let Attention { q, k, v, out, q_norm, k_norm, kv_bias, .. } = &block.attention;
        match names.qkv {
            Qkv::Separate { permuted: true, .. } => {
                return Err(Error::input("weights in llama.cpp's order cannot be written"));
            }
            Qkv::Separate { q: q_name, k: k_name, v: v_name, permuted: false } => {
                for (name, linear) in [(q_name, q), (k_name, k), (v_name, v)] {
                    self.linear(&at(name), linear)?;
                }
            }
            Qkv::Fused { name, order } => {
                let groups = if order == FusedOrder::Groups { kv_heads } else { 1 };
                self.linear(&at(name), &woven([q, k, v], groups))?;
            }
        }
        if let (Some(q_norm), Some(k_norm), Some((q, k))) = (q_norm, k_norm, names.qk_norm) {
            self.norm(&at(q), q_norm)?;
            self.norm(&at(k), k_norm)?;
        }
        if let Some(bias) = kv_bias {
            self.matrix(&at(KEY_BIAS), bias.key.val())?;
            self.matrix(&at(VALUE_BIAS), bias.value.val())?;
        }
        self.linear(&at(names.attn_out), out)?;
        let Mlp::One(Dense { gate, up, down, .. }) = &block.mlp else {
            return Err(Error::input("the weights of experts cannot be written"));
        };
        match (names.mlp, gate) {
            (MlpNames::Gated { gate: name, .. }, Some(gate)) => self.linear(&at(name), gate)?,
            (MlpNames::FusedGate { gate_up, down: name }, Some(gate)) => {
                self.linear(&at(gate_up), &woven([gate, up], 1))?;
                return self.linear(&at(name), down);
            }
            _ => {}
        }
        let (MlpNames::Plain { up: up_name, down: down_name }
        | MlpNames::Gated { up: up_name, down: down_name, .. }) = names.mlp
        else {
            return Err(Error::input("the weights of experts cannot be written"));
        };
        self.linear(&at(up_name), up)?;
        self.linear(&at(down_name), down)
    }

    fn norm(&mut self, name: &str, norm: &Norm) -> Result<()> {
        let (weight, bias) = match norm {
            Norm::Fixed(_) => return Ok(()),
            Norm::Rms(norm) | Norm::RmsPlusOne(norm) => (&norm.gamma, None),
            Norm::Layer(Layer { norm, .. }) => (&norm.gamma, norm.beta.as_ref()),
            Norm::Tanh(Tanh { alpha, weight, bias }) => {
                self.vector(&format!("{name}.alpha"), alpha)?;
                (weight, bias.as_ref())
            }
        };
        self.vector(&format!("{name}.weight"), weight)?;
        match bias {
            Some(bias) => self.vector(&format!("{name}.bias"), bias),
            None => Ok(()),
        }
    }

    fn linear(&mut self, name: &str, linear: &Linear) -> Result<()> {
        self.stored(name, linear, self.names.linear)
    }

    fn stored(&mut self, name: &str, linear: &Linear, stored: Stored) -> Result<()> {
        let weight = linear.weight.val();
        let weight = if stored == Stored::OutIn { weight.transpose() } else { weight };
        self.matrix(&format!("{name}.weight"), weight)?;
        match &linear.bias {
            Some(bias) => self.vector(&format!("{name}.bias"), bias),
            None => Ok(()),
        }
    }

    fn vector(&mut self, name: &str, x: &Param<Tensor<1>>) -> Result<()> {
        self.put(name, x.val())
    }

    fn matrix(&mut self, name: &str, x: Tensor<2>) -> Result<()> {
        self.put(name, x)
    }

    fn put<const D: usize>(&mut self, name: &str, x: Tensor<D>) -> Result<()> {
        let (shape, device) = (x.dims().to_vec(), x.device());
        let failed = |what: String| Error::Device { device: format!("{device:?}"), what };
        let data = x.inner().cast(DType::F32).try_into_data();
        let data = data.map_err(|error| failed(error.to_string()))?;
        let values = data.try_into_vec::<f32>().map_err(|error| failed(format!("{error:?}")))?;
        let (name, data) = (format!("{}{name}", self.prefix), TensorData::F32(values));
        self.tensors.push(NamedTensor { name, shape, data });
        Ok(())
    }
}

/// One matrix of the outputs of several, in `groups` groups in each of which a part of each follows the other: what
/// `fused` takes apart.
fn woven<const N: usize>(parts: [&Linear; N], groups: usize) -> Linear {
    let of = |x: Tensor<2>| {
        let [rows, outputs] = x.dims();
        x.reshape([rows, groups, outputs / groups])
    };
    let join = |parts: Vec<Tensor<3>>| {
        let all = Tensor::cat(parts, 2);
        let [rows, groups, width] = all.dims();
        all.reshape([rows, groups * width])
    };
    let weight = join(parts.iter().map(|linear| of(linear.weight.val().inner())).collect());
    let biases: Option<Vec<_>> = parts
        .iter()
        .map(|linear| linear.bias.as_ref().map(|bias| of(bias.val().inner().unsqueeze())))
        .collect();
    let bias = biases.map(|biases| {
        let row = join(biases);
        let width = row.dims()[1];
        Param::from_tensor(row.reshape([width]))
    });
    Linear { weight: Param::from_tensor(weight), bias }
}
