//! Checkpoints: a Hugging Face folder, and beside it what training needs to go on.

use std::fs;
use std::path::{Path, PathBuf};

use burn::optim::ModuleOptimizer;
use burn::tensor::{DType, Device};
use half::f16;
use massval_data::language::Language;
use massval_models::tensorfile::{NamedTensor, TensorData, atomic_write, write_safetensors};
use massval_models::{Decoder, Model};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Error, Result, TrainConfig};

/// Checkpoints that are kept; older ones are removed.
const KEPT: usize = 2;

/// How the name of a checkpoint begins that is being written.
const UNFINISHED: &str = ".unfinished";

const STATE: &str = "training.json";
const OPTIMIZER: &str = "optimizer.bpk";

/// What a checkpoint says of the run.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    step: usize,
    config: TrainConfig,
    massval_version: String,
}

/// The type of the weights of a finished model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    F32,
    F16,
}

/// What stands beside the weights.
pub(crate) struct Beside<'a> {
    pub(crate) config: &'a Value,
    pub(crate) language: &'a Language,
    pub(crate) sink: Option<u32>,
}

impl Beside<'_> {
    /// Writes a Hugging Face folder, with the language's config beside it.
    pub(crate) fn save(&self, decoder: &Decoder, folder: &Path, numbers: Numbers) -> Result<()> {
        let mut tensors = decoder.named_tensors()?;
        let mut config = self.config.clone();
        if numbers == Numbers::F16 {
            config["torch_dtype"] = json!("float16");
            tensors.iter_mut().for_each(halve);
        }
        let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
        write_safetensors(&folder.join("model.safetensors"), &tensors, &metadata)?;
        let vocabulary = self.language.vocabulary();
        let positions = self.language.config().sequence + usize::from(self.sink.is_some());
        let mut tokenizer = vocabulary.tokenizer();
        if let Some(sink) = self.sink {
            add_sink(&mut tokenizer, sink);
        }
        for (name, value) in [
            ("config.json", config),
            ("tokenizer.json", tokenizer),
            ("tokenizer_config.json", vocabulary.tokenizer_config(positions)),
            ("language.json", json!(self.language.config())),
        ] {
            write_json(&folder.join(name), &value)?;
        }
        Ok(())
    }
}

fn halve(tensor: &mut NamedTensor) {
    if let TensorData::F32(values) = &tensor.data {
        tensor.data = TensorData::F16(values.iter().map(|&x| f16::from_f32(x)).collect());
    }
}

/// A token of its own that a tokenizer puts before everything else.
fn add_sink(tokenizer: &mut Value, sink: u32) {
    let name = "<sink>";
    if let Some(tokens) = tokenizer["added_tokens"].as_array_mut() {
        tokens.push(json!({
            "id": sink, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        }));
    }
    tokenizer["model"]["vocab"][name] = json!(sink);
    let before = json!({"SpecialToken": {"id": name, "type_id": 0}});
    for template in ["single", "pair"] {
        if let Some(pieces) = tokenizer["post_processor"][template].as_array_mut() {
            pieces.insert(0, before.clone());
        }
    }
    let token = json!({"id": name, "ids": [sink], "tokens": [name]});
    tokenizer["post_processor"]["special_tokens"][name] = token;
}

pub(crate) fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = format!("{value:#}\n");
    Ok(atomic_write(path, |out| out.write_all(text.as_bytes()))?)
}

/// The checkpoints of a run.
pub(crate) struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    pub(crate) fn new(run: &Path) -> Self {
        Self { folder: run.join("checkpoints") }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the state after a step. It appears under its name when it is whole.
    pub(crate) fn save(
        &self,
        decoder: &Decoder,
        optimizer: &ModuleOptimizer,
        config: &TrainConfig,
        step: usize,
        beside: &Beside<'_>,
    ) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(Error::io(&self.folder))?;
        let temporary = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempdir_in(&self.folder)
            .map_err(Error::io(&self.folder))?;
        beside.save(decoder, temporary.path(), Numbers::F32)?;
        let path = temporary.path().join(OPTIMIZER);
        let bytes = optimizer.into_bytes().map_err(|error| {
            Error::resume(&path, format!("the optimizer's state cannot be written: {error}"))
        })?;
        atomic_write(&path, |out| out.write_all(&bytes))?;
        let state = State {
            step,
            config: config.clone(),
            massval_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        write_json(&temporary.path().join(STATE), &json!(state))?;
        let target = self.folder.join(name(step));
        if target.exists() {
            fs::remove_dir_all(&target).map_err(Error::io(&target))?;
        }
        fs::rename(temporary.path(), &target).map_err(Error::io(&target))?;
        // It has another name now.
        let _ = temporary.keep();
        self.thin_out()
    }

    /// Removes what a killed run was writing.
    pub(crate) fn clear(&self) -> Result<()> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Ok(()) };
        let unfinished = entries.filter_map(std::result::Result::ok).filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED))
        });
        for path in unfinished.map(|entry| entry.path()) {
            fs::remove_dir_all(&path).map_err(Error::io(&path))?;
        }
        Ok(())
    }

    fn thin_out(&self) -> Result<()> {
        let steps = self.steps()?;
        for &step in steps.iter().rev().skip(KEPT) {
            let old = self.folder.join(name(step));
            fs::remove_dir_all(&old).map_err(Error::io(&old))?;
        }
        Ok(())
    }

    /// The steps of the checkpoints that are there, rising.
    pub(crate) fn steps(&self) -> Result<Vec<usize>> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&self.folder).map_err(Error::io(&self.folder))?;
        let mut steps: Vec<usize> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_prefix("step-")?.parse().ok())
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// The latest state, if there is one: the decoder, the optimizer's state and the step.
    pub(crate) fn load(
        &self,
        config: &TrainConfig,
        device: &Device,
    ) -> Result<Option<(Decoder, Vec<u8>, usize)>> {
        let Some(&step) = self.steps()?.last() else { return Ok(None) };
        let folder = self.folder.join(name(step));
        let path = folder.join(STATE);
        let text = fs::read_to_string(&path).map_err(Error::io(&path))?;
        let state: State = serde_json::from_str(&text).map_err(|error| {
            Error::resume(&path, format!("not the state of a training: {error}"))
        })?;
        if state.step != step {
            return Err(Error::resume(&path, format!("says step {}", state.step)));
        }
        same(&path, &state.config, config)?;
        let model = Model::load(&folder, device, DType::F32, &mut |_, _| {})?;
        let path = folder.join(OPTIMIZER);
        let bytes = fs::read(&path).map_err(Error::io(&path))?;
        Ok(Some((model.decoder().clone(), bytes, step)))
    }
}

fn name(step: usize) -> String {
    format!("step-{step:08}")
}

/// Refuses a config that decides other weights, by its first field.
fn same(path: &Path, before: &TrainConfig, now: &TrainConfig) -> Result<()> {
    let decisive = |config: &TrainConfig| {
        let mut value = json!(config);
        for field in ["measure_every", "measure_items", "measure_disrupted", "checkpoint_every"] {
            value[field] = Value::Null;
        }
        value
    };
    match difference("", &decisive(before), &decisive(now)) {
        None => Ok(()),
        Some((field, before, now)) => Err(Error::resume(
            path,
            format!(
                "the run has {field} = {before}, and {now} is asked for; go on with its own config, or train anew in \
                 another folder"
            ),
        )),
    }
}

fn difference(at: &str, a: &Value, b: &Value) -> Option<(String, Value, Value)> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.dedup();
            let null = Value::Null;
            keys.into_iter().find_map(|key| {
                let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                difference(&at, a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null))
            })
        }
        _ if a == b => None,
        _ => Some((at.to_owned(), a.clone(), b.clone())),
    }
}
