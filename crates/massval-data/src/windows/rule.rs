//! A rule for windows, as a value.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A rule for windows of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Windows {
    /// Tokens of a window, a BOS included; at least 2.
    pub length: usize,
    /// Tokens from one window's beginning to the next one's; absent for windows side by side. From 1
    /// to `length`, less one where every window has a BOS. Tokens that a window shares with the one
    /// before are read again, but count once, as in Hugging Face's guide to perplexity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// Where a BOS stands.
    pub bos: Bos,
    /// What becomes of a last window that the text does not fill.
    pub tail: Tail,
    /// At most so many windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Which documents are joined.
    pub documents: Pick,
    /// What stands between two documents.
    pub join: String,
}

/// Where a BOS stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Bos {
    /// Nowhere; the first token of a text is then never scored.
    None,
    /// Before the text: the first window has one, the others none (the locuslab code on C4 and
    /// PG-19, whose tokenizer adds it).
    Text,
    /// First in every window, which then holds one token of the text less.
    Window,
    /// First in every window *in the place of its last token* (the bluorion code): that token is
    /// neither read nor scored, in no window. Kept for their numbers; [`Bos::Window`] loses none.
    WindowDropLast,
}

/// What becomes of a last window that the text does not fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Tail {
    /// It is left out, as in the papers.
    Drop,
    /// It is kept, if it has something to score.
    Keep,
}

/// Which documents of a file are joined, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pick {
    /// All of them.
    All,
    /// The first so many; fewer if there are fewer.
    First(usize),
    /// Some, drawn at random without repetition.
    Random {
        /// How many; fewer if there are fewer.
        count: usize,
        /// The seed (ChaCha; not the draws of numpy's generator with the same seed).
        seed: u64,
    },
}

impl Windows {
    /// Windows of `length` tokens side by side, without BOS, a short last one left out, of all
    /// documents joined by blank lines.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self {
            length,
            stride: None,
            bos: Bos::None,
            tail: Tail::Drop,
            limit: None,
            documents: Pick::All,
            join: "\n\n".to_owned(),
        }
    }

    /// Windows that overlap, one every `stride` tokens, the last one as short as it may be: every
    /// token of the text but the first is scored, once.
    #[must_use]
    pub fn sliding(length: usize, stride: usize) -> Self {
        Self { stride: Some(stride), tail: Tail::Keep, ..Self::new(length) }
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "windows of {} tokens, ", self.length)?;
        match self.stride {
            Some(stride) => write!(f, "one every {stride}, ")?,
            None => f.write_str("side by side, ")?,
        }
        f.write_str(match self.bos {
            Bos::None => "no BOS, ",
            Bos::Text => "a BOS before the text, ",
            Bos::Window => "a BOS first in each, ",
            Bos::WindowDropLast => "a BOS first in each in the place of its last token, ",
        })?;
        f.write_str(match self.tail {
            Tail::Drop => "a short last one left out",
            Tail::Keep => "a short last one kept",
        })?;
        if let Some(limit) = self.limit {
            write!(f, ", at most {limit}")?;
        }
        match self.documents {
            Pick::All => f.write_str("; all documents")?,
            Pick::First(count) => write!(f, "; the first {count} documents")?,
            Pick::Random { count, seed } => {
                write!(f, "; {count} documents drawn with seed {seed}")?;
            }
        }
        write!(f, ", joined by {:?}", self.join)
    }
}
