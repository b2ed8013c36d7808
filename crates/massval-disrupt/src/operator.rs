//! What is written in place of the selected channels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What is written in place of a selected channel.
///
/// "Over the sequence" is over the real tokens of the prompt. In a later pass over generated tokens
/// the prompt's values are used again.
///
/// | written | value |
/// |---|---|
/// | `mean` | the channel's mean over the sequence |
/// | `joint-mean` | the mean of those means over the head's selected channels: one number per head |
/// | `zero` | 0 |
/// | `max`, `min` | the channel's largest, smallest value over the sequence |
/// | `joint-max`, `joint-min` | the largest, smallest of them over the head's selected channels |
/// | `scale:0.5` | the channel times a factor |
/// | `noise` | Gaussian noise of the channel's mean and variance over the sequence |
/// | `permute` | the channel's own values in another order; one order for the channels of a head |
///
/// Source: the code of *Massive Values in Self-Attention Modules* writes `joint-mean` (Llama, Qwen2,
/// Mistral) or `zero` (Gemma2); earlier versions of it wrote `joint-max` (Llama) and `zero` (Qwen2).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Operator {
    /// The channel's mean over the sequence.
    Mean,
    /// One mean for all selected channels of a head.
    #[default]
    JointMean,
    /// 0.
    Zero,
    /// The channel's largest value.
    Max,
    /// The channel's smallest value.
    Min,
    /// The largest value of the head's selected channels.
    JointMax,
    /// The smallest value of the head's selected channels.
    JointMin,
    /// The channel times `factor`.
    Scale {
        /// The factor; 1 would change nothing.
        factor: f64,
    },
    /// Gaussian noise of the same mean and variance, seeded.
    Noise,
    /// The same values in another order along the sequence, seeded.
    Permute,
}

impl Operator {
    /// All operators, `scale` with a factor of 0.5.
    pub const ALL: [Self; 10] = [
        Self::Mean,
        Self::JointMean,
        Self::Zero,
        Self::Max,
        Self::Min,
        Self::JointMax,
        Self::JointMin,
        Self::Scale { factor: 0.5 },
        Self::Noise,
        Self::Permute,
    ];

    /// Whether a value depends on which other channels of the head are selected.
    pub(crate) const fn is_joint(self) -> bool {
        matches!(self, Self::JointMean | Self::JointMax | Self::JointMin)
    }

    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::Scale { factor } if !factor.is_finite() || factor == 1.0 => {
                Err(Error::Parameter {
                    name: "scale",
                    value: factor.to_string(),
                    expected: "a finite factor other than 1".into(),
                })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Hundreds of digits would hide the rest of a sentence.
            Self::Scale { factor } if !(1e-6..1e9).contains(&factor.abs()) && *factor != 0.0 => {
                write!(f, "scale:{factor:e}")
            }
            Self::Scale { factor } => write!(f, "scale:{factor}"),
            other => f.pad(other.name()),
        }
    }
}

impl Operator {
    const fn name(&self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::JointMean => "joint-mean",
            Self::Zero => "zero",
            Self::Max => "max",
            Self::Min => "min",
            Self::JointMax => "joint-max",
            Self::JointMin => "joint-min",
            Self::Scale { .. } => "scale",
            Self::Noise => "noise",
            Self::Permute => "permute",
        }
    }
}

impl FromStr for Operator {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        let unknown = || Error::Unknown {
            what: "operator",
            given: given.to_owned(),
            known:
                "mean, joint-mean, zero, max, min, joint-max, joint-min, scale:0.5, noise, permute"
                    .into(),
        };
        let operator = match given.split_once(':') {
            Some(("scale", factor)) => {
                Self::Scale { factor: factor.parse().map_err(|_| unknown())? }
            }
            Some(_) => return Err(unknown()),
            None => Self::ALL
                .into_iter()
                .find(|known| known.name() == given && given != "scale")
                .ok_or_else(unknown)?,
        };
        operator.check()?;
        Ok(operator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_json_round_trip() {
        for operator in Operator::ALL {
            assert_eq!(operator.to_string().parse::<Operator>().unwrap(), operator);
            let json = serde_json::to_string(&operator).unwrap();
            assert_eq!(serde_json::from_str::<Operator>(&json).unwrap(), operator);
        }
    }

    #[test]
    fn factors_are_short_and_read_back() {
        for (factor, text) in
            [(0.5, "0.5"), (2.0, "2"), (0.0, "0"), (-1e308, "-1e308"), (3e-9, "3e-9")]
        {
            let operator = Operator::Scale { factor };
            assert_eq!(operator.to_string(), format!("scale:{text}"));
            assert_eq!(operator.to_string().parse::<Operator>().unwrap(), operator);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for given in ["", "avg", "scale", "scale:", "scale:1", "scale:nan", "mean:2", "Zero"] {
            assert!(given.parse::<Operator>().is_err(), "{given}");
        }
    }
}
