//! Which format a file has.

use std::io::Read;
use std::path::Path;

use super::Format;
use crate::Result;
use crate::read::file::{Limits, Lines, format_error, io_error, open};

/// How many bytes at the start are looked at for a mark.
const HEAD: u64 = 4096;

pub(super) fn format_of(path: &Path) -> Result<Format> {
    let mut head = Vec::new();
    open(path)?.take(HEAD).read_to_end(&mut head).map_err(io_error(path))?;
    if head.is_empty() {
        return Err(format_error(path, "no items: the file is empty"));
    }
    if head.starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    let compressed: [(&[u8], &str); 4] = [
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh", "bzip2"),
        (b"PK\x03\x04", "zip"),
    ];
    if let Some((_, name)) = compressed.iter().find(|(mark, _)| head.starts_with(mark)) {
        return Err(format_error(path, format!("compressed with {name}; unpack it first")));
    }
    let extension = path.extension().map(|name| name.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
        Some("csv") => Ok(Format::Csv),
        Some("parquet") => Err(format_error(path, "named .parquet, but does not begin with PAR1")),
        Some("json") => lines_or_whole(path),
        _ => match head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head).trim_ascii_start() {
            [b'{' | b'[', ..] => lines_or_whole(path),
            _ => Err(format_error(
                path,
                "cannot tell the format; name it .jsonl, .json, .csv or .parquet",
            )),
        },
    }
}

/// JSONL if the first line that is not blank is an object of its own and others follow it.
fn lines_or_whole(path: &Path) -> Result<Format> {
    // A whole document may well stand on one line that is longer than a line of JSONL may be.
    let mut lines = Lines::open(path, Limits::default())?
        .filter(|line| !line.as_ref().is_ok_and(|(_, line)| line.trim().is_empty()));
    let Some(Ok((_, first))) = lines.next() else { return Ok(Format::Json) };
    let alone = serde_json::from_str::<serde::de::IgnoredAny>(&first).is_ok()
        && first.trim_start().starts_with('{');
    Ok(if alone && lines.next().is_some() { Format::Jsonl } else { Format::Json })
}
