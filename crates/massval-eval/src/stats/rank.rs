//! How well one ranking foretells another.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::bootstrap::quantile;
use super::{Bootstrap, Error, Interval, check_same, check_values};

/// Rank correlations with their bootstrap intervals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RankCorrelation {
    /// Spearman's rho: the correlation of the ranks, ties sharing their mean rank.
    pub spearman: Interval,
    /// Kendall's tau-b: pairs in the same order less pairs in the other, ties out of the count.
    pub kendall: Interval,
}

/// How well the order of `first` foretells that of `second`, item by item; `None` if one of them has no order: all
/// its values are equal.
///
/// The intervals come from drawing items with replacement; resamples without an order are left out.
///
/// ```
/// use massval_eval::stats::{Bootstrap, rank_correlation};
/// let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0], [10.0, 20.0, 25.0, 60.0, 50.0]);
/// let found = rank_correlation(&a, &b, &Bootstrap::default())?.expect("an order");
/// assert!((found.spearman.estimate - 0.9).abs() < 1e-12);
/// assert!((found.kendall.estimate - 0.8).abs() < 1e-12);
/// # Ok::<(), massval_eval::stats::Error>(())
/// ```
///
/// # Errors
/// If there are no values, not as many on both sides, one is not finite, or the options are out of range.
pub fn rank_correlation(
    first: &[f64],
    second: &[f64],
    options: &Bootstrap,
) -> Result<Option<RankCorrelation>, Error> {
    const WHAT: &str = "rank correlation";
    options.check(WHAT)?;
    check_same(WHAT, first.len(), second.len())?;
    check_values(WHAT, first)?;
    check_values(WHAT, second)?;
    let (Some(rho), Some(tau)) = (spearman(first, second), kendall(first, second)) else {
        return Ok(None);
    };
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let (mut rhos, mut taus) = (Vec::new(), Vec::new());
    let (mut a, mut b) = (first.to_vec(), second.to_vec());
    for _ in 0..options.resamples {
        for (a, b) in a.iter_mut().zip(&mut b) {
            // Drawn as u64, so that the width of usize does not matter.
            let at = rng.random_range(0..first.len() as u64) as usize;
            (*a, *b) = (first[at], second[at]);
        }
        rhos.extend(spearman(&a, &b));
        taus.extend(kendall(&a, &b));
    }
    let tail = (1.0 - options.level) / 2.0;
    let interval = |estimate: f64, mut drawn: Vec<f64>| {
        drawn.sort_unstable_by(f64::total_cmp);
        let at = |q| if drawn.is_empty() { estimate } else { quantile(&drawn, q) };
        Interval { estimate, low: at(tail), high: at(1.0 - tail), level: options.level }
    };
    Ok(Some(RankCorrelation { spearman: interval(rho, rhos), kendall: interval(tau, taus) }))
}

fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    let (a, b) = (ranks(a), ranks(b));
    let middle = (a.len() as f64 - 1.0) / 2.0;
    let product = |x: &[f64], y: &[f64]| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - middle) * (y - middle)).sum()
    };
    let spread = product(&a, &a) * product(&b, &b);
    (spread > 0.0).then(|| product(&a, &b) / spread.sqrt())
}

/// Ranks from 0; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mean = start as f64 + (tied.len() as f64 - 1.0) / 2.0;
        tied.iter().for_each(|&at| ranks[at] = mean);
        start += tied.len();
    }
    ranks
}

fn kendall(a: &[f64], b: &[f64]) -> Option<f64> {
    let (mut sum, mut in_a, mut in_b) = (0i64, 0i64, 0i64);
    let sign = |x: f64, y: f64| i64::from(x > y) - i64::from(x < y);
    for i in 0..a.len() {
        for j in 0..i {
            let (a, b) = (sign(a[i], a[j]), sign(b[i], b[j]));
            sum += a * b;
            in_a += a * a;
            in_b += b * b;
        }
    }
    let pairs = (in_a as f64 * in_b as f64).sqrt();
    (pairs > 0.0).then(|| sum as f64 / pairs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn few() -> Bootstrap {
        Bootstrap { resamples: 200, ..Bootstrap::default() }
    }

    /// From the definitions, worked out apart from this code.
    #[test]
    fn ties_share_a_rank_and_are_left_out_of_the_pairs() {
        let (a, b) = ([1.0, 2.0, 2.0, 3.0, 5.0, 4.0], [2.0, 1.0, 3.0, 3.0, 6.0, 3.0]);
        let found = rank_correlation(&a, &b, &few()).unwrap().unwrap();
        assert!((found.spearman.estimate - 0.800_853_4).abs() < 1e-6, "{found:?}");
        assert!((found.kendall.estimate - 0.694_365_1).abs() < 1e-6, "{found:?}");
    }

    proptest! {
        #[test]
        fn only_the_order_counts(values in prop::collection::vec(-50i8..50, 2..20)) {
            let a: Vec<f64> = values.iter().map(|&x| f64::from(x)).collect();
            let bent: Vec<f64> = a.iter().map(|x| (x / 10.0).exp()).collect();
            let turned: Vec<f64> = a.iter().map(|x| -x).collect();
            let Some(same) = rank_correlation(&a, &bent, &few())? else {
                prop_assert!(values.iter().all(|x| *x == values[0]));
                return Ok(());
            };
            let other = rank_correlation(&a, &turned, &few())?.expect("an order");
            for (same, other) in [(same.spearman, other.spearman), (same.kendall, other.kendall)] {
                prop_assert!((same.estimate - 1.0).abs() < 1e-9 && (other.estimate + 1.0).abs() < 1e-9);
                prop_assert!(same.low <= same.high && same.low > 1.0 - 1e-9);
            }
        }
    }

    #[test]
    fn what_has_no_order_has_no_correlation() {
        assert_eq!(rank_correlation(&[1.0; 4], &[1.0, 2.0, 3.0, 4.0], &few()), Ok(None));
        assert!(rank_correlation(&[1.0], &[1.0, 2.0], &few()).is_err());
        assert!(rank_correlation(&[], &[], &few()).is_err());
        assert!(rank_correlation(&[f64::NAN, 1.0], &[1.0, 2.0], &few()).is_err());
    }
}
