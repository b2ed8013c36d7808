//! The number types that a tensor may have, and the one loop that each of them needs.

use half::{bf16, f16};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
}

/// A number type of model tensors: `f32`, `f64`, [`struct@f16`] or [`bf16`].
///
/// Sealed: other types are converted to one of these first.
pub trait Element: Copy + Send + Sync + std::fmt::Debug + sealed::Sealed + 'static {
    /// The value as `f64`, exactly.
    fn to_f64(self) -> f64;

    /// The value as `f32`; rounded for `f64` only.
    fn to_f32(self) -> f32;

    /// The absolute value as `f64`; NaN may become an infinity. Written so that loops over it vectorise.
    #[doc(hidden)]
    #[inline(always)]
    fn magnitude(self) -> f64 {
        self.to_f64().abs()
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

    // `half` tests the processor's features for every value. Here the exponent is moved to its new bias
    // instead, and subnormals are made by a subtraction, both with plain integer and `f32` operations.
    #[inline(always)]
    fn magnitude(self) -> f64 {
        const REBIAS: u32 = (127 - 15) << 23;
        const SMALLEST_NORMAL: u32 = (127 - 14) << 23;
        let bits = u32::from(self.to_bits() & 0x7fff);
        let normal = f32::from_bits((bits << 13) + REBIAS);
        let subnormal =
            f32::from_bits((bits << 13) + SMALLEST_NORMAL) - f32::from_bits(SMALLEST_NORMAL);
        let finite = if bits < 0x0400 { subnormal } else { normal };
        f64::from(if bits < 0x7c00 { finite } else { f32::INFINITY })
    }
}

/// Adds the squares of each row of `rows`, `[tokens, sums.len()]`, to `sums`, in `f64`.
///
/// Rows are read in order, one at a time: reading several at once defeats the prefetcher.
#[inline(always)]
pub(crate) fn add_squares<T: Element>(rows: &[T], sums: &mut [f64]) {
    // The usual head sizes. Their sums fit into vector registers, which a known length makes possible.
    if let Ok(sums) = <&mut [f64; 64]>::try_from(&mut *sums) {
        return add_fixed(rows, sums);
    }
    if let Ok(sums) = <&mut [f64; 128]>::try_from(&mut *sums) {
        return add_fixed(rows, sums);
    }
    for row in rows.chunks_exact(sums.len()) {
        for (sum, x) in sums.iter_mut().zip(row) {
            let x = x.magnitude();
            *sum += x * x;
        }
    }
}

#[inline(always)]
fn add_fixed<T: Element, const WIDTH: usize>(rows: &[T], sums: &mut [f64; WIDTH]) {
    let mut registers = *sums;
    for row in rows.as_chunks::<WIDTH>().0 {
        for channel in 0..WIDTH {
            let x = row[channel].magnitude();
            registers[channel] += x * x;
        }
    }
    *sums = registers;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_value_widens_exactly() {
        for bits in 0..=u16::MAX {
            let (a, b) = (f16::from_bits(bits), bf16::from_bits(bits));
            if a.is_nan() {
                assert!(!a.magnitude().is_finite());
            } else {
                assert_eq!(Element::to_f64(a), a.to_f64());
                assert_eq!(a.magnitude(), a.to_f64().abs());
            }
            if !b.is_nan() {
                assert_eq!(Element::to_f64(b), b.to_f64());
                assert_eq!(Element::to_f32(b), bf16::to_f32(b));
            }
        }
    }

    #[test]
    fn every_row_is_added_once_at_any_width() {
        for (tokens, width) in [(0, 3), (1, 3), (5, 3), (3, 64), (4, 128), (2, 256)] {
            let rows: Vec<f32> = (0..tokens * width).map(|i| (i % 99) as f32).collect();
            let mut sums = vec![1.0; width];
            add_squares(&rows, &mut sums);
            for (channel, sum) in sums.iter().enumerate() {
                let squares = rows.iter().skip(channel).step_by(width).map(|x| f64::from(x * x));
                assert_eq!(*sum, 1.0 + squares.sum::<f64>());
            }
        }
    }
}
