//! The orders in which tensors of heads are stored.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The order of the dimensions of a stored tensor of heads, slowest first.
///
/// `b` batch, `h` head, `s` sequence, `d` channel. massval itself works in [`Layout::Bhsd`];
/// FlashAttention and the tensors of the paper's repository are [`Layout::Bshd`].
///
/// ```
/// use massval_detect::Layout;
/// let layout: Layout = "bshd".parse()?;
/// assert_eq!(layout.heads_shape(&[1, 66, 32, 128])?, [1, 32, 66, 128]);
/// # Ok::<(), massval_detect::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `[batch, heads, seq, head_dim]`.
    #[default]
    Bhsd,
    /// `[batch, seq, heads, head_dim]`.
    Bshd,
    /// `[heads, seq, head_dim]`, one sequence.
    Hsd,
    /// `[seq, heads, head_dim]`, one sequence.
    Shd,
}

impl Layout {
    /// All layouts.
    pub const ALL: [Self; 4] = [Self::Bhsd, Self::Bshd, Self::Hsd, Self::Shd];

    /// The layout's name: `bhsd`, `bshd`, `hsd` or `shd`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bhsd => "bhsd",
            Self::Bshd => "bshd",
            Self::Hsd => "hsd",
            Self::Shd => "shd",
        }
    }

    /// How many dimensions a tensor of this layout has.
    pub fn rank(self) -> usize {
        self.name().len()
    }

    /// `[batch, heads, seq, head_dim]` of a tensor whose shape in this layout is `shape`.
    ///
    /// # Errors
    /// [`Error::Rank`] if `shape` has another number of dimensions.
    pub fn heads_shape(self, shape: &[usize]) -> Result<[usize; 4]> {
        match (self, shape) {
            (Self::Bhsd, &[b, h, s, d]) | (Self::Bshd, &[b, s, h, d]) => Ok([b, h, s, d]),
            (Self::Hsd, &[h, s, d]) | (Self::Shd, &[s, h, d]) => Ok([1, h, s, d]),
            _ => Err(Error::Rank {
                layout: self.name(),
                expected: self.rank(),
                shape: shape.to_vec(),
            }),
        }
    }

    /// Strides in elements of `[batch, heads, seq, head_dim]` for contiguous data of shape `shape`.
    ///
    /// # Errors
    /// [`Error::Rank`] as in [`Layout::heads_shape`], [`Error::View`] if the sizes overflow.
    pub fn strides(self, shape: &[usize]) -> Result<[usize; 4]> {
        let [_, h, s, d] = self.heads_shape(shape)?;
        let (head, token) = match self {
            Self::Bhsd | Self::Hsd => (s.checked_mul(d), Some(d)),
            Self::Bshd | Self::Shd => (Some(d), h.checked_mul(d)),
        };
        let batch = h.checked_mul(s).and_then(|n| n.checked_mul(d));
        match (batch, head, token) {
            (Some(batch), Some(head), Some(token)) => Ok([batch, head, token, 1]),
            _ => Err(Error::View {
                shape: shape.to_vec(),
                strides: Vec::new(),
                len: 0,
                reason: "the sizes overflow",
            }),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Layout {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|layout| layout.name() == given).ok_or_else(|| Error::Unknown {
            what: "layout",
            given: given.to_owned(),
            known: "bhsd, bshd, hsd, shd",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_of_each_layout() -> Result<()> {
        assert_eq!(Layout::Bhsd.strides(&[2, 3, 5, 7])?, [105, 35, 7, 1]);
        assert_eq!(Layout::Bshd.strides(&[2, 5, 3, 7])?, [105, 7, 21, 1]);
        assert_eq!(Layout::Hsd.strides(&[3, 5, 7])?, [105, 35, 7, 1]);
        assert_eq!(Layout::Shd.strides(&[5, 3, 7])?, [105, 7, 21, 1]);
        Ok(())
    }

    #[test]
    fn a_wrong_rank_and_absurd_sizes_are_errors() {
        assert!(matches!(Layout::Hsd.strides(&[1, 2, 3, 4]), Err(Error::Rank { .. })));
        assert!(matches!(Layout::Bhsd.strides(&[1, 2, 1 << 40, 1 << 40]), Err(Error::View { .. })));
    }

    #[test]
    fn names_round_trip() -> Result<()> {
        for layout in Layout::ALL {
            assert_eq!(layout.to_string().parse::<Layout>()?, layout);
            let json = serde_json::to_string(&layout).expect("a name");
            assert_eq!(json, format!("\"{layout}\""));
            assert_eq!(serde_json::from_str::<Layout>(&json).expect("the name"), layout);
        }
        assert!("sbhd".parse::<Layout>().unwrap_err().to_string().contains("bshd"));
        Ok(())
    }
}
