//! A Hugging Face folder out of an old one and the blocks that were rewritten.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;

use massval_models::tensorfile::atomic_write;
use massval_models::weights::Weights;
use massval_quant::formats::{Format, QuantizationConfig};
use serde_json::{Value, json};

use super::tensor::{FileTensor, dtype};
use super::work::io;
use crate::{Error, Result};

/// What else a folder has that belongs to the model, whatever its weights are.
const CARRIED: [&str; 17] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "preprocessor_config.json",
    "language.json",
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "NOTICE",
];

/// Writes the weights: those of `layers`, and of `source` what they do not replace. Returns their bytes.
pub(super) fn write_weights(
    folder: &Path,
    source: &Weights,
    layers: &[Weights],
    replaced: &HashSet<String>,
    shard_bytes: u64,
) -> Result<u64> {
    let mut tensors: BTreeMap<Key, FileTensor<'_>> = BTreeMap::new();
    let rewritten: HashSet<&str> =
        layers.iter().flat_map(Weights::tensors).map(|info| info.name.as_str()).collect();
    let kept = |name: &str| !rewritten.contains(name) && !replaced.contains(name);
    for (weights, all) in layers.iter().map(|layer| (layer, true)).chain([(source, false)]) {
        for info in weights.tensors().filter(|info| all || kept(&info.name)) {
            let (stored, bytes) = weights.stored_bytes(&info.name)?;
            let unknown = || {
                Error::Input(format!("{}: of type {stored}, which is not carried over", info.name))
            };
            let (name, shape) = (info.name.clone(), info.shape.clone());
            let dtype = dtype(stored).ok_or_else(unknown)?;
            tensors.insert(Key::of(&name), FileTensor { name, dtype, shape, bytes });
        }
    }
    let mut shards: Vec<Vec<FileTensor<'_>>> = vec![Vec::new()];
    let mut filled = 0;
    let mut total = 0;
    for tensor in tensors.into_values() {
        let bytes = tensor.bytes.len() as u64;
        if filled > 0 && filled + bytes > shard_bytes {
            shards.push(Vec::new());
            filled = 0;
        }
        (filled, total) = (filled + bytes, total + bytes);
        if let Some(shard) = shards.last_mut() {
            shard.push(tensor);
        }
    }
    let count = shards.len();
    let mut index = serde_json::Map::new();
    for (number, shard) in shards.iter().enumerate() {
        let name = match count {
            1 => "model.safetensors".to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
        };
        let path = folder.join(&name);
        let about = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let entries = shard.iter().map(|tensor| (tensor.name.as_str(), tensor));
        safetensors::serialize_to_file(entries, Some(about), &path)
            .map_err(|error| Error::Input(format!("{}: {error}", path.display())))?;
        let file = fs::File::open(&path).map_err(|error| io(&path, error))?;
        file.sync_all().map_err(|error| io(&path, error))?;
        for tensor in shard {
            index.insert(tensor.name.clone(), name.clone().into());
        }
    }
    if count > 1 {
        let index = json!({ "metadata": { "total_size": total }, "weight_map": index });
        write_json(&folder.join("model.safetensors.index.json"), &index)?;
    }
    Ok(total)
}

/// Writes `config.json` with `quantization_config`, and carries the tokenizer and its like along.
pub(super) fn write_rest(folder: &Path, source: &Path, config: &QuantizationConfig) -> Result<()> {
    let path = source.join("config.json");
    let text = fs::read_to_string(&path).map_err(|error| io(&path, error))?;
    let mut json: Value = serde_json::from_str(&text)
        .map_err(|error| Error::Input(format!("{}: {error}", path.display())))?;
    let quantization = config.to_json()?;
    if let Value::Object(map) = &mut json {
        map.insert("quantization_config".to_owned(), quantization.clone());
    }
    write_json(&folder.join("config.json"), &json)?;
    if matches!(config.layout.format, Format::GptqV1 | Format::GptqV2) {
        write_json(&folder.join("quantize_config.json"), &quantization)?;
    }
    for name in CARRIED {
        let from = source.join(name);
        if from.is_file() {
            fs::copy(&from, folder.join(name)).map_err(|error| io(&from, error))?;
        }
    }
    Ok(())
}

pub(super) fn write_json(path: &Path, json: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(json).unwrap_or_default();
    Ok(atomic_write(path, |out| writeln!(out, "{text}"))?)
}

/// A name in whose order layer 2 comes before layer 10.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Vec<(usize, String)>);

impl Key {
    fn of(name: &str) -> Self {
        Self(
            name.split('.')
                .map(|part| (part.parse().unwrap_or_default(), part.to_owned()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn layers_come_in_their_order() {
        let mut names =
            ["model.layers.10.a", "model.layers.2.b", "model.layers.2.a", "lm_head.weight"];
        names.sort_by_key(|name| Key::of(name));
        assert_eq!(
            names,
            ["lm_head.weight", "model.layers.2.a", "model.layers.2.b", "model.layers.10.a"]
        );
    }
}
