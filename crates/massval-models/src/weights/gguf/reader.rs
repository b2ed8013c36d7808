//! The header of a GGUF file: metadata, tensor infos, and the checks that make them safe to use.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::safetensors::Placed;
use super::super::stored_type::StoredType;
use super::super::{TensorInfo, checked_shape};
use super::metadata::{GgufArray, GgufMetadata, GgufValue};
use crate::{Error, Result};

const FORMAT: &str = "GGUF";
const MAGIC: &[u8; 4] = b"GGUF";
const ALIGNMENT_KEY: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u64 = 32;
const SPLIT_KEY: &str = "split.count";
/// ggml's `GGML_MAX_DIMS`.
const MAX_DIMS: u32 = 4;
/// Longest key of the specification, and more than any tensor name.
const MAX_NAME: usize = 65_535;
/// Arrays of arrays deeper than this are no metadata anybody writes.
const MAX_NESTING: usize = 4;
/// The fewest bytes one key-value pair, or one tensor info, can take.
const MIN_PAIR: usize = 8 + 4 + 1;
const MIN_TENSOR: usize = 8 + 4 + 4 + 8;

/// Reads and checks everything before the tensors' data. `file` is the whole file.
///
/// # Errors
/// [`Error::Format`] if the header is truncated or contradicts itself or the file's length;
/// [`Error::Unsupported`] for other versions, big-endian files, split models and number types
/// this crate does not decode.
pub(crate) fn parse(path: &Path, file: &[u8]) -> Result<(GgufMetadata, Vec<Placed>)> {
    let mut cursor = Cursor { path, file, position: 0 };
    let (tensor_count, pair_count) = cursor.preamble()?;

    let mut values = BTreeMap::new();
    for _ in 0..pair_count {
        let key = cursor.name("key")?;
        let value = cursor.value(&key)?;
        if values.contains_key(&key) {
            return Err(cursor.bad(format!("key `{key}` is there twice")));
        }
        values.insert(key, value);
    }
    let metadata = GgufMetadata::new(path, values);
    let alignment = alignment(path, &metadata)?;
    refuse_split(path, &metadata)?;

    let mut infos = Vec::with_capacity(tensor_count);
    for _ in 0..tensor_count {
        infos.push(cursor.tensor_info()?);
    }
    let start = cursor.position.checked_next_multiple_of(alignment);
    let start = match start {
        Some(start) if start <= file.len() || infos.is_empty() => start,
        _ => return Err(cursor.bad("it ends before the tensors' data: the file is truncated")),
    };
    let mut tensors = Vec::with_capacity(infos.len());
    for info in infos {
        tensors.push(info.placed(path, file.len(), start, alignment)?);
    }
    check_overlap(path, &mut tensors)?;
    Ok((metadata, super::experts::unstack(tensors)))
}

fn alignment(path: &Path, metadata: &GgufMetadata) -> Result<usize> {
    let alignment = metadata.u64(ALIGNMENT_KEY)?.unwrap_or(DEFAULT_ALIGNMENT);
    match usize::try_from(alignment) {
        Ok(alignment) if alignment.is_power_of_two() => Ok(alignment),
        _ => {
            let what = format!("`{ALIGNMENT_KEY}` must be a power of two, but is {alignment}");
            Err(Error::format(path, FORMAT, what))
        }
    }
}

fn refuse_split(path: &Path, metadata: &GgufMetadata) -> Result<()> {
    match metadata.u64(SPLIT_KEY)? {
        Some(count) if count > 1 => Err(Error::Unsupported {
            path: path.to_owned(),
            what: format!(
                "it is one of the {count} parts of a split model; \
                 join them with `llama-gguf-split --merge` first"
            ),
        }),
        _ => Ok(()),
    }
}

fn check_overlap(path: &Path, tensors: &mut [Placed]) -> Result<()> {
    tensors.sort_by_key(|(_, range)| range.start);
    for pair in tensors.windows(2) {
        if let [(a, a_range), (b, b_range)] = pair
            && b_range.start < a_range.end
        {
            let what = format!("tensor `{}` overlaps `{}`", b.name, a.name);
            return Err(Error::format(path, FORMAT, what));
        }
    }
    Ok(())
}

/// A tensor info as it stands in the file.
struct RawTensor {
    name: String,
    /// Fastest-varying first: the reverse of a row-major shape.
    dims: Vec<u64>,
    ggml_type: u32,
    offset: u64,
}

impl RawTensor {
    fn placed(
        mut self,
        path: &Path,
        file: usize,
        start: usize,
        alignment: usize,
    ) -> Result<Placed> {
        let name = self.name;
        let bad = |what: String| Error::format(path, FORMAT, format!("tensor `{name}`: {what}"));
        let dtype = StoredType::from_ggml(self.ggml_type).map_err(|other| Error::Unsupported {
            path: path.to_owned(),
            what: format!("tensor `{name}` has the type {other}, which is not supported"),
        })?;
        self.dims.reverse();
        let (shape, elements) = checked_shape(&self.dims)
            .map_err(|what| bad(format!("shape {:?}: {what}", self.dims)))?;
        let row = shape.last().copied().unwrap_or(1);
        if !row.is_multiple_of(dtype.block_elements()) {
            return Err(bad(format!(
                "its rows of {row} numbers are no whole number of {dtype} blocks of {}",
                dtype.block_elements()
            )));
        }
        if !self.offset.is_multiple_of(alignment as u64) {
            let offset = self.offset;
            return Err(bad(format!("its offset {offset} is no multiple of {alignment}")));
        }
        let range = (|| {
            let size = usize::try_from(dtype.bytes_for(elements)?).ok()?;
            let begin = start.checked_add(usize::try_from(self.offset).ok()?)?;
            let end = begin.checked_add(size)?;
            (end <= file).then_some(begin..end)
        })();
        let Some(range) = range else {
            return Err(bad(format!(
                "its data (offset {}, shape {shape:?} of {dtype}) lies outside the file's {file} bytes",
                self.offset
            )));
        };
        Ok((TensorInfo { name, shape, dtype }, range))
    }
}

/// Reads little-endian values off the file, never past its end.
struct Cursor<'a> {
    path: &'a Path,
    file: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    fn bad(&self, what: impl Into<String>) -> Error {
        Error::format(self.path, FORMAT, what)
    }

    fn remaining(&self) -> usize {
        self.file.len().saturating_sub(self.position)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.position.checked_add(count);
        match end.and_then(|end| Some((end, self.file.get(self.position..end)?))) {
            Some((end, bytes)) => {
                self.position = end;
                Ok(bytes)
            }
            None => Err(self.bad(format!(
                "{count} bytes were promised at byte {}, where {} remain: the file is truncated",
                self.position,
                self.remaining()
            ))),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N)?;
        bytes.first_chunk().copied().ok_or_else(|| self.bad("truncated"))
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A count of things that take at least `size` bytes each.
    fn count(&mut self, what: &str, size: usize) -> Result<usize> {
        let count = self.u64()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.remaining() / size => Ok(count),
            _ => Err(self.bad(format!(
                "it claims {count} {what}, more than its {} remaining bytes can hold",
                self.remaining()
            ))),
        }
    }

    fn preamble(&mut self) -> Result<(usize, usize)> {
        if self.take(4)? != MAGIC {
            return Err(self.bad("it does not begin with `GGUF`"));
        }
        let version = self.u32()?;
        let unsupported = match version {
            2 | 3 => None,
            _ if matches!(version.swap_bytes(), 1..=3) => Some("big-endian".to_owned()),
            _ => Some(format!("version {version}")),
        };
        if let Some(what) = unsupported {
            let what = format!("GGUF {what} is not supported; convert it to version 3");
            return Err(Error::Unsupported { path: self.path.to_owned(), what });
        }
        let tensors = self.count("tensors", MIN_TENSOR)?;
        let pairs = self.count("metadata entries", MIN_PAIR)?;
        Ok((tensors, pairs))
    }

    fn string(&mut self) -> Result<String> {
        let length = self.count("bytes of text", 1)?;
        let bytes = self.take(length)?;
        match str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => {
                let at = self.position - length;
                Err(self.bad(format!("the text at byte {at} is not UTF-8")))
            }
        }
    }

    fn name(&mut self, what: &str) -> Result<String> {
        let name = self.string()?;
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(self.bad(format!("a {what} of {} bytes", name.len())));
        }
        Ok(name)
    }

    fn value(&mut self, key: &str) -> Result<GgufValue> {
        let kind = self.u32()?;
        Ok(match kind {
            0 => GgufValue::U8(u8::from_le_bytes(self.array()?)),
            1 => GgufValue::I8(i8::from_le_bytes(self.array()?)),
            2 => GgufValue::U16(u16::from_le_bytes(self.array()?)),
            3 => GgufValue::I16(i16::from_le_bytes(self.array()?)),
            4 => GgufValue::U32(self.u32()?),
            5 => GgufValue::I32(i32::from_le_bytes(self.array()?)),
            6 => GgufValue::F32(f32::from_le_bytes(self.array()?)),
            7 => {
                let [byte] = self.array()?;
                GgufValue::Bool(self.bool(key, byte)?)
            }
            8 => GgufValue::String(self.string()?),
            9 => GgufValue::Array(self.array_value(key, 0)?),
            10 => GgufValue::U64(self.u64()?),
            11 => GgufValue::I64(i64::from_le_bytes(self.array()?)),
            12 => GgufValue::F64(f64::from_le_bytes(self.array()?)),
            _ => return Err(self.bad(format!("key `{key}` has the unknown type {kind}"))),
        })
    }

    fn bool(&self, key: &str, byte: u8) -> Result<bool> {
        match byte {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.bad(format!("key `{key}`: {byte} is no bool"))),
        }
    }

    fn array_value(&mut self, key: &str, depth: usize) -> Result<GgufArray> {
        let kind = self.u32()?;
        Ok(match kind {
            0 => GgufArray::U8(self.numbers(u8::from_le_bytes)?),
            1 => GgufArray::I8(self.numbers(i8::from_le_bytes)?),
            2 => GgufArray::U16(self.numbers(u16::from_le_bytes)?),
            3 => GgufArray::I16(self.numbers(i16::from_le_bytes)?),
            4 => GgufArray::U32(self.numbers(u32::from_le_bytes)?),
            5 => GgufArray::I32(self.numbers(i32::from_le_bytes)?),
            6 => GgufArray::F32(self.numbers(f32::from_le_bytes)?),
            7 => {
                let bytes = self.numbers(u8::from_le_bytes)?;
                let bools = bytes.into_iter().map(|byte| self.bool(key, byte));
                GgufArray::Bool(bools.collect::<Result<_>>()?)
            }
            8 => {
                let count = self.count("texts", 8)?;
                GgufArray::String((0..count).map(|_| self.string()).collect::<Result<_>>()?)
            }
            9 if depth < MAX_NESTING => {
                let count = self.count("arrays", 4 + 8)?;
                let arrays = (0..count).map(|_| self.array_value(key, depth + 1));
                GgufArray::Array(arrays.collect::<Result<_>>()?)
            }
            9 => {
                let what = format!("key `{key}` nests arrays deeper than {MAX_NESTING}");
                return Err(self.bad(what));
            }
            10 => GgufArray::U64(self.numbers(u64::from_le_bytes)?),
            11 => GgufArray::I64(self.numbers(i64::from_le_bytes)?),
            12 => GgufArray::F64(self.numbers(f64::from_le_bytes)?),
            _ => {
                let what = format!("key `{key}` is an array of the unknown type {kind}");
                return Err(self.bad(what));
            }
        })
    }

    fn numbers<T, const N: usize>(&mut self, read: fn([u8; N]) -> T) -> Result<Vec<T>> {
        let count = self.count("numbers", N)?;
        let (numbers, _) = self.take(count * N)?.as_chunks::<N>();
        Ok(numbers.iter().map(|&bytes| read(bytes)).collect())
    }

    fn tensor_info(&mut self) -> Result<RawTensor> {
        let name = self.name("tensor name")?;
        let count = self.u32()?;
        if count > MAX_DIMS {
            let what = format!("tensor `{name}` claims {count} dimensions, above {MAX_DIMS}");
            return Err(self.bad(what));
        }
        let dims = (0..count).map(|_| self.u64()).collect::<Result<_>>()?;
        Ok(RawTensor { name, dims, ggml_type: self.u32()?, offset: self.u64()? })
    }
}
