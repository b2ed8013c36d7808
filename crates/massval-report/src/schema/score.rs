//! What was measured on the items of a task: accuracy with its interval, and measures beside it.

use serde::{Deserialize, Serialize};

use super::Interval;
use crate::error::{Error, Result};

/// Items that were right, with the interval of their share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Items.
    pub n: usize,
    /// Items that were right.
    pub correct: usize,
    /// `correct / n`.
    pub accuracy: f64,
    /// Wilson interval of the accuracy.
    pub interval: Interval,
}

/// Measures beside the accuracy; what was not measured is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CellMetrics {
    /// Accuracy by the reference's own scorer, its known wrong verdicts included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Score>,
    /// Mean of the log-likelihood of the right answer less that of the best wrong one, nats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin_nats: Option<f64>,
    /// Perplexity, with what it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<DefinedPerplexity>,
    /// Share of distinct n-grams in the answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diversity: Option<Diversity>,
    /// Mean KL divergence from the undisturbed model's next-token distribution, nats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kl_nats: Option<f64>,
    /// Share of positions whose likeliest token is the undisturbed model's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top1_agreement: Option<f64>,
}

/// A perplexity that says what it is the perplexity of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefinedPerplexity {
    /// The perplexity.
    pub value: f64,
    /// Bootstrap interval over the items; absent where they are too few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Of which tokens, given what, under which model, averaged how: a sentence.
    pub definition: String,
}

/// How varied answers are: distinct n-grams over all n-grams.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diversity {
    /// Length of the n-grams.
    pub n_gram: usize,
    /// Mean over the answers, between 0 and 1.
    pub value: f64,
    /// Bootstrap interval over the answers; absent where they are too few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

impl Score {
    /// `correct` of `n` items, with the `interval` of their share.
    ///
    /// # Errors
    /// There is no item, or more right ones than items.
    ///
    /// ```
    /// use massval_report::schema::{Interval, Score};
    ///
    /// let score = Score::new(23, 25, Interval { low: 0.75, high: 0.98 })?;
    /// assert_eq!(score.accuracy, 0.92);
    /// # Ok::<(), massval_report::Error>(())
    /// ```
    pub fn new(correct: usize, n: usize, interval: Interval) -> Result<Self> {
        if n == 0 || correct > n {
            return Err(Error::field("score.correct", format!("is {correct} of {n} items")));
        }
        Ok(Self { n, correct, accuracy: correct as f64 / n as f64, interval })
    }
}

impl CellMetrics {
    /// Whether nothing was measured beside the accuracy.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
