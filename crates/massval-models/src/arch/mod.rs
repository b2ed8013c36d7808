//! The architectures: for each a config reader and a table of weight names, nothing more.
//!
//! To add one, write the two and list it in `ALL`; `docs/architecture.md` walks through it.

mod fields;
mod gguf;
mod gpt2;
mod llama;
pub(crate) mod names;
mod rope;
mod sizes;

use std::path::Path;

use serde_json::{Map, Value};

pub(crate) use fields::Fields;
pub(crate) use names::WeightNames;

use crate::config::DecoderConfig;
use crate::weights::{Format, GgufMetadata, LoadReport, refuse_config};
use crate::{Error, Result};

/// An architecture: what it is called, how its config is read, where its weights are.
pub(crate) struct Architecture {
    /// Its name in massval, and `model_type` in a config.
    name: &'static str,
    /// `general.architecture` in a GGUF.
    gguf: Option<&'static str>,
    config: fn(&Fields<'_>) -> Result<DecoderConfig>,
    names: WeightNames,
    gguf_names: Option<WeightNames>,
}

static ALL: &[Architecture] = &[
    Architecture {
        name: "llama",
        gguf: Some("llama"),
        config: llama::config,
        names: llama::NAMES,
        gguf_names: Some(llama::GGUF_NAMES),
    },
    Architecture {
        name: "gpt2",
        gguf: None,
        config: gpt2::config,
        names: gpt2::NAMES,
        gguf_names: None,
    },
    Architecture {
        name: "gpt2-rope",
        gguf: None,
        config: gpt2::config_rope,
        names: WeightNames { positions: None, ..gpt2::NAMES },
        gguf_names: None,
    },
];

/// The names of the architectures that can be loaded, as `model_type` of a `config.json` has them.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|architecture| architecture.name)
}

/// Reads the text of a `config.json`; `path` is for error messages.
///
/// # Errors
/// [`Error::Config`] if the architecture is unknown, or a field is missing, contradicts another, or
/// asks for arithmetic that the architecture's reader does not know.
pub fn read_config(path: &Path, json: &str) -> Result<DecoderConfig> {
    let map = parse(path, json)?;
    read(path, &map).map(|described| described.config)
}

/// A config, the architecture it is of, and the fields that nobody read.
pub(crate) struct Described {
    pub(crate) config: DecoderConfig,
    pub(crate) unread: Vec<String>,
    architecture: &'static Architecture,
    sizes: sizes::Sizes,
}

impl Described {
    /// Adds to each tensor of the wrong shape the fields that ask for the other one.
    pub(crate) fn explain(&self, report: &mut LoadReport) {
        self.sizes.explain(report);
    }

    pub(crate) fn names(&self, path: &Path, format: Format) -> Result<&'static WeightNames> {
        match format {
            Format::Gguf => self.architecture.gguf_names.as_ref().ok_or_else(|| {
                let what = format!("{} is read from safetensors only", self.architecture.name);
                Error::Unsupported { path: path.to_owned(), what }
            }),
            _ => Ok(&self.architecture.names),
        }
    }
}

pub(crate) fn parse(path: &Path, json: &str) -> Result<Map<String, Value>> {
    match serde_json::from_str(json) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Error::format(path, "config.json", "the top level is not an object")),
        Err(error) => Err(Error::format(path, "config.json", error.to_string())),
    }
}

pub(crate) fn read(path: &Path, map: &Map<String, Value>) -> Result<Described> {
    refuse_config(path, map)?;
    let fields = Fields::new(path, map);
    let model_type = fields.opt_str("model_type")?;
    let model_type =
        model_type.ok_or_else(|| fields.error("model_type", "missing: not a model's config?"))?;
    let architecture =
        find(model_type, |a| Some(a.name)).map_err(|what| fields.error("model_type", what))?;
    describe(&fields, architecture)
}

/// The same from a GGUF's metadata.
pub(crate) fn read_gguf(path: &Path, metadata: &GgufMetadata, tied: bool) -> Result<Described> {
    let key = "general.architecture";
    let kind = metadata.str(key)?.ok_or_else(|| metadata.missing(key))?;
    let architecture = find(kind, |a| a.gguf).map_err(|what| Error::config(path, key, what))?;
    let map = gguf::fields(path, metadata, kind, tied)?;
    describe(&Fields::new(path, &map), architecture)
}

fn describe(fields: &Fields<'_>, architecture: &'static Architecture) -> Result<Described> {
    fields.get("model_type");
    let config = (architecture.config)(fields)?;
    fields.finish()?;
    check(fields, &config)?;
    let sizes = sizes::Sizes::new(fields.map(), &config);
    Ok(Described { config, unread: fields.unread(), architecture, sizes })
}

fn find(
    name: &str,
    key: impl Fn(&'static Architecture) -> Option<&'static str>,
) -> Result<&'static Architecture, String> {
    if let Some(found) = ALL.iter().find(|a| key(a) == Some(name)) {
        return Ok(found);
    }
    let known: Vec<_> = ALL.iter().filter_map(&key).collect();
    Err(format!("unknown architecture {name:?}; known are {}", known.join(", ")))
}

/// What must hold in every architecture before memory is asked for.
fn check(fields: &Fields<'_>, config: &DecoderConfig) -> Result<()> {
    if !config.heads.is_multiple_of(config.kv_heads) {
        let what = format!("{} heads cannot share {} KV heads", config.heads, config.kv_heads);
        return Err(fields.error("num_key_value_heads", what));
    }
    for (field, size, limit) in [
        ("num_hidden_layers", config.layers, 4096),
        ("hidden_size", config.d_model, 1 << 20),
        ("head_dim", config.head_dim, 1 << 14),
        ("num_attention_heads", config.heads, 1 << 14),
        ("intermediate_size", config.d_mlp, 1 << 22),
        ("vocab_size", config.vocab_size, 1 << 24),
    ] {
        if size > limit {
            return Err(
                fields.error(field, format!("{size} is beyond {limit}, the largest allowed"))
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
