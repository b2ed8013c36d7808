//! The folder of a run: what it is of, and its records, line by line, so that it can go on after a kill.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Error, Record, Result};

const PLAN: &str = "run.json";
/// [`PLAN`] while it is written.
const PARTIAL: &str = "run.json.partial";
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
    /// A run that ended before its first record left nothing behind: another may take its place.
    ///
    /// # Errors
    /// [`Error::Folder`], and nothing is changed, if the folder holds something else than a run, another run, a
    /// run and `resume` is not set, no run and it is, a run that another process is at, or records that are not
    /// of this run.
    pub fn open(
        path: &Path,
        plan: &Value,
        shape: (usize, &BTreeSet<usize>),
        resume: bool,
        seen: &mut dyn FnMut(Record) -> Result<()>,
    ) -> Result<Self> {
        let found = look(path, plan, resume, Compared::All)?;
        if found == Found::Nothing {
            fs::create_dir_all(path).map_err(|source| io(path, source))?;
        }
        let file = path.join(RECORDS);
        let mut records = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)
            .map_err(|source| io(&file, source))?;
        lock(path, &records)?;
        if found != Found::Run {
            // Nobody may have begun since we looked.
            if records.metadata().map_err(|source| io(&file, source))?.len() > 0 {
                return Err(busy(path));
            }
            write_new(&path.join(PLAN), plan)?;
        }
        let (groups, end) = read_groups(&file, &records, shape, seen)?;
        records.set_len(end).map_err(|source| io(&file, source))?;
        records.seek(SeekFrom::End(0)).map_err(|source| io(&file, source))?;
        Ok(Self { path: path.to_owned(), records, groups })
    }

    /// Checks, and changes nothing, that [`open`](Self::open) would take `path` for a run of `plan`, as far as
    /// it can be told without reading the records. What `plan` leaves out at its top level is not compared.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn check(path: &Path, plan: &Value, resume: bool) -> Result<()> {
        if look(path, plan, resume, Compared::Given)? == Found::Nothing {
            return Ok(());
        }
        let file = path.join(RECORDS);
        match File::open(&file) {
            Ok(records) => lock(path, &records),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(io(&file, source)),
        }
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

/// What there is at the path of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// No folder, or an empty one.
    Nothing,
    /// A run without a record: it ended before it had one, or another process has just begun it.
    Unbegun,
    /// The run.
    Run,
}

/// Which top-level fields of a plan must be those in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    /// All of them.
    All,
    /// Those that the plan gives.
    Given,
}

/// Finds out whether a run of `plan` may begin, or with `resume` go on, at `path`; changes nothing.
fn look(path: &Path, plan: &Value, resume: bool, compared: Compared) -> Result<Found> {
    let refuse = |what: &str| Err(Error::Folder { path: path.to_owned(), what: what.to_owned() });
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match resume {
                true => refuse("is not there, so no run can go on in it; leave out --resume"),
                false => Ok(Found::Nothing),
            };
        }
        Err(source) => return Err(io(path, source)),
    };
    let (mut empty, mut ours) = (true, true);
    for entry in entries {
        let name = entry.map_err(|source| io(path, source))?.file_name();
        empty = false;
        ours &= [PLAN, PARTIAL, RECORDS].iter().any(|known| name == **known);
    }
    if empty {
        return match resume {
            true => refuse("is empty, so no run can go on in it; leave out --resume"),
            false => Ok(Found::Nothing),
        };
    }
    let unbegun = || fs::metadata(path.join(RECORDS)).is_ok_and(|records| records.len() == 0);
    if !resume && ours && unbegun() {
        return Ok(Found::Unbegun);
    }
    let file = path.join(PLAN);
    if !file.exists() {
        return refuse("is not empty and holds no run (no run.json); use another folder");
    }
    same_plan(&file, plan, compared)?;
    match resume {
        true => Ok(Found::Run),
        false => refuse("holds this run already; use --resume to go on with it, or another folder"),
    }
}

fn lock(path: &Path, records: &File) -> Result<()> {
    records.try_lock().map_err(|_| busy(path))
}

fn busy(path: &Path) -> Error {
    let what = "another process is at this run; wait for it to end".to_owned();
    Error::Folder { path: path.to_owned(), what }
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

fn same_plan(path: &Path, plan: &Value, compared: Compared) -> Result<()> {
    let bytes = fs::read(path).map_err(|source| io(path, source))?;
    let mut found: Value = serde_json::from_slice(&bytes).map_err(|error| Error::Folder {
        path: path.to_owned(),
        what: format!("cannot be read: {error}; use another folder"),
    })?;
    if let (Compared::Given, Some(found), Some(plan)) =
        (compared, found.as_object_mut(), plan.as_object())
    {
        found.retain(|field, _| plan.contains_key(field));
    }
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
    let partial = path.with_file_name(PARTIAL);
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
    fn a_run_without_a_record_gives_way() {
        let dir = tempfile::tempdir().unwrap();
        let (path, plan) = (dir.path().join("run"), json!({"select": "head-mean:1000"}));
        drop(open(&path, &plan, false).unwrap());
        let corrected = json!({"select": "head-mean:5"});
        let error = open(&path, &corrected, true).unwrap_err().to_string();
        assert!(error.contains("`select` differs"), "{error}");
        open(&path, &corrected, false).unwrap().0.append(&group(0)).unwrap();
        let error = open(&path, &plan, false).unwrap_err().to_string();
        assert!(error.contains("`select` differs"), "{error}");
        // What is not ours does not give way, even if it looks like it.
        let letter = dir.path().join("letter");
        fs::create_dir(&letter).unwrap();
        fs::write(letter.join(PLAN), "dear").unwrap();
        assert!(open(&letter, &plan, false).is_err());
        fs::write(letter.join(RECORDS), "").unwrap();
        fs::write(letter.join("page 2"), "").unwrap();
        assert!(open(&letter, &plan, false).is_err());
        assert_eq!(fs::read(letter.join(PLAN)).unwrap(), b"dear");
    }

    #[test]
    fn there_must_be_a_run_to_go_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let error = open(&path, &json!({}), true).unwrap_err().to_string();
        assert!(error.contains("is not there") && error.contains("--resume"), "{error}");
        assert!(!path.exists());
        let error = open(dir.path(), &json!({}), true).unwrap_err().to_string();
        assert!(error.contains("is empty") && error.contains("--resume"), "{error}");
        assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
    }

    #[test]
    fn a_check_says_what_opening_would_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (path, plan) = (dir.path().join("run"), json!({"seed": 1, "items": "hash"}));
        let partly = json!({"seed": 1});
        RunFolder::check(&path, &partly, false).unwrap();
        assert!(!path.exists());
        let (mut folder, _) = open(&path, &plan, false).unwrap();
        folder.append(&group(0)).unwrap();
        let error = |plan: &Value, resume| RunFolder::check(&path, plan, resume).unwrap_err();
        assert!(error(&partly, true).to_string().contains("another process"));
        drop(folder);
        RunFolder::check(&path, &partly, true).unwrap();
        assert!(error(&partly, false).to_string().contains("--resume"));
        assert!(error(&json!({"seed": 2}), true).to_string().contains("`seed` differs"));
        let error = open(&path, &partly, true).unwrap_err().to_string();
        assert!(error.contains("`items` differs"), "{error}");
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
