//! Tokens cut into windows.

use std::ops::Range;

use super::{Bos, Tail, Windows};
use crate::{Error, Result};

/// One window of a text's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Window {
    /// The token that stands first, if one was added.
    pub bos: Option<u32>,
    /// The tokens of the text that follow it.
    pub text: Range<usize>,
    /// The positions of the window whose tokens count, a BOS being position 0. Never empty, and
    /// never begins at 0: nothing predicts the first token.
    pub scored: Range<usize>,
}

impl Window {
    /// How many tokens the window has.
    #[must_use]
    pub fn length(&self) -> usize {
        self.text.len() + usize::from(self.bos.is_some())
    }

    /// The window's tokens; `tokens` are those that were planned.
    ///
    /// # Errors
    /// [`Error::Options`] if `tokens` are other, fewer ones.
    pub fn ids(&self, tokens: &[u32]) -> Result<Vec<u32>> {
        match tokens.get(self.text.clone()) {
            Some(text) => Ok(self.bos.iter().chain(text).copied().collect()),
            None => Err(failed(format!(
                "the window ends at token {}, but the text has {}",
                self.text.end,
                tokens.len()
            ))),
        }
    }
}

impl Windows {
    /// Cuts the tokens of a text, encoded without special tokens. `bos` is the tokenizer's BOS; a
    /// rule without one does not use it.
    ///
    /// # Errors
    /// [`Error::Options`] for a rule that cannot be kept (a length below 2, a stride that is 0 or
    /// leaves gaps, a BOS that the tokenizer lacks), and for a text too short for one window.
    pub fn plan(&self, tokens: &[u32], bos: Option<u32>) -> Result<Vec<Window>> {
        let shape = self.shape(bos)?;
        let mut windows = Vec::new();
        // Places count the tokens of the text and, at 0, a BOS that stands before it.
        let total = tokens.len() + shape.before;
        let (mut begin, mut covered) = (0, 0);
        while begin < total && self.limit.is_none_or(|limit| windows.len() < limit) {
            let end = total.min(begin + shape.room);
            if end - begin < shape.room && self.tail == Tail::Drop {
                break;
            }
            let first = covered.max(begin) - begin + shape.each;
            let scored = first.max(1)..end - begin + shape.each;
            if !scored.is_empty() {
                windows.push(Window {
                    bos: bos.filter(|_| shape.each == 1 || (shape.before == 1 && begin == 0)),
                    text: begin.saturating_sub(shape.before)..end - shape.before,
                    scored,
                });
            }
            covered = end;
            if end == total {
                break;
            }
            begin += shape.step;
        }
        if windows.is_empty() {
            return Err(failed(self.too_short(tokens.len())));
        }
        Ok(windows)
    }

    fn shape(&self, bos: Option<u32>) -> Result<Shape> {
        if self.bos != Bos::None && bos.is_none() {
            return Err(failed(
                "the rule wants a BOS, but the tokenizer has none; take one without",
            ));
        }
        if self.length < 2 {
            let what =
                format!("a window of {} tokens has nothing to score; take 2 or more", self.length);
            return Err(failed(what));
        }
        if self.limit == Some(0) {
            return Err(failed("at most 0 windows; take 1 or more"));
        }
        let (each, before) = match self.bos {
            Bos::None => (0, 0),
            Bos::Text => (0, 1),
            Bos::Window | Bos::WindowDropLast => (1, 0),
        };
        let room = self.length - each;
        let step = match (self.stride, self.bos) {
            (None, Bos::WindowDropLast) => self.length,
            (None, _) => room,
            (Some(_), Bos::WindowDropLast) => {
                return Err(failed(
                    "a stride and a BOS in the place of the last token exclude each other",
                ));
            }
            (Some(stride), _) if (1..=room).contains(&stride) => stride,
            (Some(stride), _) => {
                return Err(failed(format!("a stride of {stride}; take one from 1 to {room}")));
            }
        };
        Ok(Shape { each, before, room, step })
    }

    fn too_short(&self, tokens: usize) -> String {
        let has = format!("the text has {tokens} token{}", if tokens == 1 { "" } else { "s" });
        match self.tail {
            Tail::Drop => format!(
                "{has}, too few for one window of {}; take shorter windows, or keep a short one",
                self.length
            ),
            Tail::Keep => format!("{has}, too few to score one"),
        }
    }
}

/// What a rule comes to.
struct Shape {
    /// 1 if every window has a BOS.
    each: usize,
    /// 1 if a BOS stands before the text.
    before: usize,
    /// Tokens that a window takes from the text, with the BOS before it.
    room: usize,
    /// Tokens from window to window.
    step: usize,
}

fn failed(what: impl Into<String>) -> Error {
    Error::Options { task: "windows".to_owned(), what: what.into() }
}

#[cfg(test)]
mod tests;
