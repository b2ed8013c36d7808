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
    /// Where `map` lies in the file: empty, or the field that it is, with a dot.
    within: String,
}

/// Fields that say how a model was made, stored or sampled from, not what it computes.
const INERT: &[&str] = &[
    "_attn_implementation_autoset",
    "_name_or_path",
    "attn_impl",
    "architectures",
    "attention_dropout",
    "attn_pdrop",
    "auto_map",
    "attention_probs_dropout_prob",
    "bos_token_id",
    "classifier_dropout",
    "dropout",
    "embed_dropout",
    "emb_pdrop",
    "gradient_checkpointing",
    "hidden_dropout",
    "hidden_dropout_prob",
    "init_std",
    "init_device",
    "embedding_fraction",
    "norm_type",
    "layerdrop",
    "output_router_logits",
    "prefix",
    "resid_dropout",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "is_decoder",
    "rotary",
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
    "transformers.js_config",
    "unsloth_version",
    "unsloth_fixed",
    "rope_interleaved",
];

/// Fields that change the arithmetic of some family, with the value that leaves it alone. A model
/// that sets one which its reader does not know would be computed wrongly.
const ARITHMETIC: &[(&str, f64)] = &[
    ("alibi", 0.0),
    ("apply_residual_connection_post_layernorm", 0.0),
    ("attention_multiplier", f64::NAN),
    ("attn_logit_softcapping", f64::NAN),
    ("clip_qkv", f64::NAN),
    ("embedding_multiplier", 1.0),
    ("final_logit_softcapping", f64::NAN),
    ("layer_types", f64::NAN),
    ("logit_scale", 1.0),
    ("rotary_dim", f64::NAN),
    ("rotary_pct", 1.0),
    ("logits_scaling", 1.0),
    ("no_rope_layers", f64::NAN),
    ("num_experts", 0.0),
    ("num_local_experts", 0.0),
    ("parallel_attn", 0.0),
    ("partial_rotary_factor", 1.0),
    ("qk_layernorm", 0.0),
    ("qk_norm", 0.0),
    ("query_pre_attn_scalar", f64::NAN),
    ("residual_multiplier", 1.0),
    ("rope_local_base_freq", f64::NAN),
    ("rope_parameters", f64::NAN),
    ("rope_scaling", f64::NAN),
    ("sliding_window", f64::NAN),
    ("use_bidirectional_attention", 0.0),
    ("use_parallel_residual", 0.0),
    ("use_qk_norm", 0.0),
    ("use_sliding_window", 0.0),
];

impl<'a> Fields<'a> {
    pub(crate) fn new(path: &'a Path, map: &'a Map<String, Value>) -> Self {
        Self { path, map, read: RefCell::default(), within: String::new() }
    }

    /// The fields of a table inside the config, such as `text_config`.
    pub(crate) fn inside(path: &'a Path, name: &str, map: &'a Map<String, Value>) -> Self {
        Self { path, map, read: RefCell::default(), within: format!("{name}.") }
    }

    /// All fields.
    pub(crate) fn map(&self) -> &'a Map<String, Value> {
        self.map
    }

    pub(crate) fn error(&self, field: &str, what: impl Into<String>) -> Error {
        Error::config(self.path, format!("{}{field}", self.within), what)
    }

    /// Whether the field stands there, `null` included.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// A table inside this one.
    pub(crate) fn nested(&self, name: &str) -> Result<Option<Fields<'a>>> {
        let name_in = format!("{}{name}", self.within);
        Ok(self.object(name)?.map(|map| Fields::inside(self.path, &name_in, map)))
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(_) => Err(self.error(name, "is not an object")),
        }
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

    /// After the reader of a table inside the config is done: refuses whatever it did not read.
    pub(crate) fn finish_nested(&self) -> Result<()> {
        match self.unread().first() {
            Some(name) => Err(self.error(name, "is not known, and may change the arithmetic")),
            None => self.finish(),
        }
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
