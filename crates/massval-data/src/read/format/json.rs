//! One JSON value, whose parts know the line they stand on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::Records;
use super::jsonl::reason;
use crate::read::file::{Limits, format_error, whole_text};
use crate::read::record::{Record, kind, missing};
use crate::{Error, Result};

/// The records of a list, or of the list that an object holds; an object without such a list is a
/// record itself.
pub(super) fn records(path: &Path, list: Option<&str>, limits: Limits) -> Result<Records> {
    let tree = Tree::open(path, limits)?;
    let root = tree.root()?;
    let records = if root.is_list() {
        each(&root)?
    } else {
        match list {
            Some(list) => each(&root.field(list)?)?,
            None => vec![root.record()?],
        }
    };
    Ok(Box::new(records.into_iter().map(Ok)))
}

fn each(list: &Node<'_>) -> Result<Vec<Record>> {
    list.list()?.iter().map(Node::record).collect()
}

/// A file of JSON.
pub(crate) struct Tree {
    path: Arc<Path>,
    text: String,
    /// The byte that each line begins at.
    lines: Vec<usize>,
}

/// A value in it.
pub(crate) struct Node<'a> {
    tree: &'a Tree,
    /// Its place: `data[3].paragraphs`; empty for the root.
    at: String,
    raw: &'a RawValue,
}

impl Tree {
    pub(crate) fn open(path: &Path, limits: Limits) -> Result<Self> {
        let text = whole_text(path, limits)?;
        if text.trim().is_empty() {
            return Err(format_error(path, "no items: the file is empty"));
        }
        let starts =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        Ok(Self { path: path.into(), text, lines })
    }

    pub(crate) fn root(&self) -> Result<Node<'_>> {
        let raw = serde_json::from_str(&self.text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format_error(&self.path, format!("line {line}, column {column}: {}", reason(&error)))
        })?;
        Ok(Node { tree: self, at: String::new(), raw })
    }
}

impl<'a> Node<'a> {
    /// The line that the value begins on, from 1.
    fn line(&self) -> usize {
        // The raw value is a part of the text, so the distance of the two is its place there.
        let place =
            (self.raw.get().as_ptr() as usize).saturating_sub(self.tree.text.as_ptr() as usize);
        self.tree.lines.partition_point(|start| *start <= place)
    }

    fn error(&self, what: impl Into<String>) -> Error {
        let field = if self.at.is_empty() { "(the whole file)" } else { &self.at };
        Error::Field {
            path: self.tree.path.to_path_buf(),
            line: self.line(),
            field: field.to_owned(),
            what: what.into(),
        }
    }

    /// What is found instead of what was wanted. The value is sound JSON already: what fails is its
    /// type, or its depth.
    fn wrong(&self, wanted: &str) -> Error {
        match serde_json::from_str(self.raw.get()) {
            Ok(value) => self.error(format!("{} where {wanted} should be", kind(&value))),
            Err(error) => self.error(reason(&error)),
        }
    }

    pub(crate) fn is_list(&self) -> bool {
        self.raw.get().starts_with('[')
    }

    /// Whether it is an object with such a field.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.field(name).is_ok()
    }

    /// A text.
    pub(crate) fn text(&self) -> Result<String> {
        serde_json::from_str(self.raw.get()).map_err(|_| self.wrong("a text"))
    }

    /// One field of an object.
    pub(crate) fn field(&self, name: &str) -> Result<Node<'a>> {
        let fields: BTreeMap<String, &'a RawValue> =
            serde_json::from_str(self.raw.get()).map_err(|_| self.wrong("an object"))?;
        let at = if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) };
        match fields.get(name) {
            Some(raw) => Ok(Node { tree: self.tree, at, raw }),
            None => {
                let what = missing(fields.keys().map(String::as_str));
                Err(Node { tree: self.tree, at, raw: self.raw }.error(what))
            }
        }
    }

    /// The elements of a list.
    pub(crate) fn list(&self) -> Result<Vec<Node<'a>>> {
        let list: Vec<&'a RawValue> =
            serde_json::from_str(self.raw.get()).map_err(|_| self.wrong("a list"))?;
        let node =
            |(place, raw)| Node { tree: self.tree, at: format!("{}[{place}]", self.at), raw };
        Ok(list.into_iter().enumerate().map(node).collect())
    }

    /// An object as a record.
    pub(crate) fn record(&self) -> Result<Record> {
        let fields = serde_json::from_str(self.raw.get()).map_err(|_| self.wrong("an object"))?;
        let record = Record::new(&self.tree.path, self.line(), fields);
        Ok(if self.at.is_empty() { record } else { record.inside(&self.at) })
    }
}
