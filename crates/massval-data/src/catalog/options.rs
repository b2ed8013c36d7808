//! From options as written to the options of a set.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value, json};

use super::hint;
use crate::{Error, Result};

/// An error of the set `task`.
pub(super) fn refuse(task: &str, what: impl Into<String>) -> Error {
    Error::Options { task: task.to_owned(), what: what.into() }
}

/// The fields of a set's options.
pub(super) fn fields<T: Serialize>(task: &str, options: &T) -> Result<Map<String, Value>> {
    match serde_json::to_value(options) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(refuse(task, "its options are no list of names and values")),
        Err(error) => Err(refuse(task, error.to_string())),
    }
}

/// Changes `base` as `given` says. An option is one of `known`, whose values tell what is wanted:
/// a number, true or false, a list, or text.
pub(super) fn change<'g, T: Serialize + DeserializeOwned>(
    task: &str,
    base: T,
    known: &Map<String, Value>,
    given: impl IntoIterator<Item = (&'g str, &'g str)>,
) -> Result<T> {
    let mut fields = fields(task, &base)?;
    let mut changed = base;
    for (name, text) in given {
        let Some(example) = known.get(name) else {
            let hint = hint(name, known.keys().map(String::as_str));
            return Err(refuse(task, format!("there is no option `{name}`; {hint}")));
        };
        let wrong = |what: String| refuse(task, format!("`{name}` cannot be `{text}`: {what}"));
        let value = if name == "depths" { depths(text) } else { value(example, text) };
        fields.insert(name.to_owned(), value.map_err(|what| wrong(what.to_owned()))?);
        // One by one, so that the error is this option's.
        changed =
            T::deserialize(Value::Object(fields.clone())).map_err(|e| wrong(e.to_string()))?;
    }
    Ok(changed)
}

/// What `text` says, of the same type as `example`.
fn value(example: &Value, text: &str) -> std::result::Result<Value, &'static str> {
    match example {
        Value::Number(_) => match text.parse::<u64>() {
            Ok(number) => Ok(json!(number)),
            Err(_) => Err("a whole number from 0 is wanted"),
        },
        Value::Bool(_) => match text.parse::<bool>() {
            Ok(truth) => Ok(json!(truth)),
            Err(_) => Err("true or false is wanted"),
        },
        Value::Array(_) => Ok(json!(text.split(',').map(str::trim).collect::<Vec<_>>())),
        _ => Ok(json!(text)),
    }
}

/// Percents, or `drawn`.
fn depths(text: &str) -> std::result::Result<Value, &'static str> {
    if text == "drawn" {
        return Ok(json!("drawn"));
    }
    let number = |percent: &str| serde_json::from_str::<Number>(percent).ok();
    match text.split(',').map(number).collect::<Option<Vec<_>>>() {
        Some(percents) => Ok(json!({ "cycle": percents })),
        None => Err("percents, separated by commas, or `drawn` are wanted"),
    }
}
