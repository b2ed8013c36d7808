//! The decoder: one forward pass for every architecture, with hooks at every site.

mod attention;
mod batch;
mod block;
pub(crate) mod build;
mod export;
#[cfg(feature = "flex")]
mod host;
#[cfg(not(feature = "flex"))]
#[path = "no_host.rs"]
mod host;
mod linears;
mod loss;
mod mlp;
mod norm;
mod pass;
mod rotary;
mod rounding;
mod seen;
pub(crate) mod stream;
mod together;
mod walk;

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use massval_hooks::{HookPoint, HookSet, ModelPoints, Phase, Site};

pub use batch::Batch;
pub use build::Progress;
pub use linears::{LinearAt, LinearGroup, LinearRole};
pub use rounding::InputRounding;

use crate::cache::KvCache;
use crate::config::{DecoderConfig, EmbeddingConfig, PositionEncoding, RopeConfig};
use crate::{Error, Result};
use block::Block;
pub use loss::cross_entropy;
use norm::Norm;
pub(crate) use pass::Keys;
use pass::{Pass, Turns};
use rotary::Rotary;
use seen::Seen;
use stream::Stream;
pub use stream::StreamOptions;
pub use together::Job;
pub use walk::Walk;

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
    embed_norm: Option<Norm>,
    /// What embeddings are multiplied with, `[1]`, where that is learned.
    embed_scale: Option<Param<Tensor<1>>>,
    /// From the embedding's width to the stream's, and back before the head, where they differ.
    project_in: Option<Linear>,
    project_out: Option<Linear>,
    /// Learned positions, where the model has them.
    positions: Option<Param<Tensor<2>>>,
    blocks: Vec<Block>,
    final_norm: Option<Norm>,
    /// Absent when tied to the embedding.
    head: Option<Linear>,
    /// Where the blocks are, if they are not in `blocks`.
    #[module(skip)]
    stream: Option<Arc<Stream>>,
    /// How the inputs of linears are rounded, if they are.
    #[module(skip)]
    rounding: Option<Arc<InputRounding>>,
    #[module(skip)]
    config: DecoderConfig,
}

impl Decoder {
    /// A decoder to be trained: matrices, biases and positions are 0, norms leave their input's scale.
    ///
    /// Its parameters are a burn [`Module`]'s: set them by a
    /// [`ModuleMapper`](burn::module::ModuleMapper), and put them on a tape by [`Module::train`].
    ///
    /// # Errors
    /// [`Error::Input`] if the architecture is part of another one.
    pub fn blank(config: &DecoderConfig, device: &Device) -> Result<Self> {
        build::blank(config, &crate::arch::weight_names(config)?, device)
    }

    /// What the decoder is made of.
    #[must_use]
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// With blocks that are read from `stream`.
    pub(crate) fn streamed(self, stream: Stream) -> Self {
        Self { blocks: Vec::new(), stream: Some(Arc::new(stream)), ..self }
    }

    /// With the inputs of linears rounded, as checkpoints with activations in 8 bits have it.
    #[must_use]
    pub fn with_input_rounding(self, rounding: InputRounding) -> Self {
        Self { rounding: (!rounding.is_empty()).then(|| Arc::new(rounding)), ..self }
    }

    /// How the inputs of linears are rounded, if they are.
    #[must_use]
    pub fn input_rounding(&self) -> Option<&InputRounding> {
        self.rounding.as_deref()
    }

    /// Whether the blocks are read when a pass comes to them, one in memory at a time.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        self.stream.is_some()
    }

    /// How many blocks were read so far, of a decoder that is streamed.
    #[must_use]
    pub fn blocks_read(&self) -> usize {
        self.stream.as_ref().map_or(0, |stream| stream.reads())
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
        self.config.hook_points()
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
        let last = match logits {
            LogitsAt::Nowhere if cache.is_none() => self.last_wanted(hooks),
            _ => End::Logits,
        };
        if last == End::Nothing {
            return Ok(None);
        }

        let seq = batch.seq();
        let mut pass = self.pass(batch, cache, hooks, None);
        let mut x = self.enter(batch, &mut pass)?;
        if last == End::Embed {
            return Ok(None);
        }

        for layer in 0..self.config.layers {
            let ends = match last {
                End::Block { layer: end, qkv_only } if end == layer => Some(qkv_only),
                _ => None,
            };
            let mut through =
                |block: &Block, x| block.forward(x, layer, &mut pass, ends == Some(true));
            let out = match (&self.stream, self.blocks.get(layer)) {
                (Some(stream), _) => stream.through(layer, x, through)?,
                (None, Some(block)) => through(block, x)?,
                (None, None) => {
                    return Err(Error::input(format!("the decoder has no block {layer}")));
                }
            };
            match out {
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
        let x = match &self.final_norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let x = pass.hidden_at(HookPoint { layer: None, site: Site::LnFinal }, x)?;
        let logits_point = HookPoint { layer: None, site: Site::Logits };
        if logits == LogitsAt::Nowhere && !pass.hooks.wants(logits_point) {
            return Ok(None);
        }
        let x = match logits {
            LogitsAt::From(from) if x.dims()[1] == seq => x.narrow(1, from, seq - from),
            _ => x,
        };
        let out = self.logits(x);
        let out = pass.hidden_at(logits_point, out)?;
        Ok((logits != LogitsAt::Nowhere).then_some(out))
    }

    /// A pass over `batch` that has not begun; `turns` are those of such a batch, if they are at hand.
    fn pass<'a, 'h>(
        &'a self,
        batch: &'a Batch,
        cache: Option<&'a mut KvCache>,
        hooks: &'a mut HookSet<'h>,
        turns: Option<Turns>,
    ) -> Pass<'a, 'h> {
        let start = cache.as_ref().map_or(0, |cache| cache.len());
        let columns = match &cache {
            Some(cache) => cache.mask_with(batch),
            None => batch.mask().map(<[bool]>::to_vec),
        };
        let device = self.device();
        let seen = Seen::new(batch, columns, start, self.config.attention.kv_bias, &device);
        let turns = turns.unwrap_or_else(|| self.turns(&seen, batch.seq()));
        Pass {
            hooks,
            cache,
            turns,
            alibi: match &self.config.position {
                PositionEncoding::Alibi(alibi) => Some(seen.alibi(alibi)),
                _ => None,
            },
            rounding: self.rounding.as_deref(),
            seen,
            phase: if start == 0 { Phase::Prefill } else { Phase::Decode },
            start,
            real: batch.mask(),
        }
    }

    /// What turns the queries and keys of these tokens.
    fn turns(&self, seen: &Seen, seq: usize) -> Turns {
        let positions = seen.positions();
        let device = self.device();
        let rotary = |rope: &RopeConfig| Arc::new(Rotary::new(rope, &positions, seq, &device));
        Turns {
            all: self.config.rope().map(rotary),
            local: self.config.local_rope.as_ref().map(rotary),
        }
    }

    /// The residual stream where it begins, `[batch, seq, d_model]`.
    fn enter(&self, batch: &Batch, pass: &mut Pass<'_, '_>) -> Result<Tensor<3>> {
        let device = self.device();
        let embedded = self.embedded(batch, &device);
        let x = pass.hidden_at(HookPoint { layer: None, site: Site::Embed }, embedded)?;
        Ok(match &self.positions {
            Some(learned) => {
                let positions = pass.seen.positions();
                x + self.position_vectors(&learned.val(), &positions, batch.seq(), &device)
            }
            None => x,
        })
    }

    /// A block, by itself.
    fn block(&self, layer: usize) -> Result<Block> {
        match (&self.stream, self.blocks.get(layer)) {
            (Some(stream), _) => stream.block(layer),
            (None, Some(block)) => Ok(block.clone()),
            (None, None) => Err(Error::input(format!("the decoder has no block {layer}"))),
        }
    }

    /// What enters the residual stream, `[batch, seq, d_model]`, but for learned positions.
    fn embedded(&self, batch: &Batch, device: &Device) -> Tensor<3> {
        let (rows, seq) = (batch.batch(), batch.seq());
        let ids = batch.tensor(device).reshape([rows * seq]);
        let EmbeddingConfig { width, scale, .. } = self.config.embedding;
        let mut x = self.embed.val().select(0, ids).reshape([rows, seq, width]);
        if let Some(scale) = scale {
            x = x * scale;
        }
        if let Some(scale) = &self.embed_scale {
            x = x * scale.val().unsqueeze();
        }
        if let Some(norm) = &self.embed_norm {
            x = norm.forward(x);
        }
        match &self.project_in {
            Some(project) => linear(project, x),
            None => x,
        }
    }

    /// `[rows, seq, d_model]`, one row where nothing is padded.
    fn position_vectors(
        &self,
        learned: &Tensor<2>,
        positions: &[u32],
        seq: usize,
        device: &Device,
    ) -> Tensor<3> {
        let offset = match self.config.position {
            PositionEncoding::Learned { offset, .. } => offset,
            _ => 0,
        };
        let count = positions.len();
        let index: Vec<i32> = positions.iter().map(|&p| (p as usize + offset) as i32).collect();
        let index = Tensor::<1, Int>::from_data(TensorData::new(index, [count]), device);
        learned.clone().select(0, index).reshape([count / seq, seq, self.config.d_model])
    }

    /// Normed hidden `[batch, positions, d_model]` to `[batch, positions, vocab]`.
    fn logits(&self, x: Tensor<3>) -> Tensor<3> {
        let x = match &self.project_out {
            Some(project) => linear(project, x),
            None => x,
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
        match self.config.logit_soft_cap {
            Some(cap) => (out / cap).tanh() * cap,
            None => out,
        }
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
                return End::Block { layer, qkv_only: sites.all(|site| *site <= Site::RotK) };
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

fn linear(layer: &Linear, x: Tensor<3>) -> Tensor<3> {
    host::linear(layer, &x).unwrap_or_else(|| layer.forward(x))
}

fn added(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    host::add(a, &b).unwrap_or_else(|a| a + b)
}
