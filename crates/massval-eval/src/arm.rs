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
}

impl Arm {
    /// The model left alone.
    #[must_use]
    pub fn none() -> Self {
        Self { name: "none".into(), intervention: None, kv: None }
    }

    /// The model under an intervention.
    pub fn new(name: impl Into<String>, intervention: Intervention) -> Self {
        Self { name: name.into(), intervention: Some(intervention), kv: None }
    }

    /// The model with a rounded cache.
    pub fn rounded(name: impl Into<String>, kv: KvRounding) -> Self {
        Self { name: name.into(), intervention: None, kv: Some(kv) }
    }

    /// Whether nothing is done to the model.
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.intervention.is_none() && self.kv.is_none()
    }
}
