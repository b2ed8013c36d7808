//! What a scan would take: memory, disk and time, before it is run.

use massval_hooks::{Activation, At, HookSet, Observe};
use massval_models::{Batch, LogitsAt, Model};
use serde::Serialize;

use crate::{Error, MemoryLimit, Result};

/// Bytes of a number in `scan.json` and `scan.html` together.
const WRITTEN: u64 = 22;

/// What a scan would take, roughly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ScanPlan {
    /// Tokens that are read.
    pub tokens: usize,
    /// The blocks would be read layer by layer.
    pub streamed: bool,
    /// Bytes of all weights in memory.
    pub weights: u64,
    /// Bytes of memory at the most.
    pub memory: u64,
    /// Bytes of the checkpoint, each read once.
    pub read: u64,
    /// Bytes of `scan.json` and `scan.html`.
    pub results: u64,
    /// Seconds on this machine, as busy as it was.
    pub seconds: f64,
}

/// Plans a scan of `tokens`: reads one block of `model`, takes the tokens through it, and multiplies.
///
/// `model` is best [streamed](Model::stream), so that nothing else is read. `now` tells seconds from any beginning.
///
/// # Errors
/// As [`scan`](crate::scan()) of the same tokens; [`Error::Input`] if the model does not fit into `limit`.
pub fn scan_plan(
    model: &Model,
    tokens: &[u32],
    limit: Option<&MemoryLimit>,
    now: &mut dyn FnMut() -> f64,
) -> Result<ScanPlan> {
    let decoder = model.decoder();
    let config = decoder.config();
    let need = model.checkpoint().memory(decoder.dtype());
    let streamed = match limit {
        Some(limit) => limit.streams(model.checkpoint(), decoder.dtype())?,
        None => false,
    };
    let mut look = Observe::new("one layer", |_: &At<'_>, _: &Activation| Ok(()));
    let mut hooks = HookSet::new(decoder.hook_points());
    hooks.add(&["blocks.0.hook_resid_post"], &mut look)?;
    let batch = Batch::single(tokens)?;
    let begun = now();
    decoder.forward(&batch, None, &mut hooks, LogitsAt::Nowhere)?;
    let layer = now() - begun;
    hooks.finish().map_err(Error::from)?;
    let sites = if config.rope().is_some() { [2, 3] } else { [1, 2] };
    let channels = (sites[0] * config.heads + sites[1] * config.kv_heads) * config.head_dim;
    Ok(ScanPlan {
        tokens: tokens.len(),
        streamed,
        weights: need.weights,
        memory: if streamed { need.streamed(tokens.len()) } else { need.resident(tokens.len()) },
        read: model.checkpoint().bytes,
        results: (channels * config.layers) as u64 * WRITTEN,
        seconds: layer * config.layers as f64,
    })
}
