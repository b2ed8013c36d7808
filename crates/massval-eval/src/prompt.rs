//! From an item to the tokens that a model reads, and where in them the evidence is.

use std::ops::Range;

use massval_data::{Encode, Item, Token, token_span};
use massval_models::tokenizer::{ChatOptions, Message, SpecialTokens, Tokenizer};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A model's tokenizer, lent to generators.
pub struct ModelTokens<'t> {
    tokenizer: &'t Tokenizer,
    identity: String,
}

impl<'t> ModelTokens<'t> {
    /// `identity` names the tokenizer in results: a hash, or the model's name.
    #[must_use]
    pub fn new(tokenizer: &'t Tokenizer, identity: impl Into<String>) -> Self {
        Self { tokenizer, identity: identity.into() }
    }
}

impl Encode for ModelTokens<'_> {
    fn encode(&self, text: &str, special: bool) -> massval_data::Result<Vec<Token>> {
        let special = if special { SpecialTokens::AsModel } else { SpecialTokens::None };
        let tokens = self
            .tokenizer
            .encode_with_bytes(text, special)
            .map_err(|error| massval_data::Error::Tokenizer { what: error.to_string() })?;
        Ok(tokens.into_iter().map(|(id, bytes)| Token { id, bytes }).collect())
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }
}

/// How an item's prompt is put to the model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// As a user's message in the model's chat template; else as plain text.
    #[serde(default)]
    pub chat: bool,
    /// A system message before it; only with a chat template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
}

/// An item as a model reads it.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) item: Item,
    pub(crate) tokens: Vec<u32>,
    /// The tokens that hold the evidence.
    pub(crate) evidence: Option<Range<usize>>,
    /// Continuations of the prompt, one for each choice.
    pub(crate) choices: Vec<Vec<u32>>,
}

impl Form {
    /// Tokens of `item` and of its choices.
    pub(crate) fn prepare(&self, tokenizer: &Tokenizer, item: Item) -> Result<Prepared> {
        let encoder = ModelTokens::new(tokenizer, "");
        let text = self.text(tokenizer, &item)?;
        let tokens = encoder.encode(&text, !self.chat)?;
        if tokens.is_empty() {
            return Err(Error::task(&item.id, "the prompt has no tokens"));
        }
        let evidence = match &item.evidence {
            None => None,
            Some(bytes) => {
                // In a chat template the prompt stands somewhere inside.
                let start = text.find(&item.prompt).ok_or_else(|| {
                    Error::task(
                        &item.id,
                        "the chat template changes the prompt's text, so its evidence is lost",
                    )
                })?;
                token_span(&tokens, start + bytes.start..start + bytes.end)
            }
        };
        let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
        let choices = item
            .choices
            .iter()
            .map(|choice| continuation(&encoder, &text, &ids, &choice.text, !self.chat))
            .collect::<Result<_>>()?;
        Ok(Prepared { item, tokens: ids, evidence, choices })
    }

    fn text(&self, tokenizer: &Tokenizer, item: &Item) -> Result<String> {
        if !self.chat {
            return match &self.system {
                None => Ok(item.prompt.clone()),
                Some(_) => Err(Error::options("a system message needs the chat template (--chat)")),
            };
        }
        let mut messages = Vec::new();
        messages.extend(self.system.as_deref().map(Message::system));
        messages.push(Message::user(item.prompt.as_str()));
        let options = ChatOptions { add_generation_prompt: true, ..ChatOptions::default() };
        Ok(tokenizer.apply_chat_with(&messages, &options)?)
    }
}

/// The tokens that `choice` adds to a prompt: those of the joint text past the prompt's, or its own where
/// the tokenizer joins the two across their border.
fn continuation(
    encoder: &ModelTokens<'_>,
    text: &str,
    prompt: &[u32],
    choice: &str,
    special: bool,
) -> Result<Vec<u32>> {
    let ids = |tokens: Vec<Token>| tokens.into_iter().map(|token| token.id).collect::<Vec<_>>();
    let joint = ids(encoder.encode(&format!("{text}{choice}"), special)?);
    let added = match joint.strip_prefix(prompt) {
        Some(rest) => rest.to_vec(),
        None => ids(encoder.encode(choice, false)?),
    };
    if added.is_empty() {
        return Err(Error::options(format!("the alternative {choice:?} has no tokens")));
    }
    Ok(added)
}
