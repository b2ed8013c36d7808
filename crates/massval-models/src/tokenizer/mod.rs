//! Text to token ids and back, exactly as transformers does it, with the model's special tokens,
//! its rule for BOS and EOS, and its chat template.
//!
//! A tokenizer comes from a Hugging Face folder ([`Tokenizer::from_folder`]) or from the metadata
//! of a GGUF file ([`Tokenizer::from_gguf`]). The work itself is done by the `tokenizers` crate;
//! this module decides what that crate is given, and checks it first, because that crate panics on
//! some malformed files.

mod chat;
mod check;
mod folder;
mod gguf;
mod guard;
mod special;
mod text;

use std::ops::Range;
use std::path::{Path, PathBuf};

pub use chat::{ChatDate, ChatOptions, Message};
pub use special::SpecialTokens;
pub use text::read_text;

use crate::weights::GgufMetadata;
use crate::{Error, Result};
use chat::ChatTemplate;
use special::SpecialIds;

/// A tokenizer with what belongs to it: special tokens, the BOS rule and the chat template.
///
/// ```no_run
/// use massval_models::tokenizer::{SpecialTokens, Tokenizer};
///
/// # fn main() -> massval_models::Result<()> {
/// let tokenizer = Tokenizer::from_folder("models/SmolLM2-135M-Instruct".as_ref())?;
/// let ids = tokenizer.encode("Hello world", SpecialTokens::AsModel)?;
/// assert_eq!(tokenizer.decode(&ids, true)?, "Hello world");
/// # Ok(())
/// # }
/// ```
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The file that errors name.
    path: PathBuf,
    special: SpecialIds,
    chat: Option<ChatTemplate>,
    /// Whether decoding drops spaces before punctuation (`clean_up_tokenization_spaces`).
    clean_up: bool,
    /// The highest id that encoding can give, padding aside, with its token.
    highest: (u32, String),
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("path", &self.path)
            .field("vocab_size", &self.vocab_size())
            .field("special", &self.special)
            .field("chat_template", &self.has_chat_template())
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads the tokenizer of a Hugging Face model folder.
    ///
    /// `tokenizer.json` is required and taken as written; as in transformers 5, its
    /// post-processor alone decides whether BOS or EOS is added, whatever `add_bos_token` in
    /// `tokenizer_config.json` says. Beside it, where present: `tokenizer_config.json` and
    /// `special_tokens_map.json` (special tokens, chat template), `chat_template.jinja`, and
    /// `generation_config.json` or `config.json` (which ids end a generation).
    ///
    /// # Errors
    /// A file that is missing, unreadable, malformed or contradicts another one.
    pub fn from_folder(dir: &Path) -> Result<Self> {
        folder::load(dir)
    }

    /// Rebuilds the tokenizer that the metadata of a GGUF file describes: byte-level BPE
    /// (`tokenizer.ggml.model` = `gpt2`) or SentencePiece with byte fallback (`llama`).
    ///
    /// As in transformers, no Unicode normalization is added that the file does not name. BOS is
    /// added as `tokenizer.ggml.add_bos_token` says; where the file is silent, as llama.cpp does.
    /// `path` is what errors name.
    ///
    /// # Errors
    /// A kind of tokenizer or a `tokenizer.ggml.pre` that is unknown, and metadata that is
    /// missing, malformed or contradictory.
    pub fn from_gguf(path: &Path, meta: &GgufMetadata) -> Result<Self> {
        gguf::GgufTokenizer::read(meta)?.build(path)
    }

    /// Token ids of `text`. Special tokens that are written out in the text become their ids, as
    /// in transformers.
    ///
    /// # Errors
    /// A text that the tokenizer has no way to represent, or cannot split.
    pub fn encode(&self, text: &str, special: SpecialTokens) -> Result<Vec<u32>> {
        let add = special == SpecialTokens::AsModel;
        guard::call(&self.path, "encoding", || self.inner.encode_fast(text, add))
            .map(|encoding| encoding.get_ids().to_vec())
    }

    /// Token ids of `text`, each with the bytes of `text` that it stands for; empty for a special token
    /// that was added. See [`Self::encode`].
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_with_bytes(
        &self,
        text: &str,
        special: SpecialTokens,
    ) -> Result<Vec<(u32, Range<usize>)>> {
        let add = special == SpecialTokens::AsModel;
        let encoding = guard::call(&self.path, "encoding", || self.inner.encode(text, add))?;
        let bytes = encoding.get_offsets().iter().map(|&(start, end)| start..end);
        Ok(encoding.get_ids().iter().copied().zip(bytes).collect())
    }

    /// The text of `ids`; without the special tokens if `skip_special`.
    ///
    /// Bytes that are not UTF-8 become U+FFFD. As in transformers, ids that no token has (the
    /// padding rows of an embedding) give no text; [`Self::token`] tells them apart.
    ///
    /// # Errors
    /// The decoder failed.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        let text = guard::call(&self.path, "decoding", || self.inner.decode(ids, skip_special))?;
        Ok(if self.clean_up { text::clean_up(&text) } else { text })
    }

    /// The token of one id as the vocabulary spells it: `Ġworld`, `▁world`, `<0x0A>`.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The text of one id for showing to a person, with its leading space, which [`Self::decode`]
    /// drops from the first token of some tokenizers. An id that no token has gives `<id>`.
    #[must_use]
    pub fn decode_one(&self, id: u32) -> String {
        let Some(piece) = self.token(id) else { return format!("<{id}>") };
        if piece.contains('\u{2581}') {
            return piece.replace('\u{2581}', " ");
        }
        match self.decode(&[id], false) {
            Ok(text) if !text.is_empty() => text,
            _ => piece,
        }
    }

    /// The id of a token as the vocabulary spells it, added tokens included.
    #[must_use]
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// How many tokens there are, added ones included. The model's embedding may have more rows.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The id of the beginning-of-sequence token; from the generation config if the tokenizer
    /// names none. Whether [`Self::encode`] adds it is another matter.
    #[must_use]
    pub fn bos_id(&self) -> Option<u32> {
        self.special.bos
    }

    /// The ids that end a generation: `eos_token_id` of the generation config, which may list
    /// several, or else the tokenizer's own. Empty if nothing names one.
    #[must_use]
    pub fn eos_ids(&self) -> &[u32] {
        &self.special.eos
    }

    /// The id of the padding token.
    #[must_use]
    pub fn pad_id(&self) -> Option<u32> {
        self.special.pad
    }

    /// The id of the token that stands for anything unknown.
    #[must_use]
    pub fn unk_id(&self) -> Option<u32> {
        self.special.unk
    }

    /// Whether the model came with a chat template.
    #[must_use]
    pub fn has_chat_template(&self) -> bool {
        self.chat.is_some()
    }

    /// The text of a conversation under the model's chat template; with `add_generation_prompt`
    /// it ends where the model is to answer.
    ///
    /// # Errors
    /// There is no template, it does not compile, it refuses the conversation (many want strictly
    /// alternating roles, or no system message), or it asks for today's date, which only
    /// [`Self::apply_chat_with`] can give it.
    pub fn apply_chat(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        self.apply_chat_with(messages, &ChatOptions { add_generation_prompt, date: None })
    }

    /// [`Self::apply_chat`] with all options.
    ///
    /// # Errors
    /// As [`Self::apply_chat`].
    pub fn apply_chat_with(&self, messages: &[Message], options: &ChatOptions) -> Result<String> {
        let template = self.chat.as_ref().ok_or_else(|| Error::ChatTemplate {
            what: format!("{} comes with none; give the prompt as plain text", self.path.display()),
        })?;
        template.render(messages, &self.special.named, options)
    }

    /// Token ids of a conversation. Nothing is added to what the template writes: it places BOS
    /// itself, as transformers' `apply_chat_template` has it.
    ///
    /// # Errors
    /// As [`Self::apply_chat_with`] and [`Self::encode`].
    pub fn encode_chat(&self, messages: &[Message], options: &ChatOptions) -> Result<Vec<u32>> {
        self.encode(&self.apply_chat_with(messages, options)?, SpecialTokens::None)
    }

    /// Refuses a model whose vocabulary is too small for this tokenizer, which means that the
    /// tokenizer belongs to another model. `model_vocab` is the number of rows of the embedding.
    ///
    /// The padding token may lie outside: it is never fed to the model.
    ///
    /// # Errors
    /// [`Error::Tokenizer`], naming both numbers.
    pub fn check_vocab(&self, model_vocab: usize) -> Result<()> {
        let (id, token) = &self.highest;
        if (*id as usize) < model_vocab {
            return Ok(());
        }
        Err(self.error(format!(
            "token {token:?} has id {id}, but the model's vocabulary has {model_vocab} entries; \
             this tokenizer belongs to another model"
        )))
    }

    /// Puts the parts together and makes `inner` do nothing but tokenize: no truncation, no
    /// padding.
    fn assemble(
        mut inner: tokenizers::Tokenizer,
        path: PathBuf,
        special: SpecialIds,
        chat: Option<ChatTemplate>,
        clean_up: bool,
    ) -> Result<Self> {
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|e| Error::Tokenizer { path: path.clone(), what: e.to_string() })?;
        let highest = inner
            .get_vocab(true)
            .into_iter()
            .filter(|(_, id)| special.pad != Some(*id))
            .map(|(token, id)| (id, token))
            .max()
            .ok_or_else(|| Error::Tokenizer {
                path: path.clone(),
                what: "the vocabulary is empty".into(),
            })?;
        let mut tokenizer = Self { inner, path, special, chat, clean_up, highest };
        // A post-processor carries ids of its own, which nothing ties to the vocabulary.
        for id in tokenizer.encode("", SpecialTokens::AsModel)? {
            let token = tokenizer.token(id).ok_or_else(|| {
                tokenizer.error(format!("post_processor: adds id {id}, which no token has"))
            })?;
            if id > tokenizer.highest.0 {
                tokenizer.highest = (id, token);
            }
        }
        Ok(tokenizer)
    }

    fn error(&self, what: impl Into<String>) -> Error {
        Error::Tokenizer { path: self.path.clone(), what: what.into() }
    }
}

#[cfg(test)]
mod tests;
