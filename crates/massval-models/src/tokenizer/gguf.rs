//! Tokenizers from the metadata of a GGUF file, rebuilt as transformers rebuilds them.
//!
//! A GGUF holds the vocabulary, merges or scores, and the ids of special tokens. How text is cut
//! before merging, it only names (`tokenizer.ggml.pre`); [`pre`] knows what the names mean.

mod byte_level;
mod metadata;
mod pre;
mod sentencepiece;
mod unigram;

use std::collections::HashMap;
use std::path::Path;

use tokenizers::AddedToken;

use super::Tokenizer;
use super::chat::ChatTemplate;
use super::special::{Edge, SpecialIds, set_edges};
use crate::{Error, Result};

/// SentencePiece's visible space.
const SPACE: char = '\u{2581}';

/// Longest token of a vocabulary, in bytes.
const MAX_TOKEN: usize = 2048;

/// What a GGUF file says about its tokenizer: the keys `tokenizer.ggml.*`, as written.
#[derive(Debug, Clone, Default)]
pub(super) struct GgufTokenizer {
    /// `general.architecture`
    pub(super) architecture: String,
    pub(super) model: String,
    pub(super) pre: Option<String>,
    pub(super) tokens: Vec<String>,
    pub(super) token_types: Vec<i32>,
    pub(super) merges: Vec<String>,
    pub(super) scores: Vec<f32>,
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
    /// End of turn and end of message, where they differ from EOS.
    pub(super) ends: Vec<u32>,
    pub(super) pad: Option<u32>,
    pub(super) unk: Option<u32>,
    pub(super) add_bos: Option<bool>,
    pub(super) add_eos: Option<bool>,
    pub(super) add_space_prefix: Option<bool>,
    /// SentencePiece's rules for rewriting characters, compiled.
    pub(super) charsmap: Vec<u8>,
    pub(super) chat_template: Option<String>,
}

/// `tokenizer.ggml.token_type`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenType {
    Plain,
    Control,
    UserDefined,
}

/// A vocabulary with nothing added yet, and whether text gets BOS and EOS where the file does not
/// say.
struct Built {
    inner: tokenizers::Tokenizer,
    add_bos: bool,
    add_eos: bool,
}

impl GgufTokenizer {
    pub(super) fn build(self, path: &Path) -> Result<Tokenizer> {
        let fail = |what: String| Error::Tokenizer { path: path.to_owned(), what };
        self.check_tokens().map_err(fail)?;
        let built = match self.model.as_str() {
            "gpt2" => byte_level::build(&self),
            "llama" => sentencepiece::build(&self),
            "t5" => unigram::build(&self),
            other => Err(format!(
                "tokenizer.ggml.model: {other:?} is not supported; known are \"gpt2\" (byte-level \
                 BPE), \"llama\" (SentencePiece BPE) and \"t5\" (SentencePiece unigram)"
            )),
        };
        let Built { mut inner, add_bos, add_eos } = built.map_err(fail)?;
        self.add_tokens(&mut inner).map_err(fail)?;

        let named = self.named().map_err(fail)?;
        let edge = |id: Option<u32>| -> Edge {
            id.and_then(|id| Some((self.tokens.get(id as usize)?.clone(), id)))
        };
        let bos = edge(self.bos).filter(|_| self.add_bos.unwrap_or(add_bos));
        let eos = edge(self.eos).filter(|_| self.add_eos.unwrap_or(add_eos));
        set_edges(&mut inner, bos, eos).map_err(fail)?;

        let mut ends: Vec<u32> = self.eos.into_iter().chain(self.ends.iter().copied()).collect();
        ends.dedup();
        let special = SpecialIds { bos: self.bos, eos: ends, pad: self.pad, unk: self.unk, named };
        let chat = self.chat_template.map(ChatTemplate::new);
        Tokenizer::assemble(inner, path.to_owned(), special, chat, false)
    }

    /// Neither kind of BPE was ever written with one.
    fn refuse_charsmap(&self) -> Result<(), String> {
        match self.charsmap.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "tokenizer.ggml.precompiled_charsmap: not supported with the model {:?}",
                self.model
            )),
        }
    }

    fn check_tokens(&self) -> Result<(), String> {
        if self.tokens.is_empty() {
            return Err("tokenizer.ggml.tokens: missing or empty".into());
        }
        for (name, len) in [("token_type", self.token_types.len()), ("scores", self.scores.len())] {
            if len != 0 && len != self.tokens.len() {
                return Err(format!(
                    "tokenizer.ggml.{name}: {len} entries for {} tokens",
                    self.tokens.len()
                ));
            }
        }
        let mut first = HashMap::with_capacity(self.tokens.len());
        for (i, token) in self.tokens.iter().enumerate() {
            if token.len() > MAX_TOKEN {
                return Err(format!(
                    "tokenizer.ggml.tokens[{i}]: {} bytes; the longest allowed has {MAX_TOKEN}",
                    token.len()
                ));
            }
            // Empty tokens fill gaps, and nothing can be encoded as one.
            if let Some(other) = first.insert(token.as_str(), i)
                && !token.is_empty()
            {
                return Err(format!(
                    "tokenizer.ggml.tokens: {token:?} is there twice, as {other} and {i}"
                ));
            }
        }
        for (i, kind) in self.token_types.iter().enumerate() {
            if !(0..=6).contains(kind) {
                return Err(format!("tokenizer.ggml.token_type[{i}]: {kind} is unknown"));
            }
        }
        Ok(())
    }

    fn token_type(&self, id: usize) -> TokenType {
        match self.token_types.get(id) {
            Some(3) => TokenType::Control,
            Some(4) => TokenType::UserDefined,
            _ => TokenType::Plain,
        }
    }

    /// Control and user-defined tokens, and those that the file names as BOS and so on, are found
    /// in the text before anything else is done to it.
    fn add_tokens(&self, inner: &mut tokenizers::Tokenizer) -> Result<(), String> {
        let named = [self.bos, self.eos, self.unk, self.pad];
        let tokens: Vec<AddedToken> = self
            .tokens
            .iter()
            .enumerate()
            .filter_map(|(id, token)| {
                let kind = self.token_type(id);
                let special = kind == TokenType::Control || named.contains(&Some(id as u32));
                (special || kind == TokenType::UserDefined)
                    .then(|| AddedToken::from(token.clone(), special).normalized(false))
            })
            // A token that the builder spelled differently is matched after normalization.
            .filter(|token| inner.token_to_id(&token.content).is_some())
            .collect();
        inner.add_tokens(tokens).map(|_| ()).map_err(|e| format!("tokenizer.ggml.token_type: {e}"))
    }

    /// The special tokens as a chat template sees them.
    fn named(&self) -> Result<Vec<(String, String)>, String> {
        let mut named = Vec::new();
        let ids = [
            ("bos_token", "bos", self.bos),
            ("eos_token", "eos", self.eos),
            ("unk_token", "unknown", self.unk),
            ("pad_token", "padding", self.pad),
        ];
        for (name, key, id) in ids {
            if let Some(id) = id {
                let token = self.token(&format!("{key}_token_id"), id)?;
                named.push((name.to_owned(), token.to_owned()));
            }
        }
        for id in &self.ends {
            self.token("eot_token_id or eom_token_id", *id)?;
        }
        Ok(named)
    }

    fn token(&self, key: &str, id: u32) -> Result<&str, String> {
        self.tokens.get(id as usize).map(String::as_str).ok_or_else(|| {
            format!("tokenizer.ggml.{key}: {id}, but there are {} tokens", self.tokens.len())
        })
    }

    /// The merges as pairs, each checked against the vocabulary.
    fn merge_pairs(&self, known: impl Fn(&str) -> bool) -> Result<Vec<(String, String)>, String> {
        self.merges
            .iter()
            .enumerate()
            .map(|(i, line)| {
                let at = |what: String| format!("tokenizer.ggml.merges[{i}]: {what}");
                let (a, b) = line
                    .split_once(' ')
                    .filter(|(_, b)| !b.contains(' '))
                    .ok_or_else(|| at(format!("{line:?} is not two tokens and a space")))?;
                super::check::merge_pair(a, b, "", &known).map_err(at)?;
                Ok((a.to_owned(), b.to_owned()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
