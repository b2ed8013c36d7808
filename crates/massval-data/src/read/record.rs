//! One record of a file, and its fields by type.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{Error, Result};

/// How many names a message lists.
const NAMES: usize = 8;

/// One record of a file: named fields, and the place they stand at.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    path: Arc<Path>,
    /// The line or row, from 1.
    line: usize,
    /// What stands before a field's name in messages: `data[3].`.
    at: String,
    fields: Map<String, Value>,
}

impl Record {
    pub(crate) fn new(path: &Arc<Path>, line: usize, fields: Map<String, Value>) -> Self {
        Self { path: path.clone(), line, at: String::new(), fields }
    }

    /// The same record, inside of others.
    pub(crate) fn inside(mut self, at: &str) -> Self {
        self.at = format!("{at}.");
        self
    }

    /// The same record with one more field.
    pub(crate) fn with(mut self, field: &str, value: Value) -> Self {
        self.fields.insert(field.to_owned(), value);
        self
    }

    /// An error about a field.
    pub(crate) fn error(&self, field: &str, what: impl Into<String>) -> Error {
        Error::Field {
            path: self.path.to_path_buf(),
            line: self.line,
            field: format!("{}{field}", self.at),
            what: what.into(),
        }
    }

    fn wrong(&self, field: &str, value: &Value, wanted: &str) -> Error {
        self.error(field, format!("{} where {wanted} should be", kind(value)))
    }

    /// A field that may be absent; null is absent, too.
    pub(crate) fn optional(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// A field of any type.
    pub(crate) fn value(&self, field: &str) -> Result<&Value> {
        match self.fields.get(field) {
            Some(Value::Null) => Err(self.error(field, "null")),
            Some(value) => Ok(value),
            None => Err(self.error(field, missing(self.fields.keys().map(String::as_str)))),
        }
    }

    /// A text, which may be empty.
    pub(crate) fn text(&self, field: &str) -> Result<&str> {
        let value = self.value(field)?;
        value.as_str().ok_or_else(|| self.wrong(field, value, "a text"))
    }

    /// A text with something in it.
    pub(crate) fn words(&self, field: &str) -> Result<&str> {
        let text = self.text(field)?;
        if text.trim().is_empty() {
            return Err(self.error(field, "empty"));
        }
        Ok(text)
    }

    /// A list of texts.
    pub(crate) fn texts(&self, field: &str) -> Result<Vec<&str>> {
        let value = self.value(field)?;
        let list = value.as_array().ok_or_else(|| self.wrong(field, value, "a list of texts"))?;
        let text = |(at, value): (usize, &'_ Value)| match value.as_str() {
            Some(_) => Ok(at),
            None => Err(self.wrong(&format!("{field}[{at}]"), value, "a text")),
        };
        for place in list.iter().enumerate() {
            text(place)?;
        }
        Ok(list.iter().filter_map(Value::as_str).collect())
    }

    /// A whole number, which CSV writes as text.
    pub(crate) fn integer(&self, field: &str) -> Result<i64> {
        let value = self.value(field)?;
        let number = match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_i64(),
        };
        number.ok_or_else(|| self.error(field, format!("{} is not a whole number", shown(value))))
    }

    /// True or false, which some files write as 1 and 0, and CSV as text.
    pub(crate) fn flag(&self, field: &str) -> Result<bool> {
        let value = self.value(field)?;
        let flag = match value {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => match number.as_i64() {
                Some(0) => Some(false),
                Some(1) => Some(true),
                _ => None,
            },
            Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
                "0" | "false" => Some(false),
                "1" | "true" => Some(true),
                _ => None,
            },
            _ => None,
        };
        flag.ok_or_else(|| {
            self.error(field, format!("{} is neither true (1) nor false (0)", shown(value)))
        })
    }
}

/// That a field is missing, and what there is instead.
pub(crate) fn missing<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let listed: Vec<String> =
        names.iter().take(NAMES).map(|name| format!("`{}`", cut(name))).collect();
    let more = if names.len() > NAMES { ", ..." } else { "" };
    match listed.is_empty() {
        true => "missing; there are no fields".to_owned(),
        false => format!("missing; the fields are {}{more}", listed.join(", ")),
    }
}

/// What a value is, in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A value for a message: scalars as they are, shortened.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) | Value::Null => kind(value).to_owned(),
        Value::String(text) => format!("`{}`", cut(text)),
        scalar => format!("`{scalar}`"),
    }
}

/// The beginning of a text, for a message.
pub(crate) fn cut(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
