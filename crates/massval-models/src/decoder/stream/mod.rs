//! Blocks that are read when a pass comes to them, one in memory at a time.
//!
//! A pass of its own reads each block once. Passes that run [`together`](super::Decoder::together) go through the
//! layers side by side: each waits before a block until all others wait, too; then the next block is read, and the
//! passes that came for it go on, one after the other. What they carry meanwhile is parked, on disk if it is much.

mod park;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use burn::tensor::{DType, Device, Tensor};

use self::park::Park;
use super::block::Block;
use super::build::{self, Target};
use crate::Result;
use crate::arch::WeightNames;
use crate::config::DecoderConfig;
use crate::weights::Weights;

/// Jobs under way at once: each has a thread.
const MOST_JOBS: usize = 64;

/// How a model that is read layer by layer uses what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamOptions {
    /// Bytes that passes under way may take together, besides the weights. Hidden states that wait take half of it;
    /// those beyond go to disk.
    pub working_bytes: u64,
    /// The folder for what goes to disk; `None` keeps everything in memory.
    pub spill: Option<PathBuf>,
}

impl StreamOptions {
    /// With so many bytes for passes under way, and nothing on disk.
    #[must_use]
    pub fn working(working_bytes: u64) -> Self {
        Self { working_bytes, spill: None }
    }

    /// With a folder for what is beyond.
    #[must_use]
    pub fn spilling_to(mut self, folder: PathBuf) -> Self {
        self.spill = Some(folder);
        self
    }
}

/// The blocks of a decoder, in its checkpoint.
#[derive(Debug)]
pub(crate) struct Stream {
    config: DecoderConfig,
    names: WeightNames,
    weights: Weights,
    /// The tensors of each block.
    tensors: Vec<Vec<String>>,
    device: Device,
    dtype: DType,
    working_bytes: u64,
    turn: Mutex<Turn>,
    /// Notified when the turn has come to another layer, or a pass has left.
    moved: Condvar,
}

#[derive(Debug)]
struct Turn {
    /// The block in memory, and its layer.
    resident: Option<(usize, Block)>,
    /// The layer whose turn it is among passes that run together.
    layer: Option<usize>,
    /// Passes that run together; 0 where one runs by itself.
    together: usize,
    /// How many of them wait, by layer.
    waiting: BTreeMap<usize, usize>,
    park: Park,
    /// Blocks read so far.
    reads: usize,
}

impl Stream {
    /// Of a checkpoint whose dry run was clean.
    pub(crate) fn new(
        config: DecoderConfig,
        names: WeightNames,
        weights: Weights,
        target: Target<'_>,
        options: StreamOptions,
    ) -> Result<Self> {
        let tensors = (0..config.layers)
            .map(|layer| build::block_tensors(&config, &names, &weights, layer))
            .collect::<Result<_>>()?;
        let working_bytes = options.working_bytes;
        let turn = Turn {
            resident: None,
            layer: None,
            together: 0,
            waiting: BTreeMap::new(),
            park: Park::new(options),
            reads: 0,
        };
        Ok(Self {
            config,
            names,
            weights,
            tensors,
            device: target.device.clone(),
            dtype: target.dtype,
            working_bytes,
            turn: Mutex::new(turn),
            moved: Condvar::new(),
        })
    }

    /// Takes `x` through the block of `layer` as `pass` says, when it is that layer's turn.
    pub(crate) fn through<T>(
        &self,
        layer: usize,
        x: Tensor<3>,
        pass: impl FnOnce(&Block, Tensor<3>) -> Result<T>,
    ) -> Result<T> {
        let turn = self.lock();
        let (mut turn, x) = match turn.together > 1 && turn.layer != Some(layer) {
            true => self.wait(turn, layer, x)?,
            false => (turn, x),
        };
        // Another block is gone before the next is read: two might not fit.
        let resident = turn.resident.take().filter(|(resident, _)| *resident == layer);
        let block = match resident {
            Some((_, block)) => block,
            None => {
                turn.reads += 1;
                self.read(layer)?
            }
        };
        for tensor in self.tensors.get(layer + 1).into_iter().flatten() {
            self.weights.prefetch(tensor);
        }
        let done = pass(&block, x);
        turn.resident = Some((layer, block));
        done
    }

    /// A block by itself; the next one is read ahead.
    pub(crate) fn block(&self, layer: usize) -> Result<Block> {
        self.lock().reads += 1;
        let block = self.read(layer)?;
        for tensor in self.tensors.get(layer + 1).into_iter().flatten() {
            self.weights.prefetch(tensor);
        }
        Ok(block)
    }

    /// Blocks read so far.
    pub(crate) fn reads(&self) -> usize {
        self.lock().reads
    }

    /// How many jobs may be under way, if each holds so many bytes.
    pub(crate) fn jobs_at_once(&self, bytes_each: u64) -> usize {
        let fit = self.working_bytes / 2 / bytes_each.max(1);
        usize::try_from(fit).unwrap_or(MOST_JOBS).clamp(1, MOST_JOBS)
    }

    /// One more pass runs together with others, until what this returns is dropped.
    pub(crate) fn join(&self) -> Joined<'_> {
        self.lock().together += 1;
        Joined(self)
    }

    fn read(&self, layer: usize) -> Result<Block> {
        let target = Target { device: &self.device, dtype: self.dtype };
        let block = build::one_block(&self.config, &self.names, &self.weights, target, layer);
        self.weights.release();
        block
    }

    /// Parks `x`, and brings it back when it is the turn of `layer`.
    fn wait<'a>(
        &'a self,
        mut turn: MutexGuard<'a, Turn>,
        layer: usize,
        x: Tensor<3>,
    ) -> Result<(MutexGuard<'a, Turn>, Tensor<3>)> {
        let parked = turn.park.put(x)?;
        *turn.waiting.entry(layer).or_default() += 1;
        if turn.advance() {
            self.moved.notify_all();
        }
        while turn.layer != Some(layer) {
            turn = self.moved.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        let x = turn.park.take(parked, &self.device)?;
        Ok((turn, x))
    }

    fn lock(&self) -> MutexGuard<'_, Turn> {
        // A pass that panicked has changed nothing but its own activations.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Gives the turn to the next layer that somebody waits for, once all wait; whether it did.
    fn advance(&mut self) -> bool {
        let waiting: usize = self.waiting.values().sum();
        if waiting == 0 || waiting < self.together {
            return false;
        }
        let after = self.layer.map_or(0, |layer| layer + 1);
        let ahead = self.waiting.range(after..).next().or_else(|| self.waiting.first_key_value());
        self.layer = ahead.map(|(layer, _)| *layer);
        if let Some(layer) = self.layer {
            // From here on these are under way.
            self.waiting.remove(&layer);
        }
        true
    }
}

/// A pass that runs together with others.
pub(crate) struct Joined<'a>(&'a Stream);

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        let mut turn = self.0.lock();
        turn.together -= 1;
        if turn.together == 0 {
            turn.layer = None;
        }
        if turn.advance() {
            self.0.moved.notify_all();
        }
    }
}
