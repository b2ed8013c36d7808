//! The folder of a run: what it is of, and its records, line by line, so that it can go on after a kill.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Error, Record, Result};

const PLAN: &str = "run.json";
const RECORDS: &str = "items.jsonl";
/// A line longer than this is no record.
const MAX_LINE: u64 = 64 << 20;

/// The folder of a run.
///
/// `run.json` says what the run is of, `items.jsonl` holds a [`Record`] per line. Records come in groups, one
/// for each item with a record for each arm; a group that was cut off is dropped when the run goes on.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    records: File,
    groups: usize,
}

impl RunFolder {
    /// Opens `path` for a run of `plan`; makes it if it is not there. `shape` is how many records an item has,
    /// and after how many items a batch ends: what was cut off inside a batch is dropped with the batch. With
    /// `resume` a run that was begun there goes on, and `seen` is given each record that is kept.
    ///
    /// # Errors
    /// [`Error::Folder`], and nothing is changed, if the folder holds something else than a run, another run, a
    /// run and `resume` is not set, a run that another process is at, or records that are not of this run.
    pub fn open(
        path: &Path,
        plan: &Value,
        shape: (usize, &BTreeSet<usize>),
        resume: bool,
        seen: &mut dyn FnMut(Record) -> Result<()>,
    ) -> Result<Self> {
        let folder = |what: String| Error::Folder { path: path.to_owned(), what };
        let at = |file: &str| path.join(file);
        match fs::read_dir(path) {
            Ok(mut entries) => {
                if at(PLAN).exists() {
                    same_plan(&at(PLAN), plan)?;
                    if !resume {
                        let what = "holds this run already; use --resume to go on with it, or \
                                    another folder";
                        return Err(folder(what.into()));
                    }
                } else if entries.next().is_some() {
                    let what = "is not empty and holds no run (no run.json); use another folder";
                    return Err(folder(what.into()));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                fs::create_dir_all(path).map_err(|source| io(path, source))?;
            }
            Err(source) => return Err(io(path, source)),
        }
        let file = at(RECORDS);
        let mut records = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)
            .map_err(|source| io(&file, source))?;
        if records.try_lock().is_err() {
            return Err(folder("another process is at this run; wait for it to end".into()));
        }
        if !at(PLAN).exists() {
            write_new(&at(PLAN), plan)?;
        }
        let (groups, end) = read_groups(&file, &records, shape, seen)?;
        records.set_len(end).map_err(|source| io(&file, source))?;
        records.seek(SeekFrom::End(0)).map_err(|source| io(&file, source))?;
        Ok(Self { path: path.to_owned(), records, groups })
    }

    /// How many items have all their records.
    #[must_use]
    pub fn items(&self) -> usize {
        self.groups
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds the records of whole items; they are on the disk when it returns.
    ///
    /// # Errors
    /// [`Error::Io`] if they cannot be written.
    pub fn append(&mut self, records: &[Record]) -> Result<()> {
        let file = self.path.join(RECORDS);
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record)
                .map_err(|error| io(&file, std::io::Error::other(error)))?;
            lines.push(b'\n');
        }
        self.records
            .write_all(&lines)
            .and_then(|()| self.records.sync_data())
            .map_err(|source| io(&file, source))
    }
}

/// Hands over the records of whole batches; how many items they have, and where the last of them ends.
fn read_groups(
    path: &Path,
    file: &File,
    (arms, ends): (usize, &BTreeSet<usize>),
    seen: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<(usize, u64)> {
    let mut reader = BufReader::new(file);
    let (mut kept, mut end, mut offset, mut line) = (0, 0, 0, 0usize);
    let (mut items, mut batch, mut group) = (0, Vec::new(), Vec::new());
    loop {
        let mut bytes = Vec::new();
        let read = std::io::Read::take(&mut reader, MAX_LINE)
            .read_until(b'\n', &mut bytes)
            .map_err(|source| io(path, source))?;
        line += 1;
        offset += read as u64;
        if bytes.last() != Some(&b'\n') {
            // The end, or a line that was cut off.
            if read as u64 == MAX_LINE {
                let what = format!("line {line} is longer than {MAX_LINE} bytes; not a record");
                return Err(Error::Folder { path: path.to_owned(), what });
            }
            return Ok((kept, end));
        }
        let record: Record = serde_json::from_slice(&bytes).map_err(|error| Error::Folder {
            path: path.to_owned(),
            what: format!("line {line} is no record: {error}; use another folder"),
        })?;
        group.push(record);
        if group.len() >= arms.max(1) {
            batch.append(&mut group);
            items += 1;
        }
        if group.is_empty() && ends.contains(&items) {
            batch.drain(..).try_for_each(&mut *seen)?;
            (kept, end) = (items, offset);
        }
    }
}

fn same_plan(path: &Path, plan: &Value) -> Result<()> {
    let bytes = fs::read(path).map_err(|source| io(path, source))?;
    let found: Value = serde_json::from_slice(&bytes).map_err(|error| Error::Folder {
        path: path.to_owned(),
        what: format!("cannot be read: {error}; use another folder"),
    })?;
    match difference(&found, plan, String::new()) {
        None => Ok(()),
        Some(field) => Err(Error::Folder {
            path: path.to_owned(),
            what: format!("is of another run: `{field}` differs; use another folder"),
        }),
    }
}

/// Where two values differ first, by field.
fn difference(a: &Value, b: &Value, path: String) -> Option<String> {
    let (left, right) = match (a, b) {
        (Value::Object(left), Value::Object(right)) => (left, right),
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let mut pairs = left.iter().zip(right).enumerate();
            return pairs.find_map(|(at, (a, b))| difference(a, b, format!("{path}[{at}]")));
        }
        _ => return (a != b).then_some(path),
    };
    let keys = left.keys().chain(right.keys().filter(|key| !left.contains_key(*key)));
    keys.into_iter().find_map(|key| {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (left.get(key), right.get(key)) {
            (Some(a), Some(b)) => difference(a, b, path),
            _ => Some(path),
        }
    })
}

fn write_new(path: &Path, plan: &Value) -> Result<()> {
    let text =
        serde_json::to_vec_pretty(plan).map_err(|error| io(path, std::io::Error::other(error)))?;
    let partial = path.with_extension("json.partial");
    fs::write(&partial, text)
        .and_then(|()| fs::rename(&partial, path))
        .map_err(|source| io(path, source))
}

fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(task: &str, index: usize, arm: &str) -> Record {
        serde_json::from_value(json!({
            "task": task, "arm": arm, "index": index, "id": format!("{task}/{index}"), "prompt_tokens": 5
        }))
        .expect("a record")
    }

    fn group(index: usize) -> [Record; 2] {
        [record("t", index, "none"), record("t", index, "massive")]
    }

    fn open(path: &Path, plan: &Value, resume: bool) -> Result<(RunFolder, Vec<Record>)> {
        let mut kept = Vec::new();
        let ends = [1, 2, 3, 5].into();
        let folder = RunFolder::open(path, plan, (2, &ends), resume, &mut |record| {
            kept.push(record);
            Ok(())
        })?;
        Ok((folder, kept))
    }

    #[test]
    fn a_run_that_was_killed_goes_on_after_its_last_whole_item() {
        let dir = tempfile::tempdir().unwrap();
        let (path, plan) = (dir.path().join("run"), json!({"seed": 1}));
        let (mut folder, kept) = open(&path, &plan, false).unwrap();
        assert!(kept.is_empty() && folder.items() == 0);
        folder.append(&[group(0), group(1)].concat()).unwrap();
        folder.append(&group(2)[..1]).unwrap();
        drop(folder);
        // The next line was being written.
        let mut file = OpenOptions::new().append(true).open(path.join(RECORDS)).unwrap();
        file.write_all(br#"{"task":"t","arm":"mass"#).unwrap();
        drop(file);

        let (mut folder, kept) = open(&path, &plan, true).unwrap();
        assert_eq!(folder.items(), 2);
        assert_eq!(kept, [group(0), group(1)].concat());
        folder.append(&group(2)).unwrap();
        // Items 3 and 4 are one batch: half of it is none.
        folder.append(&group(3)).unwrap();
        drop(folder);
        assert_eq!(open(&path, &plan, true).unwrap().0.items(), 3);
    }

    #[test]
    fn nothing_of_another_run_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let (path, plan) = (dir.path().join("run"), json!({"arms": {"k": 1}, "seed": 1}));
        open(&path, &plan, false).unwrap().0.append(&group(0)).unwrap();
        let before = fs::read(path.join(RECORDS)).unwrap();

        let error = |plan: &Value, resume| open(&path, plan, resume).unwrap_err().to_string();
        assert!(error(&plan, false).contains("--resume"));
        let other = json!({"arms": {"k": 2}, "seed": 1});
        assert!(error(&other, true).contains("`arms.k` differs"));
        assert_eq!(fs::read(path.join(RECORDS)).unwrap(), before);

        fs::write(dir.path().join("letter.txt"), "dear").unwrap();
        let error = open(dir.path(), &plan, true).unwrap_err().to_string();
        assert!(error.contains("holds no run"), "{error}");
        assert!(!dir.path().join(PLAN).exists());
    }

    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let plan = json!({});
        let first = open(dir.path(), &plan, false).unwrap();
        let error = open(dir.path(), &plan, true).unwrap_err().to_string();
        assert!(error.contains("another process"), "{error}");
        drop(first);
        open(dir.path(), &plan, true).unwrap();
    }
}
