//! The search for the scales: a grid of exponents, each tried on the calibration.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::ChannelTies;
use crate::error::same;
use crate::fold::multiply_columns;
use crate::rtn::snap;
use crate::smooth::shared_inputs;
use crate::{Error, Hessian, Result, Weight, WeightScheme};

/// Keeps divisions by the magnitude of weights finite.
const LEAST: f32 = 1e-4;

/// How scales are searched for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwqOptions {
    /// Ratios tried: `0`, `1/n`, .. `(n-1)/n`. The paper's `n` is 20.
    pub ratios: u16,
    /// Whether the magnitude of weights counts, too: `s = x^r / w^(1-r)` instead of `s = x^r`.
    pub duo: bool,
    /// Whether leaving the weights unscaled is one of the candidates. With `duo` no ratio means that, and
    /// published programs can therefore end worse than plain rounding.
    pub keep_unscaled: bool,
}

impl Default for AwqOptions {
    fn default() -> Self {
        Self { ratios: 20, duo: true, keep_unscaled: true }
    }
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AwqScales {
    /// The scale of each input channel: activations are divided by it, columns multiplied.
    pub scales: Vec<f32>,
    /// The different scales; fewer than inputs if channels are tied. V's rows are divided by these.
    pub shared: Vec<f32>,
    /// The ratio that was chosen; none if the weights are best left alone.
    pub ratio: Option<f32>,
    /// Mean squared error of the outputs with these scales.
    pub loss: f64,
    /// The same with unscaled weights.
    pub unscaled_loss: f64,
    /// The same for each ratio.
    pub losses: Vec<f64>,
}

/// Searches the scales of linears that share their inputs, for the smallest squared error of their outputs
/// over the calibration (AWQ, Eq. 4 and 5): `|Q(W diag(s)) diag(s)^-1 X - W X|^2`.
///
/// The error is taken from `hessian`, which knows all tokens at once; `abs_mean` is the mean magnitude of
/// each input channel; `schemes` says how each of `weights` is rounded.
///
/// # Errors
/// [`Error::Shape`] if sizes differ, [`Error::Group`] if groups do not divide the inputs,
/// [`Error::Parameter`] without ratios, [`Error::NonFiniteStatistic`] if a magnitude is not finite.
pub fn search_scales(
    weights: &[Weight<'_>],
    hessian: &Hessian,
    abs_mean: &[f32],
    schemes: &[WeightScheme],
    ties: ChannelTies,
    options: &AwqOptions,
) -> Result<AwqScales> {
    let outputs: usize = weights.iter().map(Weight::outputs).sum();
    let loss = |_: &[f32], rounded: &[Vec<f32>]| {
        let mut sum = 0.0;
        for (weight, rounded) in weights.iter().zip(rounded) {
            let change: Vec<f32> =
                rounded.iter().zip(weight.values()).map(|(a, b)| a - b).collect();
            same(weight.name(), "inputs", hessian.width(), weight.inputs())?;
            sum += hessian.row_errors(&change)?.iter().sum::<f64>();
        }
        Ok(sum / outputs as f64)
    };
    search_scales_with(weights, abs_mean, schemes, ties, options, loss)
}

/// [`search_scales`] with another measure of the damage, such as the output of a whole block.
///
/// `loss` is given the scale of each input and the weights as they would act: rounded under that scale and
/// divided by it again, one `[outputs, inputs]` for each of `weights`.
///
/// # Errors
/// As [`search_scales`], and whatever `loss` returns.
pub fn search_scales_with(
    weights: &[Weight<'_>],
    abs_mean: &[f32],
    schemes: &[WeightScheme],
    ties: ChannelTies,
    options: &AwqOptions,
    mut loss: impl FnMut(&[f32], &[Vec<f32>]) -> Result<f64>,
) -> Result<AwqScales> {
    let width = shared_inputs(weights)?;
    let name = weights.first().map_or("", Weight::name);
    same(name, "input channels of the statistics", width, abs_mean.len())?;
    same(name, "schemes", weights.len(), schemes.len())?;
    if let Some(channel) = abs_mean.iter().position(|x| !x.is_finite() || *x < 0.0) {
        let (tensor, statistic) = (name.to_owned(), "mean magnitude");
        return Err(Error::NonFiniteStatistic { tensor, statistic, channel });
    }
    if options.ratios == 0 {
        let (name, expected) = ("ratios of the AWQ search", "at least 1");
        return Err(Error::Parameter { name, value: 0.0, expected });
    }
    let activations = ties.mean(name, abs_mean)?;
    let magnitudes = ties.mean(name, &relative_magnitudes(weights, width, schemes)?)?;

    let mut trial = |shared: &[f32]| {
        let scales = ties.spread(width, shared);
        let all = weights.iter().zip(schemes);
        let rounded = all.map(|(weight, scheme)| effective(weight, &scales, scheme));
        let rounded = rounded.collect::<Result<Vec<_>>>()?;
        loss(&scales, &rounded)
    };
    let unscaled = vec![1.0; activations.len()];
    let unscaled_loss = trial(&unscaled)?;
    let mut best: Option<(f64, Option<f32>, Vec<f32>)> =
        options.keep_unscaled.then_some((unscaled_loss, None, unscaled));
    let mut losses = Vec::with_capacity(options.ratios.into());
    for i in 0..options.ratios {
        let ratio = f32::from(i) / f32::from(options.ratios);
        let shared = scales_at(ratio, &activations, options.duo.then_some(&magnitudes[..]));
        let loss = trial(&shared)?;
        losses.push(loss);
        if best.as_ref().is_none_or(|(least, ..)| loss < *least) {
            best = Some((loss, Some(ratio), shared));
        }
    }
    let (loss, ratio, shared) = best.unwrap_or((unscaled_loss, None, vec![1.0; activations.len()]));
    let scales = ties.spread(width, &shared);
    Ok(AwqScales { scales, shared, ratio, loss, unscaled_loss, losses })
}

/// The mean over all rows of each weight's magnitude, relative to the largest of its group.
fn relative_magnitudes(
    weights: &[Weight<'_>],
    width: usize,
    schemes: &[WeightScheme],
) -> Result<Vec<f32>> {
    let mut sums = vec![0.0f64; width];
    let mut rows = 0usize;
    for (weight, scheme) in weights.iter().zip(schemes) {
        let length = scheme.granularity.length(weight.name(), width)?;
        for row in weight.rows() {
            for (sums, group) in sums.chunks_exact_mut(length).zip(row.chunks_exact(length)) {
                let largest = group.iter().fold(0.0f32, |a, x| a.max(x.abs()));
                for (sum, x) in sums.iter_mut().zip(group) {
                    *sum += f64::from(x.abs() / (largest + 1e-6));
                }
            }
            rows += 1;
        }
    }
    Ok(sums.iter().map(|sum| (sum / rows.max(1) as f64) as f32).collect())
}

/// The scales for one ratio, with the geometric mean of the largest and the smallest at 1.
fn scales_at(ratio: f32, activations: &[f32], magnitudes: Option<&[f32]>) -> Vec<f32> {
    let mut scales: Vec<f32> = match magnitudes {
        Some(magnitudes) => activations
            .iter()
            .zip(magnitudes)
            .map(|(x, w)| (x.powf(ratio) / (w.powf(1.0 - ratio) + LEAST)).max(LEAST))
            .collect(),
        None => activations.iter().map(|x| x.powf(ratio).max(LEAST)).collect(),
    };
    let largest = scales.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let smallest = scales.iter().copied().fold(f32::MAX, f32::min);
    let middle = (largest * smallest).sqrt();
    for scale in &mut scales {
        *scale /= middle;
        if !(scale.is_finite() && *scale > 0.0) {
            *scale = 1.0;
        }
    }
    scales
}

/// A weight rounded under the scales of its inputs, and divided by them again.
fn effective(weight: &Weight<'_>, scales: &[f32], scheme: &WeightScheme) -> Result<Vec<f32>> {
    let mut values = weight.values().to_vec();
    multiply_columns(weight.name(), &mut values, scales)?;
    snap(weight.name(), weight.inputs(), &mut values, scheme)?;
    values.par_chunks_exact_mut(weight.inputs()).for_each(|row| {
        row.iter_mut().zip(scales).for_each(|(x, scale)| *x /= scale);
    });
    Ok(values)
}

#[cfg(test)]
mod tests;
