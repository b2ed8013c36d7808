//! Medians of absolute values: exact over data at hand, or streaming in bounded memory.

/// Mantissa bits that the sketch keeps, and those that it drops.
const KEPT: u32 = 10;
const DROPPED: u32 = 23 - KEPT;
const PAGE: usize = 1 << KEPT;

/// A streaming median of absolute values.
///
/// A histogram over the leading bits (exponent and ten mantissa bits) of the values as `f32`. The median
/// it gives is within a relative `2^-11` (0.05 %) of the exact lower median, and equal to it as long as
/// every value fits into those bits, which all `f16` and `bf16` values do; [`MedianSketch::is_exact`]
/// says so. (Values below `2^-126` are within `2^-137` instead.) Merging loses nothing.
/// Memory grows by 8 kB for each power of two that occurs and never exceeds 2 MB.
///
/// ```
/// use massval_detect::activations::MedianSketch;
/// let mut sketch = MedianSketch::new();
/// for value in [-3.0, 1.0, 100.0, -2.0] {
///     sketch.push(value);
/// }
/// assert_eq!((sketch.median(), sketch.is_exact()), (Some(2.0), true));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MedianSketch {
    count: u64,
    exact: bool,
    pages: Vec<Option<Box<[u64]>>>,
}

impl Default for MedianSketch {
    fn default() -> Self {
        Self { count: 0, exact: true, pages: vec![None; 256] }
    }
}

impl MedianSketch {
    /// An empty sketch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the absolute value of `value`; NaN counts as larger than every number.
    pub fn push(&mut self, value: f32) {
        let bits = magnitude(value);
        self.count += 1;
        self.exact &= bits & ((1 << DROPPED) - 1) == 0;
        let bin = (bits >> DROPPED) as usize;
        // Eight exponent bits: the page exists. Ten mantissa bits: so does the bin.
        let page = &mut self.pages[bin / PAGE];
        page.get_or_insert_with(|| vec![0; PAGE].into_boxed_slice())[bin % PAGE] += 1;
    }

    /// Adds everything that `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.exact &= other.exact;
        for (page, other) in self.pages.iter_mut().zip(&other.pages) {
            match (page.as_mut(), other) {
                (Some(page), Some(other)) => {
                    for (bin, other) in page.iter_mut().zip(other) {
                        *bin += other;
                    }
                }
                (None, Some(_)) => page.clone_from(other),
                (_, None) => {}
            }
        }
    }

    /// How many values it has seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether the median is exact.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// The lower median, or `None` of nothing.
    pub fn median(&self) -> Option<f32> {
        let (bin, _) = self.middle()?;
        let low = bin << DROPPED;
        if self.exact {
            return Some(f32::from_bits(low));
        }
        // The centre of the bin halves the error bound.
        Some(f32::from_bits(low + (1 << (DROPPED - 1))))
    }

    /// The bin of the lower median, and how many values of that bin are smaller.
    fn middle(&self) -> Option<(u32, u64)> {
        let mut before = self.count.checked_sub(1)? / 2;
        for (exponent, page) in self.pages.iter().enumerate() {
            for (mantissa, &count) in page.iter().flatten().enumerate() {
                if before < count {
                    return Some(((exponent * PAGE + mantissa) as u32, before));
                }
                before -= count;
            }
        }
        None
    }

    /// The exact lower median; `values` must yield the very values that were pushed.
    pub(crate) fn refine(&self, values: impl Iterator<Item = f32>) -> Option<f32> {
        let (bin, mut before) = self.middle()?;
        if self.exact {
            return self.median();
        }
        let mut counts = vec![0u64; 1 << DROPPED];
        for bits in values.map(magnitude).filter(|bits| bits >> DROPPED == bin) {
            counts[(bits & ((1 << DROPPED) - 1)) as usize] += 1;
        }
        for (low, &count) in counts.iter().enumerate() {
            if before < count {
                return Some(f32::from_bits((bin << DROPPED) | low as u32));
            }
            before -= count;
        }
        None
    }
}

/// The exact lower median of absolute values, in two passes and constant memory; `None` of nothing.
pub fn exact_median(values: impl Iterator<Item = f32> + Clone) -> Option<f32> {
    let mut sketch = MedianSketch::new();
    for value in values.clone() {
        sketch.push(value);
    }
    sketch.refine(values)
}

/// The bits of the absolute value; they order as the values do.
fn magnitude(value: f32) -> u32 {
    value.to_bits() & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};
    use proptest::prelude::*;

    use super::*;

    fn reference(values: &[f32]) -> Option<f32> {
        let mut sorted: Vec<f32> = values.iter().map(|value| value.abs()).collect();
        sorted.sort_by(f32::total_cmp);
        sorted.get(values.len().checked_sub(1)? / 2).copied()
    }

    fn sketch(values: &[f32]) -> MedianSketch {
        let mut sketch = MedianSketch::new();
        values.iter().for_each(|&value| sketch.push(value));
        sketch
    }

    #[test]
    fn of_nothing_there_is_no_median() {
        assert_eq!((MedianSketch::new().median(), exact_median(std::iter::empty())), (None, None));
    }

    #[test]
    fn half_precision_is_exact() {
        let values: Vec<f32> =
            (0..999).map(|i| f16::from_f32((i as f32 * 0.37).sin()).to_f32()).collect();
        assert_eq!(sketch(&values).median(), reference(&values));
        let values: Vec<f32> =
            (0..500).map(|i| bf16::from_f32(1e30 / (i as f32 + 1.0)).to_f32()).collect();
        assert!(sketch(&values).is_exact());
        assert_eq!(sketch(&values).median(), reference(&values));
    }

    proptest! {
        #[test]
        fn exact_and_streaming_agree_with_sorting(
            mut values in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::ZERO, 1..400),
            near in prop::collection::vec(0.99f32..1.01, 0..400),
            cut in 0usize..800,
        ) {
            values.extend(near);
            let expected = reference(&values).expect("not empty");
            prop_assert_eq!(exact_median(values.iter().copied()), Some(expected));
            let (left, right) = values.split_at(cut.min(values.len()));
            let mut merged = sketch(left);
            merged.merge(&sketch(right));
            prop_assert_eq!(&merged, &sketch(&values));
            let error = (f64::from(merged.median().expect("not empty")) - f64::from(expected)).abs();
            prop_assert!(error <= f64::from(expected) * 2f64.powi(-11) + 2f64.powi(-137));
        }
    }
}
