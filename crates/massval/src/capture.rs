//! Full capture: activations at hook points, kept whole and written as safetensors.

use std::collections::BTreeMap;
use std::path::Path;

use massval_hooks::{Activation, At, Hook, HookFailure, HookPoint, HookSet, SiteDims, select};
use massval_models::tensorfile::{NamedTensor, TensorData, write_safetensors};
use massval_models::{Batch, Decoder, DecoderConfig, LogitsAt};
use massval_report::schema::Provenance;

use crate::watch::Watch;
use crate::{Error, Result};

/// What a capture will write: each point with its extents in the file, before anything runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturePlan {
    points: Vec<(HookPoint, Vec<usize>)>,
    seq: usize,
}

impl CapturePlan {
    /// Resolves `patterns` for a pass over `seq` tokens.
    ///
    /// # Errors
    /// [`Error::Hook`] if a pattern selects nothing, with the nearest name.
    pub fn new(decoder: &Decoder, patterns: &[&str], seq: usize) -> Result<Self> {
        let available = decoder.hook_points();
        let mut points = Vec::new();
        for pattern in patterns {
            for point in select(&available, pattern)? {
                if !points.iter().any(|(known, _)| *known == point) {
                    points.push((point, exported_shape(decoder.config(), point, seq)));
                }
            }
        }
        if points.is_empty() {
            return Err(Error::Input("no hook point was asked for; name at least one".to_owned()));
        }
        let order: Vec<HookPoint> = available.iter().collect();
        points.sort_by_key(|(point, _)| order.iter().position(|known| known == point));
        Ok(Self { points, seq })
    }

    /// Each point and its shape in the file.
    pub fn points(&self) -> impl ExactSizeIterator<Item = (HookPoint, &[usize])> {
        self.points.iter().map(|(point, shape)| (*point, shape.as_slice()))
    }

    /// Size of the tensors in the file, which is also the memory that the capture takes: f32.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let count = |shape: &Vec<usize>| shape.iter().map(|&n| n as u64).product::<u64>();
        self.points.iter().map(|(_, shape)| 4 * count(shape)).sum()
    }
}

/// `[batch, seq, heads, head_dim]` for heads, as TransformerLens has it; scores as they are.
fn exported_shape(config: &DecoderConfig, point: HookPoint, seq: usize) -> Vec<usize> {
    match point.site.dims() {
        SiteDims::Heads { kv } => {
            let heads = if kv { config.kv_heads } else { config.heads };
            vec![1, seq, heads, config.head_dim]
        }
        SiteDims::Scores => vec![1, config.heads, seq, seq],
        SiteDims::Mlp => vec![1, seq, config.d_mlp],
        SiteDims::Vocab => vec![1, seq, config.vocab_size],
        _ => vec![1, seq, config.d_model],
    }
}

/// Keeps every activation it sees, in the file's layout.
#[derive(Default)]
struct Keeper {
    tensors: Vec<NamedTensor>,
}

impl Hook for Keeper {
    fn name(&self) -> &str {
        "capture"
    }

    fn apply(&mut self, at: &At<'_>, x: Activation) -> Result<Activation, HookFailure> {
        let (shape, data) = match &x {
            Activation::Heads(heads) if !matches!(at.point.site.dims(), SiteDims::Scores) => {
                let heads = heads.clone().swap_dims(1, 2);
                (heads.dims().to_vec(), heads.try_into_vec_as::<f32>())
            }
            Activation::Heads(scores) => {
                (scores.dims().to_vec(), scores.clone().try_into_vec_as::<f32>())
            }
            Activation::Hidden(hidden) => {
                (hidden.dims().to_vec(), hidden.clone().try_into_vec_as::<f32>())
            }
        };
        let data = TensorData::F32(data.map_err(|error| format!("{error:?}"))?);
        self.tensors.push(NamedTensor { name: at.point.to_string(), shape, data });
        Ok(x)
    }
}

/// Runs the model over the input of `provenance` and writes what `plan` names to `out`: one f32
/// tensor for each hook point under its canonical name, and `token_ids`.
///
/// The file's metadata holds the layout and the provenance. `progress` is told before each layer:
/// how many are done, of how many.
///
/// # Errors
/// If the input does not fit the model or the plan, or the file cannot be written.
pub fn capture(
    decoder: &Decoder,
    plan: &CapturePlan,
    provenance: &Provenance,
    out: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<()> {
    let tokens = &provenance.input.tokens;
    if tokens.len() != plan.seq {
        let what = format!("the plan is for {} tokens, the input has {}", plan.seq, tokens.len());
        return Err(Error::Input(what));
    }
    let mut keeper = Keeper::default();
    let mut hooks = HookSet::new(decoder.hook_points());
    let points: Vec<HookPoint> = plan.points().map(|(point, _)| point).collect();
    let mut watch = Watch::new(decoder, progress);
    hooks.add(Watch::POINTS, &mut watch)?;
    hooks.add_at(&points, &mut keeper)?;
    decoder.forward(&Batch::single(tokens)?, None, &mut hooks, LogitsAt::Nowhere)?;
    hooks.finish()?;
    let mut tensors = keeper.tensors;
    tensors.push(token_ids(tokens));
    let layout = "heads: [batch, seq, heads, head_dim]; scores and patterns: [batch, heads, seq, \
                  keys]; hidden: [batch, seq, width]";
    write(out, &tensors, provenance, layout)
}

/// Writes `logits` as `[vocab]`, or as `[positions, vocab]` if `all_positions`, and `token_ids`;
/// returns the last position's. `progress` is told before each layer: how many are done, of how
/// many.
///
/// # Errors
/// If the input does not fit the model, or the file cannot be written.
pub fn logits(
    decoder: &Decoder,
    provenance: &Provenance,
    all_positions: bool,
    out: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<f32>> {
    let tokens = &provenance.input.tokens;
    let at = if all_positions { LogitsAt::All } else { LogitsAt::Last };
    let mut watch = Watch::new(decoder, progress);
    let mut hooks = HookSet::new(decoder.hook_points());
    hooks.add(Watch::POINTS, &mut watch)?;
    let logits = decoder.forward(&Batch::single(tokens)?, None, &mut hooks, at)?;
    hooks.finish()?;
    let logits = logits.ok_or_else(|| Error::Input("no logits came back".to_owned()))?;
    let [_, positions, vocab] = logits.dims();
    let values = logits.try_into_vec_as::<f32>().map_err(|error| {
        let device = format!("{:?}", decoder.device());
        Error::Model(massval_models::Error::Device { device, what: format!("{error:?}") })
    })?;
    let last = values[values.len() - vocab..].to_vec();
    let shape = if all_positions { vec![positions, vocab] } else { vec![vocab] };
    let name = "logits".to_owned();
    let tensors = [NamedTensor { name, shape, data: TensorData::F32(values) }, token_ids(tokens)];
    write(out, &tensors, provenance, if all_positions { "[seq, vocab]" } else { "[vocab]" })?;
    Ok(last)
}

fn token_ids(tokens: &[u32]) -> NamedTensor {
    let ids = tokens.iter().map(|&id| i64::from(id)).collect();
    NamedTensor { name: "token_ids".into(), shape: vec![tokens.len()], data: TensorData::I64(ids) }
}

fn write(out: &Path, tensors: &[NamedTensor], provenance: &Provenance, layout: &str) -> Result<()> {
    let provenance = serde_json::to_string(provenance)
        .map_err(|error| Error::Input(format!("the provenance cannot be written: {error}")))?;
    let metadata = BTreeMap::from([
        ("layout".to_owned(), layout.to_owned()),
        ("provenance".to_owned(), provenance),
    ]);
    Ok(write_safetensors(out, tensors, &metadata)?)
}
