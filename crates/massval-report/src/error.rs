//! What can go wrong with result files, tables, pages and figures.

use std::path::{Path, PathBuf};

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error that names the file or field and says what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("{}: cannot read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file could not be written; nothing of it is left behind.
    #[error("{}: cannot write: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not JSON of the expected form.
    #[error("{}: not a massval result file: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// A result could not be turned into JSON.
    #[error("cannot write the result as JSON: {0}")]
    Serialize(#[source] serde_json::Error),
    /// A result file was written by a version with another schema.
    #[error(
        "{}: schema version {found} is not known to this version of massval, which reads version {known}; \
         read it with the massval that wrote it",
        path.display()
    )]
    SchemaVersion {
        /// The file.
        path: PathBuf,
        /// The version it states.
        found: u64,
        /// The version that this crate reads.
        known: u32,
    },
    /// A result file holds the result of another command.
    #[error(
        "{}: holds the result of `{found}`, expected `{expected}`; name a file that `massval {expected}` wrote",
        path.display()
    )]
    Kind {
        /// The file.
        path: PathBuf,
        /// The kind it states.
        found: String,
        /// The kind that was asked for.
        expected: &'static str,
    },
    /// A result file holds the result of a command that this version does not have.
    #[error(
        "{}: holds the result of `{found}`, which this version of massval does not know; \
         read it with the massval that wrote it",
        path.display()
    )]
    UnknownKind {
        /// The file.
        path: PathBuf,
        /// The kind it states.
        found: String,
    },
    /// A field contradicts another field, or holds a value that cannot be.
    #[error("not a valid result, `{field}`: {reason}")]
    Field {
        /// Path of the field, for example `sites[3].norms`.
        field: String,
        /// What is wrong.
        reason: String,
    },
    /// A figure could not be drawn.
    #[cfg(feature = "figures")]
    #[error("cannot draw the figure: {0}")]
    Draw(String),
}

impl Error {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }

    pub(crate) fn json(path: &Path, source: serde_json::Error) -> Self {
        Self::Json { path: path.to_owned(), source }
    }

    pub(crate) fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Field { field: field.into(), reason: reason.into() }
    }
}
