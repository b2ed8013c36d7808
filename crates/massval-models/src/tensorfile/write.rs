//! Files written whole or not at all.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::NamedTensor;
use crate::{Error, Result};

/// Writes a file through `write` so that it is there in full or not at all.
///
/// The bytes go to a temporary file of the same folder, are flushed to the disk, and only then
/// take the name `path`. A link is followed, so that it stays one. What is no regular file (a
/// pipe, a device) cannot be replaced and is written to as it is.
///
/// ```
/// use std::io::Write;
///
/// # fn main() -> massval_models::Result<()> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// let path = folder.path().join("scan.json");
/// massval_models::tensorfile::atomic_write(&path, |out| out.write_all(b"{}"))?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Io`], naming `path`, if the folder is not there or not writable, the disk is full,
/// or `write` fails; then nothing is left behind, and a file that was there before still is.
pub fn atomic_write(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    try_write(path, write).map_err(|e| Error::io(path, e))
}

fn try_write(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let target = match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(meta) if meta.is_file() => fs::canonicalize(path)?,
        Ok(_) => {
            let mut out = BufWriter::new(OpenOptions::new().write(true).open(path)?);
            write(&mut out)?;
            return out.flush();
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(e) => return Err(e),
    };
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut temporary = tempfile::Builder::new();
    temporary.prefix(".massval-");
    // A temporary file is private to its user; this one becomes an ordinary one (less umask).
    #[cfg(unix)]
    temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = temporary.tempfile_in(&folder)?;
    let mut out = BufWriter::with_capacity(1 << 20, temporary.as_file());
    write(&mut out)?;
    out.flush()?;
    drop(out);
    temporary.as_file().sync_all()?;
    temporary.persist(&target).map_err(|e| e.error)?;
    // The new name is on the disk once the folder is; not every file system can say so.
    if let Ok(folder) = File::open(&folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Writes tensors and free text entries as one safetensors file, atomically.
///
/// Wider number types come first, as the format's own writer has it, so that data stays
/// aligned; the same input gives the same bytes.
///
/// # Errors
/// [`Error::Input`] if two tensors have one name, a name is `__metadata__`, or a shape is not
/// that of its numbers; [`Error::Io`] as [`atomic_write`].
pub fn write_safetensors(
    path: &Path,
    tensors: &[NamedTensor],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let mut sorted: Vec<&NamedTensor> = tensors.iter().collect();
    sorted.sort_by(|a, b| {
        let width = |tensor: &NamedTensor| tensor.data.dtype().block_bytes();
        width(b).cmp(&width(a)).then_with(|| a.name.cmp(&b.name))
    });
    let header = header(&sorted, metadata)?;
    atomic_write(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        sorted.iter().try_for_each(|tensor| tensor.data.write(out))
    })
}

fn header(tensors: &[&NamedTensor], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let mut entries = serde_json::Map::new();
    if !metadata.is_empty() {
        entries.insert("__metadata__".to_owned(), json!(metadata));
    }
    let mut names = HashSet::new();
    let mut offset = 0u64;
    for NamedTensor { name, shape, data } in tensors {
        if name == "__metadata__" || !names.insert(name) {
            return Err(Error::input(format!("`{name}` cannot name one tensor of a file")));
        }
        let elements = shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
        if elements != Some(data.len()) {
            let count = data.len();
            let what = format!("tensor `{name}`: shape {shape:?} does not fit {count} numbers");
            return Err(Error::input(what));
        }
        let begin = offset;
        offset += (data.len() * data.dtype().block_bytes()) as u64;
        let dtype = data.dtype().to_string();
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, offset]});
        entries.insert(name.clone(), entry);
    }
    let mut header = serde_json::Value::Object(entries).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

#[cfg(test)]
mod tests;
