//! What a decoder keeps of the tokens it has seen: the rotated keys, and the values.

use burn::tensor::Tensor;

use crate::decoder::{Batch, Keys};

/// Keys and values of every layer, `[batch, kv_heads, seq, head_dim]`, and what was padding.
///
/// One cache belongs to one model and one batch of sequences, and grows with every pass.
#[derive(Debug, Clone, Default)]
pub struct KvCache {
    layers: Vec<Option<(Tensor<4>, Tensor<4>)>>,
    seq: usize,
    batch: usize,
    /// Row-major `[batch, seq]` of everything seen; absent where all are real tokens.
    mask: Option<Vec<bool>>,
}

impl KvCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tokens seen so far, padding included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seq
    }

    /// Whether nothing was seen yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seq == 0
    }

    pub(crate) fn batch(&self) -> usize {
        self.batch
    }

    /// Which columns are real once `batch` has been appended, row-major `[batch, seen + seq]`.
    pub(crate) fn mask_with(&self, batch: &Batch) -> Option<Vec<bool>> {
        if self.mask.is_none() && batch.mask().is_none() {
            return None;
        }
        let (rows, seq) = (batch.batch(), batch.seq());
        let mut joined = Vec::with_capacity(rows * (self.seq + seq));
        for row in 0..rows {
            match &self.mask {
                Some(mask) => joined.extend_from_slice(&mask[row * self.seq..(row + 1) * self.seq]),
                None => joined.extend(std::iter::repeat_n(true, self.seq)),
            }
            match batch.mask() {
                Some(mask) => joined.extend_from_slice(&mask[row * seq..(row + 1) * seq]),
                None => joined.extend(std::iter::repeat_n(true, seq)),
            }
        }
        Some(joined)
    }

    /// A layer's keys and values with those of a pass behind them. The layer's own are gone until
    /// [`keep`](Self::keep) brings all back.
    pub(crate) fn joined(&mut self, layer: usize, k: Keys, v: Keys) -> (Keys, Keys) {
        let (old_k, old_v) = match self.layers.get_mut(layer).and_then(Option::take) {
            Some((k, v)) => (Some(k), Some(v)),
            None => (None, None),
        };
        (joined(old_k, k), joined(old_v, v))
    }

    /// Keeps all keys and values of a layer.
    pub(crate) fn keep(&mut self, layer: usize, k: Tensor<4>, v: Tensor<4>) {
        if self.layers.len() <= layer {
            self.layers.resize_with(layer + 1, || None);
        }
        self.layers[layer] = Some((k, v));
    }

    /// Records that a pass over `batch` is complete.
    pub(crate) fn advance(&mut self, batch: &Batch) {
        self.mask = self.mask_with(batch);
        self.seq += batch.seq();
        self.batch = batch.batch();
    }
}

/// What a pass attends to, and what is kept for the next.
fn joined(old: Option<Tensor<4>>, new: Keys) -> Keys {
    let after = |new: Tensor<4>| match &old {
        Some(old) => Tensor::cat(vec![old.clone(), new], 2),
        None => new,
    };
    Keys { seen: after(new.seen), kept: new.kept.map(after) }
}
