//! Moving a scale of each channel from activations into weights, so that a float model stays what it is.
//!
//! A linear reads `x`; its inputs shall become `x / s`. Whatever writes `x` is divided by `s`
//! ([`divide_norm`], [`divide_rows`]), and the columns of every linear that reads it are multiplied by `s`
//! ([`multiply_columns`]). Values may be `f32` or `f64`.

use std::ops::{Add, Div, Mul, Sub};

use crate::error::same;
use crate::{Error, Result};

/// The arithmetic that folding needs; `f32` and `f64` have it.
pub trait Real:
    Copy + From<f32> + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
}

impl<T> Real for T where
    T: Copy + From<f32> + Add<Output = T> + Sub<Output = T> + Mul<Output = T> + Div<Output = T>
{
}

/// What a norm multiplies by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NormGain {
    /// Its weight (Llama, GPT-2).
    #[default]
    Weight,
    /// One plus its weight (Gemma).
    OnePlusWeight,
}

/// Divides what a norm writes: its weight `[channels]` and, for a LayerNorm, its bias.
///
/// # Errors
/// [`Error::Shape`] if there is not one scale per channel, [`Error::NonFiniteStatistic`] if a scale is not a
/// positive number; nothing is changed then.
pub fn divide_norm<T: Real>(
    name: &str,
    gain: NormGain,
    weight: &mut [T],
    bias: Option<&mut [T]>,
    scales: &[f32],
) -> Result<()> {
    check(name, weight.len(), scales)?;
    if let Some(bias) = &bias {
        same(name, "entries of the bias", scales.len(), bias.len())?;
    }
    for (weight, &scale) in weight.iter_mut().zip(scales) {
        let one = match gain {
            NormGain::Weight => T::from(0.0),
            NormGain::OnePlusWeight => T::from(1.0),
        };
        *weight = (*weight + one) / T::from(scale) - one;
    }
    for (bias, &scale) in bias.into_iter().flatten().zip(scales) {
        *bias = *bias / T::from(scale);
    }
    Ok(())
}

/// Divides what a linear writes: the rows of its weight `[outputs, inputs]`, and its bias.
///
/// For V before the output projection, and for `up` before `down` in a gated MLP; only where nothing but a
/// linear map or a product stands between the two.
///
/// # Errors
/// [`Error::Shape`] if there is not one scale per output, [`Error::NonFiniteStatistic`] if a scale is not a
/// positive number; nothing is changed then.
pub fn divide_rows<T: Real>(
    name: &str,
    weight: &mut [T],
    bias: Option<&mut [T]>,
    scales: &[f32],
) -> Result<()> {
    let inputs = weight.len() / scales.len().max(1);
    check(name, scales.len(), scales)?;
    same(name, "values of the weight", inputs * scales.len(), weight.len())?;
    if let Some(bias) = &bias {
        same(name, "entries of the bias", scales.len(), bias.len())?;
    }
    for (row, &scale) in weight.chunks_exact_mut(inputs.max(1)).zip(scales) {
        for value in row {
            *value = *value / T::from(scale);
        }
    }
    for (bias, &scale) in bias.into_iter().flatten().zip(scales) {
        *bias = *bias / T::from(scale);
    }
    Ok(())
}

/// Multiplies the columns of a weight `[outputs, inputs]`.
///
/// # Errors
/// [`Error::Shape`] if the weight has no whole rows of one value per scale, [`Error::NonFiniteStatistic`] if
/// a scale is not a positive number; nothing is changed then.
pub fn multiply_columns<T: Real>(name: &str, weight: &mut [T], scales: &[f32]) -> Result<()> {
    check(name, scales.len(), scales)?;
    let rows = weight.len() / scales.len();
    same(name, "values of the weight", rows * scales.len(), weight.len())?;
    for row in weight.chunks_exact_mut(scales.len()) {
        for (value, &scale) in row.iter_mut().zip(scales) {
            *value = *value * T::from(scale);
        }
    }
    Ok(())
}

fn check(name: &str, channels: usize, scales: &[f32]) -> Result<()> {
    same(name, "scales", channels.max(1), scales.len())?;
    match scales.iter().position(|scale| !(scale.is_finite() && *scale > 0.0)) {
        None => Ok(()),
        Some(channel) => Err(Error::NonFiniteStatistic {
            tensor: name.to_owned(),
            statistic: "scale (it must be a positive number)",
            channel,
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A norm, two linears that read it, one of which writes what a third reads.
    #[derive(Debug)]
    struct Block {
        gain: NormGain,
        norm: Vec<f64>,
        norm_bias: Vec<f64>,
        up: Vec<f64>,
        up_bias: Vec<f64>,
        gate: Vec<f64>,
        down: Vec<f64>,
    }

    fn apply(weight: &[f64], x: &[f64]) -> Vec<f64> {
        let dot = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum();
        weight.chunks_exact(x.len()).map(dot).collect()
    }

    impl Block {
        fn forward(&self, x: &[f64]) -> Vec<f64> {
            let one = if self.gain == NormGain::Weight { 0.0 } else { 1.0 };
            let gain = x.iter().zip(&self.norm).map(|(x, w)| x * (w + one));
            let normed: Vec<f64> = gain.zip(&self.norm_bias).map(|(x, b)| x + b).collect();
            let gate = apply(&self.gate, &normed);
            let up = apply(&self.up, &normed);
            let up = up.iter().zip(&self.up_bias).map(|(x, b)| x + b);
            let mixed: Vec<f64> = up.zip(&gate).map(|(up, gate)| up * gate.tanh()).collect();
            apply(&self.down, &mixed)
        }
    }

    fn numbers(count: usize) -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(-2.0f64..2.0, count)
    }

    prop_compose! {
        fn block(width: usize, inner: usize)(
            one_plus in any::<bool>(), norm in numbers(width), norm_bias in numbers(width),
            up in numbers(width * inner), up_bias in numbers(inner), gate in numbers(width * inner),
            down in numbers(width * inner),
        ) -> Block {
            let gain = if one_plus { NormGain::OnePlusWeight } else { NormGain::Weight };
            Block { gain, norm, norm_bias, up, up_bias, gate, down }
        }
    }

    proptest! {
        #[test]
        fn a_folded_float_model_is_the_same(
            mut block in block(6, 4), x in numbers(6),
            scales in prop::collection::vec(1e-3f32..1e3, 6),
            inner in prop::collection::vec(1e-3f32..1e3, 4),
        ) {
            let before = block.forward(&x);
            divide_norm("n", block.gain, &mut block.norm, Some(&mut block.norm_bias), &scales)?;
            multiply_columns("up", &mut block.up, &scales)?;
            multiply_columns("gate", &mut block.gate, &scales)?;
            divide_rows("up", &mut block.up, Some(&mut block.up_bias), &inner)?;
            multiply_columns("down", &mut block.down, &inner)?;
            for (before, after) in before.iter().zip(block.forward(&x)) {
                prop_assert!((before - after).abs() <= 1e-10 * before.abs().max(1.0));
            }
        }
    }

    #[test]
    fn scales_that_are_no_scales_change_nothing() {
        let mut weight = [1.0f32; 4];
        for scales in [&[1.0][..], &[1.0, 0.0], &[1.0, f32::NAN], &[1.0, -2.0], &[]] {
            assert!(divide_norm("n", NormGain::Weight, &mut weight[..2], None, scales).is_err());
        }
        assert!(multiply_columns("w", &mut weight, &[2.0, 2.0, 2.0]).is_err());
        assert!(multiply_columns("w", &mut weight, &[]).is_err());
        assert!(divide_rows("w", &mut weight, Some(&mut [1.0]), &[2.0, 2.0]).is_err());
        assert!(divide_rows("w", &mut weight, None, &[]).is_err());
        assert_eq!(weight, [1.0; 4]);
    }
}
