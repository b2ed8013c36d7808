//! numpy's `.npy` arrays and `.npz` archives of them.
//!
//! An npy header is a Python dict literal, but numpy writes three fixed entries in one fixed
//! form, and that form alone is read here: a general reader of Python literals recurses as
//! deep as a hostile header nests, and numpy's own refuses long headers for that reason.

use std::path::Path;

use super::archive::Archive;
use super::data::{ByteOrder, TensorData};
use super::{NamedTensor, stem};
use crate::weights::{StoredType, checked_shape};
use crate::{Error, Result};

const NPY: &str = "npy";
const NPZ: &str = "npz";
const MAGIC: &[u8] = b"\x93NUMPY";
/// numpy's own default (`max_header_size`).
const MAX_HEADER: usize = 10_000;
/// numpy's `NPY_MAXDIMS`.
const MAX_DIMS: usize = 64;

/// The one array of an npy file, named after the file.
pub(super) fn read_npy(path: &Path, file: &[u8]) -> Result<Vec<NamedTensor>> {
    let (shape, data) = parse(file).map_err(|e| e.at(path, NPY, None))?;
    Ok(vec![NamedTensor { name: stem(path), shape, data }])
}

/// The arrays of an npz archive, in its order, decompressed to `limit` bytes at most.
pub(super) fn read_npz(path: &Path, file: &[u8], limit: u64) -> Result<Vec<NamedTensor>> {
    let mut archive = Archive::open(path, NPZ, file)?;
    let mut left = limit;
    let mut tensors = Vec::new();
    for entry in archive.names()? {
        let Some(name) = entry.strip_suffix(".npy") else {
            return Err(Error::format(path, NPZ, format!("`{entry}` is no npy array")));
        };
        let bytes = archive.read(&entry, left)?;
        left = left.saturating_sub(bytes.len() as u64);
        let (shape, data) = parse(&bytes).map_err(|e| e.at(path, NPZ, Some(name)))?;
        tensors.push(NamedTensor { name: name.to_owned(), shape, data });
    }
    Ok(tensors)
}

/// What is wrong with an array, before it is known where the array stands.
#[derive(Debug)]
enum Fault {
    Format(String),
    Unsupported(String),
}

impl Fault {
    fn at(self, path: &Path, format: &'static str, entry: Option<&str>) -> Error {
        let place = |what: String| match entry {
            Some(entry) => format!("`{entry}`: {what}"),
            None => what,
        };
        match self {
            Self::Format(what) => Error::format(path, format, place(what)),
            Self::Unsupported(what) => {
                Error::Unsupported { path: path.to_owned(), what: place(what) }
            }
        }
    }
}

impl From<&str> for Fault {
    fn from(what: &str) -> Self {
        Self::Format(what.to_owned())
    }
}

fn parse(file: &[u8]) -> Result<(Vec<usize>, TensorData), Fault> {
    let (header, bytes) = split_header(file)?;
    let header = Header::parse(header)?;
    let (dtype, order) = stored_type(&header.descr)?;
    let (shape, elements) = checked_shape(&header.shape)
        .map_err(|what| Fault::Format(format!("shape {:?}: {what}", header.shape)))?;
    if dtype.bytes_for(elements) != Some(bytes.len() as u64) {
        return Err(Fault::Format(format!(
            "shape {shape:?} of {dtype} does not account for its {} bytes of data",
            bytes.len()
        )));
    }
    let data = if header.fortran_order && shape.len() > 1 {
        let bytes = to_row_major(bytes, &shape, dtype.block_bytes());
        TensorData::from_bytes(dtype, &bytes, order)
    } else {
        TensorData::from_bytes(dtype, bytes, order)
    };
    Ok((shape, data.map_err(Fault::Unsupported)?))
}

/// The header's text and the data after it.
fn split_header(file: &[u8]) -> Result<(&str, &[u8]), Fault> {
    let rest = file.strip_prefix(MAGIC).ok_or("it does not begin with `\\x93NUMPY`")?;
    let truncated = "its header is truncated";
    let (&[major, minor], rest) = rest.split_first_chunk::<2>().ok_or(truncated)?;
    let (length, rest) = match (major, minor) {
        (1, 0) => {
            let (length, rest) = rest.split_first_chunk::<2>().ok_or(truncated)?;
            (u32::from(u16::from_le_bytes(*length)), rest)
        }
        (2 | 3, 0) => {
            let (length, rest) = rest.split_first_chunk::<4>().ok_or(truncated)?;
            (u32::from_le_bytes(*length), rest)
        }
        _ => return Err(Fault::Unsupported(format!("npy version {major}.{minor}"))),
    };
    match usize::try_from(length) {
        Ok(length) if length <= MAX_HEADER => {
            let (header, data) = rest.split_at_checked(length).ok_or(truncated)?;
            let header = str::from_utf8(header).map_err(|_| "its header is not UTF-8")?;
            Ok((header, data))
        }
        _ => Err(Fault::Format(format!(
            "its header claims {length} bytes, more than the {MAX_HEADER} that numpy reads"
        ))),
    }
}

#[derive(Debug, PartialEq)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<u64>,
}

impl Header {
    /// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, in any order.
    fn parse(text: &str) -> Result<Self, Fault> {
        let mut literal = Literal { rest: text };
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        literal.expect('{')?;
        while !literal.accept('}') {
            let key = literal.string()?;
            literal.expect(':')?;
            let known = match key {
                "descr" => descr.replace(literal.descr()?).is_none(),
                "fortran_order" => fortran_order.replace(literal.bool()?).is_none(),
                "shape" => shape.replace(literal.tuple()?).is_none(),
                _ => return Err(Fault::Format(format!("its header has the unknown key `{key}`"))),
            };
            if !known {
                return Err(Fault::Format(format!("its header names `{key}` twice")));
            }
            if !literal.accept(',') {
                literal.expect('}')?;
                break;
            }
        }
        if !literal.rest.trim_ascii().is_empty() {
            return Err("its header goes on after the dict".into());
        }
        match (descr, fortran_order, shape) {
            (Some(descr), Some(fortran_order), Some(shape)) => {
                Ok(Self { descr, fortran_order, shape })
            }
            _ => Err("its header lacks `descr`, `fortran_order` or `shape`".into()),
        }
    }
}

/// What is left of a header's text.
struct Literal<'a> {
    rest: &'a str,
}

impl<'a> Literal<'a> {
    fn accept(&mut self, wanted: char) -> bool {
        match self.rest.trim_ascii_start().strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), Fault> {
        if self.accept(wanted) {
            return Ok(());
        }
        Err(Fault::Format(format!("its header lacks a `{wanted}`")))
    }

    /// The characters up to the first that is not `wanted`.
    fn run(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let text = self.rest.trim_ascii_start();
        let end = text.find(|c| !wanted(c)).unwrap_or(text.len());
        let (run, rest) = text.split_at(end);
        self.rest = rest;
        run
    }

    fn string(&mut self) -> Result<&'a str, Fault> {
        let quote = if self.accept('\'') { '\'' } else { '"' };
        if quote == '"' {
            self.expect('"')?;
        }
        let (text, rest) = self.rest.split_once(quote).ok_or("its header has an open string")?;
        self.rest = rest;
        Ok(text)
    }

    fn descr(&mut self) -> Result<String, Fault> {
        if self.rest.trim_ascii_start().starts_with('[') {
            let what = "structured arrays are not read; dump each field as its own array";
            return Err(Fault::Unsupported(what.to_owned()));
        }
        self.string().map(str::to_owned)
    }

    fn bool(&mut self) -> Result<bool, Fault> {
        match self.run(char::is_alphanumeric) {
            "True" => Ok(true),
            "False" => Ok(false),
            _ => Err("its `fortran_order` is neither True nor False".into()),
        }
    }

    fn tuple(&mut self) -> Result<Vec<u64>, Fault> {
        self.expect('(')?;
        let mut numbers = Vec::new();
        while !self.accept(')') {
            let digits = self.run(|c| c.is_ascii_digit());
            // Python 2 wrote long integers with an L.
            self.accept('L');
            let number = digits.parse().map_err(|_| "its shape is no tuple of integers")?;
            numbers.push(number);
            if numbers.len() > MAX_DIMS {
                return Err("its shape has too many axes".into());
            }
            if !self.accept(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(numbers)
    }
}

fn stored_type(descr: &str) -> Result<(StoredType, ByteOrder), Fault> {
    let unsupported = || Fault::Unsupported(format!("arrays of numpy type `{descr}` are not read"));
    let (order, kind) = match descr.split_at_checked(1) {
        Some(("<" | "|", kind)) => (ByteOrder::Little, kind),
        Some((">", kind)) => (ByteOrder::Big, kind),
        _ => return Err(unsupported()),
    };
    let dtype = match kind {
        "f8" => StoredType::F64,
        "f4" => StoredType::F32,
        "f2" => StoredType::F16,
        "i8" => StoredType::I64,
        "i4" => StoredType::I32,
        "i2" => StoredType::I16,
        "i1" => StoredType::I8,
        "u8" => StoredType::U64,
        "u4" => StoredType::U32,
        "u2" => StoredType::U16,
        "u1" => StoredType::U8,
        "b1" => StoredType::Bool,
        _ => return Err(unsupported()),
    };
    Ok((dtype, order))
}

/// Reorders column-major (Fortran) items of `size` bytes into row-major ones.
fn to_row_major(bytes: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = size;
    for &extent in shape {
        strides.push(stride);
        stride *= extent; // at most the number of bytes, which was checked
    }
    super::gather(bytes, size, shape, &strides, 0)
}

#[cfg(test)]
mod tests;
