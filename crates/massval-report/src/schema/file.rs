//! Result files on disk: JSON that a person can page through, written whole or not at all.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::ser::Formatter;

use super::{ResultKind, SCHEMA_VERSION};
use crate::atomic;
use crate::error::{Error, Result};

/// Writes `result` to `path` as JSON.
pub(super) fn write<T: Serialize>(path: &Path, result: &T) -> Result<()> {
    let bytes = to_json(result)?;
    atomic::write(path, |out| out.write_all(&bytes))
}

/// Reads the result of `kind` at `path`; the caller checks its fields.
pub(super) fn read<T: DeserializeOwned>(path: &Path, kind: ResultKind) -> Result<T> {
    let bytes = std::fs::read(path).map_err(|e| Error::read(path, e))?;
    let found = header(path, &bytes)?.kind;
    if found != kind.as_str() {
        return Err(Error::Kind { path: path.to_owned(), found, expected: kind.as_str() });
    }
    serde_json::from_slice(&bytes).map_err(|e| Error::json(path, e))
}

/// The kind that the result file at `path` states.
pub(super) fn kind(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|e| Error::read(path, e))?;
    Ok(header(path, &bytes)?.kind)
}

fn header(path: &Path, bytes: &[u8]) -> Result<Header> {
    let header: Header = serde_json::from_slice(bytes).map_err(|e| Error::json(path, e))?;
    if header.schema_version == u64::from(SCHEMA_VERSION) {
        return Ok(header);
    }
    Err(Error::SchemaVersion {
        path: path.to_owned(),
        found: header.schema_version,
        known: SCHEMA_VERSION,
    })
}

/// The two fields that say how to read the rest.
#[derive(serde::Deserialize)]
struct Header {
    schema_version: u64,
    kind: String,
}

/// JSON with a line per field at the top and per element of the top's arrays, compact below.
fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Outline { depth: 0 });
    value.serialize(&mut serializer).map_err(Error::Serialize)?;
    out.push(b'\n');
    Ok(out)
}

/// Breaks lines down to [`Outline::DEPTH`] levels. A scan holds a million norms: one line for
/// each would drown the file, one line for all could not be read at all.
struct Outline {
    depth: usize,
}

impl Outline {
    const DEPTH: usize = 2;

    fn open<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        out.write_all(bracket)
    }

    fn item<W: ?Sized + Write>(&self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        self.line(out)
    }

    fn close<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        let inner = self.depth;
        self.depth = inner.saturating_sub(1);
        if inner <= Self::DEPTH {
            self.line(out)?;
        }
        out.write_all(bracket)
    }

    fn line<W: ?Sized + Write>(&self, out: &mut W) -> io::Result<()> {
        if self.depth > Self::DEPTH {
            return Ok(());
        }
        out.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| out.write_all(b"  "))
    }
}

impl Formatter for Outline {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.item(out, first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.item(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(if self.depth > Self::DEPTH { b":" } else { b": " })
    }
}
