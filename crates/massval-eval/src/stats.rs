//! Intervals, tests and effect sizes.
//!
//! What a disruption does is told by comparing arms that answered the same items. The functions
//! here take the items' scores in the items' order and give every difference with an
//! [interval](Interval), a test and a [finding](Finding): no difference is called an effect unless
//! both agree that there is one.
//!
//! Intervals of proportions are [Wilson's](wilson) and [Newcombe's](newcombe_paired), which behave
//! at 0 and 1; means and perplexities are [resampled](Bootstrap).

mod bootstrap;
mod effect;
mod mcnemar;
mod perplexity;
mod proportion;
mod rank;

pub use bootstrap::{Bootstrap, mean, mean_difference};
pub use effect::{Comparison, Finding, Test, compare_arms, sign_flip};
pub use mcnemar::{McNemar, PairedTable, mcnemar};
pub use perplexity::{PerplexityDifference, WindowLoss, perplexity, perplexity_difference};
pub use proportion::{above_chance, cohens_h, newcombe, newcombe_paired, wilson};
pub use rank::{RankCorrelation, rank_correlation};

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

/// An estimate with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How often such intervals hold the true value: 0.95.
    pub level: f64,
}

impl Interval {
    /// Whether 0 lies outside.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// What can go wrong with statistics.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to average.
    #[error("{what}: no items; statistics need at least one")]
    Empty {
        /// What was to be computed.
        what: &'static str,
    },
    /// A value that is not finite, or an outcome that overflows.
    #[error("{what}: item {index} is {value}, not a finite number")]
    NotFinite {
        /// What was to be computed.
        what: &'static str,
        /// The item, from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// Arms that do not have the same items.
    #[error("{what}: {left} items against {right}; both sides must have the same ones")]
    Lengths {
        /// What was to be computed.
        what: &'static str,
        /// How many one side has.
        left: usize,
        /// How many the other side has.
        right: usize,
    },
    /// An argument out of its range.
    #[error("{what}: {why}")]
    Argument {
        /// What was to be computed.
        what: &'static str,
        /// What is wrong, and what to do.
        why: String,
    },
}

/// The standard normal's two-sided quantile: 1.96 for a level of 0.95.
fn z(what: &'static str, level: f64) -> Result<f64, Error> {
    check_level(what, level)?;
    Ok(Normal::standard().inverse_cdf(0.5 + level / 2.0))
}

fn check_level(what: &'static str, level: f64) -> Result<(), Error> {
    if level > 0.0 && level < 1.0 {
        return Ok(());
    }
    Err(Error::Argument { what, why: format!("the level is {level}; it must lie between 0 and 1") })
}

fn check_values(what: &'static str, values: &[f64]) -> Result<(), Error> {
    if values.is_empty() {
        return Err(Error::Empty { what });
    }
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(Error::NotFinite { what, index, value: values[index] }),
        None => Ok(()),
    }
}

fn check_same(what: &'static str, left: usize, right: usize) -> Result<(), Error> {
    if left == right { Ok(()) } else { Err(Error::Lengths { what, left, right }) }
}

#[cfg(test)]
mod tests;
