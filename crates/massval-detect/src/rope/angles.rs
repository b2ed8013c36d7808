//! The rotary angles of a model, at any length of the sequence.

use std::borrow::Cow;

use super::scaling::finite;
use super::{PairLayout, RopeBands, RopeScaling, formulas};
use crate::Result;

/// The rotary angles of a model: checked once, then to be had at any sequence length.
///
/// ```
/// use massval_detect::{RopeAngles, RopeScaling};
/// let phi3 = RopeScaling::Longrope {
///     short_factor: vec![1.0, 1.0],
///     long_factor: vec![1.0, 8.0],
///     factor: 32.0,
///     original_max_position: 4096,
///     attention_factor: None,
/// };
/// let angles = RopeAngles::new(4, 10_000.0, Some(phi3))?;
/// assert_eq!(angles.changes_beyond(), Some(4096));
/// assert_eq!(*angles.at(4096), [1.0, 0.01]);
/// assert_eq!(*angles.at(4097), [1.0, 0.01 / 8.0]);
/// assert!((angles.attention_factor() - 1.190238).abs() < 1e-6);
/// # Ok::<(), massval_detect::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RopeAngles {
    rotary_dim: usize,
    theta: f64,
    scaling: Option<RopeScaling>,
    trained: Vec<f64>,
    attention_factor: f64,
}

impl RopeAngles {
    /// RoPE with base `theta` on `rotary_dim` channels, as scaled.
    ///
    /// # Errors
    /// [`Error::Parameter`](crate::Error::Parameter) or [`Error::Mismatch`](crate::Error::Mismatch) if `theta`
    /// is not positive, there is no pair, or a parameter of the scaling makes no sense.
    pub fn new(rotary_dim: usize, theta: f64, scaling: Option<RopeScaling>) -> Result<Self> {
        let plain = formulas::plain(rotary_dim, theta)?;
        let (trained, attention_factor) = match &scaling {
            None => (plain, 1.0),
            Some(scaling) => {
                let trained = scaling.inv_freq(rotary_dim, theta, 0)?;
                if let Some(limit) = scaling.changes_beyond() {
                    finite(scaling.angles(rotary_dim, theta, limit.saturating_add(1)))?;
                }
                (trained, scaling.attention_factor()?)
            }
        };
        Ok(Self { rotary_dim, theta, scaling, trained, attention_factor })
    }

    /// How many channels of a head turn.
    pub fn rotary_dim(&self) -> usize {
        self.rotary_dim
    }

    /// The base.
    pub fn theta(&self) -> f64 {
        self.theta
    }

    /// How the angles are scaled, if they are.
    pub fn scaling(&self) -> Option<&RopeScaling> {
        self.scaling.as_ref()
    }

    /// What the cosines and the sines are multiplied with; 1 without YaRN and LongRoPE.
    pub fn attention_factor(&self) -> f64 {
        self.attention_factor
    }

    /// The longest sequence that has the angles [`Self::trained`]; `None` if every one has.
    pub fn changes_beyond(&self) -> Option<usize> {
        self.scaling.as_ref().and_then(RopeScaling::changes_beyond)
    }

    /// The angle per token of each of the `rotary_dim / 2` pairs, in radians, in a sequence no longer than the
    /// model was trained on.
    pub fn trained(&self) -> &[f64] {
        &self.trained
    }

    /// The same in a sequence of `seq_len` positions, counted from the first token; see [`RopeScaling`].
    pub fn at(&self, seq_len: usize) -> Cow<'_, [f64]> {
        match &self.scaling {
            Some(scaling) if scaling.changes_beyond().is_some_and(|limit| seq_len > limit) => {
                Cow::Owned(scaling.angles(self.rotary_dim, self.theta, seq_len))
            }
            _ => Cow::Borrowed(&self.trained),
        }
    }

    /// The rotary pairs of heads with `head_dim` channels, in a sequence of `seq_len` positions.
    ///
    /// # Errors
    /// [`Error::Parameter`](crate::Error::Parameter) if `rotary_dim` is odd or larger than `head_dim`.
    pub fn bands(&self, head_dim: usize, seq_len: usize, layout: PairLayout) -> Result<RopeBands> {
        RopeBands::check_dims(head_dim, self.rotary_dim)?;
        RopeBands::from_inv_freq(head_dim, self.at(seq_len).into_owned(), layout)
    }
}
