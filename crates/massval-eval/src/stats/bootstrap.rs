//! Intervals by resampling.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Error, Interval, check_level, check_same, check_values};

/// How to resample (Efron 1979; percentile intervals).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// How many times. Time grows with this times the number of items.
    pub resamples: u32,
    /// Seed of the generator (ChaCha, 8 rounds): the same seed gives the same interval on every
    /// machine.
    pub seed: u64,
    /// How often the intervals should hold the true value.
    pub level: f64,
}

impl Default for Bootstrap {
    /// 10,000 times, seed 0, level 0.95.
    fn default() -> Self {
        Self { resamples: 10_000, seed: 0, level: 0.95 }
    }
}

impl Bootstrap {
    pub(crate) fn check(&self, what: &'static str) -> Result<(), Error> {
        check_level(what, self.level)?;
        if self.resamples == 0 {
            let why = "0 resamples; take some thousands".into();
            return Err(Error::Argument { what, why });
        }
        Ok(())
    }

    /// The percentile intervals of `K` statistics that are computed from the same resamples.
    ///
    /// `statistics` turns sums over a resample into the statistics; `rows` are the summands, one
    /// row for each unit that is drawn. A statistic that overflows in a resample is ordered at
    /// the end where it belongs.
    pub(crate) fn intervals<const R: usize, const K: usize>(
        &self,
        rows: &[[f64; R]],
        statistics: impl Fn([f64; R]) -> [f64; K],
    ) -> [Interval; K] {
        let total = rows.iter().fold([0.0; R], add);
        let estimates = statistics(total);
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut drawn: [Vec<f64>; K] = std::array::from_fn(|_| Vec::new());
        for _ in 0..self.resamples {
            // Drawn as u64, so that the width of usize does not matter.
            let pick = |_| rows[rng.random_range(0..rows.len() as u64) as usize];
            let sums = (0..rows.len()).map(pick).fold([0.0; R], |sums, row| add(sums, &row));
            for (all, value) in drawn.iter_mut().zip(statistics(sums)) {
                all.push(value);
            }
        }
        let tail = (1.0 - self.level) / 2.0;
        let mut estimates = estimates.into_iter();
        drawn.map(|mut values| {
            values.sort_unstable_by(f64::total_cmp);
            Interval {
                estimate: estimates.next().unwrap_or(f64::NAN),
                low: quantile(&values, tail),
                high: quantile(&values, 1.0 - tail),
                level: self.level,
            }
        })
    }
}

fn add<const R: usize>(mut sums: [f64; R], row: &[f64; R]) -> [f64; R] {
    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    sums
}

/// The quantile of sorted values, linear between them (the default of NumPy).
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let part = place - place.floor();
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    // Two infinite neighbours have no difference.
    if part == 0.0 || low == high { low } else { low + part * (high - low) }
}

/// Sums and counts of values by cluster, in order of the clusters' names; one item each without
/// clusters.
pub(crate) fn clustered<const R: usize>(
    what: &'static str,
    rows: Vec<[f64; R]>,
    clusters: Option<&[usize]>,
) -> Result<Vec<[f64; R]>, Error> {
    let Some(clusters) = clusters else { return Ok(rows) };
    check_same(what, rows.len(), clusters.len())?;
    let mut sums: BTreeMap<usize, [f64; R]> = BTreeMap::new();
    for (row, cluster) in rows.iter().zip(clusters) {
        let sum = sums.entry(*cluster).or_insert([0.0; R]);
        *sum = add(*sum, row);
    }
    Ok(sums.into_values().collect())
}

/// The mean with its interval. `clusters` names for each item what it belongs to; items of a
/// cluster are drawn together, as they are not independent: a true statement and its false twin.
///
/// # Errors
/// If there are no values, one is not finite, the clusters are not as many as the values, or the
/// options are out of range.
pub fn mean(
    values: &[f64],
    clusters: Option<&[usize]>,
    options: &Bootstrap,
) -> Result<Interval, Error> {
    const WHAT: &str = "bootstrap of a mean";
    options.check(WHAT)?;
    check_values(WHAT, values)?;
    let rows = clustered(WHAT, values.iter().map(|v| [*v, 1.0]).collect(), clusters)?;
    let [interval] = options.intervals(&rows, |[sum, n]| [sum / n]);
    Ok(interval)
}

/// The difference of the means of two arms on the same items, first less second, with its paired
/// interval. `clusters` as for [`mean`].
///
/// ```
/// use massval_eval::stats::{Bootstrap, mean_difference};
///
/// let before = [1.0, 1.0, 1.0, 0.0, 1.0, 1.0];
/// let after = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0];
/// let drop = mean_difference(&before, &after, None, &Bootstrap::default())?;
/// assert_eq!(drop.estimate, 0.5);
/// # Ok::<(), massval_eval::stats::Error>(())
/// ```
///
/// # Errors
/// As [`mean`], and if the arms have different numbers of items.
pub fn mean_difference(
    first: &[f64],
    second: &[f64],
    clusters: Option<&[usize]>,
    options: &Bootstrap,
) -> Result<Interval, Error> {
    const WHAT: &str = "paired bootstrap";
    check_same(WHAT, first.len(), second.len())?;
    check_values(WHAT, first)?;
    check_values(WHAT, second)?;
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    mean(&differences, clusters, options)
}
