//! Reads a config's fields one by one, remembers which were read, and reports the rest.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};

use crate::{Error, Result};

/// The fields of a `config.json`, or of a GGUF's metadata under the same names.
pub(crate) struct Fields<'a> {
    path: &'a Path,
    map: &'a Map<String, Value>,
    read: RefCell<BTreeSet<String>>,
}

/// Fields that say how a model was made, stored or sampled from, not what it computes.
const INERT: &[&str] = &[
    "_attn_implementation_autoset",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "attn_pdrop",
    "auto_map",
    "bos_token_id",
    "chunk_size_feed_forward",
    "dtype",
    "embd_pdrop",
    "eos_token_id",
    "id2label",
    "initializer_range",
    "is_llama_config",
    "label2id",
    "mlp_dropout",
    "n_ctx",
    "pad_token_id",
    "pretraining_tp",
    "problem_type",
    "resid_pdrop",
    "return_dict",
    "sep_token_id",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "task_specific_params",
    "tokenizer_class",
    "torch_dtype",
    "transformers_version",
    "unk_token_id",
    "use_cache",
    "decoder_start_token_id",
    "output_attentions",
    "output_hidden_states",
    "torchscript",
    "use_bfloat16",
    "is_encoder_decoder",
    "gradient_checkpointing",
    "transformers.js_config",
    "unsloth_version",
    "unsloth_fixed",
    "rope_interleaved",
];

/// Fields that change the arithmetic of some family, with the value that leaves it alone. A model
/// that sets one which its reader does not know would be computed wrongly.
const ARITHMETIC: &[(&str, f64)] = &[
    ("attention_multiplier", f64::NAN),
    ("attn_logit_softcapping", f64::NAN),
    ("clip_qkv", f64::NAN),
    ("embedding_multiplier", 1.0),
    ("final_logit_softcapping", f64::NAN),
    ("layer_types", f64::NAN),
    ("logit_scale", 1.0),
    ("logits_scaling", 1.0),
    ("no_rope_layers", f64::NAN),
    ("num_experts", 0.0),
    ("num_local_experts", 0.0),
    ("parallel_attn", 0.0),
    ("partial_rotary_factor", 1.0),
    ("qk_norm", 0.0),
    ("query_pre_attn_scalar", f64::NAN),
    ("residual_multiplier", 1.0),
    ("rope_local_base_freq", f64::NAN),
    ("rope_scaling", f64::NAN),
    ("sliding_window", f64::NAN),
    ("use_parallel_residual", 0.0),
    ("use_qk_norm", 0.0),
    ("use_sliding_window", 0.0),
];

impl<'a> Fields<'a> {
    pub(crate) fn new(path: &'a Path, map: &'a Map<String, Value>) -> Self {
        Self { path, map, read: RefCell::default() }
    }

    /// All fields.
    pub(crate) fn map(&self) -> &'a Map<String, Value> {
        self.map
    }

    pub(crate) fn error(&self, field: &str, what: impl Into<String>) -> Error {
        Error::config(self.path, field, what)
    }

    /// The field's value; `null` counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(name.to_owned());
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A size: at least 1, at most 2^31.
    pub(crate) fn size(&self, name: &str) -> Result<usize> {
        self.opt_size(name)?.ok_or_else(|| self.error(name, "missing; a positive number is needed"))
    }

    pub(crate) fn opt_size(&self, name: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(n) if (1..=1 << 31).contains(&n) => Ok(Some(n)),
            _ => Err(self.error(name, format!("{value} is not a size (1 to 2^31)"))),
        }
    }

    pub(crate) fn opt_f64(&self, name: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_f64() {
            Some(x) if x.is_finite() => Ok(Some(x)),
            _ => Err(self.error(name, format!("{value} is not a number"))),
        }
    }

    pub(crate) fn positive(&self, name: &str, default: Option<f64>) -> Result<f64> {
        match self.opt_f64(name)?.or(default) {
            Some(x) if x > 0.0 => Ok(x),
            Some(x) => Err(self.error(name, format!("{x} is not positive"))),
            None => Err(self.error(name, "missing; a positive number is needed")),
        }
    }

    pub(crate) fn bool(&self, name: &str, default: bool) -> Result<bool> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Err(self.error(name, format!("{value} is not true or false"))),
        }
    }

    pub(crate) fn opt_str(&self, name: &str) -> Result<Option<&'a str>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(value) => Err(self.error(name, format!("{value} is not a string"))),
        }
    }

    /// After the reader is done: refuses fields that would change the arithmetic.
    pub(crate) fn finish(&self) -> Result<()> {
        let read = self.read.borrow();
        for (name, neutral) in ARITHMETIC {
            let Some(value) = self.map.get(*name).filter(|v| !v.is_null()) else { continue };
            let off = match value {
                Value::Bool(flag) => f64::from(u8::from(*flag)) == *neutral,
                other => other.as_f64() == Some(*neutral),
            };
            if !read.contains(*name) && !off {
                let what = format!(
                    "{} is set, which this architecture's reader does not know",
                    short(value)
                );
                return Err(self.error(name, what));
            }
        }
        Ok(())
    }

    /// The fields that nobody read and that are not known to be inert.
    pub(crate) fn unread(&self) -> Vec<String> {
        let read = self.read.borrow();
        self.map
            .iter()
            .filter(|(name, value)| !value.is_null() && !read.contains(name.as_str()))
            .filter(|(name, _)| !INERT.contains(&name.as_str()))
            .filter(|(name, _)| !ARITHMETIC.iter().any(|(known, _)| known == name))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
