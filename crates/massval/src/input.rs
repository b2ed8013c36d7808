//! What a model is given to read: text, a prompt or token ids, and the record of it.

use std::path::PathBuf;

use massval_models::Model;
use massval_models::tokenizer::{ChatOptions, Message, SpecialTokens, read_text};
use massval_report::schema::{InputIdentity, InputSource};

use crate::provenance::sha256;
use crate::{Error, Result};

/// Where the tokens come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prompt {
    /// A text file, UTF-8.
    File(PathBuf),
    /// A text.
    Text(String),
    /// Token ids, as they are.
    Tokens(Vec<u32>),
}

/// How text becomes tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptOptions {
    /// Wrap the text as a user's message in the model's chat template, up to where the model's
    /// answer begins.
    pub chat: bool,
    /// Add the special tokens (BOS, EOS) that the model's tokenizer adds by itself.
    pub special_tokens: bool,
    /// Keep no more than this many tokens, the first ones.
    pub max_tokens: Option<usize>,
}

impl Default for PromptOptions {
    fn default() -> Self {
        Self { chat: false, special_tokens: true, max_tokens: None }
    }
}

/// Turns `prompt` into the tokens that `model` reads, with all that is needed to do so again.
///
/// # Errors
/// If the file cannot be read or is not UTF-8, the model has no tokenizer or no chat template, or
/// no token is left.
pub fn tokenize(model: &Model, prompt: &Prompt, options: &PromptOptions) -> Result<InputIdentity> {
    let (source, file, text) = match prompt {
        Prompt::File(path) => {
            (InputSource::Text, Some(path.display().to_string()), Some(read_text(path)?))
        }
        Prompt::Text(text) => (InputSource::Prompt, None, Some(text.clone())),
        Prompt::Tokens(_) => (InputSource::Tokens, None, None),
    };
    if options.chat && text.is_none() {
        return Err(Error::Input("a chat template needs text, not token ids".to_owned()));
    }
    let special_tokens = options.special_tokens && text.is_some() && !options.chat;
    let mut tokens = match (&text, prompt) {
        (Some(text), _) if options.chat => {
            let messages = [Message::user(text.as_str())];
            let options = ChatOptions { add_generation_prompt: true, ..ChatOptions::default() };
            model.tokenizer()?.encode_chat(&messages, &options)?
        }
        (Some(text), _) => {
            let special = if special_tokens { SpecialTokens::AsModel } else { SpecialTokens::None };
            model.tokenizer()?.encode(text, special)?
        }
        (None, Prompt::Tokens(ids)) => ids.clone(),
        (None, _) => Vec::new(),
    };
    if let Some(most) = options.max_tokens {
        tokens.truncate(most);
    }
    if tokens.is_empty() {
        let what = match &file {
            Some(file) => format!("{file}: the text has no tokens; give at least one"),
            None => "the prompt has no tokens; give at least one".to_owned(),
        };
        return Err(Error::Input(what));
    }
    let bytes = match &text {
        Some(text) => text.as_bytes().to_vec(),
        None => tokens.iter().flat_map(|id| id.to_le_bytes()).collect(),
    };
    let pieces = model.has_tokenizer().then(|| {
        let piece = |&id: &u32| model.tokenizer().map(|t| t.decode_one(id)).unwrap_or_default();
        tokens.iter().map(piece).collect()
    });
    let chat = options.chat;
    Ok(InputIdentity { source, file, sha256: sha256(&bytes), chat, special_tokens, tokens, pieces })
}
