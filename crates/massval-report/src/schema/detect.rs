//! The result of `massval detect`: the detector's verdict on dumped tensors.

use std::path::Path;

use massval_detect::{Criterion, Finding, Layout, SiteSummary};
use serde::{Deserialize, Serialize};

use super::{FileHash, ResultKind, check, file};
use crate::error::Result;

/// What the detector says about each tensor that it was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectResult {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    pub schema_version: u32,
    /// [`ResultKind::Detect`].
    pub kind: ResultKind,
    /// Version of massval that ran.
    pub massval_version: String,
    /// The command line as typed, one entry per argument.
    pub command: Vec<String>,
    /// When the run ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// When a channel counts as massive.
    pub criterion: Criterion,
    /// One entry per tensor, in the order given.
    pub tensors: Vec<TensorVerdict>,
    /// What else the files hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedEntry>,
}

/// An entry of a file that was not judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkippedEntry {
    /// The file's name.
    pub file: String,
    /// The entry's name in it.
    pub entry: String,
    /// Why it was not judged: `no tensor`, or how many axes it has.
    pub why: String,
}

impl SkippedEntry {
    /// The file's and the entry's name: `acts.pt:step`.
    pub fn label(&self) -> String {
        format!("{}:{}", self.file, self.entry)
    }
}

/// Where a tensor came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSource {
    /// The file.
    pub file: FileHash,
    /// Name within the file; absent for a file that holds one nameless tensor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tensor: Option<String>,
    /// Shape as stored.
    pub shape: Vec<usize>,
    /// Element type as stored, for example `f16`.
    pub dtype: String,
    /// The meaning of the axes.
    pub layout: Layout,
}

/// Norms and massive values of one tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorVerdict {
    /// The tensor.
    pub source: TensorSource,
    /// Positions that were counted, over all batches.
    pub tokens: usize,
    /// Heads.
    pub heads: usize,
    /// Channels per head.
    pub head_dim: usize,
    /// Counts, ratios and shares.
    pub summary: SiteSummary,
    /// Massive values, largest ratio first.
    pub findings: Vec<Finding>,
    /// `M[h,d]`, row-major `[heads, head_dim]`.
    pub norms: Vec<f32>,
}

impl TensorSource {
    /// The file's name, with the tensor's where there is one: `acts.safetensors:q`.
    pub fn label(&self) -> String {
        match &self.tensor {
            Some(tensor) => format!("{}:{tensor}", self.file.name),
            None => self.file.name.clone(),
        }
    }
}

impl DetectResult {
    /// Reads and checks a result file of `massval detect`.
    ///
    /// # Errors
    /// The file cannot be read, is no result file, has another schema version or kind, or its
    /// fields contradict each other.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let result: Self = file::read(path.as_ref(), ResultKind::Detect)?;
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

    /// Checks that shapes agree, numbers are finite, and every finding points into its tensor.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn validate(&self) -> Result<()> {
        check::detect(self)
    }
}
