//! What can go wrong with a set.

use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with a set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not hold what its schema says.
    #[error("{}: line {line}, field `{field}`: {what}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The line (of text) or row (of Parquet), from 1.
        line: usize,
        /// The field.
        field: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A file is not of its format.
    #[error("{}: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// Options that cannot be met.
    #[error("{task}: {what}")]
    Options {
        /// The set.
        task: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// An item past the end.
    #[error("{task}: item {index} asked for, but there are {len}")]
    Index {
        /// The set.
        task: String,
        /// The item.
        index: usize,
        /// How many there are.
        len: usize,
    },
    /// The tokenizer failed.
    #[error("tokenizer: {what}")]
    Tokenizer {
        /// Its message.
        what: String,
    },
}
