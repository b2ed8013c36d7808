//! Tensors that somebody dumped: read for the detector, written by a capture.
//!
//! [`read`] takes `.safetensors`, `.npy`, `.npz` and PyTorch's `.pt`, `.pth` and `.bin`, in
//! full and into memory; nothing that a file brings along is ever executed. NaN and infinity
//! come through as they are: to judge them is the detector's part.
//! [`write_safetensors`] and [`atomic_write`] leave either the whole file or none.

mod archive;
mod data;
mod npy;
mod pickle;
mod pt;
mod write;

use std::path::Path;

pub use data::TensorData;
pub use write::{atomic_write, write_safetensors};

use crate::weights::{Mapped, safetensors};
use crate::{Error, Result};

/// A tensor with its name, shape and numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// The name in the file, or the file's own name without its extension if it has none.
    pub name: String,
    /// The extents, slowest-varying first.
    pub shape: Vec<usize>,
    /// The numbers, row-major.
    pub data: TensorData,
}

/// What a file of tensors holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TensorFile {
    /// The tensors.
    pub tensors: Vec<NamedTensor>,
    /// The names of what else is there: entries of a PyTorch dict without any tensor in them.
    pub skipped: Vec<String>,
}

impl From<Vec<NamedTensor>> for TensorFile {
    fn from(tensors: Vec<NamedTensor>) -> Self {
        Self { tensors, skipped: Vec::new() }
    }
}

/// How many bytes of tensors [`read`] takes from one file: 16 GiB.
///
/// A small file can unfold into a large one, by compression or as a view that repeats its
/// numbers; the limit is what stands between that and the machine's memory.
pub const MAX_BYTES: u64 = 16 << 30;

/// Reads all tensors of a file, whose format its extension names, up to [`MAX_BYTES`].
///
/// ```no_run
/// # fn main() -> massval_models::Result<()> {
/// let file = massval_models::tensorfile::read("q.pt".as_ref())?;
/// for tensor in &file.tensors {
///     println!("{} {:?}", tensor.name, tensor.shape);
/// }
/// assert!(file.skipped.is_empty(), "it holds more than tensors: {:?}", file.skipped);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not what its extension
/// says, is corrupt, or holds no tensor, [`Error::Unsupported`] for another extension or for
/// numbers that are neither floats, integers nor bools.
pub fn read(path: &Path) -> Result<TensorFile> {
    read_with_limit(path, MAX_BYTES)
}

/// As [`read`], with another limit on the bytes that the tensors may take in memory.
///
/// # Errors
/// As [`read`].
pub fn read_with_limit(path: &Path, max_bytes: u64) -> Result<TensorFile> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let file: TensorFile = match extension.to_ascii_lowercase().as_str() {
        "safetensors" => {
            let file = open(path, "safetensors", max_bytes)?;
            read_safetensors(path, &file)?.into()
        }
        "npy" => npy::read_npy(path, &open(path, "npy", max_bytes)?)?.into(),
        "npz" => npy::read_npz(path, &open(path, "npz", max_bytes)?, max_bytes)?.into(),
        "pt" | "pth" | "bin" => pt::read(path, &open(path, pt::FORMAT, max_bytes)?, max_bytes)?,
        _ => {
            return Err(Error::Unsupported {
                path: path.to_owned(),
                what: "tensors are read from .safetensors, .npy, .npz, .pt, .pth and .bin files"
                    .to_owned(),
            });
        }
    };
    if file.tensors.is_empty() {
        return Err(Error::format(path, "tensor", "it holds no tensor"));
    }
    Ok(file)
}

fn open(path: &Path, format: &'static str, max_bytes: u64) -> Result<Mapped> {
    let file = Mapped::open(path, format)?;
    if file.len() as u64 > max_bytes.saturating_add(1 << 20) {
        let what = format!("its {} bytes are more than the limit of {max_bytes}", file.len());
        return Err(Error::format(path, format, what));
    }
    Ok(file)
}

fn read_safetensors(path: &Path, file: &[u8]) -> Result<Vec<NamedTensor>> {
    let header = safetensors::parse(path, file)?;
    let tensors = header.tensors.into_iter().map(|(info, range)| {
        let bytes = file.get(range).unwrap_or_default();
        let data = TensorData::from_bytes(info.dtype, bytes, data::ByteOrder::Little);
        let data = data.map_err(|what| Error::Unsupported {
            path: path.to_owned(),
            what: format!("tensor `{}`: {what}", info.name),
        })?;
        Ok(NamedTensor { name: info.name, shape: info.shape, data })
    });
    tensors.collect()
}

/// The name of a tensor that has none: its file's, without the extension.
fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Copies items of `size` bytes that lie at `strides` (in bytes, from byte `start`) into
/// row-major order. Items outside `bytes` are left out; the caller has ruled them out.
fn gather(bytes: &[u8], size: usize, shape: &[usize], strides: &[usize], start: usize) -> Vec<u8> {
    let count: usize = shape.iter().product();
    let mut out = Vec::with_capacity(count * size);
    let mut index = vec![0usize; shape.len()];
    let mut position = start;
    for _ in 0..count {
        out.extend_from_slice(bytes.get(position..position + size).unwrap_or_default());
        for ((i, &extent), &stride) in index.iter_mut().zip(shape).zip(strides).rev() {
            *i += 1;
            position += stride;
            if *i < extent {
                break;
            }
            *i = 0;
            position -= stride * extent;
        }
    }
    out
}

#[cfg(test)]
mod tests;
