//! The run: block after block into the work folder, then the checkpoint out of it.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use massval_models::weights::Weights;
use massval_models::{Batch, Checkpoint, Model, Walk};
use massval_report::schema::{InputIdentity, InputSource, Provenance};
use serde::Serialize;
use serde_json::{Value, json};

pub use super::block::LinearLog;
use super::block::{Task, check_source, pass_over};
use super::calibration::CalibrationRecord;
use super::options::{Method, QuantizeOptions};
use super::work::Work;
use super::{card, checkpoint};
use crate::provenance::{Run, model_identity, provenance};
use crate::{Error, Result};

/// What a quantization did; `massval.json` in the checkpoint.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct QuantizeResult {
    /// Of this file.
    pub schema_version: u32,
    /// `quantize`.
    pub kind: &'static str,
    /// What ran, on which model.
    pub provenance: Provenance,
    /// What was asked for.
    pub options: QuantizeOptions,
    /// What was read, if anything was.
    pub calibration: Option<CalibrationRecord>,
    /// What became of each linear, in the order of a pass.
    pub linears: Vec<LinearLog>,
    /// Bytes of the weights' files, before and after.
    pub bytes: [u64; 2],
    /// What was measured of the finished checkpoint.
    pub scores: Vec<Score>,
}

/// Perplexity of a text, before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// The text and how it was cut.
    pub text: String,
    /// Of the model that was quantized.
    pub base: f64,
    /// Of what came out.
    pub quantized: f64,
}

/// Measures a finished checkpoint before it takes its name; given its folder.
pub type Scorer<'a> = &'a mut dyn FnMut(&Path) -> Result<Vec<Score>>;

/// Quantizes `model` and writes the checkpoint `out`, whole or not at all.
///
/// One block is in memory at a time if the model is [streamed](Model::stream), and statistics of one group of linears
/// (of two, for AWQ). What is done stays beside `out` if the run ends early; `resume` goes on with it. `progress` is
/// told blocks done and in all.
///
/// # Errors
/// [`Error::Input`] for what does not fit together, said before any work; [`massval_quant::Error`] naming the linear
/// whose statistics or weights are at fault; [`Error::Io`] if the disk is full.
#[allow(
    clippy::too_many_arguments,
    reason = "each is another thing, and a struct of them would be made for this call"
)]
pub fn quantize(
    model: &Model,
    run: &Run,
    options: &QuantizeOptions,
    calibration: Option<(Vec<Batch>, CalibrationRecord)>,
    out: &Path,
    resume: bool,
    score: Scorer<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<QuantizeResult> {
    let source = model.checkpoint();
    let options = options.clone().fitted(source);
    options.check(source)?;
    let (batches, record) = match calibration {
        Some((batches, record)) => (batches, Some(record)),
        None if options.needs_calibration() => {
            return Err(Error::Input(format!("{} needs a text to calibrate with", options.method)));
        }
        None => (Vec::new(), None),
    };
    let weights = Weights::open(&source.path)?;
    check_source(&weights, &source.path)?;
    let identity = identity(source, &options, record.as_ref())?;
    // Refuses what the model cannot read before anything is written.
    let walk = match batches.is_empty() {
        true => None,
        false => Some(model.decoder().walk(batches)?),
    };
    let work = Work::open(out, &identity, resume)?;
    blocks(source, &weights, &options, walk, &work, progress)?;

    let layout = options.layout();
    let mut logs = Vec::new();
    let mut layers = Vec::new();
    for layer in 0..source.config.layers {
        logs.extend(work.log(layer)?);
        layers.extend(work.layer(layer)?);
    }
    let quantized = logs.iter().filter(|log| !log.float);
    let replaced: HashSet<String> = quantized.map(|log| format!("{}.weight", log.name)).collect();
    let folder = work.checkpoint()?;
    let bytes =
        checkpoint::write_weights(&folder, &weights, &layers, &replaced, options.shard_bytes)?;
    let mut ignore = vec!["lm_head".to_owned()];
    ignore.extend(logs.iter().filter(|log| log.float).map(|log| log.name.clone()));
    checkpoint::write_rest(&folder, &source.path, &options.config(ignore))?;
    let mut result = QuantizeResult {
        schema_version: 1,
        kind: "quantize",
        provenance: provenance(run, source, input(record.as_ref()))?,
        options,
        calibration: record,
        linears: logs,
        bytes: [source.bytes, bytes],
        scores: Vec::new(),
    };
    result.scores = score(&folder)?;
    let json = serde_json::to_value(&result).map_err(|error| Error::Input(error.to_string()))?;
    checkpoint::write_json(&folder.join("massval.json"), &json)?;
    let readme = folder.join("README.md");
    let text = card::card(&result);
    massval_models::tensorfile::atomic_write(&readme, |out| out.write_all(text.as_bytes()))?;
    drop(layers);
    work.finish()?;
    debug_assert_eq!(layout, result.options.layout());
    Ok(result)
}

/// All blocks into the work folder; those that are there already are passed over.
fn blocks(
    checkpoint: &Checkpoint,
    weights: &Weights,
    options: &QuantizeOptions,
    mut walk: Option<Walk<'_>>,
    work: &Work,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<()> {
    let count = checkpoint.config.layers;
    for (layer, block) in checkpoint.blocks.iter().enumerate() {
        if let Some(walk) = &mut walk {
            walk.enter()?;
        }
        match (work.layer(layer)?, &mut walk) {
            (None, walk) => {
                let task = Task { config: &checkpoint.config, weights, block, options };
                work.keep(layer, &task.run(walk.as_mut())?)?;
            }
            (Some(done), Some(walk)) => {
                let quantized = match options.method {
                    Method::Gptq => Some(read_block(&done, block, options, work.log(layer)?)?),
                    _ => None,
                };
                pass_over(walk, block, quantized.as_ref())?;
            }
            (Some(_), None) => {}
        }
        progress(layer + 1, count);
    }
    Ok(())
}

/// The weights that the file of a block stands for, by linear.
fn read_block(
    done: &Weights,
    block: &massval_models::arch::StoredBlock,
    options: &QuantizeOptions,
    log: Vec<LinearLog>,
) -> Result<BTreeMap<String, Vec<f32>>> {
    let floats: HashSet<String> =
        log.into_iter().filter(|log| log.float).map(|log| log.name).collect();
    let source = super::convert::Tensors(done);
    let read = |name: &str| -> Result<Vec<f32>> {
        match floats.contains(name) {
            true => Ok(done.read_f32(&format!("{name}.weight"))?),
            false => Ok(options.layout_of(name).unpack(name, &source)?.dequantize()),
        }
    };
    block.linears.iter().map(|linear| Ok((linear.name.clone(), read(&linear.name)?))).collect()
}

/// All that decides the result.
fn identity(
    source: &Checkpoint,
    options: &QuantizeOptions,
    record: Option<&CalibrationRecord>,
) -> Result<Value> {
    let model = model_identity(source)?;
    let files: Vec<_> = model.files.iter().map(|file| (&file.name, &file.blake3)).collect();
    let protect: BTreeMap<String, _> =
        options.protect.iter().map(|(at, rows)| (at.to_string(), rows)).collect();
    let identity = json!({
        "massval": env!("CARGO_PKG_VERSION"),
        "files": files,
        "options": options,
        "protect": protect,
        "calibration": record.map(|record| &record.sha256),
    });
    // As it will be read back.
    serde_json::from_str(&identity.to_string()).map_err(|error| Error::Input(error.to_string()))
}

pub(super) fn input(record: Option<&CalibrationRecord>) -> InputIdentity {
    InputIdentity {
        source: if record.is_some() { InputSource::Text } else { InputSource::Tokens },
        file: record.map(|record| record.source.clone()),
        sha256: record.map(|record| record.sha256.clone()).unwrap_or_default(),
        chat: record.is_some_and(|record| record.chat),
        special_tokens: false,
        tokens: Vec::new(),
        pieces: None,
    }
}
