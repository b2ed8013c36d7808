//! The number types that a tensor may have, and the one loop that each of them needs.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
}

/// A number type of model tensors: `f32`, `f64`, [`f16`] or [`bf16`].
///
/// Sealed: other types are converted to one of these first.
pub trait Element: Copy + Send + Sync + std::fmt::Debug + sealed::Sealed + 'static {
    /// The value as `f64`, exactly.
    fn to_f64(self) -> f64;

    /// The value as `f32`; rounded for `f64` only.
    fn to_f32(self) -> f32;

    /// Adds the square of `row[i]` to `sums[i]`, in `f64`.
    #[doc(hidden)]
    #[inline(always)]
    fn add_squares(row: &[Self], sums: &mut [f64]) {
        for (sum, x) in sums.iter_mut().zip(row) {
            let x = x.to_f64();
            *sum += x * x;
        }
    }
}

impl Element for f32 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

impl Element for f64 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self.to_f32())
    }

    // Quiet and signalling NaNs need no care here: both end in an error. A plain shift vectorises.
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

impl Element for f16 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f16::to_f64(self)
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }

    // One value at a time costs a feature test each; `half` converts whole slices with F16C.
    #[inline(always)]
    fn add_squares(row: &[Self], sums: &mut [f64]) {
        let mut wide = [0f32; 64];
        for (row, sums) in row.chunks(wide.len()).zip(sums.chunks_mut(wide.len())) {
            let wide = &mut wide[..row.len()];
            row.convert_to_f32_slice(wide);
            <f32 as Element>::add_squares(wide, sums);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_value_widens_exactly() {
        for bits in 0..=u16::MAX {
            let (a, b) = (f16::from_bits(bits), bf16::from_bits(bits));
            if !a.is_nan() {
                assert_eq!(Element::to_f64(a), a.to_f64());
            }
            if !b.is_nan() {
                assert_eq!(Element::to_f64(b), b.to_f64());
                assert_eq!(Element::to_f32(b), bf16::to_f32(b));
            }
        }
    }

    #[test]
    fn a_row_longer_than_the_buffer_is_summed_whole() {
        let row: Vec<f16> = (0..150).map(|i| f16::from_f32(i as f32)).collect();
        let mut sums = vec![1.0; 150];
        f16::add_squares(&row, &mut sums);
        for (i, sum) in sums.iter().enumerate() {
            assert_eq!(*sum, 1.0 + (i * i) as f64);
        }
    }
}
