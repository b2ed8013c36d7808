//! Whether an answer is right.
//!
//! Every answer is judged twice. [`Scores::reference`] repeats what the scripts of *Massive Values
//! in Self-Attention Modules* do, wrong verdicts included, so that their tables can be compared
//! with; [`Scores::strict`] reads the answer as a person would, within simple rules that are
//! written at [`strict`]. Tasks that the paper does not have get the strict verdict alone.
//!
//! [`Metric`] offers the usual scorers by name, [`choose`] compares alternatives by likelihood, and
//! [`decided`] tells when a generation can stop early.
//!
//! ```
//! use massval_data::Gold;
//! use massval_eval::score::{ReferenceRule, score};
//!
//! let gold = Gold::Truth { truth: false };
//! let scores = score(&gold, "No, that is incorrect.", Some(ReferenceRule::CheckSentence))?;
//! assert!(scores.strict.is_right());
//! // "incorrect" holds "correct".
//! assert_eq!(scores.reference.unwrap().extracted.as_deref(), Some("True"));
//! # Ok::<(), massval_eval::score::Error>(())
//! ```

mod choice;
mod early;
mod metric;
mod number;
mod reference;
pub mod strict;
mod words;

pub use choice::{ChoiceScore, ChoiceScores, Pick, choose};
pub use early::decided;
pub use metric::Metric;
pub use reference::ReferenceRule;

use massval_data::Gold;
use serde::{Deserialize, Serialize};

/// What one rule says of one answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verdict {
    /// From 0 (wrong) to 1 (right). Only [`Metric::F1`] gives values between.
    pub score: f64,
    /// What the rule read as the answer; absent if it found none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extracted: Option<String>,
}

impl Verdict {
    pub(crate) fn new(right: bool, extracted: Option<String>) -> Self {
        Self { score: f64::from(u8::from(right)), extracted }
    }

    /// Whether the answer is right in full.
    pub fn is_right(&self) -> bool {
        self.score >= 1.0
    }
}

/// All verdicts on one answer; what a results file stores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Scores {
    /// By the rule of the reference; absent for tasks that it does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Verdict>,
    /// By the rules of [`strict`]. In a conflict: whether the answer is the context's.
    pub strict: Verdict,
    /// In a conflict: whether the answer is what the weights should hold. Right and wrong are not
    /// each other's complement, as an answer can be neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Verdict>,
    /// For lists: F1 of the listed items against the wanted ones, whatever their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f1: Option<f64>,
}

/// What can go wrong with scoring. A wrong answer is no error.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rule met a kind of answer that it cannot judge.
    #[error(
        "scoring: the rule `{rule}` judges {wants}, but the right answer is {kind}; choose the rule by the task"
    )]
    Rule {
        /// The rule.
        rule: &'static str,
        /// What it judges.
        wants: &'static str,
        /// What it met.
        kind: &'static str,
    },
    /// The right answer itself is not usable.
    #[error("scoring: {what}")]
    Gold {
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// A scorer that does not exist.
    #[error("no scorer is called {name:?}; there are {known}")]
    Metric {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Likelihoods that cannot be compared.
    #[error("comparing alternatives: {what}")]
    Choice {
        /// What is wrong with them, and what to do.
        what: String,
    },
}

/// Judges an answer.
///
/// `answer` is the generated text alone, without the prompt and special tokens. `rule` is the
/// reference's for the task, if it has the task.
///
/// # Errors
/// [`Error::Rule`] if the rule is not made for this kind of right answer, [`Error::Gold`] if the
/// right answer is empty or not what its kind says.
pub fn score(gold: &Gold, answer: &str, rule: Option<ReferenceRule>) -> Result<Scores, Error> {
    let reference = rule.map(|rule| rule.judge(gold, answer)).transpose()?;
    let mut scores =
        Scores { reference, strict: Verdict::new(false, None), memory: None, f1: None };
    scores.strict = match gold {
        Gold::Text { answers } => strict::text(answers, answer)?,
        Gold::Digits { digits } => strict::digits(digits, answer)?,
        Gold::Number { number } => strict::number(number, answer)?,
        Gold::Option { letter, text } => strict::option(*letter, text, answer)?,
        Gold::Truth { truth } => strict::truth(*truth, answer),
        Gold::Sentiment { positive } => strict::sentiment(*positive, answer),
        Gold::List { items } => {
            let list = strict::list(items, answer)?;
            scores.f1 = Some(list.f1);
            list.in_order
        }
        Gold::Conflict { context, memory } => {
            scores.memory = Some(strict::text(memory, answer)?);
            strict::text(context, answer)?
        }
        other => {
            return Err(Error::Gold { what: format!("no rule for a right answer like {other:?}") });
        }
    };
    Ok(scores)
}

/// The kind of a right answer, in words.
pub(crate) fn kind(gold: &Gold) -> &'static str {
    match gold {
        Gold::Text { .. } => "a text",
        Gold::Digits { .. } => "a run of digits",
        Gold::Number { .. } => "a number",
        Gold::Option { .. } => "an option",
        Gold::Truth { .. } => "yes or no",
        Gold::Sentiment { .. } => "positive or negative",
        Gold::List { .. } => "a list",
        Gold::Conflict { .. } => "a conflict",
        _ => "of a kind unknown here",
    }
}

#[cfg(test)]
mod tests;
