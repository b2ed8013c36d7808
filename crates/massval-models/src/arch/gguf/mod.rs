//! A GGUF's metadata under the field names of a `config.json`, so that one reader serves both, and
//! the names that llama.cpp gives the tensors.
//!
//! What llama.cpp's converter does to the numbers is undone where it is read: rows of Q and K in
//! interleaved pairs by [`Qkv`](super::names::Qkv)'s `permuted`, stacked experts when the file is
//! opened, and Gemma's `1 + weight` by calling the norm a plain one.

mod families;
mod keys;
mod names;
mod rope;

use std::path::Path;

use serde_json::{Map, Value, json};

use self::families::{FAMILIES, Family, Spelling};
use self::keys::Keys;
use super::names::WeightNames;
use crate::config::DecoderConfig;
use crate::weights::{GgufMetadata, Weights};
use crate::{Error, Result};

/// What a GGUF says of its model.
pub(super) struct Described<'a> {
    /// The fields, `model_type` among them.
    pub(super) map: Map<String, Value>,
    pub(super) names: fn(&DecoderConfig) -> WeightNames,
    keys: Keys<'a>,
}

impl Described<'_> {
    /// The keys of the architecture that nobody read.
    pub(super) fn unread(&self) -> Vec<String> {
        self.keys.unread()
    }
}

/// Reads the metadata of the GGUF that `weights` is.
pub(super) fn describe<'a>(
    path: &'a Path,
    metadata: &'a GgufMetadata,
    weights: &'a Weights,
) -> Result<Described<'a>> {
    let key = "general.architecture";
    let kind = metadata.str(key)?.ok_or_else(|| metadata.missing(key))?;
    let family = FAMILIES.iter().find(|family| family.name == kind).ok_or_else(|| {
        let known = FAMILIES.iter().map(|family| family.name);
        Error::config(path, key, super::unknown(kind, known))
    })?;
    let keys = Keys::new(path, metadata, weights, family.name);
    let mut map = sizes(&keys, family)?;
    (family.adapt)(&keys, &mut map)?;
    keys.finish()?;
    Ok(Described { map, names: family.names, keys })
}

/// What every family says under the same keys.
fn sizes(keys: &Keys<'_>, family: &Family) -> Result<Map<String, Value>> {
    let Spelling { layers, positions, width, mlp, heads, kv_heads, head_dim, eps, .. } =
        family.spelling;
    let mut map = Map::new();
    map.insert("model_type".into(), json!(family.model_type));
    map.insert("tie_word_embeddings".into(), json!(!keys.has_tensor("output.weight")));
    map.insert("vocab_size".into(), json!(keys.vocab_size()?));
    for (key, field) in
        [("block_count", layers), ("embedding_length", width), ("attention.head_count", heads)]
    {
        map.insert(field.into(), json!(keys.need(key)?));
    }
    if let Some(length) = keys.u64("context_length")? {
        map.insert(positions.into(), json!(length));
    }
    let (d_model, count) = (keys.need("embedding_length")?, keys.need("attention.head_count")?);
    let hidden = keys.need("feed_forward_length")?;
    match mlp {
        Some(field) => drop(map.insert(field.into(), json!(hidden))),
        None => keys.only("feed_forward_length", hidden, d_model.saturating_mul(4))?,
    }
    let kv_count = keys.u64("attention.head_count_kv")?.unwrap_or(count);
    match kv_heads {
        Some(field) => drop(map.insert(field.into(), json!(kv_count))),
        None => keys.only("attention.head_count_kv", kv_count, count)?,
    }
    let even = d_model.checked_div(count).unwrap_or_default();
    let key_length = keys.u64("attention.key_length")?.unwrap_or(even);
    let value_length = keys.u64("attention.value_length")?.unwrap_or(key_length);
    keys.only("attention.value_length", value_length, key_length)?;
    match head_dim {
        Some(field) if key_length != even || family.says_head_dim => {
            map.insert(field.into(), json!(key_length));
        }
        _ => keys.only("attention.key_length", key_length, even)?,
    }
    // An f32 in the file: 1e-5 comes back as 9.999999747e-6, which transformers reads, too.
    let key = family.spelling.eps_key;
    let value = keys.f64(key)?.ok_or_else(|| keys.missing(key))?;
    map.insert(eps.into(), json!(value));
    rope::base(keys, family, key_length, &mut map)?;
    Ok(map)
}
