//! Facts, and the file they come in.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use csv::StringRecord;
use serde::Serialize;

use super::template::Template;
use super::{fold, tidy};
use crate::{Error, Result};

/// The longest field that is read, in bytes. What is longer is no name, but a missing quote.
const LONGEST: usize = 4096;
const COLUMNS: [&str; 4] = ["subject", "relation", "object", "template"];

/// Something true: the `relation` of `subject` is `object`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Fact {
    /// What the fact is about: France.
    pub subject: String,
    /// What is said of it: capital.
    pub relation: String,
    /// What the answer is: Paris.
    pub object: String,
}

impl Fact {
    /// The `relation` of `subject` is `object`; blanks around them do not count.
    pub fn new(
        subject: impl AsRef<str>,
        relation: impl AsRef<str>,
        object: impl AsRef<str>,
    ) -> Self {
        Self {
            subject: tidy(subject.as_ref()),
            relation: tidy(relation.as_ref()),
            object: tidy(object.as_ref()),
        }
    }

    /// What decides whether two facts are the same.
    fn key(&self) -> [String; 3] {
        [fold(&self.relation), fold(&self.subject), fold(&self.object)]
    }
}

/// Distinct facts, in an order of their own: that of the rows does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    facts: Vec<Fact>,
    /// By folded relation.
    templates: BTreeMap<String, String>,
}

impl Facts {
    /// The facts given, each once; letter case does not make two of one.
    pub fn new(facts: impl IntoIterator<Item = Fact>) -> Self {
        let mut facts: Vec<_> = facts.into_iter().map(|fact| (fact.key(), fact)).collect();
        facts.sort();
        facts.dedup_by(|a, b| a.0 == b.0);
        let facts = facts.into_iter().map(|(_, fact)| fact).collect();
        Self { facts, templates: BTreeMap::new() }
    }

    /// Reads a CSV file, as [`synthesis`](crate::synthesis) describes it.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a wrong header; [`Error::Field`] for an empty or
    /// overlong field, a row of another length, a bad template or a second one for its relation.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file =
            File::open(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Self::from_reader(file, path)
    }

    /// The same from any reader; errors call it `path`.
    ///
    /// # Errors
    /// As [`Facts::read`].
    pub fn from_reader(reader: impl Read, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut csv = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
        let columns = Columns::of(csv.headers().map_err(|e| csv_error(path, &[], e))?, path)?;
        let mut facts = Vec::new();
        let mut templates = BTreeMap::<String, String>::new();
        let mut record = StringRecord::new();
        while csv.read_record(&mut record).map_err(|e| csv_error(path, &columns.names, e))? {
            let row = Row { record: &record, columns: &columns, path };
            let fact =
                Fact::new(row.field("subject")?, row.field("relation")?, row.field("object")?);
            if let Some(text) = row.template()? {
                Template::parse(&text).map_err(|what| row.error("template", what))?;
                let first = templates.entry(fold(&fact.relation)).or_insert_with(|| text.clone());
                if *first != text {
                    let what = format!(
                        "the relation `{}` has the template `{first}` already",
                        fact.relation
                    );
                    return Err(row.error("template", what));
                }
            }
            facts.push(fact);
        }
        Ok(Self { templates, ..Self::new(facts) })
    }

    /// The facts.
    #[must_use]
    pub fn as_slice(&self) -> &[Fact] {
        &self.facts
    }

    /// The template that the file gives for a folded relation.
    pub(super) fn template(&self, relation: &str) -> Option<&str> {
        self.templates.get(relation).map(String::as_str)
    }
}

/// Which column holds what.
struct Columns {
    names: Vec<String>,
}

impl Columns {
    fn of(header: &StringRecord, path: &Path) -> Result<Self> {
        let names: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        let error = |what| Error::Format { path: path.to_owned(), what };
        for (place, name) in names.iter().enumerate() {
            if !COLUMNS.contains(&name.as_str()) {
                let known = COLUMNS.join("`, `");
                return Err(error(format!("unknown column `{name}`; the columns are `{known}`")));
            }
            if names.iter().take(place).any(|earlier| earlier == name) {
                return Err(error(format!("the column `{name}` is there twice")));
            }
        }
        // All but the template.
        for name in COLUMNS.iter().take(3) {
            if !names.iter().any(|other| other == name) {
                return Err(error(format!(
                    "no column `{name}`; the first line must be `subject,relation,object`"
                )));
            }
        }
        Ok(Self { names })
    }
}

/// One line after the header.
struct Row<'a> {
    record: &'a StringRecord,
    columns: &'a Columns,
    path: &'a Path,
}

impl Row<'_> {
    fn error(&self, field: &str, what: String) -> Error {
        let line = self.record.position().map_or(0, line);
        Error::Field { path: self.path.to_owned(), line, field: field.to_owned(), what }
    }

    /// What stands in the column `name`, if there is such a column.
    fn find(&self, name: &str) -> Result<Option<&str>> {
        let (has, wants) = (self.record.len(), self.columns.names.len());
        if has != wants {
            let what =
                format!("the line has {has} fields, the header {wants}; quote what has a comma");
            return Err(self.error(name, what));
        }
        let place = self.columns.names.iter().position(|column| column == name);
        let Some(text) = place.and_then(|place| self.record.get(place)) else { return Ok(None) };
        if text.len() > LONGEST {
            let what = format!(
                "is {} bytes long, at most {LONGEST} are read; is a quote missing?",
                text.len()
            );
            return Err(self.error(name, what));
        }
        Ok(Some(text))
    }

    fn field(&self, name: &str) -> Result<&str> {
        match self.find(name)? {
            Some(text) if !text.trim().is_empty() => Ok(text),
            _ => Err(self.error(name, "is empty".to_owned())),
        }
    }

    fn template(&self) -> Result<Option<String>> {
        Ok(self.find("template")?.map(tidy).filter(|text| !text.is_empty()))
    }
}

fn csv_error(path: &Path, columns: &[String], error: csv::Error) -> Error {
    let path = path.to_owned();
    let what = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(source) => Error::Io { path, source },
        csv::ErrorKind::Utf8 { pos: Some(position), err } => Error::Field {
            path,
            line: line(&position),
            field: columns.get(err.field()).cloned().unwrap_or_default(),
            what: "is not UTF-8; save the file as UTF-8".to_owned(),
        },
        _ => Error::Format { path, what },
    }
}

fn line(position: &csv::Position) -> usize {
    usize::try_from(position.line()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(csv: &str) -> Result<Facts> {
        Facts::from_reader(csv.as_bytes(), "facts.csv")
    }

    fn error(csv: &str) -> String {
        read(csv).unwrap_err().to_string()
    }

    #[test]
    fn columns_may_stand_in_any_order_and_blanks_do_not_count() {
        let facts =
            read("object, subject ,relation\n Paris,France,capital\nLima,  the  Peru,capital\n");
        let facts = facts.unwrap();
        let wanted =
            [Fact::new("France", "capital", "Paris"), Fact::new("the Peru", "capital", "Lima")];
        assert_eq!(facts.as_slice(), wanted);
    }

    #[test]
    fn a_fact_counts_once_whatever_its_letters() {
        let a =
            read("subject,relation,object\nFrance,capital,Paris\nfrance,Capital,PARIS\n").unwrap();
        let b =
            read("subject,relation,object\nfrance,Capital,PARIS\nFrance,capital,Paris\n").unwrap();
        assert_eq!(a.as_slice().len(), 1);
        assert_eq!(a, b);
    }

    #[test]
    fn a_template_belongs_to_its_relation() {
        let facts = read(
            "subject,relation,object,template\na,r,b,\nc,R,d,Is {object}  of {subject}?\ne,r,f,Is {object} of {subject}?\n",
        )
        .unwrap();
        assert_eq!(facts.template("r"), Some("Is {object} of {subject}?"));
        assert_eq!(facts.template("s"), None);
    }

    #[test]
    fn errors_name_file_line_and_field() {
        for (csv, wanted) in [
            (
                "",
                "facts.csv: no column `subject`; the first line must be `subject,relation,object`",
            ),
            (
                "subject,relation\n",
                "facts.csv: no column `object`; the first line must be `subject,relation,object`",
            ),
            (
                "subject,relation,objekt\n",
                "facts.csv: unknown column `objekt`; the columns are `subject`, `relation`, `object`, `template`",
            ),
            ("subject,relation,object,object\n", "facts.csv: the column `object` is there twice"),
            (
                "subject,relation,object\na,b,c\na, ,c\n",
                "facts.csv: line 3, field `relation`: is empty",
            ),
            (
                "subject,relation,object\na,b,c,d\n",
                "facts.csv: line 2, field `subject`: the line has 4 fields, the header 3; quote what has a comma",
            ),
            (
                "subject,relation,object,template\na,b,c,{subject}?\n",
                "facts.csv: line 2, field `template`: `{subject}?` has no place {object}",
            ),
            (
                "subject,relation,object,template\na,b,c,{subject} {object}\nd,B,e,{object} {subject}\n",
                "facts.csv: line 3, field `template`: the relation `B` has the template `{subject} {object}` already",
            ),
        ] {
            assert_eq!(error(csv), wanted);
        }
        let long = format!("subject,relation,object\n{},b,c\n", "a".repeat(LONGEST + 1));
        assert_eq!(
            error(&long),
            "facts.csv: line 2, field `subject`: is 4097 bytes long, at most 4096 are read; is a quote missing?"
        );
    }

    #[test]
    fn what_is_not_text_is_an_error() {
        let bytes: &[u8] = b"subject,relation,object\na,b,\xff\n";
        let error = Facts::from_reader(bytes, "facts.csv").unwrap_err().to_string();
        assert_eq!(
            error,
            "facts.csv: line 2, field `object`: is not UTF-8; save the file as UTF-8"
        );
        let error = Facts::read("no/such.csv").unwrap_err().to_string();
        assert!(error.starts_with("no/such.csv: "), "{error}");
    }
}
