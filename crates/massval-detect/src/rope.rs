//! Rotary pairs: which channels turn together, and how fast.

mod angles;
mod formulas;
mod scaling;

use std::f64::consts::TAU;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use angles::RopeAngles;
pub use scaling::RopeScaling;

use crate::error::same;
use crate::{Error, Result};

/// How the channels of a head are paired for rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairLayout {
    /// Channel `j` with `j + rotary_dim / 2` (`rotate_half`; Llama, Qwen, Gemma, GPT-NeoX).
    #[default]
    HalfSplit,
    /// Channel `2j` with `2j + 1` (GPT-J, the original RoFormer).
    Interleaved,
}

/// Whether a rotary pair turns fast or slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrequencyHalf {
    /// Among the faster half of the pairs that turn.
    High,
    /// Among the slower half, or not turning at all; the middle one of an odd number is counted here.
    Low,
}

impl fmt::Display for FrequencyHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::High => "high",
            Self::Low => "low",
        })
    }
}

/// The rotary pair that a channel belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// The pair, from 0.
    pub pair: usize,
    /// Its angle per token, in radians.
    pub inv_freq: f64,
    /// Tokens for a full turn, `2 pi / inv_freq`; infinite if the pair does not turn.
    pub period_tokens: f64,
    /// Whether it is one of the slower half of the pairs.
    pub half: FrequencyHalf,
}

/// The rotary pairs of a head: from channel to pair, angle per token and period.
///
/// ```
/// use massval_detect::{FrequencyHalf, PairLayout, RopeBands};
/// let llama2 = RopeBands::new(128, 128, 10_000.0, PairLayout::HalfSplit)?;
/// let band = llama2.band(115).expect("a rotary channel");
/// assert_eq!((band.pair, band.half), (51, FrequencyHalf::Low));
/// assert_eq!(llama2.partner(115), Some(51));
/// assert_eq!(band.period_tokens.round(), 9676.0);
/// # Ok::<(), massval_detect::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RopeBands {
    head_dim: usize,
    layout: PairLayout,
    inv_freq: Vec<f64>,
    halves: Vec<FrequencyHalf>,
}

impl RopeBands {
    /// Unscaled RoPE: pair `j` turns by `theta^(-2j / rotary_dim)` per token.
    ///
    /// `rotary_dim` is smaller than `head_dim` for partial RoPE; the first channels rotate.
    ///
    /// # Errors
    /// [`Error::Parameter`] if `rotary_dim` is odd, zero or larger than `head_dim`, or `theta` is not positive.
    pub fn new(head_dim: usize, rotary_dim: usize, theta: f64, layout: PairLayout) -> Result<Self> {
        Self::check_dims(head_dim, rotary_dim)?;
        Self::from_inv_freq(head_dim, formulas::plain(rotary_dim, theta)?, layout)
    }

    /// RoPE with the angle per token of every pair given; see [`RopeAngles::bands`] for scaled RoPE.
    ///
    /// # Errors
    /// [`Error::Parameter`] if there is no pair, or more than fit into `head_dim`, or an angle is negative
    /// or not finite.
    pub fn from_inv_freq(head_dim: usize, inv_freq: Vec<f64>, layout: PairLayout) -> Result<Self> {
        Self::check_dims(head_dim, inv_freq.len().saturating_mul(2))?;
        if let Some(&value) = inv_freq.iter().find(|value| !(value.is_finite() && **value >= 0.0)) {
            return Err(Error::Parameter {
                name: "inv_freq",
                value,
                expected: "finite and at least 0",
            });
        }
        // By rank, not by index: a scaling may leave the angles out of order. Pairs that do not turn take no
        // part, as channels beyond the rotary ones do not.
        let mut order: Vec<usize> =
            (0..inv_freq.len()).filter(|&pair| inv_freq[pair] > 0.0).collect();
        order.sort_by(|&a, &b| inv_freq[b].total_cmp(&inv_freq[a]));
        let mut halves = vec![FrequencyHalf::Low; inv_freq.len()];
        for &pair in &order[..order.len() / 2] {
            halves[pair] = FrequencyHalf::High;
        }
        Ok(Self { head_dim, layout, inv_freq, halves })
    }

    fn check_dims(head_dim: usize, rotary_dim: usize) -> Result<()> {
        if rotary_dim == 0 || rotary_dim % 2 == 1 || rotary_dim > head_dim {
            let value = rotary_dim as f64;
            return Err(Error::Parameter {
                name: "rotary_dim",
                value,
                expected: "even, at least 2, at most head_dim",
            });
        }
        Ok(())
    }

    /// Channels of a head.
    pub fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// How many of them rotate.
    pub fn rotary_dim(&self) -> usize {
        self.inv_freq.len() * 2
    }

    /// How the channels are paired.
    pub fn layout(&self) -> PairLayout {
        self.layout
    }

    /// How many pairs there are.
    pub fn pairs(&self) -> usize {
        self.inv_freq.len()
    }

    /// The angle per token of every pair, in radians.
    pub fn inv_freq(&self) -> &[f64] {
        &self.inv_freq
    }

    /// The two channels of a pair, the cosine one first, or `None` if there is no such pair.
    pub fn channels(&self, pair: usize) -> Option<(usize, usize)> {
        (pair < self.pairs()).then(|| match self.layout {
            PairLayout::HalfSplit => (pair, pair + self.pairs()),
            PairLayout::Interleaved => (2 * pair, 2 * pair + 1),
        })
    }

    /// The pair that a channel belongs to, or `None` if it does not rotate.
    pub fn band(&self, channel: usize) -> Option<Band> {
        if channel >= self.rotary_dim() {
            return None;
        }
        let pair = match self.layout {
            PairLayout::HalfSplit => channel % self.pairs(),
            PairLayout::Interleaved => channel / 2,
        };
        let (&inv_freq, &half) = self.inv_freq.get(pair).zip(self.halves.get(pair))?;
        Some(Band { pair, inv_freq, period_tokens: TAU / inv_freq, half })
    }

    /// The channel that turns together with `channel`, or `None` if it does not rotate.
    pub fn partner(&self, channel: usize) -> Option<usize> {
        let (first, second) = self.channels(self.band(channel)?.pair)?;
        Some(if channel == first { second } else { first })
    }

    /// `Ok` if heads have `head_dim` channels.
    pub(crate) fn check_head_dim(&self, head_dim: usize) -> Result<()> {
        same("channels of a head in the RoPE bands", head_dim, self.head_dim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_split_and_interleaved_pair_other_channels() -> Result<()> {
        let split = RopeBands::new(8, 8, 10_000.0, PairLayout::HalfSplit)?;
        let woven = RopeBands::new(8, 8, 10_000.0, PairLayout::Interleaved)?;
        assert_eq!((split.partner(1), split.partner(5)), (Some(5), Some(1)));
        assert_eq!((woven.partner(4), woven.partner(5)), (Some(5), Some(4)));
        for bands in [split, woven] {
            for pair in 0..bands.pairs() {
                let (a, b) = bands.channels(pair).expect("in range");
                for channel in [a, b] {
                    let band = bands.band(channel).expect("rotary");
                    assert_eq!(band.pair, pair);
                    assert!((band.inv_freq - 10f64.powi(-(pair as i32))).abs() < 1e-15);
                    assert!((band.period_tokens * band.inv_freq - TAU).abs() < 1e-9);
                    let low = if pair >= 2 { FrequencyHalf::Low } else { FrequencyHalf::High };
                    assert_eq!(band.half, low);
                }
            }
            assert_eq!(bands.channels(4), None);
        }
        Ok(())
    }

    #[test]
    fn channels_beyond_the_rotary_part_have_no_band() -> Result<()> {
        // GPT-NeoX-20B: 24 of 96 channels rotate, 8 and 20 are a pair.
        let bands = RopeBands::new(96, 24, 10_000.0, PairLayout::HalfSplit)?;
        assert_eq!((bands.pairs(), bands.partner(8)), (12, Some(20)));
        assert_eq!((bands.band(24), bands.partner(95), bands.band(1000)), (None, None, None));
        Ok(())
    }

    #[test]
    fn halves_follow_the_frequency_not_the_index() -> Result<()> {
        let bands = RopeBands::from_inv_freq(6, vec![0.1, 1.0, 0.0], PairLayout::HalfSplit)?;
        let halves: Vec<_> = (0..3).filter_map(|c| bands.band(c)).map(|band| band.half).collect();
        assert_eq!(halves, [FrequencyHalf::Low, FrequencyHalf::High, FrequencyHalf::Low]);
        assert!(bands.band(2).is_some_and(|band| band.period_tokens.is_infinite()));
        Ok(())
    }

    #[test]
    fn impossible_bands_are_refused() {
        for (head_dim, rotary_dim, theta) in
            [(8, 0, 1e4), (8, 7, 1e4), (8, 10, 1e4), (8, 8, 0.0), (8, 8, f64::NAN)]
        {
            assert!(RopeBands::new(head_dim, rotary_dim, theta, PairLayout::HalfSplit).is_err());
        }
        for inv_freq in [vec![], vec![1.0; 5], vec![-1.0], vec![f64::NAN]] {
            assert!(RopeBands::from_inv_freq(8, inv_freq, PairLayout::Interleaved).is_err());
        }
    }
}
