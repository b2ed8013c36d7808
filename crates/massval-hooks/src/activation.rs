//! The tensor at a hook point, of either rank.

use burn::tensor::{DType, Tensor};

use crate::{Error, Result};

/// The tensor at a hook point. [`SiteDims`](crate::SiteDims) names its axes.
#[derive(Clone, Debug)]
pub enum Activation {
    /// One vector per token: `[batch, seq, d_model]` (or `d_mlp`, or `vocab`).
    Hidden(Tensor<3>),
    /// One vector per head and token: `[batch, heads, seq, head_dim]` (or `keys`).
    Heads(Tensor<4>),
}

impl Activation {
    /// The sizes of the axes, outermost first: 3 or 4 of them.
    #[must_use]
    pub fn dims(&self) -> Vec<usize> {
        match self {
            Activation::Hidden(x) => x.dims().to_vec(),
            Activation::Heads(x) => x.dims().to_vec(),
        }
    }

    /// The number of axes: 3 or 4.
    #[must_use]
    pub const fn rank(&self) -> usize {
        match self {
            Activation::Hidden(_) => 3,
            Activation::Heads(_) => 4,
        }
    }

    /// The type of the elements.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match self {
            Activation::Hidden(x) => x.dtype(),
            Activation::Heads(x) => x.dtype(),
        }
    }

    /// The tensor `[batch, seq, width]`.
    ///
    /// # Errors
    /// [`Error::Rank`] if the activation is one of heads.
    pub fn as_hidden(&self) -> Result<&Tensor<3>> {
        match self {
            Activation::Hidden(x) => Ok(x),
            Activation::Heads(_) => Err(Error::Rank { expected: 3, found: 4 }),
        }
    }

    /// The tensor `[batch, heads, seq, head_dim]`.
    ///
    /// # Errors
    /// [`Error::Rank`] if the activation has no heads.
    pub fn as_heads(&self) -> Result<&Tensor<4>> {
        match self {
            Activation::Heads(x) => Ok(x),
            Activation::Hidden(_) => Err(Error::Rank { expected: 4, found: 3 }),
        }
    }

    /// The tensor `[batch, seq, width]`, by value.
    ///
    /// # Errors
    /// [`Error::Rank`] if the activation is one of heads.
    pub fn into_hidden(self) -> Result<Tensor<3>> {
        match self {
            Activation::Hidden(x) => Ok(x),
            Activation::Heads(_) => Err(Error::Rank { expected: 3, found: 4 }),
        }
    }

    /// The tensor `[batch, heads, seq, head_dim]`, by value.
    ///
    /// # Errors
    /// [`Error::Rank`] if the activation has no heads.
    pub fn into_heads(self) -> Result<Tensor<4>> {
        match self {
            Activation::Heads(x) => Ok(x),
            Activation::Hidden(_) => Err(Error::Rank { expected: 4, found: 3 }),
        }
    }
}

impl From<Tensor<3>> for Activation {
    fn from(x: Tensor<3>) -> Self {
        Activation::Hidden(x)
    }
}

impl From<Tensor<4>> for Activation {
    fn from(x: Tensor<4>) -> Self {
        Activation::Heads(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_rank_is_checked_by_every_view() {
        let hidden = Activation::from(Tensor::<3>::zeros([1, 2, 3], &Device::flex()));
        assert_eq!((hidden.dims(), hidden.rank()), (vec![1, 2, 3], 3));
        assert!(hidden.as_hidden().is_ok() && hidden.as_heads().is_err());
        assert_eq!(
            hidden.into_heads().unwrap_err().to_string(),
            "an activation of 3 axes where one of 4 is needed"
        );
        let heads = Activation::from(Tensor::<4>::zeros([1, 2, 3, 4], &Device::flex()));
        assert!(heads.as_heads().is_ok() && heads.as_hidden().is_err());
        assert!(heads.clone().into_hidden().is_err() && heads.into_heads().is_ok());
    }
}
