//! Reads the keys of a GGUF's architecture one by one, and remembers which were read.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use crate::weights::{GgufMetadata, GgufValue, Weights};
use crate::{Error, Result};

/// Most numbers of a tensor of factors: one for each rotary pair.
const MAX_FACTORS: usize = 1 << 13;

/// Keys that say how a model was made, stored or run, not what it computes.
const INERT: &[&str] =
    &["vocab_size", "tensor_data_layout", "rope.scaling.finetuned", "attention.causal"];

/// How keys begin that change the arithmetic of some family: a model that sets one which its family
/// does not read would be computed wrongly. Zero and `false` switch them off.
const ARITHMETIC: &[&str] = &[
    "attention.clamp_kqv",
    "attention.max_alibi_bias",
    "attention.scale",
    "attention.sliding_window",
    "attn_logit_softcapping",
    "embedding_scale",
    "expert_",
    "final_logit_softcapping",
    "leading_dense_block_count",
    "logit_scale",
    "residual_scale",
    "rope.dimension_sections",
    "rope.scaling.",
    "ssm.",
    "use_parallel_residual",
];

/// The keys `{architecture}.*`, named without it, and the tensors beside them.
pub(super) struct Keys<'a> {
    path: &'a Path,
    metadata: &'a GgufMetadata,
    weights: &'a Weights,
    architecture: &'static str,
    read: RefCell<BTreeSet<String>>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(
        path: &'a Path,
        metadata: &'a GgufMetadata,
        weights: &'a Weights,
        architecture: &'static str,
    ) -> Self {
        Self { path, metadata, weights, architecture, read: RefCell::default() }
    }

    fn full(&self, name: &str) -> String {
        self.read.borrow_mut().insert(name.to_owned());
        format!("{}.{name}", self.architecture)
    }

    pub(super) fn u64(&self, name: &str) -> Result<Option<u64>> {
        self.metadata.u64(&self.full(name))
    }

    pub(super) fn f64(&self, name: &str) -> Result<Option<f64>> {
        self.metadata.f64(&self.full(name))
    }

    pub(super) fn bool(&self, name: &str) -> Result<Option<bool>> {
        self.metadata.bool(&self.full(name))
    }

    pub(super) fn str(&self, name: &str) -> Result<Option<&'a str>> {
        self.metadata.str(&self.full(name))
    }

    pub(super) fn need(&self, name: &str) -> Result<u64> {
        self.u64(name)?.ok_or_else(|| self.missing(name))
    }

    pub(super) fn missing(&self, name: &str) -> Error {
        self.metadata.missing(&self.full(name))
    }

    pub(super) fn error(&self, name: &str, what: impl Into<String>) -> Error {
        Error::config(self.path, self.full(name), what)
    }

    /// Refuses a value that is not the only one that there is code for.
    pub(super) fn only(&self, name: &str, value: u64, supported: u64) -> Result<()> {
        match value == supported {
            true => Ok(()),
            false => {
                Err(self.error(name, format!("{value} is not supported, {supported} would be")))
            }
        }
    }

    pub(super) fn vocab_size(&self) -> Result<u64> {
        if let Some(size) = self.u64("vocab_size")? {
            return Ok(size);
        }
        let tokens = "tokenizer.ggml.tokens";
        let tokens = self.metadata.strings(tokens)?.ok_or_else(|| self.metadata.missing(tokens))?;
        Ok(tokens.len() as u64)
    }

    pub(super) fn has_tensor(&self, name: &str) -> bool {
        self.weights.info(name).is_some()
    }

    /// The numbers of a tensor that belongs to the config: by what rotary frequencies are divided.
    pub(super) fn factors(&self, name: &str) -> Result<Option<Vec<f64>>> {
        let Some(info) = self.weights.info(name) else { return Ok(None) };
        if info.shape.len() != 1 || info.elements() > MAX_FACTORS {
            let what = format!("tensor `{name}` of shape {:?} is no list of factors", info.shape);
            return Err(Error::format(self.path, "GGUF", what));
        }
        let factors: Vec<f64> = self.weights.read_f32(name)?.into_iter().map(f64::from).collect();
        match factors.iter().all(|factor| factor.is_finite() && *factor > 0.0) {
            true => Ok(Some(factors)),
            false => {
                let what = format!("tensor `{name}`: a factor is not positive");
                Err(Error::format(self.path, "GGUF", what))
            }
        }
    }

    /// After the family is done: refuses keys that would change the arithmetic.
    pub(super) fn finish(&self) -> Result<()> {
        let off = |value: Option<&GgufValue>| match value {
            None | Some(GgufValue::Bool(false) | GgufValue::U32(0) | GgufValue::I32(0)) => true,
            Some(GgufValue::F32(x)) => *x == 0.0,
            Some(GgufValue::String(text)) => text == "none",
            Some(_) => false,
        };
        for name in self.others() {
            let value = self.metadata.get(&format!("{}.{name}", self.architecture));
            if ARITHMETIC.iter().any(|start| name.starts_with(start)) && !off(value) {
                let what = format!("is set, which massval does not know for {}", self.architecture);
                return Err(self.error(&name, what));
            }
        }
        Ok(())
    }

    /// The keys that nobody read and that are not known to be inert, in full.
    pub(super) fn unread(&self) -> Vec<String> {
        let others = self.others().into_iter();
        others.map(|name| format!("{}.{name}", self.architecture)).collect()
    }

    fn others(&self) -> Vec<String> {
        let read = self.read.borrow();
        self.metadata
            .iter()
            .filter_map(|(key, _)| key.strip_prefix(self.architecture)?.strip_prefix('.'))
            .filter(|name| !read.contains(*name) && !INERT.contains(name))
            .map(str::to_owned)
            .collect()
    }
}
