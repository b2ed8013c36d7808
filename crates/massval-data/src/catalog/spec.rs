//! The text that names a set, taken apart and checked.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Entry, entries, hint};
use crate::{Error, Result};

/// A set's name with its file and options; [`catalog`](super) says how one is written.
///
/// ```
/// use massval_data::catalog::Spec;
/// let spec: Spec = "aqua:runs:2/dev.json:options_in_prompt=false".parse()?;
/// assert_eq!(spec.path(), Some("runs:2/dev.json".as_ref()));
/// assert_eq!(spec.entry().name, "aqua");
/// # Ok::<(), massval_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Spec {
    entry: &'static Entry,
    path: Option<String>,
    /// As written, each once.
    options: Vec<(String, String)>,
}

impl Spec {
    /// What it names.
    #[must_use]
    pub fn entry(&self) -> &'static Entry {
        self.entry
    }

    /// The file it is to be read from.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref().map(Path::new)
    }

    pub(super) fn options(&self) -> &[(String, String)] {
        &self.options
    }
}

impl FromStr for Spec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, rest) = match text.split_once(':') {
            Some((name, rest)) => (name, Some(rest)),
            None => (text, None),
        };
        let (path, options) = rest.map_or((None, None), split);
        let entry = find(name, path)?;
        let options = options.map(|text| list(entry.name, text)).transpose()?.unwrap_or_default();
        entry.kind.source().with(entry.name, &options, None)?;
        Ok(Self { entry, path: path.map(str::to_owned), options })
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry.name)?;
        if let Some(path) = &self.path {
            write!(f, ":{path}")?;
        }
        for (place, (name, value)) in self.options.iter().enumerate() {
            write!(f, "{}{name}={value}", if place == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Spec {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Spec> for String {
    fn from(spec: Spec) -> Self {
        spec.to_string()
    }
}

/// The name of the option that `text` begins with, and what follows its `=`.
fn option(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!name.is_empty() && name.chars().all(plain)).then_some((name, value))
}

/// The places in `text` where an option begins: its start, and behind every `mark`.
fn options_behind(text: &str, mark: char) -> impl Iterator<Item = usize> {
    let places = std::iter::once(0).chain(text.match_indices(mark).map(|(at, _)| at + 1));
    places.filter(|&at| text.get(at..).and_then(option).is_some())
}

/// The file and the options in what follows the name.
fn split(rest: &str) -> (Option<&str>, Option<&str>) {
    match options_behind(rest, ':').next() {
        None => (Some(rest), None),
        Some(0) => (None, Some(rest)),
        // the mark has one byte
        Some(at) => (rest.get(..at - 1), rest.get(at..)),
    }
}

/// The options of a list, each with its value.
fn list(task: &str, text: &str) -> Result<Vec<(String, String)>> {
    let starts: Vec<usize> = options_behind(text, ',').collect();
    let ends = starts.iter().skip(1).map(|next| next - 1).chain([text.len()]);
    let mut options: Vec<(String, String)> = Vec::new();
    for (&start, end) in starts.iter().zip(ends) {
        let Some((name, value)) = text.get(start..end).and_then(option) else { continue };
        if options.iter().any(|(earlier, _)| earlier == name) {
            let what = format!("the option `{name}` is given twice; once is enough");
            return Err(Error::Options { task: task.to_owned(), what });
        }
        options.push((name.to_owned(), value.to_owned()));
    }
    Ok(options)
}

/// The entry of a name, with a file or without.
fn find(name: &str, path: Option<&str>) -> Result<&'static Entry> {
    let refuse = |task: &str, what| Err(Error::Options { task: task.to_owned(), what });
    let named = |entry: &&Entry| entry.name == name || entry.alias == Some(name);
    let Some(first) = entries().iter().find(named) else {
        let names: BTreeSet<&str> = entries().iter().map(|entry| entry.name).collect();
        return refuse("set", format!("`{name}` is unknown; {}", hint(name, names)));
    };
    if path == Some("") {
        return refuse(
            first.name,
            "nothing stands behind the `:`; a file or options do".to_owned(),
        );
    }
    match entries().iter().filter(named).find(|entry| entry.file == path.is_some()) {
        Some(entry) => Ok(entry),
        None => match path {
            None => refuse(first.name, format!("it is read from a file; write {name}:FILE")),
            Some(path) => {
                let known = first.options()?;
                let known: Vec<&str> = known.keys().map(String::as_str).collect();
                let what = format!(
                    "it takes no file, and `{path}` is no option with a value (NAME=VALUE); there \
                     are {}",
                    known.join(", ")
                );
                refuse(first.name, what)
            }
        },
    }
}
