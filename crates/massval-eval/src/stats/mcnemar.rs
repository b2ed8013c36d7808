//! McNemar's test of paired outcomes.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, Discrete, DiscreteCDF};

use super::{Error, check_same};

/// How often two arms were right on the same items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairedTable {
    /// Both right.
    pub both: u64,
    /// Only the first.
    pub first_only: u64,
    /// Only the second.
    pub second_only: u64,
    /// Neither.
    pub neither: u64,
}

impl PairedTable {
    /// Counts the outcomes of two arms, item by item.
    ///
    /// # Errors
    /// If the arms have different numbers of items, or none.
    pub fn from_outcomes(first: &[bool], second: &[bool]) -> Result<Self, Error> {
        const WHAT: &str = "paired outcomes";
        check_same(WHAT, first.len(), second.len())?;
        if first.is_empty() {
            return Err(Error::Empty { what: WHAT });
        }
        let mut table = Self { both: 0, first_only: 0, second_only: 0, neither: 0 };
        for pair in first.iter().zip(second) {
            *match pair {
                (true, true) => &mut table.both,
                (true, false) => &mut table.first_only,
                (false, true) => &mut table.second_only,
                (false, false) => &mut table.neither,
            } += 1;
        }
        Ok(table)
    }

    /// How many items there are.
    pub fn items(&self) -> u64 {
        self.both + self.first_only + self.second_only + self.neither
    }
}

/// The outcome of McNemar's test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct McNemar {
    /// The two-sided exact p-value: never above its nominal error rate, often below.
    pub exact: f64,
    /// The two-sided mid-p-value (Fagerland, Lydersen, Laake 2013): closer to the nominal rate, which
    /// it may exceed a little.
    pub mid_p: f64,
}

/// McNemar's test of whether two arms are right equally often, in its exact (binomial) form: of the
/// items on which just one arm is right, each arm should have half.
///
/// Without such items both p-values are 1.
///
/// ```
/// use massval_eval::stats::{PairedTable, mcnemar};
///
/// let table = PairedTable { both: 90, first_only: 9, second_only: 1, neither: 100 };
/// assert!((mcnemar(&table)?.exact - 0.021484375).abs() < 1e-12);
/// # Ok::<(), massval_eval::stats::Error>(())
/// ```
///
/// # Errors
/// If the table is empty.
pub fn mcnemar(table: &PairedTable) -> Result<McNemar, Error> {
    const WHAT: &str = "McNemar's test";
    if table.items() == 0 {
        return Err(Error::Empty { what: WHAT });
    }
    let n = table.first_only + table.second_only;
    if n == 0 {
        return Ok(McNemar { exact: 1.0, mid_p: 1.0 });
    }
    let binomial = Binomial::new(0.5, n)
        .map_err(|e| Error::Argument { what: WHAT, why: format!("{n} discordant items: {e}") })?;
    let fewer = table.first_only.min(table.second_only);
    let tails = 2.0 * binomial.cdf(fewer);
    Ok(McNemar { exact: tails.min(1.0), mid_p: (tails - binomial.pmf(fewer)).clamp(0.0, 1.0) })
}
