//! What can go wrong between a file on disk and a logit, each with the thing it went wrong on.

use std::path::{Path, PathBuf};

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate. Every variant names the file, tensor, field or token at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a read or a write.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is truncated, corrupt, hostile, or not of the format its name promises.
    #[error("{}: not a valid {format} file: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format it was read as: `safetensors`, `GGUF`, `npy`, ...
        format: &'static str,
        /// What is wrong, and where.
        what: String,
    },
    /// A file is sound, but holds something this crate cannot represent.
    #[error("{}: {what}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not supported, and what to use instead.
        what: String,
    },
    /// A field of a config is missing, contradictory or unknown.
    #[error("{}: {field}: {what}", path.display())]
    Config {
        /// The config file (or the GGUF that holds it as metadata).
        path: PathBuf,
        /// The field's name.
        field: String,
        /// What is wrong with it.
        what: String,
    },
    /// The weights do not match the architecture.
    #[error("{}: {report}", path.display())]
    Weights {
        /// The checkpoint.
        path: PathBuf,
        /// What was missing, left over, or of the wrong shape.
        report: Box<crate::weights::LoadReport>,
    },
    /// A tokenizer is missing, unreadable, or of another model.
    #[error("{}: tokenizer: {what}", path.display())]
    Tokenizer {
        /// The tokenizer's file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A chat template is missing or failed.
    #[error("chat template: {what}")]
    ChatTemplate {
        /// What the template engine said.
        what: String,
    },
    /// The tokens, or the options, of a call do not fit the model.
    #[error("{what}")]
    Input {
        /// What does not fit, and what would.
        what: String,
    },
    /// A hook was not understood, failed, or never fired.
    #[error(transparent)]
    Hook(#[from] massval_hooks::Error),
    /// A quantized checkpoint was not understood, or an activation could not be rounded.
    #[error(transparent)]
    Quant(#[from] massval_quant::Error),
    /// A model could not be fetched from a hub.
    #[cfg(feature = "hub")]
    #[error(transparent)]
    Hub(#[from] crate::hub::HubError),
    /// The device could not do what was asked of it.
    #[error("device {device}: {what}")]
    Device {
        /// The device, as burn names it.
        device: String,
        /// What failed.
        what: String,
    },
}

impl Error {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn format(path: &Path, format: &'static str, what: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), format, what: what.into() }
    }

    pub(crate) fn config(path: &Path, field: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Config { path: path.to_owned(), field: field.into(), what: what.into() }
    }

    pub(crate) fn input(what: impl Into<String>) -> Self {
        Self::Input { what: what.into() }
    }
}
