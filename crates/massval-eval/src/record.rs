//! What one arm made of one item.

use std::ops::Range;

use massval_disrupt::SiteTally;
use serde::{Deserialize, Serialize};

use crate::KvTally;
use crate::score::{ChoiceScore, ChoiceScores, Scores};

/// What one arm made of one item: a line of `items.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The task.
    pub task: String,
    /// The arm.
    pub arm: String,
    /// The item's place in its set.
    pub index: usize,
    /// The item's name.
    pub id: String,
    /// Items with the same value belong together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<usize>,
    /// Tokens of the prompt, as the model read it.
    pub prompt_tokens: usize,
    /// Those of them that hold the evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Range<usize>>,
    /// The answer that was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Whether it is right, by every rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
    /// Likelihoods of the alternatives, in the item's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<ChoiceScore>,
    /// Which of them won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picks: Option<ChoiceScores>,
    /// KL divergence of the prediction after the prompt from the undisturbed model's, nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl: Option<f64>,
    /// Whether the likeliest next token is the undisturbed model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_top: Option<bool>,
    /// What the intervention did; for the first item of a batch, and then for all of the batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tally: Vec<SiteTally>,
    /// What rounding the cache did; for the first item of a batch, and then for all of the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv: Option<KvTally>,
}

/// An answer that was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Its text.
    pub text: String,
    /// Its tokens, without the one that ended it.
    pub tokens: usize,
    /// Why it ended.
    pub end: End,
    /// Sum of the negative log-probabilities of its tokens but the first, read as a text of its own, without
    /// the prompt, under the same intervention: what the reference's perplexity is made of. Absent if it was
    /// not asked for, or the answer has fewer than two tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_nll: Option<f64>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum End {
    /// The model said so.
    Stop,
    /// It has all the tokens that it may have.
    Length,
    /// Nothing that could follow would change a score.
    Decided,
}
