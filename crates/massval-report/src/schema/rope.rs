//! The rotary position encoding of the scanned model.

use massval_detect::{PairLayout, RopeBands};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The rotary encoding as the model applied it, scaling included.
///
/// ```
/// use massval_report::schema::RopeInfo;
///
/// let rope = RopeInfo {
///     theta: 10_000.0,
///     rotary_dim: 4,
///     layout: massval_detect::PairLayout::HalfSplit,
///     inv_freq: vec![1.0, 0.01],
///     scaling: None,
/// };
/// let bands = rope.bands(64)?;
/// assert_eq!(bands.partner(3), Some(1));
/// assert_eq!(bands.band(4), None);
/// # Ok::<(), massval_report::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RopeInfo {
    /// Base of the frequencies.
    pub theta: f64,
    /// How many leading channels of a head turn; the rest do not.
    pub rotary_dim: usize,
    /// How channels are paired.
    pub layout: PairLayout,
    /// Angle per token of each pair, radians, `[rotary_dim / 2]`, after scaling.
    pub inv_freq: Vec<f64>,
    /// The scaling rule, for example `llama3`, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<String>,
}

impl RopeInfo {
    /// The rotary pairs of heads with `head_dim` channels.
    ///
    /// # Errors
    /// There are more pairs than fit into a head, none at all, or an angle that is negative or not
    /// finite.
    pub fn bands(&self, head_dim: usize) -> Result<RopeBands> {
        RopeBands::from_inv_freq(head_dim, self.inv_freq.clone(), self.layout)
            .map_err(|e| Error::field("shape.rope", e.to_string()))
    }
}
