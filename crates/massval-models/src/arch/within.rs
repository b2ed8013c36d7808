//! Decoders that are a part of something larger: the text model of an image checkpoint.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::names::{Prefix, WeightNames};
use crate::Result;

/// An image model whose text model is one of the architectures.
pub(super) struct Outer {
    /// `model_type` of the whole.
    pub(super) name: &'static str,
    /// `model_type` of the text model where its config does not say.
    pub(super) default_text: &'static str,
    /// Published configs leave out what is as in transformers' default of the text model.
    defaults: &'static [(&'static str, u64)],
    prefixes: &'static [Prefix],
    aside: &'static [&'static str],
}

pub(super) const OUTER: &[Outer] = &[Outer {
    name: "llava",
    default_text: "llama",
    defaults: &[
        ("vocab_size", 32_000),
        ("hidden_size", 4096),
        ("intermediate_size", 11_008),
        ("num_hidden_layers", 32),
        ("num_attention_heads", 32),
    ],
    prefixes: &[
        Prefix { body: "language_model.model.", head: "language_model." },
        Prefix { body: "model.language_model.", head: "" },
    ],
    aside: &[
        "vision_tower.",
        "multi_modal_projector.",
        "model.vision_tower.",
        "model.multi_modal_projector.",
    ],
}];

impl Outer {
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        OUTER.iter().find(|outer| outer.name == name)
    }

    /// The config of the text model, complete.
    pub(super) fn text(&self, path: &Path, map: &Map<String, Value>) -> Result<Map<String, Value>> {
        let mut text = text_config(path, map)?.unwrap_or_default();
        if text.get("model_type").is_none_or(Value::is_null) {
            text.insert("model_type".to_owned(), json!(self.default_text));
        }
        if text.get("model_type").and_then(Value::as_str) == Some(self.default_text) {
            for (name, value) in self.defaults {
                text.entry(*name).or_insert_with(|| json!(value));
            }
        }
        Ok(text)
    }

    /// The names of the text model's tensors, as they are called inside of the whole.
    pub(super) fn names(&self, text: WeightNames) -> WeightNames {
        WeightNames { prefixes: self.prefixes, aside: self.aside, ..text }
    }
}

/// The nested config of a text model, with what the whole says of the head.
pub(super) fn text_config(
    path: &Path,
    map: &Map<String, Value>,
) -> Result<Option<Map<String, Value>>> {
    let fields = Fields::new(path, map);
    let Some(text) = fields.object("text_config")? else { return Ok(None) };
    let mut text = text.clone();
    // One `true` is enough: transformers 4 kept it inside, 5 outside.
    if map.get("tie_word_embeddings") == Some(&json!(true)) {
        text.insert("tie_word_embeddings".to_owned(), json!(true));
    }
    Ok(Some(text))
}
