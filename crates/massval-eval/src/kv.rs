//! The KV cache in few bits, as an intervention: what is rounded, as a value that results store.

mod rounder;
mod turn;

use std::collections::BTreeMap;
use std::fmt;

use massval_quant::{KvAxis, KvReport, KvScheme, ProtectedRows};
use serde::{Deserialize, Serialize};

pub use rounder::KvRounder;

use crate::{Error, Result};

/// Keys and values of the cache rounded to few bits and written back in floating point.
///
/// A token's keys and values are rounded once it is neither among the newest nor in an incomplete group
/// ([`KvScheme::settled`]), and stay so. All tokens of a pass attend to the cache as it is at the pass's end: a
/// prompt's tokens see each other rounded, and the newest tokens are those at its end. The tokens of a sequence
/// are counted without padding.
///
/// ```
/// use massval_eval::KvRounding;
/// use massval_quant::{Bits, KvAxis, KvScheme};
/// let keys = KvScheme::new(Bits::Two, KvAxis::PerChannel).groups(32)?;
/// let values = KvScheme::new(Bits::Two, KvAxis::PerToken).groups(32)?;
/// let kivi = KvRounding { keys: Some(KvScheme { residual: 128, ..keys }), ..KvRounding::default() };
/// let kivi = KvRounding { values: Some(KvScheme { residual: 128, ..values }), ..kivi };
/// assert_eq!(
///     kivi.to_string(),
///     "cache rounded: K to 2 bits per channel, groups of 32, after RoPE, newest 128 tokens exact; \
///      V to 2 bits per token, groups of 32, newest 128 tokens exact"
/// );
/// # Ok::<(), massval_quant::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KvRounding {
    /// How keys are rounded; absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KvScheme>,
    /// How values are rounded; absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<KvScheme>,
    /// Keys are rounded as they are before RoPE turns them (and behind their norm, if they have one).
    #[serde(default)]
    pub before_rope: bool,
    /// Channels of the keys that are kept exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptChannels>,
}

/// Which channels of the keys are kept exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptChannels {
    /// What they are, in words: `massive`, `random`.
    pub what: String,
    /// Where the choice is from: a findings file and its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// By layer, row `head * head_dim + channel`, heads being KV heads.
    pub layers: BTreeMap<usize, ProtectedRows>,
}

impl KeptChannels {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.layers.values().map(|rows| rows.rows().len()).sum()
    }
}

/// What rounding did to keys and to values.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KvTally {
    /// To keys.
    pub keys: KvReport,
    /// To values.
    pub values: KvReport,
}

impl std::ops::AddAssign for KvTally {
    fn add_assign(&mut self, other: Self) {
        self.keys += other.keys;
        self.values += other.values;
    }
}

impl KvRounding {
    /// Checks that something was rounded.
    ///
    /// # Errors
    /// [`Error::Options`] if nothing was: what was measured is the model left alone.
    pub fn check(&self, tally: &KvTally) -> Result<()> {
        for (what, scheme, report) in
            [("K", self.keys, tally.keys), ("V", self.values, tally.values)]
        {
            if scheme.is_some() && report.entries == 0 {
                return Err(Error::options(format!(
                    "no token of {what} was rounded ({self}): every prompt is too short; keep fewer tokens \
                     exact, or take smaller groups"
                )));
            }
        }
        Ok(())
    }
}

impl fmt::Display for KvRounding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cache rounded: ")?;
        if let Some(keys) = &self.keys {
            write!(
                f,
                "K to {}, {} RoPE",
                Grid(keys),
                if self.before_rope { "before" } else { "after" }
            )?;
            exact(keys, f)?;
            if let Some(kept) = &self.kept {
                write!(f, ", {} {} channels exact", kept.count(), kept.what)?;
            }
        }
        if let Some(values) = &self.values {
            if self.keys.is_some() {
                f.write_str("; ")?;
            }
            write!(f, "V to {}", Grid(values))?;
            exact(values, f)?;
        }
        Ok(())
    }
}

struct Grid<'a>(&'a KvScheme);

impl fmt::Display for Grid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axis = match self.0.axis {
            KvAxis::PerChannel => "channel",
            KvAxis::PerToken => "token",
        };
        write!(f, "{} bits per {axis}", self.0.bits)?;
        if let Some(group) = self.0.group {
            write!(f, ", groups of {}", group.get())?;
        }
        Ok(())
    }
}

fn exact(scheme: &KvScheme, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let outliers = f64::from(scheme.outliers);
    if outliers > 0.0 {
        write!(f, ", {} % outliers exact", 100.0 * outliers)?;
    }
    for (which, tokens) in [("first", scheme.first_tokens), ("newest", scheme.residual)] {
        if tokens > 0 {
            write!(f, ", {which} {tokens} token{} exact", if tokens == 1 { "" } else { "s" })?;
        }
    }
    Ok(())
}
