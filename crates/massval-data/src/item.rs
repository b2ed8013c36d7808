//! One question with its answer.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// One question with its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Item {
    /// Its place in its set, from 0.
    pub index: usize,
    /// A name that no other item of any set has: `passkey/178/0`.
    pub id: String,
    /// All that the model reads, question included. The answer follows it directly.
    pub prompt: String,
    /// The bytes of `prompt` that hold the evidence; absent where the prompt has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Range<usize>>,
    /// The tokens of `prompt` that hold the evidence, where a tokenizer was at hand. Counted
    /// without special tokens and without a chat template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_tokens: Option<Range<usize>>,
    /// What a right answer is.
    pub gold: Gold,
    /// Alternatives whose likelihoods can be compared; the first is a right one. May be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// Items with the same value belong together: a true statement and its false twin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<usize>,
}

/// What a right answer is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Gold {
    /// A text; any of its spellings will do, the first is the usual one.
    Text {
        /// The spellings, at least one.
        answers: Vec<String>,
    },
    /// A run of digits, leading zeros and all: a pass key.
    Digits {
        /// The digits.
        digits: String,
    },
    /// A number, as text, so that 18.0 and 18 stay what the set says.
    Number {
        /// The number.
        number: String,
    },
    /// One of several options.
    Option {
        /// Its letter.
        letter: char,
        /// Its text, without the letter.
        text: String,
    },
    /// Yes or no.
    Truth {
        /// Whether the right answer is yes.
        truth: bool,
    },
    /// A word for one of two moods: `positive` or `negative`.
    Sentiment {
        /// Whether it is positive.
        positive: bool,
    },
    /// Several texts, all of them wanted, in order.
    List {
        /// The texts.
        items: Vec<String>,
    },
    /// The context says one thing, the world another; both are scored.
    Conflict {
        /// The answer that the prompt gives.
        context: Vec<String>,
        /// The answer that the weights should hold.
        memory: Vec<String>,
    },
}

/// An alternative to compare by likelihood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Choice {
    /// What follows the prompt, with its leading space.
    pub text: String,
    /// What it stands for.
    pub role: Role,
}

impl Choice {
    /// An alternative.
    pub fn new(text: impl Into<String>, role: Role) -> Self {
        Self { text: text.into(), role }
    }
}

/// What an alternative stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// A right answer; in a conflict, the context's.
    Right,
    /// In a conflict, what the weights should hold.
    Memory,
    /// A wrong answer.
    Wrong,
}

impl Item {
    /// An item without evidence, choices and pair; set those fields afterwards.
    pub fn new(index: usize, id: impl Into<String>, prompt: impl Into<String>, gold: Gold) -> Self {
        Self {
            index,
            id: id.into(),
            prompt: prompt.into(),
            evidence: None,
            evidence_tokens: None,
            gold,
            choices: Vec::new(),
            pair: None,
        }
    }
}
