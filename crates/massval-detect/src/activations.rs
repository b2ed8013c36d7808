//! Massive activations: single entries of the residual stream that dwarf the rest of their layer.
//!
//! Source: *A Refined Analysis of Massive Activations*, equation 1 and its two tests. The median is the
//! lower one of an even count, as PyTorch's. A [`SequenceRecord`] holds what one sequence shows at one
//! layer; three things make it: [`locate`] with the exact median, [`SequenceStream`] with a streaming one
//! for sequences that arrive in chunks, and `tensor::locate_tensor` on a device. An
//! [`ActivationAccumulator`] adds the records of many sequences up.
//!
//! ```
//! use massval_detect::TokenSelection;
//! use massval_detect::activations::{ActivationAccumulator, HiddenView, MassiveActivationRule, locate};
//!
//! // Three tokens of four channels; channel 2 of the first token is massive.
//! let mut hidden = vec![0.1f32; 12];
//! hidden[2] = -250.0;
//! let rule = MassiveActivationRule::default();
//! let mut layer = ActivationAccumulator::new(rule);
//! for record in locate(&HiddenView::new(&hidden, [1, 3, 4])?, &TokenSelection::all(), rule)? {
//!     layer.record(&record);
//! }
//! let summary = layer.finish(5)?;
//! assert!(summary.exists);
//! assert_eq!((summary.channels[0].channel, summary.channels[0].start.map(|s| s.mean)), (2, Some(-250.0)));
//! # Ok::<(), massval_detect::Error>(())
//! ```

mod median;
mod scan;
mod stream;
mod totals;

use serde::{Deserialize, Serialize};

pub use median::{MedianSketch, exact_median};
#[cfg(feature = "burn")]
pub(crate) use scan::start_columns;
pub use scan::{HiddenView, locate};
pub use stream::SequenceStream;
pub use totals::{ActivationAccumulator, ActivationSummary, ChannelHits, SignedMean, TokenHits};

use crate::Result;
use crate::error::positive;

/// When an activation counts as massive: large by itself, and large against the layer's median.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MassiveActivationRule {
    /// The least absolute value, exclusive; 100 in the paper.
    pub abs: f64,
    /// The least multiple of the median absolute value; 1000 in the paper.
    pub ratio: f64,
}

impl Default for MassiveActivationRule {
    fn default() -> Self {
        Self { abs: 100.0, ratio: 1000.0 }
    }
}

impl MassiveActivationRule {
    /// The rule, if its numbers make sense.
    ///
    /// # Errors
    /// [`crate::Error::Parameter`] if one of them is not finite or not above 0.
    pub fn validate(self) -> Result<Self> {
        positive("abs", self.abs)?;
        positive("ratio", self.ratio)?;
        Ok(self)
    }

    /// The existence test, on means over sequences: `max > abs` and `max >= ratio * median`.
    pub fn exists(&self, mean_max: f64, mean_median: f64) -> bool {
        mean_max > self.abs && mean_max >= self.ratio * mean_median
    }

    /// The location test, within one sequence: `|value| > abs` and `|value| > ratio * median`.
    pub fn hits(&self, value: f32, median: f32) -> bool {
        let value = f64::from(value).abs();
        value > self.abs && value > self.ratio * f64::from(median)
    }
}

/// A massive activation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hit {
    /// The token's position in its sequence, from 0, padding included.
    pub token: usize,
    /// The channel of the residual stream, from 0.
    pub channel: usize,
    /// The signed activation.
    pub value: f32,
    /// Whether the token is the first real one of its sequence.
    pub start: bool,
}

/// What one sequence shows at one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceRecord {
    /// Tokens that were looked at.
    pub tokens: u64,
    /// The largest absolute value.
    pub max: f32,
    /// The median absolute value over these tokens and all channels.
    pub median: f32,
    /// The massive activations by token, then by channel.
    pub hits: Vec<Hit>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_tests_differ_at_the_border() {
        let rule = MassiveActivationRule::default();
        assert!(rule.exists(200.0, 0.2), "existence counts equality");
        assert!(!rule.hits(-200.0, 0.2), "200 is not more than 1000 x 0.2 (rounded up in f32)");
        assert!(!rule.exists(100.0, 0.0) && !rule.hits(100.0, 0.0), "abs is exclusive in both");
        assert!(rule.exists(100.1, 0.0) && rule.hits(-100.1, 0.0));
        assert!(rule.hits(250.0, 0.125) && !rule.hits(125.0, 0.125));
    }

    #[test]
    fn senseless_rules_are_refused() {
        assert!(MassiveActivationRule { abs: -1.0, ratio: 1000.0 }.validate().is_err());
        assert!(MassiveActivationRule { abs: 100.0, ratio: f64::NAN }.validate().is_err());
        assert!(MassiveActivationRule::default().validate().is_ok());
    }
}
