//! Files, bounded: what they are, their hash, their lines.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// How much of a file is taken before it is called hostile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of a line of JSONL.
    pub line: usize,
    /// Bytes of a file that has to be read whole: JSON, CSV, plain text.
    pub whole: u64,
    /// Records, and items.
    pub records: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line: 16 << 20, whole: 1 << 30, records: 10_000_000 }
    }
}

pub(crate) fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}

pub(crate) fn format_error(path: &Path, what: impl Into<String>) -> Error {
    Error::Format { path: path.to_owned(), what: what.into() }
}

/// Opens a regular file. Folders open on some systems and fail only when read, pipes can be read
/// but once: both are refused here.
pub(crate) fn open(path: &Path) -> Result<File> {
    let kind = std::fs::metadata(path).map_err(io_error(path))?;
    if kind.is_dir() {
        return Err(format_error(path, "a folder; name a file in it"));
    }
    if !kind.is_file() {
        return Err(format_error(path, "not a regular file; copy what it gives into one"));
    }
    File::open(path).map_err(io_error(path))
}

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn sha256(path: &Path) -> Result<String> {
    let mut file = open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(source) if source.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(io_error(path)(source)),
        };
        hasher.update(&buffer[..read]);
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

/// The file as text, a byte order mark left out.
pub(crate) fn whole_text(path: &Path, limits: Limits) -> Result<String> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(limits.whole + 1).read_to_end(&mut bytes).map_err(io_error(path))?;
    too_long(path, bytes.len() as u64, limits)?;
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let upto = error.utf8_error().valid_up_to();
        format_error(path, format!("not UTF-8 from byte {upto} on; convert it"))
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// # Errors
/// [`Error::Format`] for more bytes than are read whole.
pub(crate) fn too_long(path: &Path, bytes: u64, limits: Limits) -> Result<()> {
    if bytes > limits.whole {
        return Err(format_error(
            path,
            format!(
                "more than {} bytes, too many to read whole; use JSONL or Parquet",
                limits.whole
            ),
        ));
    }
    Ok(())
}

/// The lines of a file, without their ends, a byte order mark left out.
pub(crate) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    limits: Limits,
    /// The number of the line read last, from 1.
    number: usize,
}

impl Lines {
    pub(crate) fn open(path: &Path, limits: Limits) -> Result<Self> {
        let reader = BufReader::with_capacity(1 << 16, open(path)?);
        Ok(Self { path: path.to_owned(), reader, limits, number: 0 })
    }

    fn read(&mut self) -> Result<Option<(usize, String)>> {
        let mut line = Vec::new();
        let most = self.limits.line as u64;
        // Two more than may stay: one for the end of the line, one to see that there is more.
        let read = (&mut self.reader)
            .take(most + 2)
            .read_until(b'\n', &mut line)
            .map_err(io_error(&self.path))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        let number = self.number;
        if line.len() as u64 > most {
            return Err(format_error(
                &self.path,
                format!("line {number}: longer than {most} bytes; is this a file of lines?"),
            ));
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let mut line = String::from_utf8(line).map_err(|error| {
            let upto = error.utf8_error().valid_up_to();
            let what = format!("line {number}: not UTF-8 from its byte {upto} on; convert it");
            format_error(&self.path, what)
        })?;
        if number == 1 && line.starts_with('\u{feff}') {
            line.drain(..'\u{feff}'.len_utf8());
        }
        Ok(Some((number, line)))
    }
}

impl Iterator for Lines {
    /// The line's number, from 1, and its text.
    type Item = Result<(usize, String)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn the_hash_is_that_of_the_bytes() {
        let (_folder, path) = file(b"abc");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&path).unwrap(), known);
    }

    #[test]
    fn lines_come_without_their_ends_and_marks() {
        let (_folder, path) = file("\u{feff}a\r\n\nb".as_bytes());
        let lines: Vec<_> =
            Lines::open(&path, Limits::default()).unwrap().map(Result::unwrap).collect();
        assert_eq!(lines, [(1, "a".to_owned()), (2, String::new()), (3, "b".to_owned())]);
    }

    #[test]
    fn a_line_too_long_and_a_file_too_long_are_refused() {
        let limits = Limits { line: 3, whole: 3, ..Limits::default() };
        let (_folder, path) = file(b"abc\nabcd\n");
        let lines: Vec<_> = Lines::open(&path, limits).unwrap().take(2).collect();
        assert!(lines[0].is_ok());
        let message = lines[1].as_ref().unwrap_err().to_string();
        assert!(message.contains("line 2: longer than 3 bytes"), "{message}");
        let message = whole_text(&path, limits).unwrap_err().to_string();
        assert!(message.contains("more than 3 bytes"), "{message}");
    }

    #[test]
    fn folders_and_bytes_that_are_no_text_are_refused() {
        let (folder, path) = file(b"ok\n\xff\n");
        let message = open(folder.path()).unwrap_err().to_string();
        assert!(message.contains("a folder"), "{message}");
        let message = whole_text(&path, Limits::default()).unwrap_err().to_string();
        assert!(message.contains("not UTF-8 from byte 3"), "{message}");
        let second = Lines::open(&path, Limits::default()).unwrap().nth(1).unwrap();
        let message = second.unwrap_err().to_string();
        assert!(message.contains("line 2: not UTF-8 from its byte 0"), "{message}");
    }
}
