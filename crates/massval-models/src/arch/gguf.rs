//! A GGUF's metadata under the field names of a `config.json`, so that one reader serves both.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::weights::GgufMetadata;
use crate::{Error, Result};

/// `{arch}.` + key, the config's field, whether it must be there.
const SIZES: &[(&str, &str, bool)] = &[
    ("block_count", "num_hidden_layers", true),
    ("context_length", "max_position_embeddings", false),
    ("embedding_length", "hidden_size", true),
    ("feed_forward_length", "intermediate_size", true),
    ("attention.head_count", "num_attention_heads", true),
    ("attention.head_count_kv", "num_key_value_heads", false),
    ("attention.key_length", "head_dim", false),
];

pub(super) fn fields(
    path: &Path,
    metadata: &GgufMetadata,
    arch: &str,
    tied: bool,
) -> Result<Map<String, Value>> {
    let mut map = Map::new();
    let key = |name: &str| format!("{arch}.{name}");
    map.insert("model_type".into(), json!(arch));
    map.insert("tie_word_embeddings".into(), json!(tied));
    for (name, field, needed) in SIZES {
        let key = key(name);
        match metadata.u64(&key)? {
            Some(size) => {
                map.insert((*field).into(), json!(size));
            }
            None if *needed => return Err(metadata.missing(&key)),
            None => {}
        }
    }
    // An f32 in the file: 1e-5 comes back as 9.999999747e-6, which transformers reads, too.
    if let Some(eps) = metadata.f64(&key("attention.layer_norm_rms_epsilon"))? {
        map.insert("rms_norm_eps".into(), json!(eps));
    }
    if let Some(theta) = metadata.f64(&key("rope.freq_base"))? {
        map.insert("rope_theta".into(), json!(theta));
    }
    let tokens = "tokenizer.ggml.tokens";
    let vocab = match metadata.u64(&key("vocab_size"))? {
        Some(size) => size,
        None => metadata.strings(tokens)?.ok_or_else(|| metadata.missing(tokens))?.len() as u64,
    };
    map.insert("vocab_size".into(), json!(vocab));
    rope(path, metadata, arch, &mut map)?;
    Ok(map)
}

/// Partial and scaled rotary positions.
fn rope(
    path: &Path,
    metadata: &GgufMetadata,
    arch: &str,
    map: &mut Map<String, Value>,
) -> Result<()> {
    let dims = format!("{arch}.rope.dimension_count");
    if let Some(rotary) = metadata.u64(&dims)? {
        let head_dim =
            match (map.get("head_dim"), map.get("hidden_size"), map.get("num_attention_heads")) {
                (Some(dim), ..) => dim.as_u64(),
                (None, Some(d), Some(h)) => {
                    d.as_u64().zip(h.as_u64()).and_then(|(d, h)| d.checked_div(h))
                }
                _ => None,
            };
        if head_dim.is_some_and(|dim| dim != rotary) {
            let head_dim = head_dim.unwrap_or_default().max(1);
            map.insert("partial_rotary_factor".into(), json!(rotary as f64 / head_dim as f64));
        }
    }
    let kind = format!("{arch}.rope.scaling.type");
    match metadata.str(&kind)? {
        None | Some("none") => Ok(()),
        Some("linear") => {
            let factor = format!("{arch}.rope.scaling.factor");
            let factor = metadata.f64(&factor)?.ok_or_else(|| metadata.missing(&factor))?;
            map.insert("rope_scaling".into(), json!({"rope_type": "linear", "factor": factor}));
            Ok(())
        }
        Some(other) => {
            let what = format!("unknown RoPE scaling {other:?}; known are none, linear");
            Err(Error::config(path, kind, what))
        }
    }
}
