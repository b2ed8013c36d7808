//! An arm of an experiment: the model left alone, or under an intervention.

use massval_disrupt::Intervention;
use serde::{Deserialize, Serialize};

/// The model left alone, or under an intervention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Name, unique within an experiment.
    pub name: String,
    /// What is done to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervention: Option<Intervention>,
}

impl Arm {
    /// The model left alone.
    #[must_use]
    pub fn none() -> Self {
        Self { name: "none".into(), intervention: None }
    }

    /// The model under an intervention.
    pub fn new(name: impl Into<String>, intervention: Intervention) -> Self {
        Self { name: name.into(), intervention: Some(intervention) }
    }
}
