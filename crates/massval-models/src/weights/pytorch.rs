//! PyTorch's files of named tensors, by `pytorch-reader`: no code of a pickle is ever run.
//!
//! That crate checks every view against its storage when a file is opened, and every storage
//! against the file before memory is asked for.

use std::collections::HashSet;
use std::path::Path;

use pytorch_reader::{DType, FileFormat, PickleValue, PytorchError, PytorchReader, Tensor};

use super::{StoredType, TensorInfo, checked_shape};
use crate::{Error, Result};

pub(crate) const FORMAT: &str = "PyTorch";
/// What PyTorch hangs on every state dict: the versions of its modules' layouts. It is an attribute
/// of the dict, not an entry.
const ATTRIBUTE: &str = "_metadata";

/// The tensors of a file, none of them read yet.
pub(crate) struct Dict {
    /// Sorted by name: the keys on the way to it, joined by dots.
    pub(crate) tensors: Vec<Tensor>,
    /// Entries without any tensor in them, sorted.
    pub(crate) skipped: Vec<String>,
    /// From before PyTorch 0.1.10: the whole file is held in memory.
    tar: bool,
}

/// The same, fit to be weights.
pub(super) struct Checked {
    pub(super) tensors: Vec<(TensorInfo, Tensor)>,
    pub(super) skipped: Vec<String>,
}

/// Reads which tensors a file holds.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; [`Error::Format`] if it is no PyTorch file with a dict, is
/// truncated, has a view that leaves its storage, or two tensors under one name.
pub(crate) fn open(path: &Path) -> Result<Dict> {
    let fail = |e| error(path, e);
    let reader = PytorchReader::new(path).map_err(fail)?;
    let tar = reader.metadata().format_type == FileFormat::Tar;
    let names: HashSet<String> = reader.tensors().keys().cloned().collect();
    let mut tensors: Vec<Tensor> = reader.into_tensors().into_values().collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    let mut walk =
        Walk { names: &names, met: HashSet::new(), path: Vec::new(), skipped: Vec::new() };
    let root = PytorchReader::read_pickle_data(path, None).map_err(fail)?;
    walk.enter(&root)
        .map_err(|name| Error::format(path, FORMAT, format!("tensor `{name}` is there twice")))?;
    let mut skipped = walk.skipped;
    skipped.sort_unstable();
    Ok(Dict { tensors, skipped, tar })
}

/// As [`open`], with each tensor held against what a weight may be.
///
/// # Errors
/// As [`open`]; [`Error::Format`] too for a tensor without elements, or one that unfolds to more
/// bytes than its file has; [`Error::Unsupported`] for a file that could only be read as a whole.
pub(super) fn open_weights(path: &Path) -> Result<Checked> {
    let length = path.metadata().map_err(|e| Error::io(path, e))?.len();
    let dict = open(path)?;
    if dict.tar {
        let what = "it was written by a PyTorch before 0.1.10; load it with `torch.load` and save \
                    it again, best as safetensors"
            .to_owned();
        return Err(Error::Unsupported { path: path.to_owned(), what });
    }
    let checked = dict.tensors.into_iter().map(|tensor| {
        let info = info(path, &tensor)?;
        // A view may repeat its storage without end. No saved weight does, and torch does not
        // compress: the file's length bounds what one tensor can ask for.
        if tensor.byte_len() as u64 > length {
            let what = format!(
                "tensor `{}`: shape {:?} of {} takes {} bytes, more than the whole file's {length}",
                info.name,
                info.shape,
                info.dtype,
                tensor.byte_len()
            );
            return Err(Error::format(path, FORMAT, what));
        }
        Ok((info, tensor))
    });
    Ok(Checked { tensors: checked.collect::<Result<_>>()?, skipped: dict.skipped })
}

/// A tensor's name, shape and type.
///
/// # Errors
/// [`Error::Format`] if it has no elements.
pub(crate) fn info(path: &Path, tensor: &Tensor) -> Result<TensorInfo> {
    let shape: Vec<u64> = tensor.shape().iter().map(|&extent| extent as u64).collect();
    let (shape, _) = checked_shape(&shape).map_err(|what| {
        let what = format!("tensor `{}`: shape {shape:?}: {what}", tensor.name);
        Error::format(path, FORMAT, what)
    })?;
    Ok(TensorInfo { name: tensor.name.clone(), shape, dtype: stored_type(tensor.dtype()) })
}

/// A tensor's bytes, row-major and little-endian.
///
/// # Errors
/// [`Error::Format`] if its storage is missing, too short or damaged, [`Error::Io`] if the file
/// cannot be read.
pub(crate) fn bytes(path: &Path, tensor: &Tensor) -> Result<Vec<u8>> {
    let mut bytes = tensor.read().map_err(|e| error(path, PytorchError::Io(e)))?;
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(tensor.dtype().size()).for_each(<[u8]>::reverse);
    }
    Ok(bytes)
}

/// Compares the pickled values with the tensors that were found in them.
struct Walk<'a> {
    names: &'a HashSet<String>,
    met: HashSet<String>,
    path: Vec<String>,
    skipped: Vec<String>,
}

impl Walk<'_> {
    /// Whether a value is a tensor or holds one. The largest values without any are skipped.
    ///
    /// # Errors
    /// The name that two tensors have: of `{"a": {"b": x}, "a.b": y}`, one would be lost.
    fn enter(&mut self, value: &PickleValue) -> Result<bool, String> {
        let children: Vec<(String, &PickleValue)> = match value {
            PickleValue::Dict(dict) => dict.iter().map(|(key, v)| (key.clone(), v)).collect(),
            PickleValue::List(list) => {
                list.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect()
            }
            PickleValue::Unsupported(kind) => {
                let name = self.path.join(".");
                let tensor = kind == "torch.Tensor" && self.names.contains(&name);
                return match tensor && !self.met.insert(name.clone()) {
                    true => Err(name),
                    false => Ok(tensor),
                };
            }
            _ => return Ok(false),
        };
        let mut without = Vec::new();
        let mut any = false;
        for (key, value) in children {
            let attribute = key == ATTRIBUTE;
            self.path.push(key);
            match self.enter(value)? {
                true => any = true,
                false if attribute => {}
                false => without.push(self.path.join(".")),
            }
            self.path.pop();
        }
        // What holds no tensor is named as a whole, by whoever holds it.
        if any || self.path.is_empty() {
            self.skipped.append(&mut without);
        }
        Ok(any)
    }
}

fn stored_type(dtype: DType) -> StoredType {
    match dtype {
        DType::F64 => StoredType::F64,
        DType::F32 => StoredType::F32,
        DType::F16 => StoredType::F16,
        DType::BF16 => StoredType::BF16,
        DType::I64 => StoredType::I64,
        DType::I32 => StoredType::I32,
        DType::I16 => StoredType::I16,
        DType::I8 => StoredType::I8,
        DType::U64 => StoredType::U64,
        DType::U32 => StoredType::U32,
        DType::U16 => StoredType::U16,
        DType::U8 => StoredType::U8,
        DType::Bool => StoredType::Bool,
    }
}

/// A file that contradicts itself is no trouble of the operating system's.
fn error(path: &Path, error: PytorchError) -> Error {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match error {
        PytorchError::Io(e) if !matches!(e.kind(), InvalidData | UnexpectedEof) => {
            Error::io(path, e)
        }
        PytorchError::Io(e) => Error::format(path, FORMAT, e.to_string()),
        PytorchError::Zip(e) => {
            Error::format(path, FORMAT, format!("{e}: the file is truncated or damaged"))
        }
        e => Error::format(path, FORMAT, e.to_string()),
    }
}
