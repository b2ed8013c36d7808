//! Readers of the usual sets in the schemas they are published in.
//!
//! A set is one local file: JSONL, JSON, CSV or, with the feature `parquet`, Parquet. Which of them
//! a file is, its content and its extension tell; what its fields mean, a [`Schema`]. Fields that a
//! schema does not know are left alone; one that is missing, or holds something else than it should,
//! is an error that names file, line and field.
//!
//! Prompts are the bare questions of the sets: what a model is told beside them is not decided here.
//!
//! ```
//! use massval_data::{Dataset, Gold, read};
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("test.jsonl");
//! std::fs::write(&path, r##"{"question": "What is 9 + 9?", "answer": "9 + 9 = 18\n#### 18"}"##)?;
//! let set = read::open(&path, read::Schema::Gsm8k, &read::Options::default())?;
//! assert_eq!(set.len(), Some(1));
//! assert_eq!(set.item(0)?.gold, Gold::Number { number: "18".into() });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod file;
pub(crate) mod format;
mod options;
mod record;
mod schema;
mod set;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use format::Format;
pub use options::{Options, Unanswerable};
pub use schema::Schema;
pub use set::FileSet;

pub(crate) use file::Limits;
pub(crate) use format::Records;
#[cfg(all(test, feature = "parquet"))]
pub(crate) use format::sample;

use crate::{Dataset, Result};

/// Opens the set in the file at `path`.
///
/// The whole file is read and checked now, so that no item fails later. At most 10 million items are
/// taken, lines of at most 16 MiB, and files of at most 1 GiB where the format has to be read whole
/// (JSON, CSV).
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) and [`Error::Format`](crate::Error::Format) for a file that
/// cannot be read or holds no items, [`Error::Field`](crate::Error::Field) for the first field that
/// is missing or wrong, [`Error::Options`](crate::Error::Options) for an option that `schema` does
/// not have.
pub fn open(path: &Path, schema: Schema, options: &Options) -> Result<Box<dyn Dataset>> {
    Ok(Box::new(FileSet::open(path, schema, options)?))
}
