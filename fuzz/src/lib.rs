//! The file readers of `massval-models`, compiled without burn, and what the targets share.

// The modules are whole; the targets use what reads, not what writes or decodes for a model.
#![allow(dead_code)]

#[path = "../../crates/massval-models/src/error.rs"]
mod error;
#[path = "../../crates/massval-models/src/tensorfile/mod.rs"]
pub mod tensorfile;
#[path = "../../crates/massval-models/src/weights/mod.rs"]
pub mod weights;

pub use error::{Error, Result};

use std::cell::OnceCell;
use std::path::Path;

/// The most that the tensors of one fuzzed file may take.
const LIMIT: u64 = 1 << 24;

/// Runs `read` on a folder that holds `data` as the file `name`.
///
/// The readers take paths, so the fuzzer goes through the file system as a user's file does;
/// each process has one folder, in memory where the system has such a place.
pub fn with_file(name: &str, data: &[u8], read: impl FnOnce(&Path)) {
    thread_local! {
        static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
    }
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| {
            tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
        });
        let path = folder.path().join(name);
        std::fs::write(&path, data).expect("the folder is writable");
        read(&path);
    });
}

/// Opens a checkpoint and reads every tensor in every way; errors are what should happen.
pub fn read_weights(path: &Path) {
    let Ok(weights) = weights::Weights::open(path) else { return };
    for info in weights.tensors() {
        let numbers = weights.read_f32(&info.name);
        if let Ok(numbers) = &numbers {
            assert_eq!(numbers.len(), info.elements());
        }
        let _ = weights.read_native(&info.name);
        let transposed = weights.read_f32_transposed(&info.name);
        assert_eq!(transposed.is_ok(), numbers.is_ok() && info.shape.len() == 2);
        let _ = weights.read_f32_transposed_unpermuted(&info.name, 2);
    }
    let mut loader = weights::Loader::new(&weights);
    let _ = loader.f32("model.embed_tokens.weight", &[4, 4]);
    let _ = loader.finish().to_string();
}

/// Reads a file of dumped tensors; errors are what should happen.
pub fn read_tensors(path: &Path) {
    let Ok(file) = tensorfile::read_with_limit(path, LIMIT) else { return };
    for tensor in file.tensors {
        assert_eq!(tensor.shape.iter().product::<usize>(), tensor.data.len());
    }
}
