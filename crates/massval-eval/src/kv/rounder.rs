//! The hook that rounds the cache of a model.

use std::ops::Range;

use burn::tensor::{DType, Tensor, TensorData};
use massval_hooks::{CacheAt, CacheHook, HookFailure};
use massval_models::DecoderConfig;
use massval_quant::{CacheShape, KvAxis, KvReport, KvScheme};

use super::turn::Turn;
use super::{KvRounding, KvTally};
use crate::{Error, Result};

/// A [`KvRounding`] bound to a model: the hook to be set with
/// [`HookSet::set_cache`](massval_hooks::HookSet::set_cache).
///
/// What is rounded depends on how many tokens a sequence has and on nothing else: a cache that was copied goes on
/// like the one it was copied from.
#[derive(Debug)]
pub struct KvRounder {
    rounding: KvRounding,
    name: String,
    /// One for each layer, where keys are rounded before RoPE.
    turns: Option<Vec<Turn>>,
    /// By layer, `[kv_heads * head_dim]`.
    kept: Vec<Option<Vec<bool>>>,
    tally: KvTally,
}

impl KvRounder {
    /// The rounding for a model.
    ///
    /// # Errors
    /// [`Error::Options`] if nothing is to be rounded, channels have no groups (a cache that grows has no whole
    /// channel), groups do not divide a head, keys have no RoPE or one that cannot be undone, or a kept channel is
    /// not there.
    pub fn new(rounding: KvRounding, config: &DecoderConfig) -> Result<Self> {
        if rounding.keys.is_none() && rounding.values.is_none() {
            return Err(Error::options(
                "neither keys nor values are to be rounded; name bits of one",
            ));
        }
        for (what, scheme) in [("K", &rounding.keys), ("V", &rounding.values)] {
            if let Some(scheme) = scheme {
                fits(what, scheme, config.head_dim)?;
            }
        }
        if rounding.keys.is_none() && (rounding.before_rope || rounding.kept.is_some()) {
            let what = "channels or RoPE of keys are spoken of, but keys are not rounded";
            return Err(Error::options(what));
        }
        let turns = rounding.before_rope.then(|| Turn::of(config)).transpose()?;
        let kept = kept(&rounding, config)?;
        let name = rounding.to_string();
        Ok(Self { rounding, name, turns, kept, tally: KvTally::default() })
    }

    /// What it does.
    #[must_use]
    pub fn rounding(&self) -> &KvRounding {
        &self.rounding
    }

    /// What it did since this was last asked.
    pub fn take_tally(&mut self) -> KvTally {
        std::mem::take(&mut self.tally)
    }

    fn keys(&mut self, at: &CacheAt<'_>, keys: Tensor<4>) -> Result<Tensor<4>, HookFailure> {
        let Some(scheme) = self.rounding.keys else { return Ok(keys) };
        let turn = self.turns.as_ref().and_then(|turns| turns.get(at.layer));
        let kept = self.kept.get(at.layer).and_then(Option::as_deref);
        let (keys, report) = Pass { scheme: &scheme, turn, kept }.rounded(at, keys)?;
        self.tally.keys += report;
        Ok(keys)
    }

    fn values(&mut self, at: &CacheAt<'_>, values: Tensor<4>) -> Result<Tensor<4>, HookFailure> {
        let Some(scheme) = self.rounding.values else { return Ok(values) };
        let (values, report) =
            Pass { scheme: &scheme, turn: None, kept: None }.rounded(at, values)?;
        self.tally.values += report;
        Ok(values)
    }
}

impl CacheHook for KvRounder {
    fn name(&self) -> &str {
        &self.name
    }

    fn attend(
        &mut self,
        at: &CacheAt<'_>,
        keys: Tensor<4>,
        values: Tensor<4>,
    ) -> Result<(Tensor<4>, Tensor<4>), HookFailure> {
        Ok((self.keys(at, keys)?, self.values(at, values)?))
    }
}

fn fits(what: &str, scheme: &KvScheme, head_dim: usize) -> Result<()> {
    match (scheme.axis, scheme.group) {
        (KvAxis::PerChannel, None) => Err(Error::options(format!(
            "{what} per channel needs groups: a cache that grows has no whole channel; say how many tokens \
             share a scale"
        ))),
        (KvAxis::PerToken, Some(group)) if !head_dim.is_multiple_of(group.get()) => {
            Err(Error::options(format!(
                "{what} per token: groups of {} do not divide the {head_dim} channels of a head; choose a \
                 divisor of {head_dim}",
                group.get()
            )))
        }
        _ => Ok(()),
    }
}

fn kept(rounding: &KvRounding, config: &DecoderConfig) -> Result<Vec<Option<Vec<bool>>>> {
    let Some(kept) = &rounding.kept else { return Ok(Vec::new()) };
    let rows = config.kv_heads * config.head_dim;
    for (&layer, protected) in &kept.layers {
        let row = protected.rows().last().copied().unwrap_or_default();
        if layer >= config.layers || row >= rows {
            return Err(Error::options(format!(
                "channel {row} of layer {layer} is to be kept: the model has {} layers of {rows} key channels",
                config.layers
            )));
        }
    }
    Ok((0..config.layers).map(|layer| kept.layers.get(&layer).map(|k| k.flags(rows))).collect())
}

/// Rounding one tensor in one pass.
struct Pass<'a> {
    scheme: &'a KvScheme,
    turn: Option<&'a Turn>,
    kept: Option<&'a [bool]>,
}

/// The tokens of one sequence that are rounded in this pass.
struct Fresh {
    /// Columns of the sequence's tokens, in order.
    columns: Vec<usize>,
    tokens: Range<usize>,
}

impl Pass<'_> {
    /// `x` `[batch, kv_heads, keys, head_dim]` with the tokens rounded that have settled in this pass.
    fn rounded(
        &self,
        at: &CacheAt<'_>,
        x: Tensor<4>,
    ) -> Result<(Tensor<4>, KvReport), HookFailure> {
        let [batch, heads, held, head_dim] = x.dims();
        let mut report = KvReport::default();
        if at.mask.is_some_and(|mask| mask.len() != batch * held) {
            return Err("the padding mask is of another shape than the cache".into());
        }
        let fresh: Vec<Fresh> = (0..batch)
            .map(|row| self.fresh(at.mask.map(|mask| &mask[row * held..][..held]), at.start, held))
            .collect();
        let spans =
            || fresh.iter().filter(|f| !f.tokens.is_empty()).map(|f| &f.columns[f.tokens.clone()]);
        let first = spans().filter_map(<[usize]>::first).min();
        let last = spans().filter_map(<[usize]>::last).max();
        let (Some(&first), Some(&last)) = (first, last) else { return Ok((x, report)) };
        let width = last + 1 - first;
        let (device, dtype) = (x.device(), x.dtype());
        let part = x.clone().narrow(2, first, width);
        let data = part.try_into_data().map_err(|error| error.to_string())?.convert::<f32>();
        let mut values = data.try_into_vec::<f32>().map_err(|error| format!("{error:?}"))?;
        for (row, Fresh { columns, tokens }) in fresh.iter().enumerate() {
            let count = tokens.len();
            // Where each token's channels begin, head by head.
            let starts: Vec<usize> = (0..heads)
                .flat_map(|head| {
                    let head = (row * heads + head) * width;
                    columns[tokens.clone()].iter().map(move |c| (head + c - first) * head_dim)
                })
                .collect();
            let mut own = Vec::with_capacity(starts.len() * head_dim);
            starts.iter().for_each(|&at| own.extend_from_slice(&values[at..at + head_dim]));
            if let Some(turn) = self.turn {
                turn.back(&mut own, count, head_dim, tokens.start);
            }
            let shape = CacheShape { heads, tokens: count, head_dim };
            report += self.scheme.round(&mut own, shape, 0..count, self.kept)?;
            if let Some(turn) = self.turn {
                turn.forth(&mut own, count, head_dim, tokens.start);
            }
            for (&at, own) in starts.iter().zip(own.chunks_exact(head_dim)) {
                values[at..at + head_dim].copy_from_slice(own);
            }
        }
        let data = TensorData::new(values, [batch, heads, width, head_dim]);
        let part = Tensor::<4>::from_data(data, (&device, DType::F32)).cast(dtype);
        let place = [0..batch, 0..heads, first..last + 1, 0..head_dim];
        Ok((x.slice_assign(place, part), report))
    }

    /// What settles in one sequence, whose columns `real` says are tokens.
    fn fresh(&self, real: Option<&[bool]>, start: usize, held: usize) -> Fresh {
        let is_real = |column: &usize| real.is_none_or(|real| real[*column]);
        let columns: Vec<usize> = (0..held).filter(is_real).collect();
        let before = columns.iter().take_while(|&&column| column < start).count();
        let settled = self.scheme.settled(columns.len());
        let done = self.scheme.settled(before).end;
        let tokens = settled.start.max(done)..settled.end;
        let tokens = if tokens.is_empty() { 0..0 } else { tokens };
        Fresh { columns, tokens }
    }
}
