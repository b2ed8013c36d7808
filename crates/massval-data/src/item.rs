//! One question with its answer.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{Encode, Error, Result, token_span};

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

    /// Sets `evidence_tokens`: the tokens of the prompt, encoded without special tokens, that hold
    /// the evidence. An item without evidence stays without.
    ///
    /// # Errors
    /// What the tokenizer says; [`Error::Tokenizer`] if none of its tokens holds the evidence.
    pub fn locate(&mut self, tokenizer: &dyn Encode) -> Result<()> {
        let Some(bytes) = self.evidence.clone() else {
            self.evidence_tokens = None;
            return Ok(());
        };
        let tokens = tokenizer.encode(&self.prompt, false)?;
        let span = token_span(&tokens, bytes.clone()).ok_or_else(|| Error::Tokenizer {
            what: format!(
                "no token of item {} holds its evidence, bytes {} to {} of {}",
                self.id,
                bytes.start,
                bytes.end,
                self.prompt.len()
            ),
        })?;
        self.evidence_tokens = Some(span);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Token;

    /// A token per word, the blank before it included; one special token in front if asked.
    struct Words;

    impl Encode for Words {
        fn encode(&self, text: &str, special: bool) -> Result<Vec<Token>> {
            let mut tokens = Vec::new();
            if special {
                tokens.push(Token { id: 0, bytes: 0..0 });
            }
            let mut start = 0;
            for word in text.split_inclusive(' ') {
                tokens.push(Token { id: 1, bytes: start..start + word.len() });
                start += word.len();
            }
            Ok(tokens)
        }

        fn identity(&self) -> String {
            "words".to_owned()
        }
    }

    fn item(evidence: Option<Range<usize>>) -> Item {
        let gold = Gold::Text { answers: vec!["four".to_owned()] };
        let mut item = Item::new(0, "test/0", "one two three", gold);
        item.evidence = evidence;
        item
    }

    #[test]
    fn evidence_is_found_without_special_tokens() {
        let mut item = item(Some(4..13));
        item.locate(&Words).unwrap();
        assert_eq!(item.evidence_tokens, Some(1..3));
    }

    #[test]
    fn no_evidence_no_tokens() {
        let mut item = item(None);
        item.evidence_tokens = Some(0..1);
        item.locate(&Words).unwrap();
        assert_eq!(item.evidence_tokens, None);
    }

    #[test]
    fn evidence_outside_the_prompt_is_an_error() {
        let mut item = item(Some(13..20));
        let error = item.locate(&Words).unwrap_err().to_string();
        assert_eq!(
            error,
            "tokenizer: no token of item test/0 holds its evidence, bytes 13 to 20 of 13"
        );
    }
}
