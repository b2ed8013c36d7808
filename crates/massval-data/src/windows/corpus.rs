//! The text that windows are cut from: documents of a file, joined.

use std::path::Path;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Pick, Windows};
use crate::read::{Format, Limits, file, format};
use crate::{Error, Result};

/// How documents are found in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TextOptions {
    /// The field of a record (JSONL, JSON, CSV, Parquet) that holds the text; `text` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What a document of plain text is; the whole file where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

/// What a document of plain text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Split {
    /// The whole file.
    File,
    /// A line with its end; a blank line is an empty document. So do the rows of WikiText on the
    /// hub come from its files.
    Lines,
}

/// Documents of a file, joined.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Corpus {
    /// The text.
    pub text: String,
    /// How many documents it is made of.
    pub documents: usize,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    options: TextOptions,
    rule: (Pick, String),
}

impl Corpus {
    /// Reads the documents that `rule` picks from the file at `path` and joins them as it says.
    ///
    /// A file named `.jsonl`, `.ndjson`, `.json`, `.csv` or `.parquet`, or marked as Parquet, is one
    /// of records; any other is plain text. At most 1 GiB of text is taken.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Format`] for a file that cannot be read, is too long, or holds no
    /// text, [`Error::Field`] for a record without its text, [`Error::Options`] for an option that
    /// the kind of file does not have.
    pub fn open(path: &Path, rule: &Windows, options: &TextOptions) -> Result<Self> {
        Self::open_within(path, rule, options, Limits::default())
    }

    fn open_within(
        path: &Path,
        rule: &Windows,
        options: &TextOptions,
        limits: Limits,
    ) -> Result<Self> {
        let sha256 = file::sha256(path)?;
        let documents = match record_format(path)? {
            Some(format) => records(path, format, options, limits)?,
            None => plain(path, options, limits)?,
        };
        let picked = pick(documents, rule.documents, limits.whole, path)?;
        let text = picked.join(&rule.join);
        if text.trim().is_empty() {
            return Err(file::format_error(path, "no items: there is no text in it"));
        }
        Ok(Self {
            text,
            documents: picked.len(),
            sha256,
            options: options.clone(),
            rule: (rule.documents, rule.join.clone()),
        })
    }

    /// Everything that decides the text: two with the same value have the same text.
    #[must_use]
    pub fn identity(&self) -> Value {
        json!({
            "source": "file",
            "sha256": self.sha256,
            "options": self.options,
            "documents": self.documents,
            "pick": self.rule.0,
            "join": self.rule.1,
        })
    }
}

type Documents = Box<dyn Iterator<Item = Result<String>>>;

/// The format of a file of records; `None` for plain text.
fn record_format(path: &Path) -> Result<Option<Format>> {
    let extension = path.extension().map(|name| name.to_string_lossy().to_ascii_lowercase());
    let named =
        matches!(extension.as_deref(), Some("jsonl" | "ndjson" | "json" | "csv" | "parquet"));
    match Format::of(path) {
        Ok(format) if named || format == Format::Parquet => Ok(Some(format)),
        Err(error) if named => Err(error),
        _ => Ok(None),
    }
}

fn records(
    path: &Path,
    format: Format,
    options: &TextOptions,
    limits: Limits,
) -> Result<Documents> {
    if options.split.is_some() {
        return Err(refused(
            "`split` is for plain text, but the file is one of records; leave it out",
        ));
    }
    let field = options.field.clone().unwrap_or_else(|| "text".to_owned());
    let wanted = format::Wanted { fields: &[&field], list: None };
    let records = format::records(path, format, wanted, limits)?;
    Ok(Box::new(records.map(move |record| record?.text(&field).map(str::to_owned))))
}

fn plain(path: &Path, options: &TextOptions, limits: Limits) -> Result<Documents> {
    if options.field.is_some() {
        return Err(refused(
            "`field` is for files of records, but the file is plain text; leave it out",
        ));
    }
    let text = file::whole_text(path, limits)?;
    Ok(match options.split.unwrap_or(Split::File) {
        Split::File => Box::new(std::iter::once(Ok(text))),
        Split::Lines => {
            let lines: Vec<String> = text.split_inclusive('\n').map(row).collect();
            Box::new(lines.into_iter().map(Ok))
        }
    })
}

fn row(line: &str) -> String {
    if line.trim().is_empty() { String::new() } else { line.to_owned() }
}

/// Reads no further than it has to, and holds no more than it picks.
fn pick(documents: Documents, pick: Pick, most: u64, path: &Path) -> Result<Vec<String>> {
    let mut kept = Kept { documents: Vec::new(), bytes: 0, most, path };
    match pick {
        Pick::All => documents.into_iter().try_for_each(|document| kept.push(0, document?))?,
        Pick::First(count) => {
            documents.take(count).try_for_each(|document| kept.push(0, document?))?;
        }
        Pick::Random { count, seed } => {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for (place, document) in documents.enumerate() {
                let document = document?;
                if kept.documents.len() < count {
                    kept.push(place, document)?;
                    continue;
                }
                // Vitter's algorithm R: each of the first n documents is kept with chance count / n.
                let slot =
                    usize::try_from(rng.random_range(0..=place as u64)).unwrap_or(usize::MAX);
                if slot < count {
                    kept.drop_at(slot);
                    kept.push(place, document)?;
                }
            }
            kept.documents.sort_unstable_by_key(|(place, _)| *place);
        }
    }
    Ok(kept.documents.into_iter().map(|(_, document)| document).collect())
}

/// Documents with their places, and a bound to their size.
struct Kept<'a> {
    documents: Vec<(usize, String)>,
    bytes: u64,
    most: u64,
    path: &'a Path,
}

impl Kept<'_> {
    fn push(&mut self, place: usize, document: String) -> Result<()> {
        self.bytes = self.bytes.saturating_add(document.len() as u64);
        if self.bytes > self.most {
            let what = format!("more than {} bytes of text; pick fewer documents", self.most);
            return Err(file::format_error(self.path, what));
        }
        self.documents.push((place, document));
        Ok(())
    }

    fn drop_at(&mut self, slot: usize) {
        let (_, document) = self.documents.swap_remove(slot);
        self.bytes -= document.len() as u64;
    }
}

fn refused(what: &str) -> Error {
    Error::Options { task: "text".to_owned(), what: what.to_owned() }
}

#[cfg(test)]
mod tests;
