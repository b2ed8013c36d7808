//! What a quantization would take: memory, disk and time, before it is run.

use massval_models::weights::Weights;
use massval_models::{Batch, Checkpoint, LinearGroup, Model};
use massval_quant::Granularity;
use serde::Serialize;

use super::block::{Task, check_source};
use super::options::{Method, QuantizeOptions};
use crate::{MemoryLimit, Result};

/// Sequences that a block is tried with.
const TRIED: usize = 4;

/// What a quantization would take, roughly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct QuantizePlan {
    /// Linears that would be quantized.
    pub linears: usize,
    /// Tokens of the calibration.
    pub tokens: usize,
    /// The blocks would be read one by one.
    pub streamed: bool,
    /// Bytes of memory at the most.
    pub memory: u64,
    /// Of them: activations of the calibration.
    pub activations: u64,
    /// Bytes of the finished checkpoint.
    pub checkpoint: u64,
    /// Bytes of disk while it is put together.
    pub disk: u64,
    /// Seconds on this machine, as busy as it was.
    pub seconds: f64,
}

/// Plans a quantization: does the first block with a few of the sequences, and multiplies.
///
/// `model` is best [streamed](Model::stream), so that nothing else is read. `now` tells seconds from any beginning.
///
/// # Errors
/// As [`quantize`](super::quantize).
pub fn quantize_plan(
    model: &Model,
    options: &QuantizeOptions,
    batches: &[Batch],
    limit: Option<&MemoryLimit>,
    now: &mut dyn FnMut() -> f64,
) -> Result<QuantizePlan> {
    let checkpoint = model.checkpoint();
    let options = options.clone().fitted(checkpoint);
    options.check(checkpoint)?;
    let weights = Weights::open(&checkpoint.path)?;
    check_source(&weights, &checkpoint.path)?;
    let config = &checkpoint.config;
    let dtype = model.decoder().dtype();
    let streamed = match limit {
        Some(limit) => limit.streams(checkpoint, dtype)?,
        None => false,
    };
    let need = checkpoint.memory(dtype);
    let tokens: usize = batches.iter().map(|batch| batch.batch() * batch.seq()).sum();
    let widest = LinearGroup::ALL
        .iter()
        .flat_map(|group| group.roles())
        .map(|&role| config.linear_shape(role)[1])
        .max()
        .unwrap_or_default();
    let activations = (tokens * (config.d_model + 2 * widest) * dtype.size()) as u64;
    // The sums, the matrix, its factor in f64 twice; AWQ holds two groups.
    let square = (widest * widest) as u64;
    let statistics = match options.method {
        Method::Rtn | Method::SmoothQuant => 0,
        Method::Gptq => square * (4 + 8 + 8),
        Method::Awq => square * (4 + 4) * 2,
    };
    let longest = batches.iter().map(Batch::seq).max().unwrap_or_default();
    let model_bytes = if streamed { need.streamed(longest) } else { need.resident(longest) };
    let (packed, linears) = packed(checkpoint, &options);
    let memory = model_bytes + activations + statistics + 3 * need.block;

    let block = checkpoint.blocks.first();
    let mut time = |count: usize| -> Result<f64> {
        let Some(block) = block else { return Ok(0.0) };
        let task = Task { config, weights: &weights, block, options: &options };
        let few: Vec<Batch> = batches.iter().take(count).cloned().collect();
        let begun = now();
        match few.is_empty() {
            true => task.run(None)?,
            false => {
                let mut walk = model.decoder().walk(few)?;
                walk.enter()?;
                task.run(Some(&mut walk))?
            }
        };
        Ok(now() - begun)
    };
    let (one, few) = (time(1)?, time(TRIED)?);
    let tried = batches.len().min(TRIED);
    let each = if tried > 1 { (few - one).max(0.0) / (tried - 1) as f64 } else { 0.0 };
    let block_seconds = few + each * batches.len().saturating_sub(tried) as f64;
    Ok(QuantizePlan {
        linears,
        tokens,
        streamed,
        memory,
        activations,
        checkpoint: packed,
        disk: packed * 2,
        seconds: block_seconds * config.layers as f64,
    })
}

/// Bytes of the finished checkpoint, and how many linears are quantized.
fn packed(checkpoint: &Checkpoint, options: &QuantizeOptions) -> (u64, usize) {
    let (mut bytes, mut linears, mut replaced) = (0, 0, 0);
    for linear in checkpoint.blocks.iter().flat_map(|block| &block.linears) {
        if options.ignored(&linear.name) {
            continue;
        }
        let layout = options.layout_of(&linear.name);
        let count = (linear.outputs * linear.inputs) as u64;
        let scales = match layout.granularity {
            Granularity::Tensor => 1,
            Granularity::Channel => linear.outputs,
            Granularity::Group(size) => linear.outputs * linear.inputs / size.get(),
        };
        bytes += count * u64::from(layout.bits.width()) / 8 + 2 * scales as u64;
        replaced += count;
        linears += 1;
    }
    let share = replaced as f64 / checkpoint.config.parameters().max(1) as f64;
    let rest = (checkpoint.bytes as f64 * (1.0 - share).max(0.0)) as u64;
    (bytes + rest, linears)
}
