//! One JSON object a line.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::Records;
use crate::Result;
use crate::read::file::{Limits, Lines, format_error};
use crate::read::record::{Record, kind};

pub(super) fn records(path: &Path, limits: Limits) -> Result<Records> {
    let path: Arc<Path> = path.into();
    let lines = Lines::open(&path, limits)?;
    let filled = lines.filter(|line| !line.as_ref().is_ok_and(|(_, line)| line.trim().is_empty()));
    Ok(Box::new(filled.map(move |line| record(&path, line?))))
}

fn record(path: &Arc<Path>, (number, line): (usize, String)) -> Result<Record> {
    match serde_json::from_str(&line) {
        Ok(Value::Object(fields)) => Ok(Record::new(path, number, fields)),
        Ok(other) => {
            let what = format!("line {number}: {} where an object should be", kind(&other));
            Err(format_error(path, what))
        }
        Err(error) => {
            // The parser counts lines from its own start.
            let what = format!("line {number}, column {}: {}", error.column(), reason(&error));
            Err(format_error(path, what))
        }
    }
}

/// The parser's message without the place that it adds.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&place).unwrap_or(&message).to_owned()
}
