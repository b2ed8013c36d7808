//! The entries of a vector that lie furthest from the rest.

use std::cmp::Ordering;

/// Marks the `count` unmarked entries furthest from the median of the unmarked ones; of equals the first.
/// Returns how many it marked.
pub(super) fn mark(values: &[f32], kept: &mut [bool], count: usize) -> u64 {
    let mut order: Vec<usize> = (0..values.len()).filter(|&i| !kept[i]).collect();
    let count = count.min(order.len());
    if count == 0 {
        return 0;
    }
    let middle = order.len() / 2;
    let by_value = |a: &usize, b: &usize| values[*a].total_cmp(&values[*b]);
    let (_, &mut median, _) = order.select_nth_unstable_by(middle, by_value);
    let median = values[median];
    let by_distance = |&a: &usize, &b: &usize| -> Ordering {
        let distance = |i: usize| (values[i] - median).abs();
        distance(b).total_cmp(&distance(a)).then(a.cmp(&b))
    };
    order.select_nth_unstable_by(count - 1, by_distance);
    for &i in &order[..count] {
        kept[i] = true;
    }
    count as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_entry_left_is_further_than_one_marked(
            values in prop::collection::vec(-9i8..9, 1..40), count in 0usize..50, skip in 0usize..5,
        ) {
            let values: Vec<f32> = values.into_iter().map(f32::from).collect();
            let mut kept: Vec<bool> = (0..values.len()).map(|i| i < skip).collect();
            let mut rest: Vec<f32> = values.iter().copied().skip(skip).collect();
            rest.sort_by(f32::total_cmp);
            let marked = mark(&values, &mut kept, count);
            prop_assert_eq!(marked as usize, count.min(rest.len()));
            if let Some(median) = rest.get(rest.len() / 2) {
                let chosen = |i: &usize| *i >= skip && kept[*i];
                let distance = |i: usize| (values[i] - median).abs();
                let nearest = (0..values.len()).filter(chosen).map(distance).fold(f32::MAX, f32::min);
                prop_assert!((0..values.len()).all(|i| kept[i] || distance(i) <= nearest));
            }
        }
    }
}
