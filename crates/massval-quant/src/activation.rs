//! Activations in 8 bits, each token by its own range or all by one fixed beforehand.

use pulp::Arch;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::same;
use crate::grid::{Grid, symmetric_scale};
use crate::rtn::Snap;
use crate::weight::check_finite;
use crate::{
    Bits, ChannelStats, Error, Granularity, Result, ScaleType, SymmetricStep, WeightScheme,
};

/// Whose range an activation is rounded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationRange {
    /// Each token's own, found when it comes (dynamic).
    PerToken,
    /// One for the linear, from calibration (static).
    PerTensor,
}

/// How the inputs of a linear are rounded: to symmetric 8-bit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationScheme {
    /// Whose range.
    pub range: ActivationRange,
    /// The step for that range: `full` is compressed-tensors', `narrow` SmoothQuant's.
    #[serde(default)]
    pub step: SymmetricStep,
}

impl ActivationScheme {
    /// Each token by its own range.
    pub const fn per_token() -> Self {
        Self { range: ActivationRange::PerToken, step: SymmetricStep::Full }
    }

    /// All tokens by one range.
    pub const fn per_tensor() -> Self {
        Self { range: ActivationRange::PerTensor, step: SymmetricStep::Full }
    }

    /// The quantizer of one linear's inputs; a static one takes its range from `stats`.
    ///
    /// # Errors
    /// [`Error::ScaleOverflow`] if the range is too wide for `f32`.
    pub fn quantizer(&self, name: &str, stats: &ChannelStats) -> Result<ActivationQuantizer> {
        let scale = match self.range {
            ActivationRange::PerToken => None,
            ActivationRange::PerTensor => Some(self.scale(name, stats.range(), 0)?),
        };
        Ok(ActivationQuantizer { scheme: *self, scale })
    }

    /// A quantizer that takes each token's own range, whatever this scheme's is: it needs no calibration.
    pub const fn dynamic(&self) -> ActivationQuantizer {
        let scheme = Self { range: ActivationRange::PerToken, step: self.step };
        ActivationQuantizer { scheme, scale: None }
    }

    fn scale(&self, name: &str, abs_max: f32, row: usize) -> Result<f32> {
        symmetric_scale(abs_max, self.step, ScaleType::F32).ok_or_else(|| Error::ScaleOverflow {
            tensor: name.to_owned(),
            row,
            group: 0,
            scale_type: ScaleType::F32,
        })
    }
}

/// Rounds the inputs of one linear.
///
/// ```
/// use massval_quant::{ActivationScheme, ChannelAccumulator};
/// let mut seen = ChannelAccumulator::new("proj", 2)?;
/// seen.push(&[1.0, -255.0])?;
/// let quantizer = ActivationScheme::per_tensor().quantizer("proj", &seen.finish()?)?;
/// assert_eq!(quantizer.scale(), Some(2.0));
/// let mut rows = [3.2, -100.9, 500.0, 0.4];
/// quantizer.fake_quantize("proj", 2, &mut rows)?;
/// assert_eq!(rows, [4.0, -100.0, 254.0, 0.0]);
/// # Ok::<(), massval_quant::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActivationQuantizer {
    scheme: ActivationScheme,
    scale: Option<f32>,
}

impl ActivationQuantizer {
    /// A static quantizer with a scale read from a file.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the scale is not a positive number.
    pub fn with_scale(scale: f32) -> Result<Self> {
        if !(scale.is_finite() && scale > 0.0) {
            let (name, value) = ("input scale", scale.into());
            return Err(Error::Parameter { name, value, expected: "finite and above 0" });
        }
        Ok(Self { scheme: ActivationScheme::per_tensor(), scale: Some(scale) })
    }

    /// The scheme that it follows.
    pub const fn scheme(&self) -> ActivationScheme {
        self.scheme
    }

    /// The fixed scale; none if each token has its own.
    pub const fn scale(&self) -> Option<f32> {
        self.scale
    }

    /// Rounds activations `[tokens, width]` in place.
    ///
    /// # Errors
    /// [`Error::Shape`] if they are not whole rows, [`Error::NonFinite`] if one is NaN or infinite.
    pub fn fake_quantize(&self, name: &str, width: usize, rows: &mut [f32]) -> Result<()> {
        let tokens = rows.len() / width.max(1);
        same(name, "values of whole rows of activations", tokens * width, rows.len())?;
        check_finite(name, width, rows)?;
        rows.par_chunks_exact_mut(width.max(1)).enumerate().try_for_each(|(token, row)| {
            let grid = self.grid(name, token, row)?;
            Arch::new().dispatch(Snap { grid, values: row });
            Ok(())
        })
    }

    /// The codes of activations `[tokens, width]`, and the scale of each token.
    ///
    /// # Errors
    /// [`Error::Shape`] if they are not whole rows, [`Error::NonFinite`] if one is NaN or infinite.
    pub fn quantize(&self, name: &str, width: usize, rows: &[f32]) -> Result<(Vec<i8>, Vec<f32>)> {
        let tokens = rows.len() / width.max(1);
        same(name, "values of whole rows of activations", tokens * width, rows.len())?;
        check_finite(name, width, rows)?;
        let mut codes = Vec::with_capacity(rows.len());
        let mut scales = Vec::with_capacity(tokens);
        for (token, row) in rows.chunks_exact(width.max(1)).enumerate() {
            let grid = self.grid(name, token, row)?;
            codes.extend(row.iter().map(|&x| grid.code(x).wrapping_sub(grid.zero()) as i8));
            scales.push(grid.scale());
        }
        Ok((codes, scales))
    }

    fn grid(&self, name: &str, token: usize, row: &[f32]) -> Result<Grid> {
        let bits = Bits::Eight;
        let scale = match self.scale {
            Some(scale) => scale,
            None => {
                let (low, high) = crate::grid::extremes(row);
                self.scheme.scale(name, high.max(-low), token)?
            }
        };
        Ok(Grid::from_parts(scale, bits.middle(), bits.max_code()))
    }
}

/// The weights that go with 8-bit activations: symmetric, a scale for each output channel.
pub const fn int8_weights() -> WeightScheme {
    WeightScheme::new(Bits::Eight, Granularity::Channel)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_token_follows_its_own_range(
            rows in prop::collection::vec(-50.0f32..50.0, 12), narrow in any::<bool>(),
        ) {
            let step = if narrow { SymmetricStep::Narrow } else { SymmetricStep::Full };
            let scheme = ActivationScheme { step, ..ActivationScheme::per_token() };
            let quantizer = ActivationQuantizer { scheme, scale: None };
            let (codes, scales) = quantizer.quantize("x", 4, &rows)?;
            let mut faked = rows.clone();
            quantizer.fake_quantize("x", 4, &mut faked)?;
            let divisor = if narrow { 127.0 } else { 127.5 };
            for (token, row) in rows.chunks_exact(4).enumerate() {
                let abs_max = row.iter().fold(0.0f32, |a, x| a.max(x.abs()));
                prop_assert_eq!(scales[token], abs_max / divisor);
                for (i, &x) in row.iter().enumerate() {
                    let code = (x / scales[token]).round_ties_even().clamp(-128.0, 127.0);
                    prop_assert_eq!(f32::from(codes[token * 4 + i]), code);
                    prop_assert_eq!(faked[token * 4 + i], code * scales[token]);
                }
            }
        }
    }

    #[test]
    fn a_token_of_zeros_stays_zero_and_bad_rows_are_refused() -> Result<()> {
        let quantizer = ActivationQuantizer { scheme: ActivationScheme::per_token(), scale: None };
        assert_eq!(quantizer.quantize("x", 2, &[0.0; 4])?.0, [0; 4]);
        assert!(quantizer.quantize("x", 3, &[0.0; 4]).is_err());
        assert!(quantizer.fake_quantize("x", 0, &mut [0.0; 4]).is_err());
        assert!(quantizer.fake_quantize("x", 2, &mut [0.0, f32::NAN]).is_err());
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(ActivationQuantizer::with_scale(scale).is_err());
        }
        Ok(())
    }
}
