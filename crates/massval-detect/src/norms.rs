//! The statistic itself: one norm for each head and channel.

use ndarray::{ArrayView2, aview1};
use serde::{Deserialize, Serialize};

use crate::error::same;
use crate::{Error, Result};

/// Channel norms `M[h,d] = sqrt(sum over s of x[s,h,d]^2)` of one site in one layer.
///
/// Source: *Massive Values in Self-Attention Modules*, the norm matrix `M` of `[heads, head_dim]`.
/// Every norm is finite, there is at least one head and one channel, and at least one token was seen;
/// reading a stored one checks the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct ChannelNorms {
    heads: usize,
    head_dim: usize,
    tokens: u64,
    values: Vec<f32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    heads: usize,
    head_dim: usize,
    tokens: u64,
    values: Vec<f32>,
}

impl TryFrom<Stored> for ChannelNorms {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        Self::new(stored.heads, stored.head_dim, stored.tokens, stored.values)
    }
}

impl ChannelNorms {
    /// Norms that were computed elsewhere; `values` is `[heads, head_dim]` row by row.
    ///
    /// # Errors
    /// [`Error::NoTokens`] if `tokens` is zero, [`Error::Mismatch`] if `values` has another length,
    /// [`Error::Parameter`] without heads or channels or with a negative norm,
    /// [`Error::NonFiniteNorm`] for NaN and infinity.
    pub fn new(heads: usize, head_dim: usize, tokens: u64, values: Vec<f32>) -> Result<Self> {
        for (name, value) in [("heads", heads), ("head_dim", head_dim)] {
            if value == 0 {
                return Err(Error::Parameter { name, value: 0.0, expected: "at least 1" });
            }
        }
        same("channel norms", heads.saturating_mul(head_dim), values.len())?;
        if tokens == 0 {
            return Err(Error::NoTokens);
        }
        for (at, &value) in values.iter().enumerate() {
            if !value.is_finite() {
                return Err(Error::NonFiniteNorm { head: at / head_dim, channel: at % head_dim });
            }
            if value < 0.0 {
                let value = f64::from(value);
                return Err(Error::Parameter {
                    name: "channel norm",
                    value,
                    expected: "at least 0",
                });
            }
        }
        Ok(Self { heads, head_dim, tokens, values })
    }

    /// From the sums of squares `[heads, head_dim]`.
    pub(crate) fn from_sums(
        heads: usize,
        head_dim: usize,
        tokens: u64,
        sums: &[f64],
    ) -> Result<Self> {
        Self::new(heads, head_dim, tokens, sums.iter().map(|sum| sum.sqrt() as f32).collect())
    }

    /// How many heads there are.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// How many channels a head has.
    pub fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// How many tokens were summed over, all sequences together.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The norm of one channel, or `None` outside the tensor.
    pub fn get(&self, head: usize, channel: usize) -> Option<f32> {
        self.head(head)?.get(channel).copied()
    }

    /// The norms of one head, or `None` if there is no such head.
    pub fn head(&self, head: usize) -> Option<&[f32]> {
        self.values.chunks_exact(self.head_dim).nth(head)
    }

    /// The norms head by head.
    pub fn iter_heads(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.head_dim)
    }

    /// All norms, `[heads, head_dim]` row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All norms as an `ndarray` view `[heads, head_dim]`.
    pub fn as_array(&self) -> ArrayView2<'_, f32> {
        // The constructor checked the length, so the shape always fits.
        aview1(&self.values)
            .into_shape_with_order((self.heads, self.head_dim))
            .unwrap_or_else(|_| unreachable!("norms of {} x {}", self.heads, self.head_dim))
    }

    /// The mean of all norms.
    pub fn mean(&self) -> f64 {
        mean(&self.values)
    }
}

/// The mean in `f64`; the slice is never empty here.
pub(crate) fn mean(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_are_addressed_by_head_and_channel() -> Result<()> {
        let norms = ChannelNorms::new(2, 3, 7, vec![0.0, 1.0, 2.0, 10.0, 11.0, 12.0])?;
        assert_eq!(norms.get(1, 2), Some(12.0));
        assert_eq!((norms.get(2, 0), norms.get(0, 3), norms.head(2)), (None, None, None));
        assert_eq!(norms.as_array()[[1, 0]], 10.0);
        assert_eq!(norms.mean(), 6.0);
        Ok(())
    }

    #[test]
    fn impossible_norms_are_refused() {
        assert_eq!(ChannelNorms::new(1, 2, 0, vec![1.0; 2]), Err(Error::NoTokens));
        assert!(ChannelNorms::new(0, 2, 1, vec![]).is_err());
        assert!(ChannelNorms::new(1, 2, 1, vec![1.0; 3]).is_err());
        assert!(ChannelNorms::new(1, 1, 1, vec![-1.0]).is_err());
        for bad in [f32::NAN, f32::INFINITY] {
            let error = ChannelNorms::new(2, 2, 1, vec![1.0, 1.0, 1.0, bad]).unwrap_err();
            assert_eq!(error, Error::NonFiniteNorm { head: 1, channel: 1 });
        }
    }

    #[test]
    fn stored_norms_are_checked_when_read() -> Result<(), serde_json::Error> {
        let norms = ChannelNorms::new(1, 2, 3, vec![0.1, 2.5]).expect("valid");
        let json = serde_json::to_string(&norms)?;
        assert_eq!(serde_json::from_str::<ChannelNorms>(&json)?, norms);
        for (from, to) in [("\"heads\":1", "\"heads\":2"), ("\"tokens\":3", "\"tokens\":0")] {
            assert!(serde_json::from_str::<ChannelNorms>(&json.replace(from, to)).is_err());
        }
        Ok(())
    }
}
