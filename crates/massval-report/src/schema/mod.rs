//! The result files: their types, and reading and writing them.
//!
//! Every result file is one JSON object that starts with `schema_version` and `kind` and holds
//! everything needed to repeat the run that made it. Layers, heads, channels and positions count
//! from 0. K and V are counted per KV head.

mod activations;
mod any;
mod arm;
mod check;
mod detect;
mod disrupt;
mod file;
mod perplexity;
mod provenance;
mod rope;
mod scan;
mod score;
mod sensitivity;

pub use activations::{ActivationHit, ActivationRule, ActivationsSection, LayerActivations};
pub use any::AnyResult;
pub use arm::{Arm, ArmRole, Interval, Rounded, SiteSelected, SweepPoint};
pub use detect::{DetectResult, SkippedEntry, TensorSource, TensorVerdict};
pub use disrupt::{Cell, Comparison, DisruptResult, EffectSize, Progress, TaskInfo, TaskSide};
pub use perplexity::{PerplexityArm, PerplexityResult, WindowNll, WindowRule};
pub use provenance::{FileHash, InputIdentity, InputSource, ModelIdentity, Provenance};
pub use rope::RopeInfo;
pub use scan::{CountedTokens, ModelShape, ScanResult, SiteNorms, SiteTotal};
pub use score::{CellMetrics, DefinedPerplexity, Diversity, Score};
pub use sensitivity::{Agreement, Damage, Predictors, SensitivityResult, SensitivityUnit};

#[cfg(test)]
mod experiment_tests;
#[cfg(test)]
mod tests;

/// The version of the result files that this crate writes, and the only one that it reads.
pub const SCHEMA_VERSION: u32 = 1;

/// Which command a result file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResultKind {
    /// `massval scan`.
    Scan,
    /// `massval detect`.
    Detect,
    /// `massval disrupt`.
    Disrupt,
    /// `massval perplexity`.
    Perplexity,
    /// `massval sensitivity`.
    Sensitivity,
}

impl ResultKind {
    /// Every kind that this version knows.
    pub(crate) const ALL: [Self; 5] =
        [Self::Scan, Self::Detect, Self::Disrupt, Self::Perplexity, Self::Sensitivity];

    /// The word in the file's `kind` field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Detect => "detect",
            Self::Disrupt => "disrupt",
            Self::Perplexity => "perplexity",
            Self::Sensitivity => "sensitivity",
        }
    }
}
