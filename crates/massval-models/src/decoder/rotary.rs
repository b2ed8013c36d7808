//! Rotary positions over half-split pairs, as Hugging Face's `rotate_half`, or over neighbours.

use burn::tensor::{Device, Tensor, TensorData};
use massval_detect::PairLayout;

use super::host;
use crate::config::RopeConfig;

/// Cosines and sines of the positions of one pass, `[batch or 1, 1, seq, rotary_dim / 2]`.
pub(crate) struct Rotary {
    cos: Tensor<4>,
    sin: Tensor<4>,
    /// The same in host memory.
    host: (Vec<f32>, Vec<f32>),
    rotary_dim: usize,
    layout: PairLayout,
}

impl Rotary {
    /// `positions` is row-major `[rows, seq]`; one row serves a whole batch without padding.
    ///
    /// The angle is rounded to f32 as transformers does, and only then is its cosine taken and
    /// multiplied with the attention factor. Where the frequencies depend on the length, each row
    /// takes those of its own last position, so that a sequence is computed alike alone and beside
    /// longer ones (transformers takes the longest of the batch). Keys in the cache stay as the
    /// pass that made them turned them.
    pub(crate) fn new(rope: &RopeConfig, positions: &[u32], seq: usize, device: &Device) -> Self {
        let pairs = rope.rotary_dim() / 2;
        let factor = rope.attention_factor() as f32;
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for row in positions.chunks(seq.max(1)) {
            let length = row.iter().max().map_or(0, |&last| last as usize + 1);
            let freqs: Vec<f32> = rope.inv_freq_at(length).iter().map(|&f| f as f32).collect();
            for &position in row {
                let angles = freqs.iter().map(|freq| f64::from(position as f32 * freq));
                cos.extend(angles.clone().map(|angle| angle.cos() as f32 * factor));
                sin.extend(angles.map(|angle| angle.sin() as f32 * factor));
            }
        }
        let shape = [positions.len() / seq.max(1), 1, seq, pairs];
        Self {
            cos: Tensor::from_data(TensorData::new(cos.clone(), shape), device),
            sin: Tensor::from_data(TensorData::new(sin.clone(), shape), device),
            host: (cos, sin),
            rotary_dim: rope.rotary_dim(),
            layout: rope.layout(),
        }
    }

    /// Turns heads `[batch, heads, seq, head_dim]`; channels from `rotary_dim` on are left alone.
    pub(crate) fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let x = match self.layout {
            PairLayout::HalfSplit => {
                match host::rotate(x, &self.host.0, &self.host.1, self.rotary_dim / 2) {
                    Ok(turned) => return turned,
                    Err(x) => x,
                }
            }
            PairLayout::Interleaved => x,
        };
        let head_dim = x.dims()[3];
        let rest = (self.rotary_dim < head_dim)
            .then(|| x.clone().narrow(3, self.rotary_dim, head_dim - self.rotary_dim));
        let turned = match self.layout {
            PairLayout::HalfSplit => self.half_split(x),
            PairLayout::Interleaved => self.interleaved(x),
        };
        match rest {
            Some(rest) => Tensor::cat(vec![turned, rest], 3),
            None => turned,
        }
    }

    fn half_split(&self, x: Tensor<4>) -> Tensor<4> {
        let half = self.rotary_dim / 2;
        let (first, second) = self.turn(x.clone().narrow(3, 0, half), x.narrow(3, half, half));
        Tensor::cat(vec![first, second], 3)
    }

    fn interleaved(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, heads, seq, _] = x.dims();
        let pairs = self.rotary_dim / 2;
        let paired = x.narrow(3, 0, self.rotary_dim).reshape([batch, heads, seq, pairs, 2]);
        let channel = |which| paired.clone().narrow(4, which, 1).squeeze_dim::<4>(4);
        let (even, odd) = self.turn(channel(0), channel(1));
        let stacked: Tensor<5> = Tensor::stack(vec![even, odd], 4);
        stacked.reshape([batch, heads, seq, self.rotary_dim])
    }

    fn turn(&self, first: Tensor<4>, second: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let dtype = first.dtype();
        let (cos, sin) = (self.cos.clone().cast(dtype), self.sin.clone().cast(dtype));
        (first.clone() * cos.clone() - second.clone() * sin.clone(), second * cos + first * sin)
    }
}

#[cfg(test)]
mod tests {
    use massval_detect::{RopeAngles, RopeScaling};

    use super::*;

    /// Half as fast beyond 4 positions, and an attention factor of 3.
    fn longrope() -> RopeConfig {
        let scaling = RopeScaling::Longrope {
            short_factor: vec![1.0; 2],
            long_factor: vec![2.0; 2],
            factor: 2.0,
            original_max_position: 4,
            attention_factor: Some(3.0),
        };
        RopeConfig::new(RopeAngles::new(4, 100.0, Some(scaling)).unwrap(), PairLayout::HalfSplit)
    }

    /// `3 cos` and `3 sin` of the angles of these positions, each slowed by `slowed`.
    fn expected(positions: &[u32], slowed: f32) -> (Vec<f32>, Vec<f32>) {
        let turn = |position: &u32| [1.0, 0.1].map(|freq| *position as f32 * freq / slowed);
        let angles: Vec<f32> = positions.iter().flat_map(turn).collect();
        let of = |f: fn(f32) -> f32| angles.iter().map(|&angle| 3.0 * f(angle)).collect();
        (of(f32::cos), of(f32::sin))
    }

    fn close(found: &[f32], expected: &[f32]) -> bool {
        found.len() == expected.len()
            && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6)
    }

    #[test]
    fn every_row_turns_by_the_angles_of_its_own_length() {
        let (device, rope) = (Device::default(), longrope());
        // The second row begins with two tokens of padding.
        let rows = [[0, 1, 2, 3, 4], [0, 0, 0, 1, 2]];
        let both = Rotary::new(&rope, rows.as_flattened(), 5, &device);
        for (row, slowed) in [(0, 2.0), (1, 1.0)] {
            let (cos, sin) = expected(&rows[row], slowed);
            assert!(close(&both.host.0[10 * row..][..10], &cos), "row {row}");
            assert!(close(&both.host.1[10 * row..][..10], &sin), "row {row}");
        }
    }

    #[test]
    fn a_step_from_the_cache_counts_what_is_in_it() {
        let (device, rope) = (Device::default(), longrope());
        for (position, slowed) in [(3, 1.0), (4, 2.0)] {
            let step = Rotary::new(&rope, &[position], 1, &device);
            let (cos, sin) = expected(&[position], slowed);
            assert!(close(&step.host.0, &cos) && close(&step.host.1, &sin), "{position}");
        }
    }
}
