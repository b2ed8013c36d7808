//! Scaled RoPE: the angles per token that Hugging Face transformers computes, in `f64`.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

use super::inv_freq;
use crate::error::{positive, same};
use crate::{Error, Result};

/// A change of the rotary angles that lets a model read beyond its training length.
///
/// The formulae are those of `modeling_rope_utils.py` in Hugging Face transformers. Only the angles are
/// computed; the factor that YaRN and LongRoPE put on the attention does not move a channel's band.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum RopeScaling {
    /// All angles divided by `factor` (position interpolation).
    Linear {
        /// By how much.
        factor: f64,
    },
    /// The base raised to `theta * factor^(d / (d - 2))`, whatever the length.
    Ntk {
        /// By how much the context grows.
        factor: f64,
    },
    /// The base raised once the sequence is longer than the model was trained on.
    DynamicNtk {
        /// The configured factor.
        factor: f64,
        /// Positions that the model was trained on.
        max_position: usize,
    },
    /// Low frequencies divided by `factor`, high ones kept, smooth between (Llama 3.1).
    Llama3 {
        /// By how much the low frequencies are slowed.
        factor: f64,
        /// Wavelengths above `original_max_position / low_freq_factor` are slowed fully.
        low_freq_factor: f64,
        /// Wavelengths below `original_max_position / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Positions that the model was first trained on.
        original_max_position: usize,
    },
    /// Interpolation by wavelength along a ramp over the pairs (YaRN).
    Yarn {
        /// By how much the context grows.
        factor: f64,
        /// Pairs that turn more often than this within the training length are kept; usually 32.
        beta_fast: f64,
        /// Pairs that turn less often than this are slowed fully; usually 1.
        beta_slow: f64,
        /// Positions that the model was first trained on.
        original_max_position: usize,
        /// Whether the ramp's ends are rounded to whole pairs; usually true.
        truncate: bool,
    },
    /// One divisor for each pair (LongRoPE): short ones up to the training length, long ones beyond.
    Longrope {
        /// Divisors for sequences up to `original_max_position`.
        short_factor: Vec<f64>,
        /// Divisors for longer ones.
        long_factor: Vec<f64>,
        /// Positions that the model was first trained on.
        original_max_position: usize,
    },
}

impl RopeScaling {
    /// The angle per token of each of the `rotary_dim / 2` pairs, in radians.
    ///
    /// `seq_len` is the number of positions in use; only dynamic NTK and LongRoPE depend on it.
    ///
    /// ```
    /// use massval_detect::{PairLayout, RopeBands, RopeScaling};
    /// let llama31 = RopeScaling::Llama3 {
    ///     factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_max_position: 8192,
    /// };
    /// let angles = llama31.inv_freq(128, 500_000.0, 8192)?;
    /// let bands = RopeBands::from_inv_freq(128, angles, PairLayout::HalfSplit)?;
    /// assert_eq!(bands.band(0).map(|band| band.inv_freq), Some(1.0));
    /// # Ok::<(), massval_detect::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Parameter`] or [`Error::Mismatch`] if a parameter makes no sense for `rotary_dim`.
    pub fn inv_freq(&self, rotary_dim: usize, theta: f64, seq_len: usize) -> Result<Vec<f64>> {
        let plain = inv_freq(rotary_dim, theta)?;
        match self {
            Self::Linear { factor } => {
                positive("factor", *factor)?;
                Ok(plain.into_iter().map(|angle| angle / factor).collect())
            }
            Self::Ntk { factor } => {
                positive("factor", *factor)?;
                inv_freq(rotary_dim, ntk_base(rotary_dim, theta, *factor)?)
            }
            Self::DynamicNtk { factor, max_position } => {
                positive("factor", *factor)?;
                let trained = positions("max_position", *max_position)?;
                let seq_len = (seq_len as f64).max(trained);
                let growth = factor * seq_len / trained - (factor - 1.0);
                inv_freq(rotary_dim, ntk_base(rotary_dim, theta, growth)?)
            }
            Self::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position } => {
                positive("factor", *factor)?;
                positive("low_freq_factor", *low_freq_factor)?;
                if !(high_freq_factor.is_finite() && high_freq_factor > low_freq_factor) {
                    return Err(Error::Parameter {
                        name: "high_freq_factor",
                        value: *high_freq_factor,
                        expected: "finite and greater than low_freq_factor",
                    });
                }
                let trained = positions("original_max_position", *original_max_position)?;
                let (low, high) = (*low_freq_factor, *high_freq_factor);
                Ok(plain
                    .into_iter()
                    .map(|angle| llama3(angle, *factor, low, high, trained))
                    .collect())
            }
            Self::Yarn { factor, beta_fast, beta_slow, original_max_position, truncate } => {
                for (name, value) in
                    [("factor", factor), ("beta_fast", beta_fast), ("beta_slow", beta_slow)]
                {
                    positive(name, *value)?;
                }
                let trained = positions("original_max_position", *original_max_position)?;
                let (from, to) =
                    yarn_ramp(rotary_dim, theta, *beta_fast, *beta_slow, trained, *truncate);
                let blend = |(pair, angle): (usize, f64)| {
                    let slowed = ((pair as f64 - from) / (to - from)).clamp(0.0, 1.0);
                    angle / factor * slowed + angle * (1.0 - slowed)
                };
                Ok(plain.into_iter().enumerate().map(blend).collect())
            }
            Self::Longrope { short_factor, long_factor, original_max_position } => {
                let long = seq_len > *original_max_position;
                let factors = if long { long_factor } else { short_factor };
                same("LongRoPE factors", plain.len(), factors.len())?;
                for &factor in factors {
                    positive("LongRoPE factor", factor)?;
                }
                Ok(plain.into_iter().zip(factors).map(|(angle, factor)| angle / factor).collect())
            }
        }
    }
}

fn positions(name: &'static str, count: usize) -> Result<f64> {
    positive(name, count as f64)?;
    Ok(count as f64)
}

/// `theta * growth^(d / (d - 2))`.
fn ntk_base(rotary_dim: usize, theta: f64, growth: f64) -> Result<f64> {
    if rotary_dim <= 2 {
        let value = rotary_dim as f64;
        return Err(Error::Parameter {
            name: "rotary_dim",
            value,
            expected: "at least 4 for NTK scaling",
        });
    }
    let dim = rotary_dim as f64;
    Ok(theta * growth.powf(dim / (dim - 2.0)))
}

fn llama3(angle: f64, factor: f64, low: f64, high: f64, trained: f64) -> f64 {
    let wavelength = TAU / angle;
    if wavelength < trained / high {
        return angle;
    }
    if wavelength > trained / low {
        return angle / factor;
    }
    let smooth = (trained / wavelength - low) / (high - low);
    (1.0 - smooth) * angle / factor + smooth * angle
}

/// The pairs between which YaRN blends from kept to slowed.
fn yarn_ramp(
    rotary_dim: usize,
    theta: f64,
    fast: f64,
    slow: f64,
    trained: f64,
    truncate: bool,
) -> (f64, f64) {
    let dim = rotary_dim as f64;
    // The pair that turns `rotations` times within the training length.
    let pair = |rotations: f64| dim * (trained / (rotations * TAU)).ln() / (2.0 * theta.ln());
    let (mut from, mut to) = (pair(fast), pair(slow));
    if truncate {
        (from, to) = (from.floor(), to.ceil());
    }
    (from, to) = (from.max(0.0), to.min(dim - 1.0));
    if from == to {
        to += 0.001;
    }
    (from, to)
}
