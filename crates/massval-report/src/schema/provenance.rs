//! What a result file says about the run that made it: enough to repeat it.

use serde::{Deserialize, Serialize};

/// The run behind a result: program, model, input and arithmetic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Version of massval that ran, for example `0.1.0`.
    pub massval_version: String,
    /// The command line as typed, one entry per argument.
    pub command: Vec<String>,
    /// When the run ended, RFC 3339. The caller reads the clock, this crate never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Which weights were used.
    pub model: ModelIdentity,
    /// Where the arithmetic ran: `cpu`, `wgpu`, `cuda:0`.
    pub device: String,
    /// Element type of the arithmetic, for example `f32`.
    pub dtype: String,
    /// Threads that the run was allowed to use.
    pub threads: usize,
    /// Seed of every random choice; absent when the run makes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The text or tokens that the model read.
    pub input: InputIdentity,
}

/// A checkpoint, named so that the same weights can be found again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelIdentity {
    /// The folder, file or hub name that the user gave.
    pub path_or_name: String,
    /// Family, for example `llama`.
    pub architecture: String,
    /// How the weights are stored: `safetensors` or `gguf`.
    pub format: String,
    /// Hub revision, when the model came from a hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Every file that was read.
    pub files: Vec<FileHash>,
    /// Element type in the file, for example `bf16` or `q4_1`.
    pub dtype_stored: String,
    /// Number of parameters.
    pub parameters: u64,
}

/// One file by name, size and BLAKE3, which is quick enough for the largest checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileHash {
    /// Name within the model's folder, or the path given.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// BLAKE3 in lower-case hexadecimal, as `b3sum` prints it.
    pub blake3: String,
}

/// What the model read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputIdentity {
    /// How the input was given.
    pub source: InputSource,
    /// The text file, for [`InputSource::Text`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// SHA-256 of the input's bytes before tokenization, lower-case hexadecimal; for
    /// [`InputSource::Tasks`] over all items in order.
    pub sha256: String,
    /// Whether the model's chat template was applied.
    pub chat: bool,
    /// Whether the tokenizer added its special tokens (BOS and the like).
    pub special_tokens: bool,
    /// Every token id that entered the model, in order; empty for [`InputSource::Tasks`], and
    /// where a long text is named by its hash alone.
    pub tokens: Vec<u32>,
    /// The text of each token, beside `tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pieces: Option<Vec<String>>,
}

/// How the input was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InputSource {
    /// A text file.
    Text,
    /// Text on the command line.
    Prompt,
    /// Token ids on the command line.
    Tokens,
    /// The items of the result's tasks.
    Tasks,
}
