//! The tokenizer's keys in a GGUF's metadata.

use super::GgufTokenizer;
use crate::weights::{GgufArray, GgufMetadata, GgufValue};
use crate::{Error, Result};

const ENDS: [&str; 2] = ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];

impl GgufTokenizer {
    /// Copies what the metadata says of the tokenizer.
    ///
    /// # Errors
    /// A key of the wrong type, or no tokenizer at all.
    pub(in super::super) fn read(meta: &GgufMetadata) -> Result<Self> {
        let key = "tokenizer.ggml.model";
        let model = meta.str(key)?.ok_or_else(|| meta.missing(key))?.to_owned();
        let text = |key: &str| Ok::<_, Error>(meta.str(key)?.map(ToOwned::to_owned));
        let strings = |key: &str| Ok::<_, Error>(meta.strings(key)?.unwrap_or_default().to_vec());
        Ok(Self {
            architecture: text("general.architecture")?.unwrap_or_default(),
            model,
            pre: text("tokenizer.ggml.pre")?,
            tokens: strings("tokenizer.ggml.tokens")?,
            token_types: meta.i32s("tokenizer.ggml.token_type")?.unwrap_or_default().to_vec(),
            merges: strings("tokenizer.ggml.merges")?,
            scores: meta.f32s("tokenizer.ggml.scores")?.unwrap_or_default().to_vec(),
            bos: id(meta, "tokenizer.ggml.bos_token_id")?,
            eos: id(meta, "tokenizer.ggml.eos_token_id")?,
            ends: ENDS
                .into_iter()
                .filter_map(|key| id(meta, key).transpose())
                .collect::<Result<_>>()?,
            pad: id(meta, "tokenizer.ggml.padding_token_id")?,
            unk: id(meta, "tokenizer.ggml.unknown_token_id")?,
            add_bos: meta.bool("tokenizer.ggml.add_bos_token")?,
            add_eos: meta.bool("tokenizer.ggml.add_eos_token")?,
            add_space_prefix: meta.bool("tokenizer.ggml.add_space_prefix")?,
            charsmap: charsmap(meta)?,
            chat_template: text("tokenizer.chat_template")?,
        })
    }
}

fn charsmap(meta: &GgufMetadata) -> Result<Vec<u8>> {
    let key = "tokenizer.ggml.precompiled_charsmap";
    match meta.get(key) {
        None => Ok(Vec::new()),
        Some(GgufValue::Array(GgufArray::U8(bytes))) => Ok(bytes.clone()),
        // Converters of other days wrote signed bytes.
        Some(GgufValue::Array(GgufArray::I8(bytes))) => {
            Ok(bytes.iter().map(|byte| byte.cast_unsigned()).collect())
        }
        Some(_) => Err(Error::config(meta.path(), key, "must be an array of bytes")),
    }
}

fn id(meta: &GgufMetadata, key: &str) -> Result<Option<u32>> {
    meta.u64(key)?
        .map(|id| {
            u32::try_from(id)
                .map_err(|_| Error::config(meta.path(), key, format!("{id} is no token id")))
        })
        .transpose()
}
