//! A file mapped into memory: the one place of this crate that needs `unsafe`.

use std::fs::File;
use std::ops::{Deref, Range};
use std::path::Path;

use memmap2::Mmap;

use crate::{Error, Result};

/// The bytes of a file, mapped read-only.
#[derive(Debug)]
pub(crate) struct Mapped(Mmap);

impl Mapped {
    /// Maps a regular, non-empty file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened or mapped, [`Error::Format`] if it is empty or no
    /// regular file.
    pub(crate) fn open(path: &Path, format: &'static str) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let meta = file.metadata().map_err(|e| Error::io(path, e))?;
        if !meta.is_file() {
            return Err(Error::format(path, format, "it is not a regular file"));
        }
        if meta.len() == 0 {
            return Err(Error::format(path, format, "the file is empty"));
        }
        // SAFETY: the mapping is read-only, private to this value and never handed out mutably.
        // What Rust cannot rule out is that somebody truncates or rewrites the file meanwhile:
        // then reads see other bytes, or the system ends the process (SIGBUS). `Weights`
        // documents that its files must stay as they are while it lives; copying every
        // checkpoint into memory instead would double the memory a model needs.
        #[allow(unsafe_code, reason = "mapping a file is unsafe by nature; see SAFETY")]
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, e))?;
        Ok(Self(map))
    }

    /// Has the system read these bytes ahead.
    pub(crate) fn prefetch(&self, range: Range<usize>) {
        // Advice only.
        #[cfg(unix)]
        let _ = self.0.advise_range(memmap2::Advice::WillNeed, range.start, range.len());
        #[cfg(not(unix))]
        drop(range);
    }

    /// Gives back the memory that reading has filled; what is read again comes from the file again.
    pub(crate) fn release(&self) {
        // SAFETY: the mapping is of a file and never written, so that dropping its pages loses nothing.
        #[cfg(unix)]
        #[allow(unsafe_code, reason = "see SAFETY")]
        let released = unsafe { self.0.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        // Advice only: where the system does not take it, pages go when memory is short.
        #[cfg(unix)]
        drop(released);
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
