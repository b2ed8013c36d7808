//! Intervals and effect sizes of proportions.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::{Error, Interval, PairedTable, z};

fn check_counts(what: &'static str, successes: u64, n: u64) -> Result<(), Error> {
    if n == 0 {
        return Err(Error::Empty { what });
    }
    if successes > n {
        return Err(Error::Argument {
            what,
            why: format!("{successes} successes among {n} items"),
        });
    }
    Ok(())
}

/// Wilson's score interval of a proportion (Wilson 1927), without continuity correction.
///
/// ```
/// let interval = massval_eval::stats::wilson(25, 25, 0.95)?;
/// assert!(interval.estimate == 1.0 && interval.low < 0.87);
/// # Ok::<(), massval_eval::stats::Error>(())
/// ```
///
/// # Errors
/// If there are no items, more successes than items, or the level is not between 0 and 1.
pub fn wilson(successes: u64, n: u64, level: f64) -> Result<Interval, Error> {
    const WHAT: &str = "Wilson's interval";
    check_counts(WHAT, successes, n)?;
    let z = z(WHAT, level)?;
    let (x, n) = (successes as f64, n as f64);
    let p = x / n;
    let centre = (x + z * z / 2.0) / (n + z * z);
    let half = z / (n + z * z) * (n * p * (1.0 - p) + z * z / 4.0).sqrt();
    // Rounding must not push an end past the estimate, or past 0 and 1.
    let (low, high) = ((centre - half).clamp(0.0, p), (centre + half).clamp(p, 1.0));
    Ok(Interval { estimate: p, low, high, level })
}

/// Newcombe's hybrid score interval of a difference of independent proportions, first less second
/// (Newcombe 1998, *Interval estimation for the difference between independent proportions*,
/// method 10). Each side is (successes, items).
///
/// Arms that answered the same items are not independent: use [`newcombe_paired`] for them.
///
/// # Errors
/// As [`wilson`].
pub fn newcombe(first: (u64, u64), second: (u64, u64), level: f64) -> Result<Interval, Error> {
    let a = wilson(first.0, first.1, level)?;
    let b = wilson(second.0, second.1, level)?;
    Ok(square_and_add(a, b, 0.0))
}

/// Newcombe's interval of a difference of paired proportions, first less second (Newcombe 1998,
/// *Improved confidence intervals for the difference between binomial proportions based on paired
/// data*, method 10).
///
/// # Errors
/// If the table is empty or the level is not between 0 and 1.
pub fn newcombe_paired(table: &PairedTable, level: f64) -> Result<Interval, Error> {
    let n = table.items();
    let a = wilson(table.both + table.first_only, n, level)?;
    let b = wilson(table.both + table.second_only, n, level)?;
    Ok(square_and_add(a, b, correlation(table)))
}

/// The phi coefficient with Newcombe's continuity correction.
fn correlation(table: &PairedTable) -> f64 {
    let [both, first, second, neither] =
        [table.both, table.first_only, table.second_only, table.neither].map(|n| n as f64);
    let margins = (both + first) * (second + neither) * (both + second) * (first + neither);
    if margins == 0.0 {
        return 0.0;
    }
    let cross = both * neither - first * second;
    let n = both + first + second + neither;
    let corrected = if cross > 0.0 { (cross - n / 2.0).max(0.0) } else { cross };
    corrected / margins.sqrt()
}

fn square_and_add(a: Interval, b: Interval, phi: f64) -> Interval {
    let estimate = a.estimate - b.estimate;
    let side = |x: f64, y: f64| (x * x - 2.0 * phi * x * y + y * y).max(0.0).sqrt();
    let low = estimate - side(a.estimate - a.low, b.high - b.estimate);
    let high = estimate + side(a.high - a.estimate, b.estimate - b.low);
    Interval { estimate, low: low.max(-1.0), high: high.min(1.0), level: a.level }
}

/// Cohen's h, the difference of two proportions on the arcsine scale, first less second: 0.2 is
/// called small, 0.5 medium, 0.8 large (Cohen 1988).
///
/// # Errors
/// If a proportion is not between 0 and 1.
pub fn cohens_h(first: f64, second: f64) -> Result<f64, Error> {
    if let Some(p) = [first, second].into_iter().find(|p| !(0.0..=1.0).contains(p)) {
        let why = format!("{p} is not a proportion");
        return Err(Error::Argument { what: "Cohen's h", why });
    }
    Ok(2.0 * (first.sqrt().asin() - second.sqrt().asin()))
}

/// The probability of so many successes or more by chance alone: the one-sided exact binomial test
/// of whether a model knows a task at all. A drop from chance to chance shows nothing.
///
/// # Errors
/// If there are no items, more successes than items, or `chance` is not between 0 and 1.
pub fn above_chance(successes: u64, n: u64, chance: f64) -> Result<f64, Error> {
    const WHAT: &str = "test against chance";
    check_counts(WHAT, successes, n)?;
    let binomial = Binomial::new(chance, n).map_err(|_| Error::Argument {
        what: WHAT,
        why: format!("{chance} is not a probability"),
    })?;
    Ok(if successes == 0 { 1.0 } else { binomial.sf(successes - 1) })
}
