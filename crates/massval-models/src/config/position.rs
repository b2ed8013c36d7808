//! How a model knows the order of its tokens.

use std::borrow::Cow;

use massval_detect::{PairLayout, RopeAngles, RopeBands, RopeScaling};
use serde::{Serialize, Serializer};

/// How a model knows the order of its tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum PositionEncoding {
    /// Rotary positions: Q and K are turned, pair by pair.
    Rope(RopeConfig),
    /// A learned vector for each position, added to the embedding.
    Learned {
        /// Number of learned positions.
        positions: usize,
        /// Rows of the table before the one of position 0.
        offset: usize,
    },
    /// Scores fall linearly with the distance of the key.
    Alibi(AlibiConfig),
    /// None: the causal mask alone.
    None,
}

/// Rotary positions. Channels from [`rotary_dim`](Self::rotary_dim) on are not turned.
///
/// Where the angles depend on the length of the sequence (dynamic NTK, LongRoPE), a pass turns each
/// sequence by the angles of its own length; keys that lie in a cache keep those of their own pass.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    angles: RopeAngles,
    layout: PairLayout,
}

impl RopeConfig {
    pub(crate) fn new(angles: RopeAngles, layout: PairLayout) -> Self {
        Self { angles, layout }
    }

    /// The base of the frequencies.
    #[must_use]
    pub fn theta(&self) -> f64 {
        self.angles.theta()
    }

    /// The first so many channels of a head are turned.
    #[must_use]
    pub fn rotary_dim(&self) -> usize {
        self.angles.rotary_dim()
    }

    /// Which two channels turn together.
    #[must_use]
    pub fn layout(&self) -> PairLayout {
        self.layout
    }

    /// Radians per token of each of the `rotary_dim / 2` pairs, after scaling, in sequences no longer
    /// than those that the model was trained on.
    #[must_use]
    pub fn inv_freq(&self) -> &[f64] {
        self.angles.trained()
    }

    /// The same in a sequence of `seq_len` tokens.
    #[must_use]
    pub fn inv_freq_at(&self, seq_len: usize) -> Cow<'_, [f64]> {
        self.angles.at(seq_len)
    }

    /// The longest sequence with the frequencies [`inv_freq`](Self::inv_freq); `None` if every one
    /// has them.
    #[must_use]
    pub fn changes_beyond(&self) -> Option<usize> {
        self.angles.changes_beyond()
    }

    /// How the angles are scaled, where they are.
    #[must_use]
    pub fn scaling(&self) -> Option<&RopeScaling> {
        self.angles.scaling()
    }

    /// What the turned channels are multiplied with, besides; 1 but for YaRN and LongRoPE.
    #[must_use]
    pub fn attention_factor(&self) -> f64 {
        self.angles.attention_factor()
    }

    /// The rotary pairs of heads with `head_dim` channels.
    ///
    /// # Errors
    /// If more channels turn than a head has.
    pub fn bands(&self, head_dim: usize) -> massval_detect::Result<RopeBands> {
        self.angles.bands(head_dim, 0, self.layout)
    }
}

impl Serialize for RopeConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            theta: f64,
            rotary_dim: usize,
            layout: PairLayout,
            inv_freq: &'a [f64],
            scaling: Option<&'a RopeScaling>,
            attention_factor: f64,
        }
        Shown {
            theta: self.theta(),
            rotary_dim: self.rotary_dim(),
            layout: self.layout,
            inv_freq: self.inv_freq(),
            scaling: self.scaling(),
            attention_factor: self.attention_factor(),
        }
        .serialize(serializer)
    }
}

/// Attention with linear biases (ALiBi, arXiv 2108.12409): head `h` adds `slopes[h] * place` to the
/// score of a key. Where places are counted from does not change the pattern, as every key of a query
/// gets the same constant; it changes the scores.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AlibiConfig {
    /// One for each query head.
    pub slopes: Vec<f32>,
    /// Where places are counted from.
    pub origin: AlibiOrigin,
}

/// Where ALiBi counts a key's place from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AlibiOrigin {
    /// The first token: places are 0, 1, 2, ...
    First,
    /// The last token of the pass: places are ..., -2, -1, 0.
    Last,
}

impl AlibiConfig {
    /// The slopes of BLOOM: powers of `2^(-8/n)` for the `n` heads of the next smaller power of two,
    /// then every other power for twice as many heads.
    pub(crate) fn from_power_below(heads: usize) -> Self {
        let below = 1 << heads.max(1).ilog2();
        let powers = |heads: usize, step: usize, count: usize| {
            let base = 2f64.powf(-8.0 / heads as f64) as f32;
            (0..count).map(move |i| base.powi((1 + step * i) as i32))
        };
        let slopes = powers(below, 1, below).chain(powers(2 * below, 2, heads - below)).collect();
        Self { slopes, origin: AlibiOrigin::First }
    }

    /// The slopes of MPT: `2^(-max * i / n)` for the `n` heads of the next larger power of two, those
    /// with even `i` first, cut off at the number of heads.
    pub(crate) fn from_power_above(heads: usize, max: f64) -> Self {
        let above = heads.next_power_of_two();
        let slope = |i: usize| 2f64.powf(-max * i as f64 / above as f64) as f32;
        let slopes = if above == heads {
            (1..=heads).map(slope).collect()
        } else {
            let (even, odd) = ((1..=above / 2).map(|i| 2 * i), (0..above / 2).map(|i| 2 * i + 1));
            even.chain(odd).take(heads).map(slope).collect()
        };
        Self { slopes, origin: AlibiOrigin::Last }
    }
}
