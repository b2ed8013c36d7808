//! What a decoder keeps of the tokens it has seen: the rotated keys, and the values.

use burn::tensor::Tensor;

use crate::decoder::Batch;

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

    /// Appends a layer's keys and values and returns all of that layer.
    pub(crate) fn append(
        &mut self,
        layer: usize,
        k: Tensor<4>,
        v: Tensor<4>,
    ) -> (Tensor<4>, Tensor<4>) {
        if self.layers.len() <= layer {
            self.layers.resize_with(layer + 1, || None);
        }
        let joined = match self.layers[layer].take() {
            None => (k, v),
            Some((old_k, old_v)) => {
                (Tensor::cat(vec![old_k, k], 2), Tensor::cat(vec![old_v, v], 2))
            }
        };
        self.layers[layer] = Some(joined.clone());
        joined
    }

    /// Records that a pass over `batch` is complete.
    pub(crate) fn advance(&mut self, batch: &Batch) {
        self.mask = self.mask_with(batch);
        self.seq += batch.seq();
        self.batch = batch.batch();
    }
}
