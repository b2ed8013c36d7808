//! The result of `massval perplexity`: how well a model predicts a text, with its definition.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Arm, ArmRole, Interval, Provenance, ResultKind, check, file};
use crate::error::Result;

/// Perplexity of one text, under the undisturbed model and under interventions.
///
/// The text itself is named by `provenance.input`: file, hash, and the tokens where they are few.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerplexityResult {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    pub schema_version: u32,
    /// [`ResultKind::Perplexity`].
    pub kind: ResultKind,
    /// The run.
    pub provenance: Provenance,
    /// Windows, stride, BOS and averaging, in a sentence.
    pub definition: String,
    /// What a person calls the text: `natural.txt`, `WikiText-2 test`.
    pub text: String,
    /// How the text was cut.
    pub window: WindowRule,
    /// Level of all confidence intervals, for example 0.95.
    pub confidence: f64,
    /// One entry for each arm; without interventions the baseline alone.
    pub arms: Vec<PerplexityArm>,
}

/// How a text is cut into windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowRule {
    /// Tokens that the model reads at a time, BOS included.
    pub tokens: usize,
    /// Tokens between the starts of two windows.
    pub stride: usize,
    /// Whether every window starts with BOS.
    pub bos: bool,
}

/// One arm's perplexity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerplexityArm {
    /// The arm.
    pub arm: Arm,
    /// Tokens that were scored, in all windows.
    pub tokens: usize,
    /// Mean negative log-likelihood of a scored token, nats.
    pub mean_nll: f64,
    /// `exp(mean_nll)`.
    pub perplexity: f64,
    /// Interval of the perplexity over windows; absent when there are too few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Mean KL divergence from the undisturbed model's next-token distribution, nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl_nats: Option<f64>,
    /// Share of positions whose likeliest token is the undisturbed model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top1_agreement: Option<f64>,
    /// The windows, in the text's order.
    pub windows: Vec<WindowNll>,
}

/// One window's negative log-likelihood.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowNll {
    /// Tokens that were scored.
    pub tokens: usize,
    /// Mean negative log-likelihood of them, nats.
    pub mean_nll: f64,
}

impl PerplexityResult {
    /// Reads and checks a result file of `massval perplexity`.
    ///
    /// # Errors
    /// The file cannot be read, is no result file, has another schema version or kind, or its
    /// fields contradict each other.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let result: Self = file::read(path.as_ref(), ResultKind::Perplexity)?;
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

    /// Checks that counts agree and numbers are finite.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn validate(&self) -> Result<()> {
        check::perplexity(self)
    }

    /// The undisturbed arm.
    pub fn baseline(&self) -> Option<&PerplexityArm> {
        self.arms.iter().find(|arm| arm.arm.role == ArmRole::None)
    }
}
