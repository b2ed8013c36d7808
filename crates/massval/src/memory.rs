//! Loading a model into as much memory as there may be.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use massval_models::{Checkpoint, Model, StreamOptions};

use crate::{Error, Result};

/// Tokens of a pass that there should be room for, whatever will be read.
const ROOM_FOR: usize = 2048;

/// How much memory a run may take.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryLimit {
    /// In bytes.
    pub bytes: u64,
    /// Where hidden states may go that do not fit; `None` keeps them in memory.
    pub spill: Option<PathBuf>,
}

impl MemoryLimit {
    /// So many bytes, and nothing on disk.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self { bytes, spill: None }
    }

    /// With a folder for hidden states that do not fit.
    #[must_use]
    pub fn spilling_to(mut self, folder: PathBuf) -> Self {
        self.spill = Some(folder);
        self
    }

    /// Whether a model has to be read layer by layer.
    pub(crate) fn streams(&self, checkpoint: &Checkpoint, dtype: DType) -> Result<bool> {
        let need = checkpoint.memory(dtype);
        let (whole, least) = (need.resident(ROOM_FOR), need.streamed(ROOM_FOR));
        if whole <= self.bytes {
            return Ok(false);
        }
        if least <= self.bytes {
            return Ok(true);
        }
        let gib = |bytes: u64| bytes as f64 / f64::from(1u32 << 30);
        Err(Error::Input(format!(
            "{}: needs {:.2} GiB of memory even layer by layer, and may take {:.2} GiB; allow more, or choose a \
             smaller number type",
            checkpoint.path.display(),
            gib(least),
            gib(self.bytes)
        )))
    }

    fn options(&self, least: u64) -> StreamOptions {
        let options = StreamOptions::working(self.bytes.saturating_sub(least));
        match &self.spill {
            Some(folder) => options.spilling_to(folder.clone()),
            None => options,
        }
    }
}

/// Loads a model, whole if it fits into `limit` with passes over a few thousand tokens, else so that its blocks are
/// read layer by layer ([`Model::stream`]). Results are the same, bit for bit.
///
/// # Errors
/// As [`Model::load`]; [`Error::Input`] if the model does not fit even layer by layer.
pub fn load(
    path: &Path,
    device: &Device,
    dtype: DType,
    limit: Option<&MemoryLimit>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Model> {
    let Some(limit) = limit else { return Ok(Model::load(path, device, dtype, progress)?) };
    let checkpoint = Checkpoint::inspect(path)?;
    match limit.streams(&checkpoint, dtype)? {
        false => Ok(Model::load(path, device, dtype, progress)?),
        true => {
            let options = limit.options(checkpoint.memory(dtype).streamed(ROOM_FOR));
            Ok(Model::stream(path, device, dtype, options, progress)?)
        }
    }
}
