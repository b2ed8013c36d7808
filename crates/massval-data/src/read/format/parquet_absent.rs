//! What stands for the reader of Parquet where it was not built.

use std::path::Path;

use super::Records;
use crate::Result;
use crate::read::file::format_error;

pub(super) fn records(path: &Path, _wanted: &[&str]) -> Result<Records> {
    let what = "Parquet, which this build does not read; enable the feature `parquet`, or convert it to JSONL";
    Err(format_error(path, what))
}
