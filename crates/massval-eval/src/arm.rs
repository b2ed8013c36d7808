//! An arm of an experiment: the model left alone, or something done to it.

use massval_disrupt::Intervention;
use serde::{Deserialize, Serialize};

use crate::KvRounding;

/// The model left alone, under an intervention, with a rounded cache, or both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Name, unique within an experiment.
    pub name: String,
    /// What is done to attention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervention: Option<Intervention>,
    /// How keys and values are rounded, after the intervention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv: Option<KvRounding>,
    /// Which weights take the place of the model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<ArmWeights>,
}

/// Weights other than the model's, as results show them. Whoever runs the arm holds the decoder that has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmWeights {
    /// What arms share that differ in nothing but the channels they keep exact: `rtn 4`.
    pub family: String,
    /// Which channels of Q and K are exact: `massive`, `random`; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// How they were made, in a sentence.
    pub sentence: String,
    /// The same as a value.
    pub value: serde_json::Value,
    /// Share of the linears' weights that is exact.
    pub exact: f64,
    /// Squared error of the linears' weights over their squares, where scales were not folded into them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_error: Option<f64>,
}

impl Arm {
    /// The model left alone.
    #[must_use]
    pub fn none() -> Self {
        Self { name: "none".into(), intervention: None, kv: None, weights: None }
    }

    /// The model under an intervention.
    pub fn new(name: impl Into<String>, intervention: Intervention) -> Self {
        Self { intervention: Some(intervention), ..Self::named(name) }
    }

    /// The model with a rounded cache.
    pub fn rounded(name: impl Into<String>, kv: KvRounding) -> Self {
        Self { kv: Some(kv), ..Self::named(name) }
    }

    /// The model with other weights.
    pub fn weighted(name: impl Into<String>, weights: ArmWeights) -> Self {
        Self { weights: Some(weights), ..Self::named(name) }
    }

    fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::none() }
    }

    /// Whether nothing is done to the model.
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.intervention.is_none() && self.kv.is_none() && self.weights.is_none()
    }
}
