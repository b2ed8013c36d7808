//! RoPE on the slices of one sequence, forwards and back, for keys that lie in a cache.

use massval_detect::PairLayout;
use massval_models::{DecoderConfig, RopeConfig};

use crate::{Error, Result};

/// How one layer's keys are turned.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    freqs: Vec<f32>,
    factor: f32,
    layout: PairLayout,
}

impl Turn {
    /// Of every layer of a model.
    pub(super) fn of(config: &DecoderConfig) -> Result<Vec<Self>> {
        (0..config.layers).map(|layer| Self::new(config.rope_at(layer), layer)).collect()
    }

    fn new(rope: Option<&RopeConfig>, layer: usize) -> Result<Self> {
        let Some(rope) = rope else {
            return Err(Error::options(format!(
                "keys are to be rounded before RoPE, but layer {layer} has none; round them as they are cached"
            )));
        };
        if rope.changes_beyond().is_some() {
            let what = "keys are to be rounded before RoPE, but the model's angles depend on the sequence's \
                        length, and cached keys keep those of their own pass; round them after RoPE";
            return Err(Error::options(what));
        }
        Ok(Self {
            freqs: rope.inv_freq().iter().map(|&freq| freq as f32).collect(),
            factor: rope.attention_factor() as f32,
            layout: rope.layout(),
        })
    }

    /// Undoes the turn of keys `[heads, tokens, head_dim]` whose first stands at `position`.
    pub(super) fn back(&self, keys: &mut [f32], tokens: usize, head_dim: usize, position: usize) {
        let scale = self.factor.recip();
        self.turn(keys, tokens, head_dim, position, |cos, sin| (scale * cos, -scale * sin));
    }

    /// Turns them again.
    pub(super) fn forth(&self, keys: &mut [f32], tokens: usize, head_dim: usize, position: usize) {
        let scale = self.factor;
        self.turn(keys, tokens, head_dim, position, |cos, sin| (scale * cos, scale * sin));
    }

    fn turn(
        &self,
        keys: &mut [f32],
        tokens: usize,
        head_dim: usize,
        position: usize,
        scaled: impl Fn(f32, f32) -> (f32, f32),
    ) {
        let pairs = self.freqs.len();
        for (row, key) in keys.chunks_exact_mut(head_dim.max(1)).enumerate() {
            let position = (position + row % tokens.max(1)) as f32;
            for (pair, &freq) in self.freqs.iter().enumerate() {
                // As the decoder: the angle is rounded to f32, and only then is its cosine taken.
                let angle = f64::from(position * freq);
                let (cos, sin) = scaled(angle.cos() as f32, angle.sin() as f32);
                let (a, b) = match self.layout {
                    PairLayout::HalfSplit => (pair, pair + pairs),
                    PairLayout::Interleaved => (2 * pair, 2 * pair + 1),
                };
                if let [Some(&x), Some(&y)] = [key.get(a), key.get(b)] {
                    (key[a], key[b]) = (x * cos - y * sin, y * cos + x * sin);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use massval_models::Checkpoint;

    use super::*;

    #[test]
    fn keys_are_turned_back_and_again() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
        let path = fixtures.join("gguf-llama/f32.gguf");
        let config = Checkpoint::inspect(&path).unwrap().config;
        let turn = &Turn::of(&config).unwrap()[0];
        let dim = config.head_dim;
        let keys: Vec<f32> = (0..2 * 3 * dim).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut turned = keys.clone();
        turn.forth(&mut turned, 3, dim, 11);
        assert!(turned.iter().zip(&keys).any(|(a, b)| (a - b).abs() > 0.1));
        // Both heads hold tokens 11 to 13.
        let mut second = keys[3 * dim..].to_vec();
        turn.forth(&mut second, 3, dim, 11);
        assert_eq!(turned[3 * dim..], second);
        turn.back(&mut turned, 3, dim, 11);
        assert!(turned.iter().zip(&keys).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
