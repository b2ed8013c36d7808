//! Checkpoints as they should be, and as nobody should write them.

mod any_bytes;
mod folder;
mod gguf;
mod loader;
mod pytorch;
mod quantized;
mod safetensors;

use std::path::PathBuf;

use tempfile::TempDir;

use super::Weights;
use crate::Error;

/// A folder of files that goes when it is dropped.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Opens `bytes` as the file `name`.
    fn open(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<Weights, Error> {
        Weights::open(&self.write(name, bytes))
    }
}

/// Asserts that `bytes` as the file `name` are refused, in one line that names the file and
/// says `expected`.
#[track_caller]
fn refused(name: &str, bytes: impl AsRef<[u8]>, expected: &str) {
    let error = Folder::new().open(name, bytes).unwrap_err().to_string();
    assert!(error.contains(name) && error.contains(expected), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

/// A safetensors file of this header and as many bytes of data: 0, 1, 2 ...
fn safetensors_file(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend((0..data).map(|i| i as u8));
    file
}
