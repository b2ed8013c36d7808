//! Which keys the queries of a pass see, and where the keys stand.

use std::collections::BTreeMap;

use burn::tensor::{Bool, Device, Tensor, TensorData};

use super::Batch;
use crate::config::{AlibiConfig, AlibiOrigin};

/// The tokens of a pass and those in the cache before it.
///
/// The position of a token is the number of real tokens before it in its row; padding, wherever it
/// stands, counts for nothing and is seen by nobody but itself.
pub(crate) struct Seen {
    seq: usize,
    /// Tokens in the cache, padding included.
    before: usize,
    /// Row-major `[rows, before + seq]`, true = a real token; absent where nothing is padded.
    columns: Option<Vec<bool>>,
    /// The same after the key bias, where there is one.
    biased: Option<Vec<bool>>,
    /// Whether a key that every query sees comes before the tokens.
    kv_bias: bool,
    device: Device,
    masks: BTreeMap<Option<usize>, Tensor<4, Bool>>,
}

impl Seen {
    pub(crate) fn new(
        batch: &Batch,
        columns: Option<Vec<bool>>,
        before: usize,
        kv_bias: bool,
        device: &Device,
    ) -> Self {
        let keys = before + batch.seq();
        let biased = columns.as_ref().filter(|_| kv_bias).map(|columns| {
            let with_bias = |row: &[bool]| std::iter::once(true).chain(row.to_vec());
            columns.chunks_exact(keys.max(1)).flat_map(with_bias).collect()
        });
        let (device, masks) = (device.clone(), BTreeMap::new());
        Self { seq: batch.seq(), before, columns, biased, kv_bias, device, masks }
    }

    /// For each key of each row, whether it is one; `None` where nothing is padded.
    pub(crate) fn columns(&self) -> Option<&[bool]> {
        self.biased.as_deref().or(self.columns.as_deref())
    }

    fn keys(&self) -> usize {
        self.before + self.seq
    }

    /// Of all tokens: `[rows, before + seq]`, one row if nothing is padded; 0 at padding.
    fn all_positions(&self) -> Vec<u32> {
        let Some(columns) = &self.columns else { return (0..self.keys() as u32).collect() };
        let of_row = |row: &[bool]| {
            let mut before = 0;
            let position = |&real: &bool| {
                let position = before;
                before += u32::from(real);
                if real { position } else { 0 }
            };
            row.iter().map(position).collect::<Vec<_>>()
        };
        columns.chunks_exact(self.keys()).flat_map(of_row).collect()
    }

    /// Of the tokens of this pass: row-major `[rows, seq]`, one row if nothing is padded.
    pub(crate) fn positions(&self) -> Vec<u32> {
        let all = self.all_positions();
        all.chunks_exact(self.keys()).flat_map(|row| row[self.before..].iter().copied()).collect()
    }

    /// `[rows or 1, 1, seq, keys]`, true where a query must not look: at the future, at padding, and at
    /// what lies `window` tokens or more before it. Padding looks at itself, so that no row of the
    /// softmax is empty. `None` where a plain causal mask says it all.
    pub(crate) fn mask(&mut self, window: Option<usize>) -> Option<Tensor<4, Bool>> {
        let window = window.filter(|&window| window < self.keys());
        if window.is_none() && self.columns.is_none() {
            return None;
        }
        if let Some(mask) = self.masks.get(&window) {
            return Some(mask.clone());
        }
        let mask = self.masked(window);
        self.masks.insert(window, mask.clone());
        Some(mask)
    }

    fn masked(&self, window: Option<usize>) -> Tensor<4, Bool> {
        let keys = self.keys();
        let positions = self.all_positions();
        let rows = positions.len() / keys.max(1);
        let mut masked = Vec::with_capacity(rows * self.seq * keys);
        for (row, positions) in positions.chunks_exact(keys).enumerate() {
            let real = self.columns.as_ref().map(|columns| &columns[row * keys..][..keys]);
            for query in self.before..keys {
                masked.extend(self.kv_bias.then_some(false));
                masked.extend((0..keys).map(|key| {
                    let padding = real.is_some_and(|real| !real[key]);
                    let too_far = window.is_some_and(|window| {
                        (positions[query] as usize).saturating_sub(positions[key] as usize)
                            >= window
                    });
                    key != query && (key > query || padding || too_far)
                }));
            }
        }
        let shape = [rows, 1, self.seq, keys + usize::from(self.kv_bias)];
        Tensor::from_data(TensorData::new(masked, shape), &self.device)
    }

    /// What ALiBi adds to the scores, `[rows or 1, heads, 1, keys]`.
    pub(crate) fn alibi(&self, alibi: &AlibiConfig) -> Tensor<4> {
        let (keys, heads) = (self.keys(), alibi.slopes.len());
        let positions = self.all_positions();
        let rows = positions.len() / keys.max(1);
        let mut added = Vec::with_capacity(positions.len() * heads);
        for row in positions.chunks_exact(keys) {
            let origin = match alibi.origin {
                AlibiOrigin::First => 0,
                AlibiOrigin::Last => row.iter().copied().max().unwrap_or(0),
            };
            for slope in &alibi.slopes {
                // As far away as the first token.
                added.extend(self.kv_bias.then(|| slope * (0.0 - origin as f32)));
                added.extend(row.iter().map(|&place| slope * (place as f32 - origin as f32)));
            }
        }
        let shape = [rows, heads, 1, keys + usize::from(self.kv_bias)];
        Tensor::from_data(TensorData::new(added, shape), &self.device)
    }
}
