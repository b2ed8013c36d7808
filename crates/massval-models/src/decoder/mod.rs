//! The decoder: one forward pass for every architecture, with hooks at every site.

mod attention;
mod batch;
pub(crate) mod build;
#[cfg(feature = "flex")]
mod host;
#[cfg(not(feature = "flex"))]
#[path = "no_host.rs"]
mod host;
mod mlp;
mod norm;
mod pass;
mod rotary;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use massval_hooks::{HookPoint, HookSet, ModelPoints, Phase, Site};

pub use batch::Batch;
pub use build::Progress;

use crate::cache::KvCache;
use crate::config::DecoderConfig;
use crate::{Error, Result};
use attention::Attention;
use mlp::Mlp;
use norm::Norm;
pub(crate) use pass::Keys;
use pass::Pass;
use rotary::Rotary;

/// For which positions of a pass the logits are computed.
///
/// The head is a large part of a small model's work: ask for no more than is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogitsAt {
    /// None. The pass ends after the last site that a hook wants.
    Nowhere,
    /// The last position.
    Last,
    /// Every position from this one on, counted within the pass.
    From(usize),
    /// Every position.
    All,
}

/// A decoder-only transformer with its weights.
///
/// It is a burn [`Module`]: its parameters can be visited, recorded and trained.
#[derive(Module, Debug)]
pub struct Decoder {
    embed: Param<Tensor<2>>,
    /// Learned positions, where the model has them.
    positions: Option<Param<Tensor<2>>>,
    blocks: Vec<Block>,
    final_norm: Norm,
    /// Absent when tied to the embedding.
    head: Option<Linear>,
    #[module(skip)]
    config: DecoderConfig,
}

#[derive(Module, Debug)]
struct Block {
    attn_norm: Norm,
    attention: Attention,
    mlp_norm: Norm,
    mlp: Mlp,
}

impl Decoder {
    /// What the decoder is made of.
    #[must_use]
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// Where the weights are.
    #[must_use]
    pub fn device(&self) -> Device {
        self.embed.device()
    }

    /// The type of the weights and activations.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.embed.val().dtype()
    }

    /// The hook points that this model has.
    #[must_use]
    pub fn hook_points(&self) -> ModelPoints {
        ModelPoints::new(self.config.layers, &self.config.sites())
    }

    /// Runs the model on `batch`, after what `cache` has seen, and calls `hooks` on the way.
    ///
    /// Returns logits `[batch, positions, vocab]` for the positions asked for, `None` for
    /// [`LogitsAt::Nowhere`]. What no hook wants is neither computed for it nor cloned.
    ///
    /// # Errors
    /// [`Error::Input`] if a token id is outside the vocabulary, the sequence outgrows the model's
    /// positions, or the cache is of another batch; [`Error::Hook`] if a hook fails. After an error
    /// the cache is empty.
    pub fn forward(
        &self,
        batch: &Batch,
        mut cache: Option<&mut KvCache>,
        hooks: &mut HookSet<'_>,
        logits: LogitsAt,
    ) -> Result<Option<Tensor<3>>> {
        let result = self.run(batch, cache.as_deref_mut(), hooks, logits);
        if let Some(cache) = cache {
            match &result {
                Ok(_) => cache.advance(batch),
                Err(_) => *cache = KvCache::new(),
            }
        }
        result
    }

    fn run(
        &self,
        batch: &Batch,
        cache: Option<&mut KvCache>,
        hooks: &mut HookSet<'_>,
        logits: LogitsAt,
    ) -> Result<Option<Tensor<3>>> {
        let seen = cache.as_ref().map_or(0, |cache| cache.len());
        self.check(batch, cache.as_deref(), seen)?;
        let columns = match &cache {
            Some(cache) => cache.mask_with(batch),
            None => batch.mask().map(<[bool]>::to_vec),
        };
        let last = match logits {
            LogitsAt::Nowhere if cache.is_none() => self.last_wanted(hooks),
            _ => End::Logits,
        };
        if last == End::Nothing {
            return Ok(None);
        }

        let device = self.device();
        let (rows, seq) = (batch.batch(), batch.seq());
        let positions = positions(batch, columns.as_deref(), seen);
        let phase = if seen == 0 { Phase::Prefill } else { Phase::Decode };
        let mut pass = Pass {
            hooks,
            cache,
            rotary: self.config.rope().map(|rope| Rotary::new(rope, &positions, seq, &device)),
            mask: columns.as_ref().map(|real| padded_mask(real, rows, seq, seen, &device)),
            columns,
            phase,
            start: seen,
            real: batch.mask(),
        };

        let ids = batch.tensor(&device).reshape([rows * seq]);
        let embedded = self.embed.val().select(0, ids).reshape([rows, seq, self.config.d_model]);
        let mut x = pass.hidden_at(HookPoint { layer: None, site: Site::Embed }, embedded)?;
        if let Some(learned) = &self.positions {
            let count = positions.len();
            let index: Vec<i32> = positions.iter().map(|&p| p as i32).collect();
            let index = Tensor::<1, Int>::from_data(TensorData::new(index, [count]), &device);
            let added = learned.val().select(0, index);
            x = x + added.reshape([count / seq, seq, self.config.d_model]);
        }
        if last == End::Embed {
            return Ok(None);
        }

        for (layer, block) in self.blocks.iter().enumerate() {
            let ends = match last {
                End::Block { layer: end, qkv_only } if end == layer => Some(qkv_only),
                _ => None,
            };
            match block.forward(x, layer, &mut pass, ends == Some(true))? {
                Some(out) if ends.is_none() => x = out,
                _ => return Ok(None),
            }
        }

        let x = match logits {
            LogitsAt::Last => x.narrow(1, seq - 1, 1),
            LogitsAt::From(from) if from >= seq => {
                let what = format!("logits from position {from} asked of a pass over {seq} tokens");
                return Err(Error::input(what));
            }
            // A hook on ln_final sees every position.
            LogitsAt::From(from)
                if !pass.hooks.wants(HookPoint { layer: None, site: Site::LnFinal }) =>
            {
                x.narrow(1, from, seq - from)
            }
            _ => x,
        };
        let x = self.final_norm.forward(x);
        let x = pass.hidden_at(HookPoint { layer: None, site: Site::LnFinal }, x)?;
        let logits_point = HookPoint { layer: None, site: Site::Logits };
        if logits == LogitsAt::Nowhere && !pass.hooks.wants(logits_point) {
            return Ok(None);
        }
        let x = match logits {
            LogitsAt::From(from) if x.dims()[1] == seq => x.narrow(1, from, seq - from),
            _ => x,
        };
        let out = match &self.head {
            Some(head) => linear(head, x),
            None if let Some(out) = host::times(&x, &self.embed.val().transpose()) => out,
            None => {
                let [rows, positions, width] = x.dims();
                let flat = x.reshape([rows * positions, width]);
                let out = flat.matmul(self.embed.val().transpose());
                out.reshape([rows, positions, self.config.vocab_size])
            }
        };
        let out = pass.hidden_at(logits_point, out)?;
        Ok((logits != LogitsAt::Nowhere).then_some(out))
    }

    fn check(&self, batch: &Batch, cache: Option<&KvCache>, seen: usize) -> Result<()> {
        batch.check_vocab(self.config.vocab_size)?;
        if let Some(cache) = cache.filter(|cache| !cache.is_empty())
            && cache.batch() != batch.batch()
        {
            return Err(Error::input(format!(
                "the cache holds {} sequences, the batch {}",
                cache.batch(),
                batch.batch()
            )));
        }
        if batch.seq() > self.positions_left(seen) {
            return Err(Error::input(format!(
                "{} tokens, but the model has positions for {}; shorten the text or limit the tokens",
                seen + batch.seq(),
                seen + self.positions_left(seen),
            )));
        }
        Ok(())
    }

    /// How many tokens may follow `seen` ones.
    pub(crate) fn positions_left(&self, seen: usize) -> usize {
        self.config.positions().unwrap_or(usize::MAX).saturating_sub(seen)
    }

    /// Where a pass that needs no logits may end.
    fn last_wanted(&self, hooks: &HookSet<'_>) -> End {
        let wants = |layer, site| hooks.wants(HookPoint { layer, site });
        if wants(None, Site::LnFinal) || wants(None, Site::Logits) {
            return End::Logits;
        }
        for layer in (0..self.config.layers).rev() {
            let mut sites = Site::ALL.iter().filter(|site| wants(Some(layer), **site)).peekable();
            if sites.peek().is_some() {
                let early = [Site::ResidPre, Site::Q, Site::K, Site::V, Site::RotQ, Site::RotK];
                return End::Block { layer, qkv_only: sites.all(|site| early.contains(site)) };
            }
        }
        if wants(None, Site::Embed) { End::Embed } else { End::Nothing }
    }
}

/// The last thing that a pass has to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Nothing,
    Embed,
    Block { layer: usize, qkv_only: bool },
    Logits,
}

impl Block {
    fn forward(
        &self,
        x: Tensor<3>,
        layer: usize,
        pass: &mut Pass<'_, '_>,
        qkv_only: bool,
    ) -> Result<Option<Tensor<3>>> {
        let x = pass.hidden(layer, Site::ResidPre, x)?;
        let normed = self.attn_norm.forward(x.clone());
        let Some(out) = self.attention.forward(normed, layer, pass, qkv_only)? else {
            return Ok(None);
        };
        let x = added(x, pass.hidden(layer, Site::AttnOut, out)?);
        let x = pass.hidden(layer, Site::ResidMid, x)?;
        let out = self.mlp.forward(self.mlp_norm.forward(x.clone()), layer, pass)?;
        let x = added(x, pass.hidden(layer, Site::MlpOut, out)?);
        pass.hidden(layer, Site::ResidPost, x).map(Some)
    }
}

fn linear(layer: &Linear, x: Tensor<3>) -> Tensor<3> {
    host::linear(layer, &x).unwrap_or_else(|| layer.forward(x))
}

fn added(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    host::add(a, &b).unwrap_or_else(|a| a + b)
}

/// Row-major `[rows, seq]`, one row if nothing is padded. A real token's position is the number of
/// real tokens before it; padding sits at 0, where nobody sees it.
fn positions(batch: &Batch, columns: Option<&[bool]>, seen: usize) -> Vec<u32> {
    let seq = batch.seq();
    let Some(columns) = columns else {
        return (seen..seen + seq).map(|p| p as u32).collect();
    };
    columns
        .chunks_exact(seen + seq)
        .flat_map(|row| {
            let mut before = row[..seen].iter().filter(|real| **real).count() as u32;
            row[seen..].iter().map(move |&real| {
                let position = before;
                before += u32::from(real);
                if real { position } else { 0 }
            })
        })
        .collect()
}

/// `[rows, 1, seq, seen + seq]`, true where a query must not look: at the future and at padding.
/// Padding looks at itself, so that no row of the softmax is empty.
fn padded_mask(
    real: &[bool],
    rows: usize,
    seq: usize,
    seen: usize,
    device: &Device,
) -> Tensor<4, Bool> {
    let keys = seen + seq;
    let mut masked = Vec::with_capacity(rows * seq * keys);
    for row in real.chunks_exact(keys) {
        for query in seen..keys {
            masked.extend((0..keys).map(|key| key > query || (!row[key] && key != query)));
        }
    }
    Tensor::from_data(TensorData::new(masked, [rows, 1, seq, keys]), device)
}
