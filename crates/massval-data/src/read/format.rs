//! The formats of files, and the records in them.

mod csv;
mod json;
mod jsonl;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(not(feature = "parquet"))]
#[path = "format/parquet_absent.rs"]
mod parquet;
#[cfg(all(test, feature = "parquet"))]
pub(crate) mod sample;
mod tell;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Limits;
use super::file::format_error;
use super::record::Record;
use crate::Result;

pub(crate) use json::Tree;

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// One JSON object a line; blank lines are passed over.
    Jsonl,
    /// One JSON value: a list of objects, or an object that holds one.
    Json,
    /// Comma-separated values below a line of names.
    Csv,
    /// Parquet; needs the feature `parquet`.
    Parquet,
}

impl Format {
    /// The format of the file at `path`, by its first bytes, then by its extension. A `.json` of
    /// one object a line, as AQuA-RAT is published, is [`Format::Jsonl`].
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) if neither says, or the file is empty or compressed.
    pub fn of(path: &Path) -> Result<Self> {
        tell::format_of(path)
    }
}

/// The records of a file, read one after the other as far as the format allows.
pub(crate) type Records = Box<dyn Iterator<Item = Result<Record>>>;

/// What is wanted of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Fields that every record has.
    pub fields: &'a [&'a str],
    /// In JSON, the field of the outer object that may hold the list of records.
    pub list: Option<&'a str>,
}

/// The records of the file at `path`; CSV and Parquet are checked for the wanted fields first.
pub(crate) fn records(
    path: &Path,
    format: Format,
    wanted: Wanted<'_>,
    limits: Limits,
) -> Result<Records> {
    let records = match format {
        Format::Jsonl => jsonl::records(path, limits)?,
        Format::Json => json::records(path, wanted.list, limits)?,
        Format::Csv => csv::records(path, wanted.fields, limits)?,
        Format::Parquet => parquet::records(path, wanted.fields)?,
    };
    let path = path.to_owned();
    let bounded = records.enumerate().map(move |(at, record)| match at < limits.records {
        true => record,
        false => Err(format_error(
            &path,
            format!("more than {} records; split the file", limits.records),
        )),
    });
    Ok(Box::new(bounded))
}
