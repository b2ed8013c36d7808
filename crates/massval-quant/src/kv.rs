//! Keys and values of the cache in few bits: the arithmetic, on the slices of one sequence.
//!
//! Values are rounded and written back in floating point, so that what this does to a model can be measured.
//! Whether keys come before or after RoPE is for the caller to choose, by where it takes them.
//!
//! - KIVI (arXiv 2402.02750): keys per channel, values per token, groups, a window of the newest tokens kept.
//! - KVQuant (arXiv 2401.18079): a share of the entries of each vector kept exactly, and the first tokens.
//!
//! A cache that grows is rounded piece by piece: [`KvScheme::settled`] says which tokens are to be rounded
//! once there are so many, [`KvScheme::round`] rounds those that are new among them.

mod outliers;
mod round;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::within;
use crate::{Bits, GroupSize, Result, ScaleType, Symmetry, WeightScheme, ZeroPoint};

/// What shares a scale in a cache `[heads, tokens, head_dim]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KvAxis {
    /// The tokens of one channel: a vector is `(head, channel)`. Fits keys, whose channels differ.
    PerChannel,
    /// The channels of one token: a vector is `(head, token)`. Fits values.
    PerToken,
}

/// A share of entries, from 0 to one half.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct OutlierShare(f64);

impl OutlierShare {
    /// A share.
    ///
    /// # Errors
    /// [`crate::Error::Parameter`] if it is not from 0 to 0.5.
    pub fn new(share: f64) -> Result<Self> {
        within("outlier share", share, 0.0..=0.5, "0 to 0.5")?;
        Ok(Self(share))
    }

    /// Entries of a vector that are kept: the share rounded up, so that a small one is not nothing.
    fn count(self, length: usize) -> usize {
        (self.0 * length as f64).ceil() as usize
    }
}

impl TryFrom<f64> for OutlierShare {
    type Error = crate::Error;

    fn try_from(share: f64) -> Result<Self> {
        Self::new(share)
    }
}

impl From<OutlierShare> for f64 {
    fn from(share: OutlierShare) -> Self {
        share.0
    }
}

/// How keys or values are rounded.
///
/// ```
/// use massval_quant::{Bits, KvAxis, KvScheme};
/// // KIVI's keys: 2 bits, 32 tokens of a channel share a scale, the newest 128 tokens are kept.
/// let keys = KvScheme { residual: 128, ..KvScheme::new(Bits::Two, KvAxis::PerChannel).groups(32)? };
/// assert_eq!(keys.settled(100), 0..0);
/// assert_eq!(keys.settled(200), 0..64);
/// # Ok::<(), massval_quant::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KvScheme {
    /// Bits of a code.
    pub bits: Bits,
    /// What shares a scale.
    pub axis: KvAxis,
    /// Tokens of a channel, or channels of a token, that share it; none: all of them.
    #[serde(default)]
    pub group: Option<GroupSize>,
    /// Where zero lies.
    #[serde(default = "asymmetric")]
    pub symmetry: Symmetry,
    /// What scales are rounded to.
    #[serde(default = "half")]
    pub scale_type: ScaleType,
    /// The newest tokens, which are kept as they are.
    #[serde(default)]
    pub residual: usize,
    /// The oldest tokens, which are kept as they are: attention sinks.
    #[serde(default)]
    pub first_tokens: usize,
    /// Share of each vector's entries that is kept as it is: those furthest from the vector's median.
    #[serde(default)]
    pub outliers: OutlierShare,
}

fn asymmetric() -> Symmetry {
    Symmetry::Asymmetric(ZeroPoint::Any)
}

fn half() -> ScaleType {
    ScaleType::F16
}

impl KvScheme {
    /// Asymmetric, `f16` scales, whole vectors, nothing protected.
    pub fn new(bits: Bits, axis: KvAxis) -> Self {
        Self {
            bits,
            axis,
            group: None,
            symmetry: asymmetric(),
            scale_type: half(),
            residual: 0,
            first_tokens: 0,
            outliers: OutlierShare::default(),
        }
    }

    /// The same with groups of `size`.
    ///
    /// # Errors
    /// [`crate::Error::Parameter`] if `size` is 0.
    pub fn groups(self, size: usize) -> Result<Self> {
        Ok(Self { group: Some(GroupSize::new(size)?), ..self })
    }

    /// The tokens that are rounded once the cache holds `tokens`: neither the first nor the newest, and of
    /// channels in groups only whole groups.
    pub fn settled(&self, tokens: usize) -> Range<usize> {
        let first = self.first_tokens.min(tokens);
        let mut count = tokens.saturating_sub(self.residual).saturating_sub(first);
        if let (KvAxis::PerChannel, Some(group)) = (self.axis, self.group) {
            count -= count % group.get();
        }
        if count == 0 { 0..0 } else { first..first + count }
    }

    fn weights(&self) -> WeightScheme {
        WeightScheme {
            symmetry: self.symmetry,
            ..WeightScheme::new(self.bits, crate::Granularity::Tensor).scales(self.scale_type)
        }
    }
}

/// The shape of a cache's keys or values for one sequence: `[heads, tokens, head_dim]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheShape {
    /// KV heads.
    pub heads: usize,
    /// Tokens in the cache.
    pub tokens: usize,
    /// Channels of a head.
    pub head_dim: usize,
}

/// What rounding did; add several up with `+=`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct KvReport {
    /// Entries of the tokens that were to be rounded.
    pub entries: u64,
    /// Entries kept because their channel is protected.
    pub protected: u64,
    /// Entries kept as outliers.
    pub outliers: u64,
    /// Squared error, summed.
    pub squared_error: f64,
    /// Squared entries before rounding, summed.
    pub power: f64,
}

impl std::ops::AddAssign for KvReport {
    fn add_assign(&mut self, other: Self) {
        self.entries += other.entries;
        self.protected += other.protected;
        self.outliers += other.outliers;
        self.squared_error += other.squared_error;
        self.power += other.power;
    }
}

#[cfg(test)]
mod tests;
