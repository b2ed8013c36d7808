//! One block: statistics at the inputs of its linears, scales folded, weights quantized.

use std::collections::BTreeMap;

use massval_models::arch::{StoredBlock, StoredLinear};
use massval_models::weights::{StoredType, Weights};
use massval_models::{DecoderConfig, LinearGroup, LinearRole, MlpKind, NormKind, Walk};
use massval_quant::awq::{ChannelTies, search_clip, search_scales, value_output_ties};
use massval_quant::fold::{NormGain, divide_norm, divide_rows, multiply_columns};
use massval_quant::formats::pack_input_scale;
use massval_quant::protect::{KeptRows, MixedLinear, split_rows};
use massval_quant::smooth::{search_alpha, smooth_scales};
use massval_quant::{
    ActivationQuantizer, Bits, GptqSolver, Granularity, Hessian, ProtectedRows, QuantizedLinear,
    Weight, WeightScheme, rtn,
};
use serde::{Deserialize, Serialize};

use super::options::{Method, Protection, QuantizeOptions, Smoothing};
use super::statistics::{Seen, Wanted, look};
use super::tensor::{FileTensor, rounded};
use crate::{Error, Result};

/// What became of one linear.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LinearLog {
    /// Its name in the checkpoint.
    pub name: String,
    /// Squared error of its outputs on the calibration, as a share of their power; none where no Hessian was made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output_error: Option<f64>,
    /// Squared error of the weights, as a share of their squares.
    pub weight_error: f64,
    /// GPTQ's loss.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub loss: Option<f64>,
    /// The damping that it took, and how often it was raised.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub damping: Option<(f64, usize)>,
    /// AWQ's ratio or SmoothQuant's alpha, of the scales that were folded before it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scaled: Option<f32>,
    /// Bits of its codes, if they are others than most linears'.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bits: Option<Bits>,
    /// Rows that were kept apart.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub protected: usize,
    /// Whether the file holds it in floating point.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub float: bool,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What a block gives to the files.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) tensors: Vec<FileTensor<'static>>,
    pub(super) log: Vec<LinearLog>,
}

/// A block that is being quantized.
pub(super) struct Task<'a> {
    pub(super) config: &'a DecoderConfig,
    pub(super) weights: &'a Weights,
    pub(super) block: &'a StoredBlock,
    pub(super) options: &'a QuantizeOptions,
}

/// The scales of the inputs of a group, folded into what writes them.
struct Folded {
    scales: Vec<f32>,
    /// The ratio or alpha behind them.
    by: Option<f32>,
}

impl Task<'_> {
    /// Quantizes the block that `walk` has entered, and leads the walk to its end; without a walk, no data is needed.
    pub(super) fn run(&self, walk: Option<&mut Walk<'_>>) -> Result<Written> {
        match (self.options.method, walk) {
            (Method::Gptq, Some(walk)) => self.gptq(walk),
            (Method::Awq, Some(walk)) => self.awq(walk),
            (Method::Rtn | Method::SmoothQuant, Some(walk)) => self.rounded(walk),
            (_, None) => {
                let mut written = Written::default();
                for linear in &self.block.linears {
                    let weight = self.weight(linear)?;
                    self.put(&mut written, linear, weight, None, &rtn, LinearLog::default())?;
                }
                Ok(written)
            }
        }
    }

    /// The linears of a group, and how many inputs they have.
    fn group(&self, group: LinearGroup) -> (Vec<&StoredLinear>, &str, usize) {
        let linears: Vec<_> =
            self.block.linears.iter().filter(|linear| linear.group() == group).collect();
        let first = linears.first();
        (linears.clone(), first.map_or("", |l| l.name.as_str()), first.map_or(0, |l| l.inputs))
    }

    fn weight(&self, linear: &StoredLinear) -> Result<Vec<f32>> {
        Ok(self.weights.read_f32(&format!("{}.weight", linear.name))?)
    }

    // --- round to nearest, with smoothing or without --------------------------------------------------------------

    fn rounded(&self, walk: &mut Walk<'_>) -> Result<Written> {
        let mut written = Written::default();
        let options = self.options;
        let smooth = options.method == Method::SmoothQuant;
        let search = smooth && matches!(options.smoothing, Smoothing::Search(_));
        while let Some(group) = walk.group() {
            let (linears, name, width) = self.group(group);
            let wanted = Wanted { channels: true, hessian: false, rows: search };
            let seen = look(walk, name, width, wanted)?;
            let norm = self.norm_before(group).filter(|_| smooth);
            let values = linears.iter().map(|l| self.weight(l)).collect::<Result<Vec<_>>>()?;
            let folded = match norm {
                Some(norm) => {
                    let weights = as_weights(&linears, &values)?;
                    let (scales, alpha) = self.smoothing(&weights, &seen)?;
                    let scales = self.fold_norm(&mut written, norm, &scales)?;
                    Folded { scales, by: Some(alpha) }
                }
                None => Folded { scales: vec![1.0; width], by: None },
            };
            let quantizer = self.input_quantizer(name, &seen, &folded.scales)?;
            for (linear, mut values) in linears.into_iter().zip(values) {
                multiply_columns(&linear.name, &mut values, &folded.scales)?;
                let log = LinearLog { scaled: folded.by, ..LinearLog::default() };
                self.put(&mut written, linear, values, None, &rtn, log)?;
                self.put_input_scale(&mut written, linear, quantizer.as_ref());
            }
            walk.go_on()?;
        }
        Ok(written)
    }

    fn smoothing(&self, weights: &[Weight<'_>], seen: &Seen) -> Result<(Vec<f32>, f32)> {
        let name = weights.first().map_or("", Weight::name);
        let none = || massval_quant::Error::NoTokens { tensor: name.to_owned() };
        let stats = seen.channels.as_ref().ok_or_else(none)?;
        let alpha = match (&self.options.smoothing, &self.options.activations) {
            (Smoothing::Search(alphas), Some(activations)) => {
                let scheme = &self.options.scheme;
                search_alpha(weights, stats, &seen.rows, alphas, scheme, activations)?.best
            }
            (Smoothing::Alpha(alpha), _) => *alpha,
            (Smoothing::Search(_), None) => return Err(none().into()),
        };
        Ok((smooth_scales(weights, stats, alpha)?, alpha.get()))
    }

    fn input_quantizer(
        &self,
        name: &str,
        seen: &Seen,
        scales: &[f32],
    ) -> Result<Option<ActivationQuantizer>> {
        match (&self.options.activations, &seen.channels) {
            (Some(scheme), Some(stats)) => {
                Ok(Some(scheme.quantizer(name, &stats.divided(scales)?)?))
            }
            _ => Ok(None),
        }
    }

    fn put_input_scale(
        &self,
        written: &mut Written,
        linear: &StoredLinear,
        quantizer: Option<&ActivationQuantizer>,
    ) {
        let float = written.log.last().is_some_and(|log| log.float);
        let scale = quantizer.and_then(|quantizer| pack_input_scale(&linear.name, quantizer));
        written.tensors.extend(scale.filter(|_| !float).map(FileTensor::from));
    }

    // --- GPTQ: what follows sees what the quantized linears give ---------------------------------------------------

    fn gptq(&self, walk: &mut Walk<'_>) -> Result<Written> {
        let mut written = Written::default();
        while let Some(group) = walk.group() {
            let (linears, name, width) = self.group(group);
            let fixed = self.options.activations.is_some();
            let seen =
                look(walk, name, width, Wanted { channels: fixed, hessian: true, rows: false })?;
            let none = || massval_quant::Error::NoTokens { tensor: name.to_owned() };
            let hessian = seen.hessian.as_ref().ok_or_else(none)?;
            let solver = GptqSolver::new(hessian, &self.options.gptq)?;
            let quantizer = self.input_quantizer(name, &seen, &vec![1.0; width])?;
            for linear in linears {
                let losses = std::cell::Cell::new(0.0);
                let quantize = |weight: &Weight<'_>, scheme: &WeightScheme| {
                    let result = solver.quantize(weight, scheme)?;
                    losses.set(losses.get() + result.report.loss);
                    Ok(result.linear)
                };
                let values = self.weight(linear)?;
                let log = LinearLog { damping: Some(solver.damping()), ..LinearLog::default() };
                let dequantized =
                    self.put(&mut written, linear, values, Some(hessian), &quantize, log)?;
                if let Some(log) = written.log.last_mut().filter(|log| log.output_error.is_some()) {
                    log.loss = Some(losses.get());
                }
                self.put_input_scale(&mut written, linear, quantizer.as_ref());
                set(walk, linear, &dequantized)?;
            }
            walk.go_on()?;
        }
        Ok(written)
    }

    // --- AWQ: scales of a group may fold into the group before it, so the two halves of a block are done as one ---

    fn awq(&self, walk: &mut Walk<'_>) -> Result<Written> {
        let mut written = Written::default();
        for (first, second) in
            [(LinearGroup::Qkv, LinearGroup::AttnOut), (LinearGroup::GateUp, LinearGroup::Down)]
        {
            let wanted = Wanted { channels: true, hessian: true, rows: false };
            let (linears, name, width) = self.group(first);
            let before = look(walk, name, width, wanted)?;
            walk.go_on()?;
            let (later, later_name, later_width) = self.group(second);
            let after = look(walk, later_name, later_width, wanted)?;
            walk.go_on()?;

            let mut values = linears.iter().map(|l| self.weight(l)).collect::<Result<Vec<_>>>()?;
            let folded = match self.norm_before(first) {
                Some(norm) => {
                    let found = self.search(&linears, &values, &before, ChannelTies::Free)?;
                    let scales = self.fold_norm(&mut written, norm, &found.scales)?;
                    Folded { scales, by: found.ratio }
                }
                None => Folded { scales: vec![1.0; width], by: None },
            };
            let mut later_values =
                later.iter().map(|l| self.weight(l)).collect::<Result<Vec<_>>>()?;
            let later_folded = match self.ties(second, later_name, later_width)? {
                Some(ties) => {
                    let found = self.search(&later, &later_values, &after, ties)?;
                    let writer =
                        if second == LinearGroup::AttnOut { LinearRole::V } else { LinearRole::Up };
                    self.fold_rows(&mut written, writer, &linears, &mut values, &found.shared)?;
                    Folded { scales: found.scales, by: found.ratio }
                }
                None => Folded { scales: vec![1.0; later_width], by: None },
            };
            for (linears, values, folded, seen) in [
                (linears, &mut values, folded, before),
                (later, &mut later_values, later_folded, after),
            ] {
                let Some(hessian) = &seen.hessian else { continue };
                let hessian = hessian.divided(&folded.scales)?;
                for (linear, values) in linears.into_iter().zip(values) {
                    multiply_columns(&linear.name, values, &folded.scales)?;
                    let log = LinearLog { scaled: folded.by, ..LinearLog::default() };
                    let clip = self.options.clip.filter(|_| self.options.clips(linear));
                    let quantize = |weight: &Weight<'_>, scheme: &WeightScheme| match &clip {
                        Some(clip) if scheme.granularity != Granularity::Tensor => {
                            let mut values = weight.values().to_vec();
                            let found = search_clip(weight, &hessian, scheme, clip)?;
                            found.apply(weight.name(), &mut values)?;
                            let shape = [weight.outputs(), weight.inputs()];
                            rtn(&Weight::new(weight.name(), shape, &values)?, scheme)
                        }
                        _ => rtn(weight, scheme),
                    };
                    let values = std::mem::take(values);
                    self.put(&mut written, linear, values, Some(&hessian), &quantize, log)?;
                }
            }
        }
        Ok(written)
    }

    fn search(
        &self,
        linears: &[&StoredLinear],
        values: &[Vec<f32>],
        seen: &Seen,
        ties: ChannelTies,
    ) -> Result<massval_quant::awq::AwqScales> {
        let name = linears.first().map_or("", |linear| linear.name.as_str());
        let none = || massval_quant::Error::NoTokens { tensor: name.to_owned() };
        let (stats, hessian) =
            seen.channels.as_ref().zip(seen.hessian.as_ref()).ok_or_else(none)?;
        // What stays in floating point has no error to make small.
        let rounded: Vec<_> =
            linears.iter().zip(values).filter(|(l, _)| !self.options.ignored(&l.name)).collect();
        let (linears, values): (Vec<&StoredLinear>, Vec<&Vec<f32>>) =
            rounded.into_iter().map(|(l, v)| (*l, v)).unzip();
        let weights = linears
            .iter()
            .zip(values)
            .map(|(l, v)| Weight::new(&l.name, [l.outputs, l.inputs], v))
            .collect::<massval_quant::Result<Vec<_>>>()?;
        if weights.is_empty() {
            let scales = vec![1.0; hessian.width()];
            return Ok(massval_quant::awq::AwqScales {
                shared: vec![1.0; ties.count(name, hessian.width())?],
                scales,
                ratio: None,
                loss: 0.0,
                unscaled_loss: 0.0,
                losses: Vec::new(),
            });
        }
        let schemes: Vec<_> = weights.iter().map(|w| self.options.scheme_of(w.name())).collect();
        let options = &self.options.awq;
        Ok(search_scales(&weights, hessian, stats.abs_mean(), &schemes, ties, options)?)
    }

    /// How the inputs of a group that other linears write share scales; none if they cannot be folded.
    fn ties(&self, group: LinearGroup, name: &str, inputs: usize) -> Result<Option<ChannelTies>> {
        let config = self.config;
        match group {
            // A value that is cut is no longer what its row wrote.
            LinearGroup::AttnOut if config.attention.clip_qkv.is_some() => Ok(None),
            LinearGroup::AttnOut => Ok(value_output_ties(
                name,
                config.kv_heads * config.head_dim,
                inputs,
                config.head_dim,
                self.options.grouped,
            )?),
            // Only a product stands between the rows of up and the columns of down.
            _ if config.mlp == MlpKind::Gated => Ok(Some(ChannelTies::Free)),
            _ => Ok(None),
        }
    }

    // --- folding --------------------------------------------------------------------------------------------------

    /// The norm that alone writes the group's input.
    fn norm_before(&self, group: LinearGroup) -> Option<&str> {
        match group {
            LinearGroup::Qkv => self.block.attn_norm.as_deref(),
            LinearGroup::GateUp => self.block.mlp_norm.as_deref(),
            LinearGroup::AttnOut | LinearGroup::Down => None,
        }
    }

    /// Divides a norm; returns the scales that it is divided by once it is rounded to its type in the file, so that
    /// the product with the multiplied columns is what it was.
    fn fold_norm(&self, written: &mut Written, norm: &str, scales: &[f32]) -> Result<Vec<f32>> {
        let gain = match self.config.norm {
            NormKind::RmsNormPlusOne => NormGain::OnePlusWeight,
            _ => NormGain::Weight,
        };
        let one = if gain == NormGain::OnePlusWeight { 1.0 } else { 0.0 };
        let name = format!("{norm}.weight");
        let before = self.weights.read_f32(&name)?;
        let stored = self.stored(&name);
        let bias_name = format!("{norm}.bias");
        let bias =
            self.weights.info(&bias_name).map(|_| self.weights.read_f32(&bias_name)).transpose()?;
        let mut weight = before.clone();
        divide_norm(&name, gain, &mut weight, None, scales)?;
        let exact = |((before, after), &scale): ((&f32, &f32), &f32)| {
            let found = (before + one) / (rounded(stored, *after) + one);
            if found.is_finite() && found > 0.0 { found } else { scale }
        };
        let scales: Vec<f32> = before.iter().zip(&weight).zip(scales).map(exact).collect();
        let width = weight.len();
        written.tensors.push(FileTensor::floats(name, stored, vec![width], &weight)?);
        if let Some(mut bias) = bias {
            let mut same = before;
            divide_norm(&bias_name, gain, &mut same, Some(&mut bias), &scales)?;
            let stored = self.stored(&bias_name);
            written.tensors.push(FileTensor::floats(bias_name, stored, vec![width], &bias)?);
        }
        Ok(scales)
    }

    /// Divides the rows of V or of up, and their biases.
    fn fold_rows(
        &self,
        written: &mut Written,
        role: LinearRole,
        linears: &[&StoredLinear],
        values: &mut [Vec<f32>],
        shared: &[f32],
    ) -> Result<()> {
        for (linear, values) in linears.iter().zip(values) {
            let Some(part) = linear.parts.iter().find(|part| part.at.role == role) else {
                continue;
            };
            // One scale for each row of the stored matrix; 1 for those of other linears.
            let mut scales = vec![1.0; linear.outputs];
            for (&row, &scale) in part.rows.iter().zip(shared) {
                if let Some(own) = scales.get_mut(row) {
                    *own = scale;
                }
            }
            let name = format!("{}.bias", linear.name);
            let mut bias =
                self.weights.info(&name).map(|_| self.weights.read_f32(&name)).transpose()?;
            divide_rows(&linear.name, values, bias.as_deref_mut(), &scales)?;
            if let Some(bias) = bias {
                let stored = self.stored(&name);
                written.tensors.push(FileTensor::floats(name, stored, vec![bias.len()], &bias)?);
            }
        }
        Ok(())
    }

    fn stored(&self, name: &str) -> StoredType {
        self.weights.info(name).map_or(StoredType::F32, |info| info.dtype)
    }

    // --- one linear -----------------------------------------------------------------------------------------------

    /// Quantizes a linear by `quantize` and packs it; returns the weights that the file stands for.
    fn put(
        &self,
        written: &mut Written,
        linear: &StoredLinear,
        values: Vec<f32>,
        hessian: Option<&Hessian>,
        quantize: &dyn Fn(&Weight<'_>, &WeightScheme) -> massval_quant::Result<QuantizedLinear>,
        log: LinearLog,
    ) -> Result<Vec<f32>> {
        let (name, shape) = (linear.name.clone(), [linear.outputs, linear.inputs]);
        let weight = Weight::new(&name, shape, &values)?;
        let protected = self.protected(linear);
        let mut log = LinearLog { name: name.clone(), protected: protected.rows().len(), ..log };
        let (tensors, dequantized) = match self.options.ignored(&name) {
            true => (None, values.clone()),
            false => match self.quantized(&weight, &protected, quantize)? {
                Kept::Packed(quantized) => {
                    let tensors = self.options.layout_of(&name).pack(&quantized)?;
                    log.bits = Some(quantized.bits()).filter(|&b| b != self.options.scheme.bits);
                    (Some(tensors), quantized.dequantize())
                }
                Kept::Float(values) => (None, values),
            },
        };
        log.float = tensors.is_none();
        match tensors {
            Some(tensors) => written.tensors.extend(tensors.into_iter().map(FileTensor::from)),
            None => {
                let name = format!("{name}.weight");
                let stored = self.stored(&name);
                written.tensors.push(FileTensor::floats(
                    name,
                    stored,
                    shape.to_vec(),
                    &dequantized,
                )?);
            }
        }
        if let Some(hessian) = hessian.filter(|_| !self.options.ignored(&name)) {
            log.output_error = Some(hessian.output_error(&weight, &dequantized)?.relative());
        }
        let squares = |sum: f64, x: f32| sum + f64::from(x) * f64::from(x);
        let apart = values.iter().zip(&dequantized).map(|(a, b)| a - b).fold(0.0, squares);
        log.weight_error = apart / values.iter().copied().fold(f64::MIN_POSITIVE, squares);
        written.log.push(log);
        Ok(dequantized)
    }

    fn quantized(
        &self,
        weight: &Weight<'_>,
        protected: &ProtectedRows,
        quantize: &dyn Fn(&Weight<'_>, &WeightScheme) -> massval_quant::Result<QuantizedLinear>,
    ) -> Result<Kept> {
        let scheme = &self.options.scheme_of(weight.name());
        let (name, inputs, count) = (weight.name(), weight.inputs(), protected.rows().len());
        if count == 0 {
            return Ok(Kept::Packed(quantize(weight, scheme)?));
        }
        let (rest, kept) = split_rows(weight, protected)?;
        let fine = match self.options.protection {
            Protection::Exact => None,
            Protection::Groups(size) => {
                let granularity = Granularity::group(size)?;
                Some(WeightScheme { granularity, ..*scheme }.searched())
            }
        };
        if count == weight.outputs() {
            return Ok(match fine {
                None => Kept::Float(weight.values().to_vec()),
                Some(fine) => Kept::Packed(quantize(weight, &fine)?),
            });
        }
        let rest =
            quantize(&Weight::new(name, [weight.outputs() - count, inputs], &rest)?, scheme)?;
        let kept = match fine {
            None => KeptRows::Exact(kept),
            Some(fine) => {
                KeptRows::Rounded(quantize(&Weight::new(name, [count, inputs], &kept)?, &fine)?)
            }
        };
        let mixed = MixedLinear::new(rest, kept, protected.clone())?;
        Ok(match self.options.protection {
            Protection::Exact => Kept::Float(mixed.dequantize()),
            Protection::Groups(_) => Kept::Packed(mixed.into_uniform()?),
        })
    }

    /// The rows of a stored matrix that are kept apart.
    fn protected(&self, linear: &StoredLinear) -> ProtectedRows {
        let rows = linear.parts.iter().flat_map(|part| {
            let of = self.options.protect.get(&part.at);
            let of = of.into_iter().flat_map(|rows| rows.rows().iter());
            of.filter_map(|&row| part.rows.get(row).copied())
        });
        ProtectedRows::new(rows.collect())
    }
}

/// What the file holds of a linear.
enum Kept {
    Packed(QuantizedLinear),
    Float(Vec<f32>),
}

fn as_weights<'a>(linears: &[&'a StoredLinear], values: &'a [Vec<f32>]) -> Result<Vec<Weight<'a>>> {
    let weight = |(linear, values): (&&'a StoredLinear, &'a Vec<f32>)| {
        Weight::new(&linear.name, [linear.outputs, linear.inputs], values)
    };
    Ok(linears.iter().zip(values).map(weight).collect::<massval_quant::Result<_>>()?)
}

/// Puts the weights of a stored matrix into the block that `walk` is in.
pub(super) fn set(walk: &mut Walk<'_>, linear: &StoredLinear, values: &[f32]) -> Result<()> {
    for part in &linear.parts {
        walk.set_weight(part.at.role, &linear.take(part, values))?;
    }
    Ok(())
}

/// Leads the walk through a block that was quantized before, with the weights that the files hold of it if what
/// follows is to see them.
pub(super) fn pass_over(
    walk: &mut Walk<'_>,
    block: &StoredBlock,
    quantized: Option<&BTreeMap<String, Vec<f32>>>,
) -> Result<()> {
    for (linear, values) in
        block.linears.iter().filter_map(|linear| Some((linear, quantized?.get(&linear.name)?)))
    {
        set(walk, linear, values)?;
    }
    while walk.group().is_some() {
        walk.go_on()?;
    }
    Ok(())
}

/// Refuses a checkpoint of another kind than is rewritten.
pub(super) fn check_source(weights: &Weights, path: &std::path::Path) -> Result<()> {
    if weights.format() == massval_models::weights::Format::Safetensors && path.is_dir() {
        return Ok(());
    }
    Err(Error::Input(format!(
        "{}: a quantized checkpoint is written from a Hugging Face folder with safetensors (config.json, \
         model.safetensors, tokenizer.json)",
        path.display()
    )))
}
