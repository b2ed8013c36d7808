//! Comma-separated values below a line of names.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Records;
use crate::read::file::{Limits, format_error, io_error, open, too_long};
use crate::read::record::{Record, missing};
use crate::{Error, Result};

pub(super) fn records(path: &Path, wanted: &[&str], limits: Limits) -> Result<Records> {
    let file = open(path)?;
    // A quote that never closes makes the rest of the file one field, so the file bounds it.
    too_long(path, file.metadata().map_err(io_error(path))?.len(), limits)?;
    let path: Arc<Path> = path.into();
    let mut reader = csv::Reader::from_reader(file);
    let names: Vec<String> = match reader.headers() {
        Ok(names) => names.iter().map(str::to_owned).collect(),
        Err(error) => return Err(csv_error(&path, &error)),
    };
    let field_error = |field: &str, what: String| {
        let field = field.to_owned();
        Err(Error::Field { path: path.to_path_buf(), line: 1, field, what })
    };
    for (at, name) in names.iter().enumerate() {
        if names.iter().take(at).any(|earlier| earlier == name) {
            return field_error(name, "two columns have this name; rename one".to_owned());
        }
    }
    for name in wanted {
        if !names.iter().any(|found| found == name) {
            return field_error(name, missing(names.iter().map(String::as_str)));
        }
    }
    Ok(Box::new(reader.into_records().map(move |row| {
        let row = row.map_err(|error| csv_error(&path, &error))?;
        let line =
            row.position().map_or(0, |place| usize::try_from(place.line()).unwrap_or(usize::MAX));
        let values = row.iter().map(|value| Value::String(value.to_owned()));
        let fields: Map<String, Value> = names.iter().cloned().zip(values).collect();
        Ok(Record::new(&path, line, fields))
    })))
}

fn csv_error(path: &Path, error: &csv::Error) -> Error {
    let line = error.position().map_or(1, csv::Position::line);
    let what = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields where the first line names {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "not UTF-8; convert it".to_owned(),
        _ => error.to_string(),
    };
    format_error(path, format!("line {line}: {what}"))
}
