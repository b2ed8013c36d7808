//! What can go wrong in an evaluation.

use std::path::PathBuf;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in an evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A task that cannot be run as it is.
    #[error("task {task}: {what}")]
    Task {
        /// The task.
        task: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// Options that make no sense, or do not fit each other.
    #[error("{what}")]
    Options {
        /// What is wrong, and what to do.
        what: String,
    },
    /// A folder or a file of results.
    #[error("{}: {what}", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A number came out that is none.
    #[error("{what}")]
    NotFinite {
        /// Where, and what to do.
        what: String,
    },
    /// Scoring.
    #[error(transparent)]
    Score(#[from] crate::score::Error),
    /// The statistics refused what they were given.
    #[error(transparent)]
    Statistics(#[from] crate::stats::Error),
    /// The variety of an answer.
    #[error(transparent)]
    Diversity(#[from] crate::diversity::Error),
    /// The items.
    #[error(transparent)]
    Data(#[from] massval_data::Error),
    /// The intervention.
    #[error(transparent)]
    Disrupt(#[from] massval_disrupt::Error),
    /// How something is rounded.
    #[error(transparent)]
    Quant(#[from] massval_quant::Error),
    /// The model.
    #[error(transparent)]
    Model(#[from] massval_models::Error),
}

impl Error {
    pub(crate) fn task(task: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Task { task: task.into(), what: what.into() }
    }

    pub(crate) fn options(what: impl Into<String>) -> Self {
        Self::Options { what: what.into() }
    }
}

impl From<massval_hooks::Error> for Error {
    fn from(error: massval_hooks::Error) -> Self {
        Self::Model(error.into())
    }
}
