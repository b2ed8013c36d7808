//! The architectures: for each a config reader and a table of weight names, nothing more.
//!
//! To add one, write the two and list it in `ALL`; `docs/architecture.md` walks through it.

mod bloom;
mod falcon;
mod fields;
mod gemma;
mod gguf;
mod gpt2;
mod gpt_neo;
mod gpt_neox;
mod gptj;
mod llama;
mod massval;
mod mistral;
mod mpt;
pub(crate) mod names;
mod olmo;
mod opt;
mod phi;
mod qwen;
mod read;
mod rope;
mod sizes;
mod stored;
mod within;

use std::path::Path;

use massval_quant::formats::QuantizationConfig;
use serde_json::{Map, Value};

pub(crate) use fields::Fields;
pub(crate) use names::WeightNames;
pub(crate) use stored::blocks as stored_blocks;
pub use stored::{StoredBlock, StoredLinear, StoredPart};

use crate::config::{DecoderConfig, NormKind};
use crate::weights::quantized::quantization;
use crate::weights::{GgufMetadata, LoadReport, Weights};
use crate::{Error, Result};
use within::Outer;

type Config = fn(&Fields<'_>) -> Result<DecoderConfig>;
type Names = fn(&DecoderConfig) -> WeightNames;

/// An architecture: what it is called, how its config is read, where its weights are.
pub(crate) struct Architecture {
    /// Its name in massval, and `model_type` in a config.
    name: &'static str,
    /// Other values of `model_type`: the whole that has this one as its text model, or the text model
    /// by itself.
    aliases: &'static [&'static str],
    config: Config,
    names: Names,
}

const fn plain(name: &'static str, config: Config, names: Names) -> Architecture {
    Architecture { name, aliases: &[], config, names }
}

static ALL: &[Architecture] = &[
    plain("llama", llama::config, |_| llama::NAMES),
    plain("mistral", mistral::config, |_| llama::NAMES),
    plain("mixtral", mistral::config_mixtral, mistral::mixtral_names),
    plain("qwen2", qwen::config, |_| llama::NAMES),
    plain("qwen3", qwen::config3, qwen::names3),
    Architecture {
        aliases: &["qwen2_vl_text"],
        ..plain("qwen2_vl", qwen::config_vl, qwen::names_vl)
    },
    plain("gemma", gemma::config, |_| llama::NAMES),
    plain("gemma2", gemma::config2, gemma::names2),
    Architecture { aliases: &["gemma3"], ..plain("gemma3_text", gemma::config3, gemma::names3) },
    plain("phi", phi::config, phi::names),
    plain("phi3", phi::config3, phi::names3),
    plain("falcon", falcon::config, falcon::names),
    plain("olmo", olmo::config, |_| llama::NAMES),
    plain("olmo2", olmo::config2, olmo::names2),
    plain("gpt2", gpt2::config, |_| gpt2::NAMES),
    plain("gpt2-rope", gpt2::config_rope, |_| WeightNames { positions: None, ..gpt2::NAMES }),
    plain("gpt_neo", gpt_neo::config, gpt_neo::names),
    plain("gpt_neox", gpt_neox::config, gpt_neox::names),
    plain("gptj", gptj::config, gptj::names),
    plain("opt", opt::config, opt::names),
    plain("mpt", mpt::config, mpt::names),
    plain("bloom", bloom::config, bloom::names),
    plain("massval", massval::config, massval::names),
];

/// Architectures that are known and cannot be computed, with the reason.
const REFUSED: &[(&str, &str)] =
    &[("jamba", "most of its layers are Mamba layers, which massval does not compute")];

/// The names of the architectures that can be loaded, as `model_type` of a `config.json` has them.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|a| a.name).chain(within::OUTER.iter().map(|outer| outer.name))
}

/// The matrices of each block by the names that Hugging Face gives their modules, whatever the checkpoint calls
/// them; `None` for an architecture that is not one of [`names`].
#[must_use]
pub fn module_blocks(config: &DecoderConfig) -> Option<Vec<StoredBlock>> {
    let architecture = ALL.iter().find(|known| known.name == config.architecture)?;
    let names = (architecture.names)(config);
    let prefix = names.prefixes.first().map_or("", |prefix| prefix.body);
    Some(stored::blocks(config, &names, prefix))
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
    pub(crate) names: WeightNames,
    /// How the linears are stored, if they are quantized.
    pub(crate) quantization: Option<QuantizationConfig>,
    sizes: sizes::Sizes,
}

impl Described {
    /// Adds to each tensor of the wrong shape the fields that ask for the other one.
    pub(crate) fn explain(&self, report: &mut LoadReport) {
        self.sizes.explain(report);
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
    let mut described = read_plain(path, map)?;
    if let Some(parsed) = quantization(path, map)? {
        let field = |name| format!("quantization_config.{name}");
        described.unread.retain(|field| field != "quantization_config");
        described.unread.extend(parsed.unread.into_iter().map(field));
        described.quantization = Some(parsed.config);
    }
    Ok(described)
}

fn read_plain(path: &Path, map: &Map<String, Value>) -> Result<Described> {
    // Refused before anything else is looked at.
    quantization(path, map)?;
    let fields = Fields::new(path, map);
    let model_type = fields.opt_str("model_type")?;
    let model_type =
        model_type.ok_or_else(|| fields.error("model_type", "missing: not a model's config?"))?;
    if let Some(outer) = Outer::find(model_type) {
        let text = outer.text(path, map)?;
        let fields = Fields::inside(path, "text_config", &text);
        let text_type = fields.opt_str("model_type")?.unwrap_or(outer.default_text);
        let architecture = by_model_type(&fields, text_type)?;
        return describe(&fields, architecture, Some(outer));
    }
    let architecture = by_model_type(&fields, model_type)?;
    match within::text_config(path, map)? {
        None => describe(&fields, architecture, None),
        Some(text) => describe(&Fields::inside(path, "text_config", &text), architecture, None),
    }
}

/// The same from a GGUF's metadata.
pub(crate) fn read_gguf(
    path: &Path,
    weights: &Weights,
    metadata: &GgufMetadata,
) -> Result<Described> {
    let gguf = gguf::describe(path, metadata, weights)?;
    let fields = Fields::new(path, &gguf.map);
    let model_type = fields.opt_str("model_type")?.unwrap_or_default();
    let architecture = by_model_type(&fields, model_type)?;
    let mut described = describe(&fields, architecture, None)?;
    // The converter has added the one.
    if described.config.norm == NormKind::RmsNormPlusOne {
        described.config.norm = NormKind::RmsNorm;
    }
    described.names = (gguf.names)(&described.config);
    described.unread.extend(gguf.unread());
    Ok(described)
}

fn describe(
    fields: &Fields<'_>,
    architecture: &'static Architecture,
    outer: Option<&'static Outer>,
) -> Result<Described> {
    fields.get("model_type");
    let mut config = (architecture.config)(fields)?;
    if let Some(outer) = outer {
        config.architecture = outer.name.to_owned();
    }
    fields.finish()?;
    check(fields, &config)?;
    let sizes = sizes::Sizes::new(fields.map(), &config);
    let names = (architecture.names)(&config);
    let names = outer.map_or(names, |outer| outer.names(names));
    Ok(Described { config, unread: fields.unread(), names, quantization: None, sizes })
}

fn by_model_type(fields: &Fields<'_>, model_type: &str) -> Result<&'static Architecture> {
    if let Some((_, why)) = REFUSED.iter().find(|(name, _)| *name == model_type) {
        return Err(fields.error("model_type", format!("{model_type} cannot be loaded: {why}")));
    }
    let named = |a: &&Architecture| a.name == model_type || a.aliases.contains(&model_type);
    ALL.iter().find(named).ok_or_else(|| fields.error("model_type", unknown(model_type, names())))
}

/// Where a decoder of an architecture's config keeps its weights.
pub(crate) fn weight_names(config: &DecoderConfig) -> Result<WeightNames> {
    let architecture = ALL.iter().find(|a| a.name == config.architecture);
    let architecture = architecture.ok_or_else(|| {
        let what = format!("the weights of {} cannot be named", config.architecture);
        Error::input(what)
    })?;
    Ok((architecture.names)(config))
}

fn unknown(name: &str, known: impl Iterator<Item = &'static str>) -> String {
    let known: Vec<_> = known.collect();
    format!("unknown architecture {name:?}; known are {}", known.join(", "))
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
        ("word_embed_proj_dim", config.embedding.width, 1 << 20),
    ] {
        if size > limit {
            return Err(
                fields.error(field, format!("{size} is beyond {limit}, the largest allowed"))
            );
        }
    }
    if config.tied_head && config.bias.head {
        return Err(fields.error("tie_word_embeddings", "a tied head with a bias is not supported"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
