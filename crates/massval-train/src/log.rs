//! The log of a run: a line of JSON for each step and each measurement.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Measurement, Result};

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum Entry {
    /// A step was made.
    Step {
        /// Counted from 1.
        step: usize,
        /// Nats per token, weighted, before the update.
        loss: f64,
        /// The learning rate.
        rate: f64,
        /// The norm of the gradient before it was cut.
        gradient: f64,
    },
    /// The model was measured.
    Measurement(Measurement),
}

impl Entry {
    /// After how many steps.
    #[must_use]
    pub fn step(&self) -> usize {
        match self {
            Self::Step { step, .. } => *step,
            Self::Measurement(measurement) => measurement.step,
        }
    }
}

/// Appends to a log.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Log {
    /// Opens the log of a run that has made `step` steps: what an interrupted run wrote beyond them is cut off.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read or written.
    pub fn open(path: &Path, step: usize) -> Result<Self> {
        let kept = match path.exists() {
            true => read_lines(path, step)?,
            false => String::new(),
        };
        massval_models::tensorfile::atomic_write(path, |out| out.write_all(kept.as_bytes()))?;
        let file = OpenOptions::new().append(true).open(path).map_err(Error::io(path))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn push(&mut self, entry: &Entry) -> Result<()> {
        let mut written = || {
            serde_json::to_writer(&mut self.file, entry)?;
            self.file.write_all(b"\n")?;
            self.file.flush()
        };
        written().map_err(Error::io(&self.path))
    }
}

/// The whole lines of the log up to a step. A kill may have cut the last one.
fn read_lines(path: &Path, step: usize) -> Result<String> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut kept = String::new();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(Error::io(path))?;
        match serde_json::from_str::<Entry>(&line) {
            Ok(entry) if entry.step() <= step => {
                kept.push_str(&line);
                kept.push('\n');
            }
            _ => break,
        }
    }
    Ok(kept)
}

/// All lines of a log.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Resume`] for a line that is none of a log, by its number.
pub fn read_log(path: &Path) -> Result<Vec<Entry>> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut entries = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(Error::io(path))?;
        let entry = serde_json::from_str(&line)
            .map_err(|error| Error::resume(path, format!("line {}: {error}", number + 1)))?;
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: usize) -> Entry {
        Entry::Step { step, loss: 1.5, rate: 1e-3, gradient: 0.25 }
    }

    #[test]
    fn a_log_goes_on_from_its_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let mut log = Log::open(&path, 0).unwrap();
        (1..=5).for_each(|i| log.push(&step(i)).unwrap());
        drop(log);
        // A kill in the middle of a line.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"kind\": \"st").unwrap();
        let mut log = Log::open(&path, 3).unwrap();
        log.push(&step(4)).unwrap();
        drop(log);
        assert_eq!(read_log(&path).unwrap(), [1, 2, 3, 4].map(step));
        std::fs::write(&path, "what\n").unwrap();
        assert!(read_log(&path).unwrap_err().to_string().contains("log.jsonl: line 1"));
    }
}
