//! What a result file says of the run behind it.

use massval_models::{Checkpoint, weights};
use massval_report::schema::{FileHash, InputIdentity, ModelIdentity, Provenance};
use sha2::{Digest, Sha256};

use crate::{DeviceName, Error, Result};

/// What only the program that runs an analysis can know.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// The command line, one entry per argument.
    pub command: Vec<String>,
    /// The time, RFC 3339. Libraries do not read the clock.
    pub created: Option<String>,
    /// Threads that may be used.
    pub threads: usize,
    /// The seed of every random choice, if any is made.
    pub seed: Option<u64>,
    /// Where the arithmetic runs.
    pub device: DeviceName,
    /// The arithmetic's type: `f32`, `f16`, `bf16`.
    pub dtype: String,
}

/// Puts together what a result says of its run. Reads the weights once, to hash them.
///
/// # Errors
/// If a file of the checkpoint cannot be read.
pub fn provenance(run: &Run, checkpoint: &Checkpoint, input: InputIdentity) -> Result<Provenance> {
    Ok(Provenance {
        massval_version: env!("CARGO_PKG_VERSION").to_owned(),
        command: run.command.clone(),
        created: run.created.clone(),
        model: model_identity(checkpoint)?,
        device: run.device.to_string(),
        dtype: run.dtype.clone(),
        threads: run.threads,
        seed: run.seed,
        input,
    })
}

pub(crate) fn model_identity(checkpoint: &Checkpoint) -> Result<ModelIdentity> {
    let files = checkpoint.files.iter().map(|path| file_hash(path)).collect::<Result<_>>()?;
    let types: Vec<&str> = checkpoint.stored.keys().map(String::as_str).collect();
    Ok(ModelIdentity {
        path_or_name: match &checkpoint.hub {
            Some(hub) => hub.name.clone(),
            None => {
                checkpoint.name.clone().unwrap_or_else(|| checkpoint.path.display().to_string())
            }
        },
        architecture: checkpoint.config.architecture.clone(),
        format: checkpoint.format.to_lowercase(),
        revision: checkpoint.hub.as_ref().map(|hub| hub.commit.clone()),
        files,
        dtype_stored: types.join(", "),
        parameters: checkpoint.config.parameters(),
    })
}

/// Name, size and BLAKE3 of a file.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn file_hash(path: &std::path::Path) -> Result<FileHash> {
    let meta =
        std::fs::metadata(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(FileHash { name, bytes: meta.len(), blake3: weights::blake3_file(path)? })
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
