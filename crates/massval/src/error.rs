//! What can go wrong in an analysis: the errors of the libraries, and of putting them together.

use std::path::PathBuf;

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of an analysis.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Loading or running a model failed.
    #[error(transparent)]
    Model(#[from] massval_models::Error),
    /// A hook was not understood, failed, or never fired.
    #[error(transparent)]
    Hook(#[from] massval_hooks::Error),
    /// The detector refused its input.
    #[error(transparent)]
    Detect(#[from] massval_detect::Error),
    /// The items of a task.
    #[error(transparent)]
    Data(#[from] massval_data::Error),
    /// An intervention.
    #[error(transparent)]
    Disrupt(#[from] massval_disrupt::Error),
    /// Weights that cannot be quantized, or not in this format.
    #[error(transparent)]
    Quant(#[from] massval_quant::Error),
    /// Running or scoring tasks.
    #[error(transparent)]
    Eval(#[from] massval_eval::Error),
    /// The statistics of a result.
    #[error(transparent)]
    Statistics(#[from] massval_eval::stats::Error),
    /// A result could not be checked, drawn, read or written.
    #[error(transparent)]
    Report(#[from] massval_report::Error),
    /// Training a small model.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Train(#[from] massval_train::Error),
    /// The detector refused the activations at a place in the model.
    #[error("{place}: {source}")]
    At {
        /// The hook point or tensor.
        place: String,
        /// What the detector said.
        source: massval_detect::Error,
    },
    /// A device is unknown, or not compiled in.
    #[error("device {name}: {what}")]
    Device {
        /// The name that was asked for.
        name: String,
        /// What is wrong, and what would do.
        what: String,
    },
    /// The options of a call do not fit each other, or the model.
    #[error("{0}")]
    Input(String),
    /// The operating system refused a read or a write.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
