//! A set that was read from a file.

use std::path::Path;

use serde_json::{Value, json};

use super::file::{format_error, sha256};
use super::record::Record;
use super::{Format, Limits, Options, Schema, Unanswerable};
use crate::{Dataset, Error, Gold, Item, Result, Side};

/// How much of the identity's hash stands in an item's name.
const SHORT: usize = 8;

/// A set that was read from a file. It is held whole: about the size of the file.
#[derive(Debug, Clone)]
pub struct FileSet {
    schema: Schema,
    sha256: String,
    skipped: usize,
    items: Vec<Item>,
    identity: Value,
}

impl FileSet {
    /// Reads the set in the file at `path`; see [`open`](super::open).
    ///
    /// # Errors
    /// Those of [`open`](super::open).
    pub fn open(path: &Path, schema: Schema, options: &Options) -> Result<Self> {
        Self::open_within(path, schema, options, Limits::default())
    }

    pub(crate) fn open_within(
        path: &Path,
        schema: Schema,
        options: &Options,
        limits: Limits,
    ) -> Result<Self> {
        options.check(schema)?;
        let format = match options.format {
            Some(format) => format,
            None => Format::of(path)?,
        };
        let sha256 = sha256(path)?;
        let mut items = Vec::new();
        let (mut skipped, mut unanswerable) = (0, None);
        let mut pairs = Pairs::default();
        for record in schema.records(path, format, limits)? {
            let record = record?;
            match schema.item(&record, options)? {
                Some(item) => {
                    items.push(item);
                    pairs.add(schema, &record, &mut items);
                }
                None => {
                    skipped += 1;
                    unanswerable.get_or_insert(record);
                }
            }
        }
        match unanswerable {
            Some(first) if options.unanswerable() == Unanswerable::Refuse => {
                return Err(first.error("answers", refusal(skipped)));
            }
            _ => {}
        }
        if items.is_empty() {
            return Err(format_error(path, empty(skipped)));
        }
        let mut set = Self { schema, sha256, skipped, items, identity: Value::Null };
        set.name_items(options);
        Ok(set)
    }

    /// Settles the set's identity, and gives the items their places and names.
    fn name_items(&mut self, options: &Options) {
        self.identity = json!({
            "source": "file",
            "schema": self.schema,
            "sha256": self.sha256,
            "items": self.items.len(),
        });
        match self.schema {
            Schema::Aqua => {
                self.identity["options_in_prompt"] = json!(options.options_in_prompt());
            }
            Schema::Squad => {
                self.identity["unanswerable"] = json!(options.unanswerable());
                self.identity["skipped"] = json!(self.skipped);
            }
            _ => {}
        }
        let hash: String =
            crate::identity::sha256(&self.identity.to_string()).chars().take(SHORT).collect();
        for (index, item) in self.items.iter_mut().enumerate() {
            item.index = index;
            item.id = format!("{}/{hash}/{index}", self.schema);
        }
    }

    /// The schema it was read in.
    #[must_use]
    pub fn schema(&self) -> Schema {
        self.schema
    }

    /// All its items.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// How many questions were left out because they have no answer ([`Unanswerable::Skip`]).
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// The SHA-256 of the file, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

fn refusal(count: usize) -> String {
    let first = if count == 1 { "this question has" } else { "this question and others have" };
    format!("{first} no answer in the context ({count} in the file); skip the unanswerable ones")
}

fn empty(skipped: usize) -> String {
    match skipped {
        0 => "no items".to_owned(),
        _ => format!("no items: none of its {skipped} questions has an answer"),
    }
}

impl Dataset for FileSet {
    fn name(&self) -> &str {
        self.schema.name()
    }

    fn side(&self) -> Side {
        self.schema.side()
    }

    fn len(&self) -> Option<usize> {
        Some(self.items.len())
    }

    fn item(&self, index: usize) -> Result<Item> {
        self.items.get(index).cloned().ok_or_else(|| Error::Index {
            task: self.schema.to_string(),
            index,
            len: self.items.len(),
        })
    }

    fn identity(&self) -> Value {
        self.identity.clone()
    }
}

/// Finds neighbours that are a true statement and its false twin.
#[derive(Default)]
struct Pairs {
    count: usize,
    /// What the item before has in common with a twin, while it has none.
    open: Option<String>,
}

impl Pairs {
    /// Looks at the item added last.
    fn add(&mut self, schema: Schema, record: &Record, items: &mut [Item]) {
        let Some(key) = schema.twin_key(record) else { return };
        if let [.., before, last] = items
            && self.open.as_deref() == Some(key)
            && truth(before).is_some()
            && truth(before) == truth(last).map(|truth| !truth)
        {
            before.pair = Some(self.count);
            last.pair = Some(self.count);
            self.count += 1;
            self.open = None;
        } else {
            self.open = Some(key.to_owned());
        }
    }
}

fn truth(item: &Item) -> Option<bool> {
    match item.gold {
        Gold::Truth { truth } => Some(truth),
        _ => None,
    }
}
