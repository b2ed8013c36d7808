//! The result of `massval sensitivity`: which layers quantization will hurt, and which it did.

use std::path::Path;

use massval_detect::Criterion;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Interval, Provenance, ResultKind, WindowRule, check, file};
use crate::error::Result;

/// Layers, or linears, by what is known of them before quantization and what quantizing each alone did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensitivityResult {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    pub schema_version: u32,
    /// [`ResultKind::Sensitivity`].
    pub kind: ResultKind,
    /// The run.
    pub provenance: Provenance,
    /// What a person calls the text.
    pub text: String,
    /// How the text was cut.
    pub window: WindowRule,
    /// Windows that were read.
    pub windows: usize,
    /// When a channel counts as massive.
    pub criterion: Criterion,
    /// How each was rounded, as the program that ran it writes it.
    pub scheme: Value,
    /// Level of all confidence intervals.
    pub confidence: f64,
    /// Perplexity of the model left alone; absent where nothing was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<f64>,
    /// The layers or linears, in the order of a pass.
    pub units: Vec<SensitivityUnit>,
    /// How well each predictor foretold the damage; empty where nothing was measured.
    pub agreement: Vec<Agreement>,
}

/// A layer, or a linear.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensitivityUnit {
    /// `layer 3`, or `3.down`.
    pub name: String,
    /// The layer.
    pub layer: usize,
    /// The linears, by the names of their modules.
    pub linears: Vec<String>,
    /// What is known before.
    pub before: Predictors,
    /// What rounding it alone did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Damage>,
}

/// What is known of a layer or linear before it is quantized.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predictors {
    /// Massive values in what its Q and K give; absent where it has neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub massive_values: Option<f64>,
    /// Share of the squared norm of Q and K that they hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub massive_share: Option<f64>,
    /// Kurtosis of the inputs, all channels together: 3 for a Gaussian; of a layer the largest.
    pub kurtosis: f64,
    /// Largest magnitude of a row of the weight over its root mean square; mean over rows and linears.
    pub weight_range: f64,
    /// Relative squared error of the outputs, were the channels of the input uncorrelated; mean over linears.
    pub output_error: f64,
}

/// What rounding a layer or linear alone did to the model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Damage {
    /// Mean KL divergence of the predictions from those of the model left alone, nats.
    pub kl_nats: f64,
    /// Perplexity.
    pub perplexity: f64,
    /// Pearson correlation of its layer's attention logits with those before; absent where it has neither Q nor K.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_correlation: Option<f64>,
}

/// Rank correlations of a predictor with a measure of damage, over all layers or linears that have both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// The predictor.
    pub predictor: String,
    /// The damage: `kl_nats`.
    pub damage: String,
    /// Layers or linears.
    pub n: usize,
    /// Spearman's rho.
    pub spearman: f64,
    /// Its bootstrap interval.
    pub spearman_interval: Interval,
    /// Kendall's tau-b.
    pub kendall: f64,
    /// Its bootstrap interval.
    pub kendall_interval: Interval,
}

impl Predictors {
    /// Names of the predictors.
    pub const NAMES: [&'static str; 5] =
        ["massive_values", "massive_share", "kurtosis", "weight_range", "output_error"];

    /// A predictor by its name.
    pub fn get(&self, name: &str) -> Option<f64> {
        match name {
            "massive_values" => self.massive_values,
            "massive_share" => self.massive_share,
            "kurtosis" => Some(self.kurtosis),
            "weight_range" => Some(self.weight_range),
            "output_error" => Some(self.output_error),
            _ => None,
        }
    }
}

impl SensitivityResult {
    /// Reads and checks a result file of `massval sensitivity`.
    ///
    /// # Errors
    /// The file cannot be read, is no result file, has another schema version or kind, or its fields contradict
    /// each other.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let result: Self = file::read(path.as_ref(), ResultKind::Sensitivity)?;
        result.validate()?;
        Ok(result)
    }

    /// Checks the result and writes it, whole or not at all.
    ///
    /// # Errors
    /// The fields contradict each other, or the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        self.validate()?;
        file::write(path.as_ref(), self)
    }

    /// Checks that names are unique and numbers finite.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn validate(&self) -> Result<()> {
        check::sensitivity(self)
    }
}
