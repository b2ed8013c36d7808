//! Builds a decoder from a checkpoint: every tensor by its name in the architecture's table.

mod fused;

use std::ops::Range;

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{DType, Device, Shape, Tensor, TensorData};

use super::Decoder;
use super::attention::{Attention, KvBias, Rule};
use super::block::Block;
use super::mlp::{Dense, Experts, Mlp};
use super::norm::Norm;
use crate::Result;
use crate::arch::WeightNames;
use crate::arch::names::{
    EMBED_SCALE, FusedOrder, KEY_BIAS, MlpNames, Prefix, Qkv, Stored, VALUE_BIAS,
};
use crate::config::{BlockOrder, DecoderConfig, MlpKind, NormKind, PositionEncoding, QkNorm};
use crate::weights::{LoadReport, Loader, Weights};

/// Where the weights go, and in which type.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) device: &'a Device,
    pub(crate) dtype: DType,
}

/// Told after each tensor: how many are done, of how many.
pub type Progress<'a> = &'a mut dyn FnMut(usize, usize);

/// Takes what `config` asks for out of `weights`, under the names of `names`.
///
/// The decoder is usable only if the report is clean: what was missing is an empty placeholder.
pub(crate) fn build(
    config: &DecoderConfig,
    names: &WeightNames,
    weights: &Weights,
    target: Target<'_>,
    progress: Progress<'_>,
) -> Result<(Decoder, LoadReport)> {
    take_all(config, names, weights, Some(target), progress)
}

/// A decoder whose weights nobody has set: matrices and biases are 0, norms leave their input's scale.
pub(crate) fn blank(
    config: &DecoderConfig,
    names: &WeightNames,
    device: &Device,
) -> Result<Decoder> {
    let progress = &mut |_, _| {};
    let target = Some(Target { device, dtype: DType::F32 });
    let mut from = Source { stored: None, prefix: "", target, progress, total: 0, done: 0 };
    decoder(config, names, "", &mut from, 0..config.layers)
}

/// The report that [`build`] would give, without decoding a weight.
pub(crate) fn dry_run(
    config: &DecoderConfig,
    names: &WeightNames,
    weights: &Weights,
) -> Result<LoadReport> {
    take_all(config, names, weights, None, &mut |_, _| {}).map(|(_, report)| report)
}

fn take_all(
    config: &DecoderConfig,
    names: &WeightNames,
    weights: &Weights,
    target: Option<Target<'_>>,
    progress: Progress<'_>,
) -> Result<(Decoder, LoadReport)> {
    let (mut from, head) = Source::new(names, weights, target, progress);
    let decoder = decoder(config, names, head, &mut from, 0..config.layers)?;
    let mut loader = from.into_loader(weights);
    for name in names.derivable {
        for layer in 0..config.layers {
            loader.ignore(&at_layer(name, layer));
        }
    }
    if config.tied_head {
        loader.ignore(&format!("{head}{}.weight", names.head));
    }
    let aside = |name: &str| names.aside.iter().any(|start| name.starts_with(start));
    for tensor in weights.tensors().filter(|tensor| aside(&tensor.name)) {
        loader.ignore(&tensor.name);
    }
    Ok((decoder, loader.finish()))
}

/// A decoder without its blocks, of weights whose [`dry_run`] was clean.
pub(crate) fn without_blocks(
    config: &DecoderConfig,
    names: &WeightNames,
    weights: &Weights,
    target: Target<'_>,
    progress: Progress<'_>,
) -> Result<Decoder> {
    let (mut from, head) = Source::new(names, weights, Some(target), progress);
    decoder(config, names, head, &mut from, 0..0)
}

/// One block, of weights whose [`dry_run`] was clean.
pub(crate) fn one_block(
    config: &DecoderConfig,
    names: &WeightNames,
    weights: &Weights,
    target: Target<'_>,
    layer: usize,
) -> Result<Block> {
    let progress = &mut |_, _| {};
    let (mut from, _) = Source::new(names, weights, Some(target), progress);
    block(config, names, layer, &mut from)
}

/// The names of the tensors that a block is made of.
pub(crate) fn block_tensors(
    config: &DecoderConfig,
    names: &WeightNames,
    weights: &Weights,
    layer: usize,
) -> Result<Vec<String>> {
    let progress = &mut |_, _| {};
    let (mut from, _) = Source::new(names, weights, None, progress);
    block(config, names, layer, &mut from)?;
    Ok(from.into_loader(weights).finish().applied)
}

/// What stands before the names of all tensors but the head's.
pub(crate) fn prefix(names: &WeightNames, weights: &Weights) -> &'static str {
    let embed = |prefix: &&Prefix| {
        weights.info(&format!("{}{}.weight", prefix.body, names.embed)).is_some()
    };
    let found = names.prefixes.iter().find(embed).or(names.prefixes.first());
    found.map_or("", |prefix| prefix.body)
}

fn decoder<'a>(
    config: &DecoderConfig,
    names: &WeightNames,
    head: &'a str,
    from: &mut Source<'a>,
    layers: Range<usize>,
) -> Result<Decoder> {
    let (d, width) = (config.d_model, config.embedding.width);
    let embed = from.matrix(names.embed, [config.vocab_size, width])?;
    let embed_norm = match names.embed_norm {
        Some(name) if config.embedding.norm => Some(norm(config, name, width, from)?),
        _ => None,
    };
    let embed_scale = match config.embedding.learned_scale {
        true => Some(Param::from_tensor(from.vector(EMBED_SCALE, 1)?)),
        false => None,
    };
    let positions = match (&config.position, names.positions) {
        (PositionEncoding::Learned { positions, offset }, Some(name)) => {
            Some(Param::from_tensor(from.matrix(name, [positions + offset, d])?))
        }
        _ => None,
    };
    let (project_in, project_out) = match names.projections {
        Some((name_in, name_out)) if width != d => (
            Some(from.linear(name_in, names.linear, width, d, false)?),
            Some(from.linear(name_out, names.linear, d, width, false)?),
        ),
        _ => (None, None),
    };
    let blocks = layers.map(|layer| block(config, names, layer, from)).collect::<Result<_>>()?;
    let final_norm = match config.final_norm {
        true => Some(norm(config, names.final_norm, d, from)?),
        false => None,
    };
    let head = match config.tied_head {
        true => None,
        false => {
            let prefix = std::mem::replace(&mut from.prefix, head);
            let bias = config.bias.head;
            let head = from.linear(names.head, Stored::OutIn, width, config.vocab_size, bias);
            from.prefix = prefix;
            Some(head?)
        }
    };
    Ok(Decoder {
        embed: Param::from_tensor(embed),
        embed_norm,
        embed_scale,
        project_in,
        project_out,
        positions,
        blocks,
        final_norm,
        head,
        stream: None,
        rounding: None,
        config: config.clone(),
    })
}

fn block(
    config: &DecoderConfig,
    names: &WeightNames,
    layer: usize,
    from: &mut Source<'_>,
) -> Result<Block> {
    let mut normed = |name: Option<&str>| {
        let name = name.map(|name| at_layer(name, layer));
        name.map(|name| norm(config, &name, config.d_model, from)).transpose()
    };
    let attn_norm = normed(names.norms.attn)?;
    let attn_out_norm = normed(names.norms.attn_out)?;
    let mlp_norm = normed(names.norms.mlp.filter(|_| config.block != BlockOrder::ParallelOneNorm))?;
    let mlp_out_norm = normed(names.norms.mlp_out)?;
    Ok(Block {
        attn_norm,
        attention: attention(config, names, layer, from)?,
        attn_out_norm,
        mlp_norm,
        mlp: mlp(config, names, layer, from)?,
        mlp_out_norm,
        order: config.block,
    })
}

fn attention(
    config: &DecoderConfig,
    names: &WeightNames,
    layer: usize,
    from: &mut Source<'_>,
) -> Result<Attention> {
    let d = config.d_model;
    let (heads, kv_heads, head_dim) = (config.heads, config.kv_heads, config.head_dim);
    let (q_width, kv_width) = (heads * head_dim, kv_heads * head_dim);
    let bias = &config.bias;
    let at = |name: &str| at_layer(name, layer);
    let [q, k, v] = match names.qkv {
        Qkv::Separate { q, k, v, permuted } => {
            let head_dim = permuted.then_some(head_dim);
            [
                from.projection(&at(q), names.linear, d, q_width, bias.qkv, head_dim)?,
                from.projection(&at(k), names.linear, d, kv_width, bias.qkv, head_dim)?,
                from.linear(&at(v), names.linear, d, kv_width, bias.qkv)?,
            ]
        }
        Qkv::Fused { name, order } => {
            let widths = [q_width, kv_width, kv_width];
            let fused = from.linear(&at(name), names.linear, d, widths.iter().sum(), bias.qkv)?;
            match order {
                FusedOrder::Blocks => fused::blocks(&fused, widths),
                FusedOrder::Groups => fused::groups(&fused, kv_heads, widths.map(|w| w / kv_heads)),
            }
        }
    };
    let (q_norm, k_norm) = match (config.attention.qk_norm, names.qk_norm) {
        (Some(over), Some((q, k))) => {
            let [q_width, kv_width] = match over {
                QkNorm::PerHead => [head_dim; 2],
                QkNorm::AllHeads => [q_width, kv_width],
            };
            let q_norm = norm(config, &at(q), q_width, from)?;
            (Some(q_norm), Some(norm(config, &at(k), kv_width, from)?))
        }
        _ => (None, None),
    };
    let kv_bias = match config.attention.kv_bias {
        true => {
            let shape = [kv_heads, head_dim];
            let [key, value] = [KEY_BIAS, VALUE_BIAS].map(|name| from.bare(&at(name), shape));
            Some(KvBias { key: Param::from_tensor(key?), value: Param::from_tensor(value?) })
        }
        false => None,
    };
    let out = from.linear(&at(names.attn_out), names.linear, q_width, d, bias.attn_out)?;
    let window = config.window_at(layer);
    let rule = Rule {
        scale: config.attention.scale,
        soft_cap: config.attention.soft_cap,
        clip: config.attention.clip_qkv,
        qk_norm: config.attention.qk_norm,
        window,
        local_rope: window.is_some() && config.local_rope.is_some(),
    };
    Ok(Attention { q, k, v, out, q_norm, k_norm, kv_bias, heads, kv_heads, head_dim, rule })
}

fn mlp(
    config: &DecoderConfig,
    names: &WeightNames,
    layer: usize,
    from: &mut Source<'_>,
) -> Result<Mlp> {
    let (d, m, bias) = (config.d_model, config.d_mlp, config.bias.mlp);
    let at = |name: &str| at_layer(name, layer);
    let stored = names.linear;
    let mut dense = |gate: Option<&str>, up: &str, down: &str| {
        Ok(Dense {
            gate: gate.map(|gate| from.linear(&at(gate), stored, d, m, bias)).transpose()?,
            up: from.linear(&at(up), stored, d, m, bias)?,
            down: from.linear(&at(down), stored, m, d, bias)?,
            activation: config.activation,
        })
    };
    match names.mlp {
        MlpNames::Plain { up, down } => dense(None, up, down).map(Mlp::One),
        MlpNames::Gated { gate, up, down } => dense(Some(gate), up, down).map(Mlp::One),
        MlpNames::FusedGate { gate_up, down } => {
            let fused = from.linear(&at(gate_up), stored, d, 2 * m, bias)?;
            let [gate, up] = fused::blocks(&fused, [m, m]);
            let down = from.linear(&at(down), stored, m, d, bias)?;
            Ok(Mlp::One(Dense { gate: Some(gate), up, down, activation: config.activation }))
        }
        MlpNames::Experts { router, gate, up, down } => {
            let (count, per_token) = match config.mlp {
                MlpKind::Experts { count, per_token } => (count, per_token),
                MlpKind::Gated | MlpKind::Plain => (1, 1),
            };
            let experts = (0..count)
                .map(|expert| {
                    let of = |name: &str| name.replace("{e}", &expert.to_string());
                    dense(Some(&of(gate)), &of(up), &of(down))
                })
                .collect::<Result<_>>()?;
            let router = from.linear(&at(router), stored, d, count, false)?.weight;
            Ok(Mlp::Experts(Experts { router, experts, per_token }))
        }
    }
}

/// A norm over `width` channels, of the model's kind.
fn norm(config: &DecoderConfig, name: &str, width: usize, from: &mut Source<'_>) -> Result<Norm> {
    let eps = config.norm_eps;
    if config.norm == NormKind::LayerNormFixed {
        return Ok(Norm::fixed(eps));
    }
    let weight = from.vector(&format!("{name}.weight"), width)?;
    Ok(match config.norm {
        NormKind::RmsNorm => Norm::rms(weight, eps),
        NormKind::RmsNormPlusOne => Norm::rms_plus_one(weight, eps),
        kind => {
            let bias = match config.bias.norm {
                true => Some(from.vector(&format!("{name}.bias"), width)?),
                false => None,
            };
            match kind {
                NormKind::DynamicTanh => {
                    Norm::tanh(from.vector(&format!("{name}.alpha"), 1)?, weight, bias)
                }
                _ => Norm::layer(weight, bias, eps),
            }
        }
    })
}

fn at_layer(name: &str, layer: usize) -> String {
    name.replace("{l}", &layer.to_string())
}

/// Where the tensors come from, and where they go.
struct Source<'a> {
    /// Absent where there is no checkpoint.
    stored: Option<Loader<'a>>,
    prefix: &'a str,
    /// Absent in a dry run: shapes are checked, nothing is decoded.
    target: Option<Target<'a>>,
    progress: Progress<'a>,
    total: usize,
    done: usize,
}

impl<'a> Source<'a> {
    /// Besides, how the names of the head begin.
    fn new(
        names: &WeightNames,
        weights: &'a Weights,
        target: Option<Target<'a>>,
        progress: Progress<'a>,
    ) -> (Self, &'static str) {
        let total = weights.tensors().len();
        let loader = Loader::new(weights);
        let prefix = names
            .prefixes
            .iter()
            .find(|prefix| loader.contains(&format!("{}{}.weight", prefix.body, names.embed)));
        let (body, head) =
            prefix.or(names.prefixes.first()).map_or(("", ""), |prefix| (prefix.body, prefix.head));
        (Self { stored: Some(loader), prefix: body, target, progress, total, done: 0 }, head)
    }

    fn into_loader(self, weights: &'a Weights) -> Loader<'a> {
        self.stored.unwrap_or_else(|| Loader::new(weights))
    }

    fn linear(
        &mut self,
        name: &str,
        stored: Stored,
        i: usize,
        o: usize,
        bias: bool,
    ) -> Result<Linear> {
        self.projection(name, stored, i, o, bias, None)
    }

    /// A linear layer `i -> o`; its rows are put back into order if `permuted` gives the head_dim.
    fn projection(
        &mut self,
        name: &str,
        stored: Stored,
        i: usize,
        o: usize,
        bias: bool,
        permuted: Option<usize>,
    ) -> Result<Linear> {
        let weight = format!("{}{name}.weight", self.prefix);
        let decoded = self.target.is_some();
        let data = match (stored, permuted, &mut self.stored) {
            (Stored::InOut, _, _) | (_, _, None) => self.values(&weight, &[i, o])?,
            (Stored::OutIn, _, _) if !decoded => self.values(&weight, &[o, i])?,
            (Stored::OutIn, None, Some(loader)) => loader.f32_transposed(&weight, &[o, i])?,
            (Stored::OutIn, Some(head_dim), Some(loader)) => {
                loader.f32_transposed_unpermuted(&weight, &[o, i], head_dim)?
            }
        };
        let weight = Param::from_tensor(self.tensor(data, [i, o]));
        let bias = match bias {
            true => Some(Param::from_tensor(self.bias(name, o, permuted)?)),
            false => None,
        };
        Ok(Linear { weight, bias })
    }

    fn bias(&mut self, name: &str, width: usize, permuted: Option<usize>) -> Result<Tensor<1>> {
        let name = format!("{}{name}.bias", self.prefix);
        let mut data = self.values(&name, &[width])?;
        if let (Some(head_dim), Some(stored)) = (permuted, &data) {
            data = crate::weights::unpermute_rows(stored, head_dim, 1);
        }
        Ok(self.tensor(data, [width]))
    }

    fn vector(&mut self, name: &str, width: usize) -> Result<Tensor<1>> {
        let data = self.values(&format!("{}{name}", self.prefix), &[width])?;
        Ok(self.tensor(data, [width]))
    }

    fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Tensor<2>> {
        let data = self.values(&format!("{}{name}.weight", self.prefix), &shape)?;
        Ok(self.tensor(data, shape))
    }

    /// A matrix that is no linear layer's, under its bare name.
    fn bare(&mut self, name: &str, shape: [usize; 2]) -> Result<Tensor<2>> {
        let data = self.values(&format!("{}{name}", self.prefix), &shape)?;
        Ok(self.tensor(data, shape))
    }

    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>> {
        match (&mut self.stored, self.target) {
            (Some(loader), Some(_)) => loader.f32(name, shape),
            (Some(loader), None) => loader.expect(name, shape).map(|_| None),
            // The only vectors that are weights are those of norms.
            (None, _) => {
                let scales = shape.len() == 1 && !name.ends_with("bias");
                let value = if scales { 1.0 } else { 0.0 };
                Ok(Some(vec![value; shape.iter().product()]))
            }
        }
    }

    /// A missing tensor becomes one zero, never the size that a hostile config asks for.
    fn tensor<const D: usize>(&mut self, data: Option<Vec<f32>>, shape: [usize; D]) -> Tensor<D> {
        self.done += 1;
        (self.progress)(self.done.min(self.total), self.total);
        let data = match data {
            Some(values) => TensorData::new(values, Shape::from(shape)),
            None => TensorData::new(vec![0.0f32], Shape::from([1; D])),
        };
        match self.target {
            Some(target) => {
                Tensor::<D>::from_data(data, (target.device, DType::F32)).cast(target.dtype)
            }
            None => Tensor::from_data(data, &Device::default()),
        }
    }
}
