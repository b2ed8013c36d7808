//! The values that codes stand for, and how a grid is fitted to numbers.

use crate::scheme::{RangeRule, RangeSearch, SymmetricStep, Symmetry, ZeroPoint};
use crate::{ScaleType, WeightScheme};

/// Added and subtracted, this rounds a small `f32` to the nearest integer, ties to even, with two additions
/// that every processor has.
const ROUND: f32 = 12_582_912.0;
/// The same for `f64`.
const ROUND_F64: f64 = 6_755_399_441_055_744.0;

/// Numbers looked at together, so that loops over them become vector instructions.
const LANES: usize = 16;

/// Evenly spaced values: code `c` stands for `scale * (c - zero)`.
///
/// ```
/// use massval_quant::{Bits, Granularity, Grid, WeightScheme};
/// let scheme = WeightScheme::new(Bits::Four, Granularity::Channel).asymmetric();
/// let grid = Grid::fit(&[-1.0, 0.25, 2.0], &scheme).expect("f32 holds the scale");
/// assert_eq!((grid.scale(), grid.zero()), (0.2, 5));
/// assert_eq!((grid.code(-1.0), grid.code(0.25), grid.code(9.0)), (0, 6, 15));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    scale: f32,
    zero: u8,
    max_code: u8,
}

impl Grid {
    /// The grid that a scheme gives to these numbers; all zeros get scale 1. `None` if the scale is too large
    /// for its type.
    ///
    /// The range always includes zero. Arithmetic is `f32`'s, operation by operation as in PyTorch.
    pub fn fit(values: &[f32], scheme: &WeightScheme) -> Option<Self> {
        let (low, high) = extremes(values);
        match scheme.range {
            RangeRule::MinMax => Self::over(low, high, scheme),
            RangeRule::Search(search) => Self::search(values, low, high, scheme, search),
        }
    }

    /// The grid over a range; `low` is at most 0, `high` at least 0.
    #[inline(always)]
    pub(crate) fn over(low: f32, high: f32, scheme: &WeightScheme) -> Option<Self> {
        let max_code = scheme.bits.max_code();
        let middle = scheme.bits.middle();
        let largest = high.max(-low);
        if largest == 0.0 {
            return Some(Self { scale: 1.0, zero: middle, max_code });
        }
        let codes = f32::from(max_code);
        let round = |scale: f32| scheme.scale_type.round(scale);
        match scheme.symmetry {
            Symmetry::Symmetric(step) => {
                let scale = match step {
                    SymmetricStep::Full => largest / (codes / 2.0),
                    SymmetricStep::Narrow => largest / (f32::from(middle) - 1.0),
                };
                Some(Self { scale: round(scale)?, zero: middle, max_code })
            }
            Symmetry::Asymmetric(zero_point) => {
                let scale = round((high - low) / codes)?;
                let zero = (-low / scale).round_ties_even().min(codes) as u8;
                if zero == 0 && zero_point == ZeroPoint::NonZero {
                    return Some(Self { scale: round(high / (codes - 1.0))?, zero: 1, max_code });
                }
                Some(Self { scale, zero, max_code })
            }
        }
    }

    #[inline(always)]
    fn search(
        values: &[f32],
        low: f32,
        high: f32,
        scheme: &WeightScheme,
        search: RangeSearch,
    ) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for factor in search.factors() {
            let Some(grid) = Self::over(low * factor, high * factor, scheme) else { continue };
            let error = grid.error(values, search.exponent());
            if best.is_none_or(|(least, _)| error < least) {
                best = Some((error, grid));
            }
        }
        best.map(|(_, grid)| grid)
    }

    /// Puts a grid together from what a file holds; `zero` may be one more than the largest code.
    pub(crate) const fn from_parts(scale: f32, zero: u8, max_code: u8) -> Self {
        Self { scale, zero, max_code }
    }

    /// The distance between values.
    pub const fn scale(self) -> f32 {
        self.scale
    }

    /// The code of zero.
    pub const fn zero(self) -> u8 {
        self.zero
    }

    /// The lowest and the highest code, counted from the zero point.
    #[inline(always)]
    pub(crate) fn ends(self) -> (f32, f32) {
        (-f32::from(self.zero), f32::from(self.max_code) - f32::from(self.zero))
    }

    /// The nearest code, counted from the zero point.
    #[inline(always)]
    fn step(self, value: f32) -> f32 {
        let (low, high) = self.ends();
        // Clamped first: then the rounding trick cannot overflow, and integers clamp the same either way.
        ((value / self.scale).max(low).min(high) + ROUND) - ROUND
    }

    /// The nearest code; ties go to the even one, as in PyTorch.
    #[inline(always)]
    pub fn code(self, value: f32) -> u8 {
        (self.step(value) + f32::from(self.zero)) as u8
    }

    /// What a code stands for.
    #[inline(always)]
    pub fn value(self, code: u8) -> f32 {
        self.scale * (f32::from(code) - f32::from(self.zero))
    }

    /// The nearest value of the grid.
    #[inline(always)]
    pub fn snap(self, value: f32) -> f32 {
        self.scale * self.step(value)
    }

    /// Sum of `|snapped - value|^exponent`.
    #[inline(always)]
    fn error(self, values: &[f32], exponent: f32) -> f32 {
        if exponent != 2.0 {
            return values.iter().map(|&x| (self.snap(x) - x).abs().powf(exponent)).sum();
        }
        let mut sums = [0.0f32; LANES];
        let (chunks, rest) = values.as_chunks::<LANES>();
        for chunk in chunks {
            for (sum, &x) in sums.iter_mut().zip(chunk) {
                let difference = self.snap(x) - x;
                *sum += difference * difference;
            }
        }
        for &x in rest {
            let difference = self.snap(x) - x;
            sums[0] += difference * difference;
        }
        sums.iter().sum()
    }
}

/// A grid in `f64`, for arithmetic that must not round in between.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WideGrid {
    pub(crate) scale: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl From<Grid> for WideGrid {
    fn from(grid: Grid) -> Self {
        let (low, high) = grid.ends();
        Self { scale: grid.scale.into(), low: low.into(), high: high.into() }
    }
}

impl WideGrid {
    /// The nearest code, counted from the zero point.
    #[inline(always)]
    pub(crate) fn step(scale: f64, low: f64, high: f64, value: f64) -> f64 {
        ((value / scale).max(low).min(high) + ROUND_F64) - ROUND_F64
    }
}

/// The smallest and the largest of the numbers and zero.
#[inline(always)]
pub(crate) fn extremes(values: &[f32]) -> (f32, f32) {
    let (mut low, mut high) = ([0.0f32; LANES], [0.0f32; LANES]);
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            let x = chunk[lane];
            low[lane] = if x < low[lane] { x } else { low[lane] };
            high[lane] = if x > high[lane] { x } else { high[lane] };
        }
    }
    let low = low.iter().chain(rest).fold(0.0f32, |a, &b| a.min(b));
    let high = high.iter().chain(rest).fold(0.0f32, |a, &b| a.max(b));
    (low, high)
}

/// Fits a grid to one number, for ranges known from statistics alone.
pub(crate) fn symmetric_scale(
    abs_max: f32,
    step: SymmetricStep,
    scale_type: ScaleType,
) -> Option<f32> {
    let scheme = WeightScheme {
        symmetry: Symmetry::Symmetric(step),
        ..WeightScheme::new(crate::Bits::Eight, crate::Granularity::Tensor).scales(scale_type)
    };
    Grid::over(0.0, abs_max, &scheme).map(Grid::scale)
}

#[cfg(test)]
mod tests;
