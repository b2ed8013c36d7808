//! What a quantizer is asked for: bits, symmetry, granularity, range, the type of the scales.

use std::fmt;

use half::{bf16, f16};
use serde::{Deserialize, Serialize};

use crate::error::within;
use crate::{Bits, Granularity, Result};

/// Where the codes of a range lie.
///
/// A code `c` stands for `scale * (c - zero)`; codes run from 0 to `2^b - 1`. Symmetric codes have the zero
/// point `2^(b-1)`, so that `c - zero` runs from `-2^(b-1)` to `2^(b-1) - 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Symmetry {
    /// Zero in the middle.
    Symmetric(SymmetricStep),
    /// The zero point where the smallest value needs it.
    Asymmetric(ZeroPoint),
}

impl Default for Symmetry {
    fn default() -> Self {
        Self::Symmetric(SymmetricStep::Full)
    }
}

impl Symmetry {
    /// Whether zero lies in the middle.
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Symmetric(_))
    }
}

/// The step of symmetric codes for values up to `m` in magnitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SymmetricStep {
    /// `2 m / (2^b - 1)`: `m` itself lies half a step beyond the last code. GPTQ and compressed-tensors.
    #[default]
    Full,
    /// `m / (2^(b-1) - 1)`: the lowest code stays unused. SmoothQuant (Eq. 1) and AWQ without zero points.
    Narrow,
}

/// Which zero points an asymmetric range may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZeroPoint {
    /// 0 to `2^b - 1`.
    #[default]
    Any,
    /// 1 to `2^b - 1`. The first GPTQ format stores zero points minus one and has no place for 0, which only
    /// ranges without negative values need; they lose one code of `2^b`.
    NonZero,
}

/// How the range of values that codes cover is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RangeRule {
    /// From the smallest to the largest value, zero included.
    #[default]
    MinMax,
    /// That range times the factor with the smallest rounding error.
    Search(RangeSearch),
}

/// A search for the factor by which a range shrinks.
///
/// Factors are `1 - i / steps` for `i` from 0 to `max_shrink * steps`, the first of the best wins; the error
/// is the sum of `|rounded - value|^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SearchFields", into = "SearchFields")]
pub struct RangeSearch {
    steps: u16,
    max_shrink: f32,
    exponent: f32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchFields {
    steps: u16,
    max_shrink: f32,
    exponent: f32,
}

impl Default for RangeSearch {
    /// 100 steps, down to a fifth of the range, squared error.
    fn default() -> Self {
        Self { steps: 100, max_shrink: 0.8, exponent: 2.0 }
    }
}

impl RangeSearch {
    /// A search of `max_shrink * steps` factors.
    ///
    /// # Errors
    /// [`crate::Error::Parameter`] if `steps` is 0, `max_shrink` not within 0 and 1 (1 itself excluded), or
    /// the exponent not within 0.1 and 10.
    pub fn new(steps: u16, max_shrink: f32, exponent: f32) -> Result<Self> {
        within("range search steps", steps.into(), 1.0..=65535.0, "at least 1")?;
        let largest = 1.0 - f64::EPSILON;
        within("max_shrink", max_shrink.into(), 0.0..=largest, "at least 0 and below 1")?;
        within("error exponent", exponent.into(), 0.1..=10.0, "0.1 to 10")?;
        Ok(Self { steps, max_shrink, exponent })
    }

    /// The exponent of the error.
    pub const fn exponent(self) -> f32 {
        self.exponent
    }

    /// The factors, from 1 downwards.
    pub(crate) fn factors(self) -> impl Iterator<Item = f32> {
        let steps = f32::from(self.steps);
        let count = (self.max_shrink * steps) as u16;
        (0..count.max(1)).map(move |i| 1.0 - f32::from(i) / steps)
    }
}

impl TryFrom<SearchFields> for RangeSearch {
    type Error = crate::Error;

    fn try_from(fields: SearchFields) -> Result<Self> {
        Self::new(fields.steps, fields.max_shrink, fields.exponent)
    }
}

impl From<RangeSearch> for SearchFields {
    fn from(search: RangeSearch) -> Self {
        let RangeSearch { steps, max_shrink, exponent } = search;
        Self { steps, max_shrink, exponent }
    }
}

/// The type that scales are stored in. Scales are rounded to it before codes are computed, so that a file
/// holds exactly the weights that were measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScaleType {
    /// 32 bits.
    #[default]
    F32,
    /// IEEE half precision: what AutoAWQ and GPTQ files hold.
    F16,
    /// bfloat16.
    Bf16,
}

impl ScaleType {
    /// The nearest positive value of the type, or `None` beyond its largest.
    pub(crate) fn round(self, scale: f32) -> Option<f32> {
        let (rounded, smallest) = match self {
            Self::F32 => (scale, f32::from_bits(1)),
            Self::F16 => (f16::from_f32(scale).to_f32(), f16::from_bits(1).to_f32()),
            Self::Bf16 => (bf16::from_f32(scale).to_f32(), bf16::from_bits(1).to_f32()),
        };
        rounded.is_finite().then_some(if rounded > 0.0 { rounded } else { smallest })
    }
}

impl fmt::Display for ScaleType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

/// How weights are rounded.
///
/// ```
/// use massval_quant::{Bits, Granularity, WeightScheme};
/// let scheme = WeightScheme::new(Bits::Four, Granularity::group(64)?);
/// assert!(scheme.symmetry.is_symmetric());
/// # Ok::<(), massval_quant::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightScheme {
    /// Bits of a code.
    pub bits: Bits,
    /// What shares a scale.
    pub granularity: Granularity,
    /// Where zero lies.
    #[serde(default)]
    pub symmetry: Symmetry,
    /// How ranges are chosen.
    #[serde(default)]
    pub range: RangeRule,
    /// What scales are rounded to.
    #[serde(default)]
    pub scale_type: ScaleType,
}

impl WeightScheme {
    /// Symmetric codes, ranges from the smallest to the largest value, `f32` scales.
    pub const fn new(bits: Bits, granularity: Granularity) -> Self {
        Self {
            bits,
            granularity,
            symmetry: Symmetry::Symmetric(SymmetricStep::Full),
            range: RangeRule::MinMax,
            scale_type: ScaleType::F32,
        }
    }

    /// The same with a zero point wherever a range needs it.
    pub const fn asymmetric(self) -> Self {
        Self { symmetry: Symmetry::Asymmetric(ZeroPoint::Any), ..self }
    }

    /// The same with ranges shrunk to the smallest squared rounding error.
    pub fn searched(self) -> Self {
        Self { range: RangeRule::Search(RangeSearch::default()), ..self }
    }

    /// The same with scales of another type.
    pub const fn scales(self, scale_type: ScaleType) -> Self {
        Self { scale_type, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_never_become_zero_and_overflow_is_seen() {
        assert_eq!(ScaleType::F16.round(1e-20), Some(2f32.powi(-24)));
        assert_eq!(ScaleType::F16.round(1e6), None);
        assert_eq!(ScaleType::Bf16.round(1e6), Some(bf16::from_f32(1e6).to_f32()));
        assert_eq!(ScaleType::F32.round(f32::INFINITY), None);
    }

    #[test]
    fn a_search_with_impossible_numbers_is_refused() {
        for (steps, shrink, exponent) in
            [(0, 0.5, 2.0), (10, 1.0, 2.0), (10, -0.1, 2.0), (10, f32::NAN, 2.0), (10, 0.5, 0.0)]
        {
            assert!(RangeSearch::new(steps, shrink, exponent).is_err());
        }
        let factors: Vec<f32> = RangeSearch::default().factors().collect();
        assert_eq!((factors.len(), factors[0]), (80, 1.0));
    }

    #[test]
    fn a_scheme_survives_json() -> Result<(), serde_json::Error> {
        let group = Granularity::group(32).expect("32 is a group");
        for scheme in [
            WeightScheme::new(Bits::Eight, Granularity::Channel),
            WeightScheme::new(Bits::Three, group).asymmetric().searched().scales(ScaleType::F16),
        ] {
            let json = serde_json::to_string(&scheme)?;
            assert_eq!(serde_json::from_str::<WeightScheme>(&json)?, scheme);
        }
        let json = r#"{"steps":0,"max_shrink":0.5,"exponent":2.0}"#;
        assert!(serde_json::from_str::<RangeSearch>(json).is_err());
        Ok(())
    }
}
