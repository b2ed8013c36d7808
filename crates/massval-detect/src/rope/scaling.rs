//! Scaled RoPE: the angles per token that Hugging Face transformers computes, in `f64`.

use serde::{Deserialize, Serialize};

use super::formulas::{self, Ramp};
use crate::error::{positive, same};
use crate::{Error, Result};

/// A change of the rotary angles that lets a model read beyond its training length.
///
/// The formulae, and what stands in for a parameter that is absent, are those of `modeling_rope_utils.py` in
/// Hugging Face transformers 5.23. Two kinds depend on how long the sequence is, dynamic NTK and LongRoPE: there
/// `seq_len` is the largest position of the sequence plus 1, and all positions of a pass turn by the same angles.
/// Keys that wait in a cache keep the angles of the pass that made them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum RopeScaling {
    /// All angles divided by `factor` (position interpolation).
    Linear {
        /// By how much.
        factor: f64,
    },
    /// The base raised to `theta * factor^(d / (d - 2))`, whatever the length. Not in transformers.
    Ntk {
        /// By how much the context grows.
        factor: f64,
    },
    /// As `Ntk`, with the factor growing from 1 once the sequence is longer than `max_position`:
    /// `factor * seq_len / max_position - (factor - 1)`.
    ///
    /// In transformers the raised base outlives its sequence: a later and shorter one gets it, too, unless it is
    /// shorter than `max_position`, which resets it. Here the length alone decides, as in a fresh model.
    DynamicNtk {
        /// The configured factor.
        factor: f64,
        /// Positions that the model was trained on (`max_position_embeddings`).
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
    /// Interpolation by wavelength along a ramp over the pairs (YaRN, arXiv 2309.00071, section 3.2).
    Yarn {
        /// By how much the context grows.
        factor: f64,
        /// Pairs that turn more often than this within the training length are kept.
        #[serde(default = "beta_fast")]
        beta_fast: f64,
        /// Pairs that turn less often than this are slowed fully.
        #[serde(default = "beta_slow")]
        beta_slow: f64,
        /// Positions that the model was first trained on.
        original_max_position: usize,
        /// Whether the ramp's ends are rounded to whole pairs.
        #[serde(default = "truncate")]
        truncate: bool,
        /// With `mscale_all_dim`: the attention factor is the ratio of the two scales, `0.1 m ln(factor) + 1`.
        /// 0 is taken as absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mscale: Option<f64>,
        /// See `mscale`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mscale_all_dim: Option<f64>,
        /// The attention factor itself, which overrides what the others give.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attention_factor: Option<f64>,
    },
    /// One divisor for each pair (LongRoPE, arXiv 2402.13753): short ones up to `original_max_position`, that
    /// length included, and long ones beyond it. The attention factor is the same for both.
    Longrope {
        /// Divisors for sequences up to `original_max_position`.
        short_factor: Vec<f64>,
        /// Divisors for longer ones.
        long_factor: Vec<f64>,
        /// By how much the context grows. It enters the attention factor only.
        factor: f64,
        /// Positions that the model was first trained on.
        original_max_position: usize,
        /// The attention factor, `sqrt(1 + ln(factor) / ln(original_max_position))` if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attention_factor: Option<f64>,
    },
    /// Partial RoPE by frequency (Gemma 4): all channels are paired as if the whole head turned, the first
    /// `proportion` of the pairs turn, divided by `factor`, and the others stand still.
    Proportional {
        /// By how much the angles are divided; 1 where nothing is scaled.
        factor: f64,
        /// The part of the pairs that turns, 0 to 1 (`partial_rotary_factor`).
        proportion: f64,
    },
}

fn beta_fast() -> f64 {
    32.0
}

fn beta_slow() -> f64 {
    1.0
}

fn truncate() -> bool {
    true
}

impl RopeScaling {
    /// Its name, as `rope_type` of a transformers config has it; `ntk` has none there.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Linear { .. } => "linear",
            Self::Ntk { .. } => "ntk",
            Self::DynamicNtk { .. } => "dynamic",
            Self::Llama3 { .. } => "llama3",
            Self::Yarn { .. } => "yarn",
            Self::Longrope { .. } => "longrope",
            Self::Proportional { .. } => "proportional",
        }
    }

    /// The longest sequence before the angles change with the length; `None` if they never do.
    pub fn changes_beyond(&self) -> Option<usize> {
        match self {
            Self::DynamicNtk { max_position, .. } => Some(*max_position),
            Self::Longrope { original_max_position, .. } => Some(*original_max_position),
            _ => None,
        }
    }

    /// The angle per token of each of the `rotary_dim / 2` pairs, in radians.
    ///
    /// `seq_len` is the number of positions in use, from the first token on; only dynamic NTK and LongRoPE depend
    /// on it. [`RopeAngles`](super::RopeAngles) checks the parameters once for many lengths.
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
        formulas::plain(rotary_dim, theta)?;
        self.check(rotary_dim, theta)?;
        finite(self.angles(rotary_dim, theta, seq_len))
    }

    /// What the cosines and the sines are multiplied with, so that scores grow by its square. 1 but for YaRN and
    /// LongRoPE.
    ///
    /// ```
    /// # use massval_detect::RopeScaling;
    /// let yarn: RopeScaling = serde_json::from_str(
    ///     r#"{"kind": "yarn", "factor": 4.0, "original_max_position": 32768}"#)?;
    /// assert_eq!(yarn.attention_factor()?, 0.1 * 4f64.ln() + 1.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Parameter`] if it is not positive.
    pub fn attention_factor(&self) -> Result<f64> {
        let value = match self {
            Self::Yarn { attention_factor: Some(given), .. }
            | Self::Longrope { attention_factor: Some(given), .. } => *given,
            Self::Yarn { factor, mscale, mscale_all_dim, .. } => {
                let given = |m: Option<f64>| m.filter(|m| *m != 0.0);
                match (given(*mscale), given(*mscale_all_dim)) {
                    (Some(m), Some(all)) => {
                        formulas::mscale(*factor, m) / formulas::mscale(*factor, all)
                    }
                    _ => formulas::mscale(*factor, 1.0),
                }
            }
            Self::Longrope { factor, original_max_position, .. } => {
                formulas::longrope_attention(*factor, *original_max_position as f64)
            }
            _ => 1.0,
        };
        positive("attention_factor", value)?;
        Ok(value)
    }

    /// What [`Self::angles`] relies on.
    fn check(&self, rotary_dim: usize, theta: f64) -> Result<()> {
        let (Self::Linear { factor }
        | Self::Ntk { factor }
        | Self::DynamicNtk { factor, .. }
        | Self::Llama3 { factor, .. }
        | Self::Yarn { factor, .. }
        | Self::Longrope { factor, .. }
        | Self::Proportional { factor, .. }) = self;
        positive("factor", *factor)?;
        match self {
            Self::Linear { .. } => Ok(()),
            Self::Ntk { .. } => pairs_for_ntk(rotary_dim),
            Self::DynamicNtk { max_position, .. } => {
                positive("max_position", *max_position as f64)?;
                pairs_for_ntk(rotary_dim)
            }
            Self::Llama3 { low_freq_factor, high_freq_factor, original_max_position, .. } => {
                positive("low_freq_factor", *low_freq_factor)?;
                let expected = "finite and greater than low_freq_factor";
                within("high_freq_factor", *high_freq_factor, expected, |x| x > *low_freq_factor)?;
                positive("original_max_position", *original_max_position as f64)
            }
            Self::Yarn { beta_fast, beta_slow, original_max_position, .. } => {
                positive("beta_slow", *beta_slow)?;
                let expected = "finite and at least beta_slow";
                within("beta_fast", *beta_fast, expected, |x| x >= *beta_slow)?;
                within("theta", theta, "finite and greater than 1 for YaRN", |x| x > 1.0)?;
                positive("original_max_position", *original_max_position as f64)
            }
            Self::Longrope { short_factor, long_factor, original_max_position, .. } => {
                for (what, factors) in [
                    ("LongRoPE short factors", short_factor),
                    ("LongRoPE long factors", long_factor),
                ] {
                    same(what, rotary_dim / 2, factors.len())?;
                }
                for &factor in short_factor.iter().chain(long_factor) {
                    positive("LongRoPE factor", factor)?;
                }
                positive("original_max_position", *original_max_position as f64)
            }
            Self::Proportional { proportion, .. } => {
                within("proportion", *proportion, "from 0 to 1", |x| (0.0..=1.0).contains(&x))
            }
        }
    }

    /// The angles, of parameters that passed [`Self::check`].
    pub(super) fn angles(&self, rotary_dim: usize, theta: f64, seq_len: usize) -> Vec<f64> {
        let plain = || formulas::powers(rotary_dim, theta).into_iter();
        match self {
            Self::Linear { factor } => plain().map(|angle| angle / factor).collect(),
            Self::Ntk { factor } => formulas::ntk(rotary_dim, theta, *factor),
            Self::DynamicNtk { factor, max_position } => {
                let stretch = seq_len.max(*max_position) as f64 / *max_position as f64;
                formulas::ntk(rotary_dim, theta, factor * stretch - (factor - 1.0))
            }
            Self::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position } => {
                let (low, high) = (*low_freq_factor, *high_freq_factor);
                let trained = *original_max_position as f64;
                plain().map(|angle| formulas::llama3(angle, *factor, low, high, trained)).collect()
            }
            Self::Yarn {
                factor, beta_fast, beta_slow, original_max_position, truncate, ..
            } => {
                let (betas, trained) = ((*beta_fast, *beta_slow), *original_max_position as f64);
                let ramp = Ramp::new(rotary_dim, theta, betas, trained, *truncate);
                let blend = |(pair, angle): (usize, f64)| {
                    let slowed = ramp.at(pair);
                    angle / factor * slowed + angle * (1.0 - slowed)
                };
                plain().enumerate().map(blend).collect()
            }
            Self::Longrope { short_factor, long_factor, original_max_position, .. } => {
                let long = seq_len > *original_max_position;
                let factors = if long { long_factor } else { short_factor };
                plain().zip(factors).map(|(angle, factor)| angle / factor).collect()
            }
            Self::Proportional { factor, proportion } => {
                let angles = formulas::proportional(rotary_dim, theta, *proportion);
                angles.into_iter().map(|angle| angle / factor).collect()
            }
        }
    }
}

/// `Ok` with the angles if none of them overflowed.
pub(super) fn finite(angles: Vec<f64>) -> Result<Vec<f64>> {
    match angles.iter().find(|angle| !angle.is_finite()) {
        None => Ok(angles),
        Some(&value) => {
            Err(Error::Parameter { name: "inv_freq", value, expected: "finite after scaling" })
        }
    }
}

fn within(
    name: &'static str,
    value: f64,
    expected: &'static str,
    holds: impl Fn(f64) -> bool,
) -> Result<()> {
    if value.is_finite() && holds(value) {
        return Ok(());
    }
    Err(Error::Parameter { name, value, expected })
}

fn pairs_for_ntk(rotary_dim: usize) -> Result<()> {
    let expected = "at least 4 for NTK scaling";
    within("rotary_dim", rotary_dim as f64, expected, |dim| dim >= 4.0)
}
