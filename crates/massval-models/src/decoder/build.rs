//! Builds a decoder from a checkpoint: every tensor by its name in the architecture's table.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{DType, Device, Shape, Tensor, TensorData};

use super::{Attention, Block, Decoder, Mlp, Norm};
use crate::Result;
use crate::arch::WeightNames;
use crate::arch::names::{Qkv, Stored};
use crate::config::{DecoderConfig, MlpKind, NormKind, PositionEncoding};
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
    let total = weights.tensors().len();
    let loader = Loader::new(weights);
    let prefix = names
        .prefixes
        .iter()
        .copied()
        .find(|prefix| loader.contains(&format!("{prefix}{}.weight", names.embed)));
    let prefix = prefix.or(names.prefixes.first().copied()).unwrap_or_default();
    let mut from = Source { loader, prefix, target, progress, total, done: 0 };
    let decoder = decoder(config, names, &mut from)?;
    for name in names.derivable {
        for layer in 0..config.layers {
            from.loader.ignore(&at_layer(name, layer));
        }
    }
    if config.tied_head {
        from.loader.ignore(&format!("{}.weight", names.head));
    }
    Ok((decoder, from.loader.finish()))
}

fn decoder(config: &DecoderConfig, names: &WeightNames, from: &mut Source<'_>) -> Result<Decoder> {
    let d = config.d_model;
    let embed = from.matrix(names.embed, [config.vocab_size, d])?;
    let positions = match (&config.position, names.positions) {
        (PositionEncoding::Learned { positions }, Some(name)) => {
            Some(Param::from_tensor(from.matrix(name, [*positions, d])?))
        }
        _ => None,
    };
    let blocks =
        (0..config.layers).map(|layer| block(config, names, layer, from)).collect::<Result<_>>()?;
    let final_norm = norm(config, names.final_norm, from)?;
    let head = match config.tied_head {
        true => None,
        false => {
            let prefix = std::mem::take(&mut from.prefix);
            let head = from.linear(names.head, Stored::OutIn, d, config.vocab_size, false);
            from.prefix = prefix;
            Some(head?)
        }
    };
    Ok(Decoder {
        embed: Param::from_tensor(embed),
        positions,
        blocks,
        final_norm,
        head,
        config: config.clone(),
    })
}

fn block(
    config: &DecoderConfig,
    names: &WeightNames,
    layer: usize,
    from: &mut Source<'_>,
) -> Result<Block> {
    let (d, m) = (config.d_model, config.d_mlp);
    let q_width = config.heads * config.head_dim;
    let kv_width = config.kv_heads * config.head_dim;
    let bias = &config.bias;
    let at = |name: &str| at_layer(name, layer);
    let attn_norm = norm(config, &at(names.attn_norm), from)?;
    let [q, k, v] = match names.qkv {
        Qkv::Separate { q, k, v, permuted } => {
            let head_dim = permuted.then_some(config.head_dim);
            [
                from.projection(&at(q), names.linear, d, q_width, bias.qkv, head_dim)?,
                from.projection(&at(k), names.linear, d, kv_width, bias.qkv, head_dim)?,
                from.linear(&at(v), names.linear, d, kv_width, bias.qkv)?,
            ]
        }
        Qkv::Fused(name) => {
            let widths = [q_width, kv_width, kv_width];
            let fused = from.linear(&at(name), names.linear, d, widths.iter().sum(), bias.qkv)?;
            split(&fused, widths)
        }
    };
    let out = from.linear(&at(names.attn_out), names.linear, q_width, d, bias.attn_out)?;
    let mlp_norm = norm(config, &at(names.mlp_norm), from)?;
    let gate = match (config.mlp, names.gate) {
        (MlpKind::Gated, Some(name)) => {
            Some(from.linear(&at(name), names.linear, d, m, bias.mlp)?)
        }
        _ => None,
    };
    let up = from.linear(&at(names.up), names.linear, d, m, bias.mlp)?;
    let down = from.linear(&at(names.down), names.linear, m, d, bias.mlp)?;
    let (heads, kv_heads, head_dim) = (config.heads, config.kv_heads, config.head_dim);
    Ok(Block {
        attn_norm,
        attention: Attention { q, k, v, out, heads, kv_heads, head_dim },
        mlp_norm,
        mlp: Mlp { gate, up, down, activation: config.activation },
    })
}

fn norm(config: &DecoderConfig, name: &str, from: &mut Source<'_>) -> Result<Norm> {
    let weight = from.vector(&format!("{name}.weight"), config.d_model)?;
    Ok(match config.norm {
        NormKind::RmsNorm => Norm::rms(weight, config.norm_eps),
        NormKind::LayerNorm => {
            let bias = match config.bias.norm {
                true => Some(from.vector(&format!("{name}.bias"), config.d_model)?),
                false => None,
            };
            Norm::layer(weight, bias, config.norm_eps)
        }
    })
}

/// The columns of a fused projection, apart. A missing one stays an empty placeholder.
fn split(fused: &Linear, widths: [usize; 3]) -> [Linear; 3] {
    let weight = fused.weight.val();
    let complete = weight.dims()[1] == widths.iter().sum::<usize>();
    let mut start = 0;
    widths.map(|width| {
        let from = start;
        start += width;
        if !complete {
            return fused.clone();
        }
        // Copied out of the fused matrix, so that each is contiguous and the whole can be freed.
        let part = weight.clone().slice_dim(1, from..from + width) + 0.0;
        let bias =
            fused.bias.as_ref().map(|bias| bias.val().slice_dim(0, from..from + width) + 0.0);
        Linear { weight: Param::from_tensor(part), bias: bias.map(Param::from_tensor) }
    })
}

fn at_layer(name: &str, layer: usize) -> String {
    name.replace("{l}", &layer.to_string())
}

/// Where the tensors come from, and where they go.
struct Source<'a> {
    loader: Loader<'a>,
    prefix: &'a str,
    /// Absent in a dry run: shapes are checked, nothing is decoded.
    target: Option<Target<'a>>,
    progress: Progress<'a>,
    total: usize,
    done: usize,
}

impl Source<'_> {
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
        let data = match (stored, permuted) {
            (Stored::InOut, _) => self.values(&weight, &[i, o])?,
            (Stored::OutIn, _) if self.target.is_none() => self.values(&weight, &[o, i])?,
            (Stored::OutIn, None) => self.loader.f32_transposed(&weight, &[o, i])?,
            (Stored::OutIn, Some(head_dim)) => {
                self.loader.f32_transposed_unpermuted(&weight, &[o, i], head_dim)?
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

    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>> {
        match self.target {
            Some(_) => self.loader.f32(name, shape),
            None => self.loader.expect(name, shape).map(|_| None),
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
