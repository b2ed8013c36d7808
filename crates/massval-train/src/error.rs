//! What can go wrong in training.

use std::path::{Path, PathBuf};

/// What can go wrong in training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A config that cannot be.
    #[error("{field}: {what}")]
    Config {
        /// The field, as `model.heads`.
        field: String,
        /// Why, and what may be.
        what: String,
    },
    /// A run that cannot be gone on with.
    #[error("{path}: {what}")]
    Resume {
        /// The run's folder, or a file in it.
        path: PathBuf,
        /// What is different, and what to do.
        what: String,
    },
    /// A loss or a gradient that is no number.
    #[error(
        "step {step}: the {what} is not finite; the checkpoints in {kept} are as they were. Lower the learning rate, \
         or warm up for longer"
    )]
    NotFinite {
        /// The step, counted from 1.
        step: usize,
        /// Loss or gradient.
        what: &'static str,
        /// Where the checkpoints are.
        kept: PathBuf,
    },
    /// A file that cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What the model refuses.
    #[error(transparent)]
    Model(#[from] massval_models::Error),
    /// What the language refuses.
    #[error(transparent)]
    Data(#[from] massval_data::Error),
    /// What a hook refuses.
    #[error(transparent)]
    Hook(#[from] massval_hooks::Error),
    /// What the detector refuses.
    #[error(transparent)]
    Detect(#[from] massval_detect::Error),
    /// What an intervention refuses.
    #[error(transparent)]
    Disrupt(#[from] massval_disrupt::Error),
    /// What reading the model's shape refuses.
    #[error(transparent)]
    Eval(#[from] massval_eval::Error),
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn config(field: &str, what: impl Into<String>) -> Self {
        Self::Config { field: field.to_owned(), what: what.into() }
    }

    pub(crate) fn resume(path: &Path, what: impl Into<String>) -> Self {
        Self::Resume { path: path.to_owned(), what: what.into() }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
