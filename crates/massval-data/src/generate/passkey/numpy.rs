//! Draws of NumPy's `RandomState`, which the reference's generator uses.

use rand_mt::Mt;

/// NumPy's legacy generator: MT19937.
pub(super) struct RandomState(Mt);

impl RandomState {
    /// `RandomState(seed)`.
    pub(super) fn new(seed: u32) -> Self {
        Self(Mt::new(seed))
    }

    /// `randint(low, high)`: at least `low`, below `high`, which must be more than `low`.
    ///
    /// As NumPy does it for 64-bit integers: draws are masked to the bits of the largest wanted value
    /// and repeated until one is not above it; no draw is taken where there is nothing to choose.
    pub(super) fn randint(&mut self, low: i64, high: i64) -> i64 {
        debug_assert!(low < high);
        let range = high.wrapping_sub(low).wrapping_sub(1) as u64;
        if range == 0 {
            return low;
        }
        let mask = u64::MAX >> range.leading_zeros();
        loop {
            let draw = mask & if range <= u64::from(u32::MAX) { self.u32() } else { self.u64() };
            if draw <= range {
                return low.wrapping_add(draw as i64);
            }
        }
    }

    fn u32(&mut self) -> u64 {
        u64::from(self.0.next_u32())
    }

    /// The first draw is the upper half.
    fn u64(&mut self) -> u64 {
        let upper = self.u32();
        upper << 32 | self.u32()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_what_numpy_draws() {
        // numpy 2.4.6: r = RandomState(178); r.randint(lo, hi) in this order
        let mut rng = RandomState::new(178);
        let drawn: Vec<i64> = RANGES.iter().map(|&(low, high)| rng.randint(low, high)).collect();
        assert_eq!(drawn, DRAWN);
    }

    const RANGES: [(i64, i64); 8] = [
        (0, 10),
        (5, 6),
        (-3, 3),
        (0, 1 << 32),
        (0, (1 << 32) + 1),
        (100_000_000_000_000_000, 999_999_999_999_999_999),
        (0, 256),
        (i64::MIN, i64::MAX),
    ];
    const DRAWN: [i64; 8] = [
        6,
        5,
        2,
        164_754_947,
        3_141_003_017,
        493_591_713_008_322_830,
        27,
        8_445_326_283_944_912_631,
    ];
}
