//! What a generator has to know of a tokenizer.

use std::ops::Range;
use std::sync::Arc;

use crate::Result;

/// One token of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// The bytes of the text that it stands for; empty for a special token that was added.
    pub bytes: Range<usize>,
}

/// A tokenizer, as far as generators need one. The models' tokenizers are lent through it.
pub trait Encode: Send + Sync {
    /// The tokens of `text`; with the special tokens that the model adds if `special`.
    ///
    /// # Errors
    /// [`Error::Tokenizer`](crate::Error::Tokenizer) with the tokenizer's own message.
    fn encode(&self, text: &str, special: bool) -> Result<Vec<Token>>;

    /// What identifies the tokenizer in a result: a hash, or a name.
    fn identity(&self) -> String;
}

impl<E: Encode + ?Sized> Encode for &E {
    fn encode(&self, text: &str, special: bool) -> Result<Vec<Token>> {
        (**self).encode(text, special)
    }

    fn identity(&self) -> String {
        (**self).identity()
    }
}

impl<E: Encode + ?Sized> Encode for Arc<E> {
    fn encode(&self, text: &str, special: bool) -> Result<Vec<Token>> {
        (**self).encode(text, special)
    }

    fn identity(&self) -> String {
        (**self).identity()
    }
}

/// The tokens that hold any of `bytes`; `None` if no token does.
///
/// ```
/// use massval_data::{Token, token_span};
/// let token = |id, bytes| Token { id, bytes };
/// let tokens = [token(0, 0..0), token(5, 0..3), token(6, 3..4), token(7, 4..8)];
/// assert_eq!(token_span(&tokens, 3..6), Some(2..4));
/// assert_eq!(token_span(&tokens, 8..9), None);
/// ```
#[must_use]
pub fn token_span(tokens: &[Token], bytes: Range<usize>) -> Option<Range<usize>> {
    let holds = |token: &Token| token.bytes.start < bytes.end && bytes.start < token.bytes.end;
    let first = tokens.iter().position(holds)?;
    let last = tokens.iter().rposition(holds)?;
    Some(first..last + 1)
}
