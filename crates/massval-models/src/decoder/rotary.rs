//! Rotary positions with half-split pairs, as Hugging Face's `rotate_half`.

use burn::tensor::{Device, Tensor, TensorData};

use super::host;
use crate::config::RopeConfig;

/// Cosines and sines of the positions of one pass, `[batch or 1, 1, seq, rotary_dim / 2]`.
pub(crate) struct Rotary {
    cos: Tensor<4>,
    sin: Tensor<4>,
    /// The same in host memory.
    host: (Vec<f32>, Vec<f32>),
    rotary_dim: usize,
}

impl Rotary {
    /// `positions` is row-major `[rows, seq]`; one row serves a whole batch without padding.
    ///
    /// The angle is rounded to f32 as transformers does, and only then is its cosine taken.
    pub(crate) fn new(rope: &RopeConfig, positions: &[u32], seq: usize, device: &Device) -> Self {
        let pairs = rope.rotary_dim / 2;
        let angles = positions.iter().flat_map(|&position| {
            rope.inv_freq.iter().map(move |&freq| f64::from(position as f32 * freq as f32))
        });
        let (cos, sin): (Vec<f32>, Vec<f32>) =
            angles.map(|angle| (angle.cos() as f32, angle.sin() as f32)).unzip();
        let shape = [positions.len() / seq.max(1), 1, seq, pairs];
        Self {
            cos: Tensor::from_data(TensorData::new(cos.clone(), shape), device),
            sin: Tensor::from_data(TensorData::new(sin.clone(), shape), device),
            host: (cos, sin),
            rotary_dim: rope.rotary_dim,
        }
    }

    /// Turns heads `[batch, heads, seq, head_dim]`; channels from `rotary_dim` on are left alone.
    pub(crate) fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let head_dim = x.dims()[3];
        let half = self.rotary_dim / 2;
        let x = match host::rotate(x, &self.host.0, &self.host.1, half) {
            Ok(turned) => return turned,
            Err(x) => x,
        };
        let (cos, sin) = (self.cos.clone().cast(x.dtype()), self.sin.clone().cast(x.dtype()));
        let first = x.clone().narrow(3, 0, half);
        let second = x.clone().narrow(3, half, half);
        let mut parts = vec![
            first.clone() * cos.clone() - second.clone() * sin.clone(),
            second * cos + first * sin,
        ];
        if self.rotary_dim < head_dim {
            parts.push(x.narrow(3, self.rotary_dim, head_dim - self.rotary_dim));
        }
        Tensor::cat(parts, 3)
    }
}
