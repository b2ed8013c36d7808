//! The rotary position encoding of the scanned model: which channels form a pair, and how fast
//! each pair turns.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

/// How the channels of a head are paired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RopeLayout {
    /// Channel `j` turns with channel `j + rotary_dim / 2` (Hugging Face's `rotate_half`).
    HalfSplit,
    /// Channel `2j` turns with channel `2j + 1`.
    Interleaved,
}

/// The rotary encoding as the model applied it, scaling included.
///
/// ```
/// use massval_report::schema::{RopeInfo, RopeLayout};
///
/// let rope = RopeInfo {
///     theta: 10_000.0,
///     rotary_dim: 4,
///     layout: RopeLayout::HalfSplit,
///     inv_freq: vec![1.0, 0.01],
///     scaling: None,
/// };
/// assert_eq!(rope.pair(3), Some(1));
/// assert_eq!(rope.partner(3), Some(1));
/// assert!((rope.period(3).unwrap() - 628.3).abs() < 0.1);
/// assert_eq!(rope.pair(4), None);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RopeInfo {
    /// Base of the frequencies.
    pub theta: f64,
    /// How many leading channels of a head turn; the rest do not.
    pub rotary_dim: usize,
    /// How channels are paired.
    pub layout: RopeLayout,
    /// Angle per token of each pair, radians, `[rotary_dim / 2]`, after scaling.
    pub inv_freq: Vec<f64>,
    /// The scaling rule, for example `llama3`, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<String>,
}

impl RopeInfo {
    /// The rotary pair of `channel`, 0 turns fastest; `None` for a channel that does not turn.
    pub fn pair(&self, channel: usize) -> Option<usize> {
        let half = self.rotary_dim / 2;
        (channel < 2 * half).then(|| match self.layout {
            RopeLayout::HalfSplit => channel % half,
            RopeLayout::Interleaved => channel / 2,
        })
    }

    /// The other channel of `channel`'s rotary pair.
    pub fn partner(&self, channel: usize) -> Option<usize> {
        let half = self.rotary_dim / 2;
        (channel < 2 * half).then(|| match self.layout {
            RopeLayout::HalfSplit if channel < half => channel + half,
            RopeLayout::HalfSplit => channel - half,
            RopeLayout::Interleaved => channel ^ 1,
        })
    }

    /// Tokens that `channel` needs for one full turn; `None` for a channel that does not turn.
    pub fn period(&self, channel: usize) -> Option<f64> {
        let angle = self.pair(channel).and_then(|pair| self.inv_freq.get(pair))?;
        (*angle > 0.0).then(|| TAU / angle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(layout: RopeLayout) -> RopeInfo {
        let inv_freq = (0..4).map(|j| 10f64.powi(-j)).collect();
        RopeInfo { theta: 10_000.0, rotary_dim: 8, layout, inv_freq, scaling: None }
    }

    #[test]
    fn partners_share_their_pair_in_both_layouts() {
        for layout in [RopeLayout::HalfSplit, RopeLayout::Interleaved] {
            let rope = rope(layout);
            for channel in 0..8 {
                let partner = rope.partner(channel).unwrap();
                assert_ne!(partner, channel);
                assert_eq!(rope.partner(partner), Some(channel));
                assert_eq!(rope.pair(partner), rope.pair(channel));
            }
        }
    }

    #[test]
    fn channels_past_the_rotary_part_do_not_turn() {
        let rope = rope(RopeLayout::HalfSplit);
        assert_eq!((rope.pair(8), rope.partner(8), rope.period(8)), (None, None, None));
    }

    #[test]
    fn a_pair_that_never_turns_has_no_period() {
        let mut rope = rope(RopeLayout::Interleaved);
        rope.inv_freq[3] = 0.0;
        assert_eq!(rope.period(7), None);
        assert_eq!(rope.period(0), Some(TAU));
    }
}
