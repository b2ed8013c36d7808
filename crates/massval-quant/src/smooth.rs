//! SmoothQuant: outliers of activations moved into weights, so that both fit into 8 bits (arXiv 2211.10438).
//!
//! Smoothing alone quantizes nothing: it gives scales, which [`crate::fold`] puts into the model. What makes
//! the method is the rounding of weights and activations afterwards.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{same, within};
use crate::fold::multiply_columns;
use crate::matrix::multiply_transposed;
use crate::rtn::snap;
use crate::stats::ChannelStats;
use crate::weight::check_finite;
use crate::{ActivationScheme, Error, Result, Weight, WeightScheme};

/// The smallest scale.
const LEAST: f32 = 1e-5;

/// How much of the difficulty moves from activations to weights, from 0 (none) to 1 (all).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct Alpha(f32);

impl Alpha {
    /// A share from 0 to 1.
    ///
    /// # Errors
    /// [`Error::Parameter`] outside.
    pub fn new(alpha: f32) -> Result<Self> {
        within("alpha", alpha.into(), 0.0..=1.0, "0 to 1")?;
        Ok(Self(alpha))
    }

    /// The share.
    pub const fn get(self) -> f32 {
        self.0
    }
}

impl Default for Alpha {
    /// One half.
    fn default() -> Self {
        Self(0.5)
    }
}

impl TryFrom<f32> for Alpha {
    type Error = Error;

    fn try_from(alpha: f32) -> Result<Self> {
        Self::new(alpha)
    }
}

impl From<Alpha> for f32 {
    fn from(alpha: Alpha) -> Self {
        alpha.0
    }
}

/// The largest magnitude in each column, over all linears that read the same inputs.
///
/// # Errors
/// [`Error::Shape`] if there is no weight, or they have different numbers of inputs.
pub fn column_abs_max(weights: &[Weight<'_>]) -> Result<Vec<f32>> {
    let width = shared_inputs(weights)?;
    let mut largest = vec![0.0f32; width];
    for row in weights.iter().flat_map(Weight::rows) {
        for (largest, x) in largest.iter_mut().zip(row) {
            *largest = largest.max(x.abs());
        }
    }
    Ok(largest)
}

/// The scale of each input channel, `s_j = max|X_j|^alpha / max|W_j|^(1 - alpha)` (SmoothQuant, Eq. 4).
///
/// Activations are to be divided by it, the columns of `weights` multiplied. A channel that was never active
/// or that no weight reads keeps scale 1: nothing is known of it. No scale is below 1e-5.
///
/// # Errors
/// [`Error::Shape`] if the number of channels differs, [`Error::NonFiniteStatistic`] if a scale overflows.
pub fn smooth_scales(
    weights: &[Weight<'_>],
    stats: &ChannelStats,
    alpha: Alpha,
) -> Result<Vec<f32>> {
    let in_weights = column_abs_max(weights)?;
    let name = weights.first().map_or("", Weight::name);
    same(name, "input channels of the statistics", in_weights.len(), stats.abs_max().len())?;
    let scale = |(channel, (&x, &w)): (usize, (&f32, &f32))| {
        if x == 0.0 || w == 0.0 {
            return Ok(1.0);
        }
        let scale = (x.powf(alpha.0) / w.powf(1.0 - alpha.0)).max(LEAST);
        scale.is_finite().then_some(scale).ok_or_else(|| Error::NonFiniteStatistic {
            tensor: name.to_owned(),
            statistic: "smoothing scale",
            channel,
        })
    };
    stats.abs_max().iter().zip(&in_weights).enumerate().map(scale).collect()
}

/// What each alpha of a search cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlphaSearch {
    /// The alpha with the smallest error; the first of equals.
    pub best: Alpha,
    /// Mean squared error of the outputs for each alpha, in the order given.
    pub errors: Vec<f64>,
    /// The same without smoothing.
    pub unsmoothed: f64,
}

/// Tries every alpha on `rows` of activations, `[tokens, inputs]`, with weights and activations rounded.
///
/// # Errors
/// As [`smooth_scales`]; [`Error::NoTokens`] without rows or without alphas to try.
pub fn search_alpha(
    weights: &[Weight<'_>],
    stats: &ChannelStats,
    rows: &[f32],
    alphas: &[Alpha],
    weight_scheme: &WeightScheme,
    activations: &ActivationScheme,
) -> Result<AlphaSearch> {
    let width = shared_inputs(weights)?;
    let name = weights.first().map_or("", Weight::name);
    same(name, "values of whole rows", rows.len() / width * width, rows.len())?;
    check_finite(name, width, rows)?;
    let trial = Trial { weights, stats, rows, width, weight_scheme, activations };
    let unsmoothed = trial.error(&vec![1.0; width])?;
    let error = |&alpha: &Alpha| trial.error(&smooth_scales(weights, stats, alpha)?);
    let errors = alphas.iter().map(error).collect::<Result<Vec<f64>>>()?;
    let best = errors.iter().zip(alphas).min_by(|a, b| a.0.total_cmp(b.0)).map(|(_, &best)| best);
    match best {
        Some(best) if !rows.is_empty() => Ok(AlphaSearch { best, errors, unsmoothed }),
        _ => Err(Error::NoTokens { tensor: name.to_owned() }),
    }
}

struct Trial<'a> {
    weights: &'a [Weight<'a>],
    stats: &'a ChannelStats,
    rows: &'a [f32],
    width: usize,
    weight_scheme: &'a WeightScheme,
    activations: &'a ActivationScheme,
}

impl Trial<'_> {
    /// Mean squared error of all outputs with inputs divided by `scales`, then all rounded.
    fn error(&self, scales: &[f32]) -> Result<f64> {
        let name = self.weights.first().map_or("", Weight::name);
        let quantizer = self.activations.quantizer(name, &self.stats.divided(scales)?)?;
        let mut rows = self.rows.to_vec();
        rows.par_chunks_exact_mut(self.width).for_each(|row| {
            row.iter_mut().zip(scales).for_each(|(x, scale)| *x /= scale);
        });
        quantizer.fake_quantize(name, self.width, &mut rows)?;
        let (mut sum, mut count) = (0.0, 0);
        for weight in self.weights {
            let mut rounded = weight.values().to_vec();
            multiply_columns(weight.name(), &mut rounded, scales)?;
            snap(weight.name(), self.width, &mut rounded, self.weight_scheme)?;
            let exact = multiply_transposed(self.rows, weight.values(), self.width);
            let wrong = multiply_transposed(&rows, &rounded, self.width);
            let squares = exact.iter().zip(&wrong).map(|(a, b)| f64::from(a - b).powi(2));
            sum += squares.sum::<f64>();
            count += exact.len();
        }
        Ok(sum / count.max(1) as f64)
    }
}

/// The inputs that all weights share.
pub(crate) fn shared_inputs(weights: &[Weight<'_>]) -> Result<usize> {
    let Some(first) = weights.first() else {
        let (tensor, what) = ("linears that share their inputs".to_owned(), "linears");
        return Err(Error::Shape { tensor, what, expected: 1, found: 0 });
    };
    for weight in weights {
        same(
            weight.name(),
            "inputs shared with the other linears",
            first.inputs(),
            weight.inputs(),
        )?;
    }
    Ok(first.inputs())
}

#[cfg(test)]
mod tests;
