//! `tokenizer.ggml.model` = `t5`: SentencePiece's unigram vocabularies.
//!
//! Words at whitespace, each with a visible space before it, then the likeliest pieces by their
//! scores: as transformers' `T5Tokenizer`, with the file's own rewriting of characters before it.

use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::Precompiled;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;

use super::super::check;
use super::{Built, GgufTokenizer, SPACE};

/// The unknown token's id where the file does not say: llama.cpp's default for this kind, and T5's.
const UNKNOWN: u32 = 2;

pub(super) fn build(gguf: &GgufTokenizer) -> Result<Built, String> {
    if gguf.scores.len() != gguf.tokens.len() {
        return Err("tokenizer.ggml.scores: missing".into());
    }
    let mut vocab = Vec::with_capacity(gguf.tokens.len());
    for (id, (token, score)) in gguf.tokens.iter().zip(&gguf.scores).enumerate() {
        let score = f64::from(*score);
        check::unigram_piece(token, score)
            .map_err(|what| format!("tokenizer.ggml.tokens[{id}]: {what}"))?;
        vocab.push((token.clone(), score));
    }
    let unknown = gguf.unk.unwrap_or(UNKNOWN);
    gguf.token("unknown_token_id", unknown)?;
    let model = Unigram::from(vocab, Some(unknown as usize), false).map_err(|e| e.to_string())?;
    let mut inner = tokenizers::Tokenizer::new(model);
    if !gguf.charsmap.is_empty() {
        let key = "tokenizer.ggml.precompiled_charsmap";
        check::charsmap_length(&gguf.charsmap).map_err(|what| format!("{key}: {what}"))?;
        let rules = Precompiled::from(&gguf.charsmap).map_err(|e| format!("{key}: {e}"))?;
        inner.with_normalizer(Some(rules)).map_err(|e| e.to_string())?;
    }
    let scheme = match gguf.add_space_prefix.unwrap_or(true) {
        true => PrependScheme::Always,
        false => PrependScheme::Never,
    };
    let spaces = Metaspace::new(SPACE, scheme, true);
    inner.with_pre_tokenizer(Some(Sequence::new(vec![
        WhitespaceSplit.into(),
        spaces.clone().into(),
    ])));
    inner.with_decoder(Some(spaces));
    Ok(Built { inner, add_bos: false, add_eos: true })
}
