//! The readers, on files good and bad.

mod bad;
mod good;
#[cfg(feature = "parquet")]
mod parquet;

use tempfile::TempDir;

use super::*;

/// Reads a set from a file of this name and content.
fn read(name: &str, text: impl AsRef<[u8]>, schema: Schema, options: &Options) -> Result<FileSet> {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    FileSet::open(&path, schema, options)
}

/// The same without options.
fn plain(name: &str, text: impl AsRef<[u8]>, schema: Schema) -> Result<FileSet> {
    read(name, text, schema, &Options::default())
}

/// Texts of choices, the right one first.
fn choices(item: &crate::Item) -> Vec<&str> {
    item.choices.iter().map(|choice| choice.text.as_str()).collect()
}
