//! How many bits a code has, and how many inputs share a scale.

use std::fmt;
use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Bits of a code: 2, 3, 4 or 8.
///
/// ```
/// use massval_quant::Bits;
/// assert_eq!((Bits::Four.width(), Bits::Four.max_code(), Bits::Four.middle()), (4, 15, 8));
/// assert!(Bits::try_from(5u64).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub enum Bits {
    /// 4 values.
    Two,
    /// 8 values.
    Three,
    /// 16 values.
    Four,
    /// 256 values.
    Eight,
}

impl Bits {
    /// All of them, from few to many.
    pub const ALL: [Self; 4] = [Self::Two, Self::Three, Self::Four, Self::Eight];

    /// The number of bits.
    pub const fn width(self) -> u32 {
        match self {
            Self::Two => 2,
            Self::Three => 3,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    /// The largest code, `2^b - 1`.
    pub const fn max_code(self) -> u8 {
        (((1u16) << self.width()) - 1) as u8
    }

    /// The zero point of symmetric codes, `2^(b-1)`.
    pub const fn middle(self) -> u8 {
        1 << (self.width() - 1)
    }
}

impl TryFrom<u64> for Bits {
    type Error = Error;

    fn try_from(width: u64) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|bits| u64::from(bits.width()) == width)
            .ok_or(Error::Parameter { name: "bits", value: width as f64, expected: "2, 3, 4 or 8" })
    }
}

impl From<Bits> for u64 {
    fn from(bits: Bits) -> Self {
        bits.width().into()
    }
}

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.width().fmt(f)
    }
}

/// How many inputs of a row share a scale; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupSize(NonZeroUsize);

impl GroupSize {
    /// A group of `size` inputs.
    ///
    /// # Errors
    /// [`Error::Parameter`] if `size` is 0.
    pub fn new(size: usize) -> Result<Self> {
        NonZeroUsize::new(size).map(Self).ok_or(Error::Parameter {
            name: "group size",
            value: 0.0,
            expected: "at least 1",
        })
    }

    /// The number of inputs.
    pub const fn get(self) -> usize {
        self.0.get()
    }
}

/// What shares a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// The whole tensor.
    Tensor,
    /// Each output channel: a row of the weight `[out, in]`.
    Channel,
    /// Each run of so many inputs in a row.
    Group(GroupSize),
}

impl Granularity {
    /// Groups of `size` inputs.
    ///
    /// # Errors
    /// [`Error::Parameter`] if `size` is 0.
    pub fn group(size: usize) -> Result<Self> {
        GroupSize::new(size).map(Self::Group)
    }

    /// Inputs that share a scale within a row.
    ///
    /// # Errors
    /// [`Error::Group`] if groups do not divide `inputs`.
    pub fn length(self, tensor: &str, inputs: usize) -> Result<usize> {
        match self {
            Self::Tensor | Self::Channel => Ok(inputs),
            Self::Group(size) if inputs.is_multiple_of(size.get()) => Ok(size.get()),
            Self::Group(size) => {
                Err(Error::Group { tensor: tensor.to_owned(), inputs, group: size.get() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_does_not_divide_names_tensor_size_and_group() -> Result<()> {
        let error = Granularity::group(128)?.length("model.layers.0.mlp.up_proj", 576);
        let said = error.expect_err("576 is no multiple of 128").to_string();
        for part in ["model.layers.0.mlp.up_proj", "576", "128"] {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(Granularity::group(64)?.length("w", 576), Ok(64));
        assert!(GroupSize::new(0).is_err());
        Ok(())
    }

    #[test]
    fn bits_are_written_as_numbers() -> Result<(), serde_json::Error> {
        for bits in Bits::ALL {
            let json = serde_json::to_string(&bits)?;
            assert_eq!(json, bits.to_string());
            assert_eq!(serde_json::from_str::<Bits>(&json)?, bits);
        }
        assert!(serde_json::from_str::<Bits>("16").is_err());
        Ok(())
    }
}
