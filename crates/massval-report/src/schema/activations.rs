//! Massive activations of the residual stream, as a section of a scan's result.

use serde::{Deserialize, Serialize};

/// What the rule for massive activations found, layer by layer.
///
/// The rule is that of *A Refined Analysis of Massive Activations*: an entry of the residual
/// stream with `|x| > min_abs` and `|x| > median_factor * median(|x|)` of its layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationsSection {
    /// The thresholds.
    pub rule: ActivationRule,
    /// The site that was read, normally `resid_post`.
    pub site: String,
    /// One entry per layer, in order.
    pub layers: Vec<LayerActivations>,
}

/// The two thresholds of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationRule {
    /// Smallest absolute value.
    pub min_abs: f32,
    /// Smallest multiple of the layer's median absolute value.
    pub median_factor: f32,
}

impl Default for ActivationRule {
    /// The paper's thresholds: 100, and 1000 medians.
    fn default() -> Self {
        Self { min_abs: 100.0, median_factor: 1000.0 }
    }
}

/// One layer's residual stream under the rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerActivations {
    /// Layer.
    pub layer: usize,
    /// Largest absolute value.
    pub max_abs: f32,
    /// Median of the absolute values.
    pub median_abs: f32,
    /// Whether any entry satisfies the rule.
    pub exists: bool,
    /// How many entries satisfy it; `hits` may hold fewer.
    pub hits_total: usize,
    /// The entries that satisfy it, largest absolute value first.
    pub hits: Vec<ActivationHit>,
}

/// One massive activation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationHit {
    /// Position of the token in the input.
    pub position: usize,
    /// Text of the token, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub piece: Option<String>,
    /// Channel of the residual stream.
    pub channel: usize,
    /// The value, with its sign.
    pub value: f32,
}
