//! Tokenizers for the tests.

use crate::{Encode, Result, Token};

/// One token per byte, none special.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes;

impl Encode for Bytes {
    fn encode(&self, text: &str, _special: bool) -> Result<Vec<Token>> {
        let token = |(at, byte)| Token { id: u32::from(byte), bytes: at..at + 1 };
        Ok(text.bytes().enumerate().map(token).collect())
    }

    fn identity(&self) -> String {
        "bytes".to_owned()
    }
}

/// One token per word, with the space before it, and one per other character; so many special
/// tokens before them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    pub(super) special: usize,
}

impl Encode for Words {
    fn encode(&self, text: &str, special: bool) -> Result<Vec<Token>> {
        let count = if special { self.special } else { 0 };
        let mut tokens = vec![Token { id: 0, bytes: 0..0 }; count];
        let mut start = 0;
        let mut chars = text.char_indices().peekable();
        while let Some((at, char)) = chars.next() {
            let end = at + char.len_utf8();
            let inside = char.is_alphanumeric() || char == ' ';
            if inside && chars.peek().is_some_and(|(_, next)| next.is_alphanumeric()) {
                continue;
            }
            tokens.push(Token { id: 1, bytes: start..end });
            start = end;
        }
        Ok(tokens)
    }

    fn identity(&self) -> String {
        "words".to_owned()
    }
}
