//! PyTorch files: a state dict, through `pytorch-reader`, or one bare tensor.

use std::path::Path;

use super::archive::Archive;
use super::data::{ByteOrder, TensorData};
use super::pickle::{self, BareTensor};
use super::{NamedTensor, TensorFile, gather, stem};
use crate::weights::{checked_shape, pytorch};
use crate::{Error, Result};

pub(super) use pytorch::FORMAT;
/// The pickle of one tensor takes some hundred bytes.
const MAX_BARE_PICKLE: u64 = 1 << 16;

/// The tensors of a PyTorch file, sorted by name, in `limit` bytes at most.
pub(super) fn read(path: &Path, file: &[u8], limit: u64) -> Result<TensorFile> {
    match read_bare(path, file, limit)? {
        Some(tensor) => Ok(vec![tensor].into()),
        None => read_dict(path, limit),
    }
}

fn read_dict(path: &Path, limit: u64) -> Result<TensorFile> {
    let dict = pytorch::open(path)?;
    let mut left = limit;
    let tensors = dict.tensors.iter().map(|tensor| {
        let info = pytorch::info(path, tensor)?;
        let bad = |what: &str| Error::format(path, FORMAT, format!("`{}`: {what}", info.name));
        let size = tensor.byte_len() as u64;
        left = left.checked_sub(size).ok_or_else(|| bad(&over(limit)))?;
        let bytes = pytorch::bytes(path, tensor)?;
        if bytes.len() as u64 != size {
            return Err(bad("its bytes do not fill its shape"));
        }
        let data = TensorData::from_bytes(info.dtype, &bytes, ByteOrder::Little);
        Ok(NamedTensor { data: data.map_err(|e| bad(&e))?, name: info.name, shape: info.shape })
    });
    Ok(TensorFile { tensors: tensors.collect::<Result<_>>()?, skipped: dict.skipped })
}

/// The tensor of a file that `torch.save(tensor, path)` wrote, named after the file; `None` if
/// the file is of any other form.
fn read_bare(path: &Path, file: &[u8], limit: u64) -> Result<Option<NamedTensor>> {
    if !file.starts_with(b"PK") {
        return Ok(None);
    }
    let mut archive = Archive::open(path, FORMAT, file)?;
    let names = archive.names()?;
    let Some(root) = names.iter().find_map(|name| name.strip_suffix("data.pkl")) else {
        return Ok(None);
    };
    // Too large a pickle is that of a state dict; one that is corrupt fails there too.
    let Ok(program) = archive.read(&format!("{root}data.pkl"), MAX_BARE_PICKLE) else {
        return Ok(None);
    };
    let Some(tensor) = pickle::bare_tensor(&program) else {
        return Ok(None);
    };
    let byte_order = format!("{root}byteorder");
    if names.contains(&byte_order) && archive.read(&byte_order, 16)? != b"little" {
        let what = "big-endian PyTorch files are not read".to_owned();
        return Err(Error::Unsupported { path: path.to_owned(), what });
    }
    let storage = archive.read(&format!("{root}data/{}", tensor.storage), limit)?;
    materialize(path, &tensor, &storage, limit).map(Some)
}

fn materialize(
    path: &Path,
    tensor: &BareTensor,
    storage: &[u8],
    limit: u64,
) -> Result<NamedTensor> {
    let bad = |what: String| Error::format(path, FORMAT, what);
    let (shape, elements) = checked_shape(&tensor.shape)
        .map_err(|what| bad(format!("shape {:?}: {what}", tensor.shape)))?;
    let size = tensor.dtype.block_bytes();
    match tensor.dtype.bytes_for(elements) {
        Some(bytes) if bytes <= limit => {}
        _ => return Err(bad(over(limit))),
    }
    let Some((strides, start)) = placed(tensor, &shape, size, storage.len()) else {
        return Err(bad(format!(
            "shape {shape:?} with strides {:?} from element {} reaches outside its storage",
            tensor.strides, tensor.offset
        )));
    };
    let bytes = gather(storage, size, &shape, &strides, start);
    let data = TensorData::from_bytes(tensor.dtype, &bytes, ByteOrder::Little).map_err(bad)?;
    Ok(NamedTensor { name: stem(path), shape, data })
}

/// Strides and start in bytes, if every item lies within `storage` bytes.
fn placed(
    tensor: &BareTensor,
    shape: &[usize],
    size: usize,
    storage: usize,
) -> Option<(Vec<usize>, usize)> {
    if tensor.strides.len() != shape.len() {
        return None;
    }
    let bytes = |elements: u64| usize::try_from(elements).ok()?.checked_mul(size);
    let start = bytes(tensor.offset)?;
    let mut strides = Vec::with_capacity(shape.len());
    let mut end = start.checked_add(size)?;
    for (&stride, &extent) in tensor.strides.iter().zip(shape) {
        let stride = bytes(stride)?;
        // One step further than the last item, so that stepping never overflows either.
        stride.checked_mul(extent)?.checked_add(storage)?;
        end = end.checked_add(stride.checked_mul(extent - 1)?)?;
        strides.push(stride);
    }
    (end <= storage).then_some((strides, start))
}

fn over(limit: u64) -> String {
    format!("its numbers take more than the limit of {limit} bytes")
}

#[cfg(test)]
mod tests;
