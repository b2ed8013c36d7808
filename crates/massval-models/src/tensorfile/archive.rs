//! Zip archives as numpy and PyTorch write them, read with every size bounded beforehand.

use std::io::{Cursor, Read};
use std::path::Path;

use zip::ZipArchive;

use crate::{Error, Result};

/// The entries of a zip archive that lies in memory.
pub(super) struct Archive<'a> {
    path: &'a Path,
    format: &'static str,
    zip: ZipArchive<Cursor<&'a [u8]>>,
}

impl<'a> Archive<'a> {
    /// # Errors
    /// [`Error::Format`] if `bytes` are no zip archive.
    pub(super) fn open(path: &'a Path, format: &'static str, bytes: &'a [u8]) -> Result<Self> {
        let zip = ZipArchive::new(Cursor::new(bytes))
            .map_err(|e| Error::format(path, format, e.to_string()))?;
        Ok(Self { path, format, zip })
    }

    /// The entries' names, in the order of the archive.
    ///
    /// # Errors
    /// [`Error::Format`] if one is no text.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let names = self.zip.file_names().map(|name| match name {
            Ok(name) => Ok(name.into_owned()),
            Err(e) => Err(Error::format(self.path, self.format, e.to_string())),
        });
        names.collect()
    }

    /// An entry's bytes, decompressed, if they are no more than `limit`.
    ///
    /// # Errors
    /// [`Error::Format`] if there is no such entry, it is corrupt, or larger than `limit`.
    pub(super) fn read(&mut self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let bad = |what: String| Error::format(self.path, self.format, format!("`{name}`: {what}"));
        let mut entry = self.zip.by_name(name).map_err(|e| bad(e.to_string()))?;
        let size = entry.size();
        if size > limit {
            return Err(bad(format!("its {size} bytes are more than the limit of {limit}")));
        }
        // What an entry claims is no reason to allocate: it grows as bytes come in, and one
        // byte past the claim is enough to know that it lies.
        let mut bytes = Vec::new();
        let read = entry.by_ref().take(size.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|e| bad(e.to_string()))?;
        if bytes.len() as u64 != size {
            return Err(bad(format!("it claims {size} bytes, but holds others")));
        }
        Ok(bytes)
    }
}
