//! The key-value pairs of a GGUF file: the model's config, tokenizer and chat template.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// One value of a GGUF's metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum GgufValue {
    /// Unsigned, 8 bits.
    U8(u8),
    /// Signed, 8 bits.
    I8(i8),
    /// Unsigned, 16 bits.
    U16(u16),
    /// Signed, 16 bits.
    I16(i16),
    /// Unsigned, 32 bits.
    U32(u32),
    /// Signed, 32 bits.
    I32(i32),
    /// Unsigned, 64 bits.
    U64(u64),
    /// Signed, 64 bits.
    I64(i64),
    /// IEEE 754, 32 bits.
    F32(f32),
    /// IEEE 754, 64 bits.
    F64(f64),
    /// True or false.
    Bool(bool),
    /// UTF-8 text.
    String(String),
    /// Values of one type.
    Array(GgufArray),
}

/// An array of a GGUF's metadata; all its elements are of one type.
#[derive(Debug, Clone, PartialEq)]
pub enum GgufArray {
    /// Unsigned, 8 bits.
    U8(Vec<u8>),
    /// Signed, 8 bits.
    I8(Vec<i8>),
    /// Unsigned, 16 bits.
    U16(Vec<u16>),
    /// Signed, 16 bits.
    I16(Vec<i16>),
    /// Unsigned, 32 bits.
    U32(Vec<u32>),
    /// Signed, 32 bits.
    I32(Vec<i32>),
    /// Unsigned, 64 bits.
    U64(Vec<u64>),
    /// Signed, 64 bits.
    I64(Vec<i64>),
    /// IEEE 754, 32 bits.
    F32(Vec<f32>),
    /// IEEE 754, 64 bits.
    F64(Vec<f64>),
    /// True or false.
    Bool(Vec<bool>),
    /// UTF-8 texts.
    String(Vec<String>),
    /// Arrays of arrays.
    Array(Vec<GgufArray>),
}

impl GgufValue {
    fn kind(&self) -> &'static str {
        match self {
            Self::U8(_) | Self::U16(_) | Self::U32(_) | Self::U64(_) => "an unsigned integer",
            Self::I8(_) | Self::I16(_) | Self::I32(_) | Self::I64(_) => "an integer",
            Self::F32(_) | Self::F64(_) => "a float",
            Self::Bool(_) => "a bool",
            Self::String(_) => "a string",
            Self::Array(array) => match array {
                GgufArray::String(_) => "an array of strings",
                GgufArray::F32(_) | GgufArray::F64(_) => "an array of floats",
                GgufArray::Bool(_) => "an array of bools",
                GgufArray::Array(_) => "an array of arrays",
                _ => "an array of integers",
            },
        }
    }
}

impl GgufArray {
    /// How many elements it has.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(v) => v.len(),
            Self::I8(v) => v.len(),
            Self::U16(v) => v.len(),
            Self::I16(v) => v.len(),
            Self::U32(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::U64(v) => v.len(),
            Self::I64(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::Bool(v) => v.len(),
            Self::String(v) => v.len(),
            Self::Array(v) => v.len(),
        }
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The metadata of a GGUF file.
///
/// The typed getters give `Ok(None)` where a key is absent and an error that names the key
/// where its value is of another type; [`missing`](Self::missing) makes the error for a key
/// that must be there:
///
/// ```no_run
/// # use massval_models::weights::Weights;
/// # fn main() -> massval_models::Result<()> {
/// let weights = Weights::open("model.gguf".as_ref())?;
/// if let Some(gguf) = weights.gguf() {
///     let key = "llama.block_count";
///     let layers = gguf.u64(key)?.ok_or_else(|| gguf.missing(key))?;
///     assert!(layers > 0);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct GgufMetadata {
    path: PathBuf,
    values: BTreeMap<String, GgufValue>,
}

impl GgufMetadata {
    pub(super) fn new(path: &Path, values: BTreeMap<String, GgufValue>) -> Self {
        Self { path: path.to_owned(), values }
    }

    /// The file it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All keys and values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &GgufValue)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value at a key.
    pub fn get(&self, key: &str) -> Option<&GgufValue> {
        self.values.get(key)
    }

    /// An integer that is not negative, of any width.
    ///
    /// # Errors
    /// [`Error::Config`] if the value is negative or no integer.
    pub fn u64(&self, key: &str) -> Result<Option<u64>> {
        self.typed(key, "an integer that is not negative", |value| match *value {
            GgufValue::U8(v) => Some(v.into()),
            GgufValue::U16(v) => Some(v.into()),
            GgufValue::U32(v) => Some(v.into()),
            GgufValue::U64(v) => Some(v),
            GgufValue::I8(v) => v.try_into().ok(),
            GgufValue::I16(v) => v.try_into().ok(),
            GgufValue::I32(v) => v.try_into().ok(),
            GgufValue::I64(v) => v.try_into().ok(),
            _ => None,
        })
    }

    /// A float of either width, widened exactly.
    ///
    /// # Errors
    /// [`Error::Config`] if the value is no float.
    pub fn f64(&self, key: &str) -> Result<Option<f64>> {
        self.typed(key, "a float", |value| match *value {
            GgufValue::F32(v) => Some(v.into()),
            GgufValue::F64(v) => Some(v),
            _ => None,
        })
    }

    /// A bool.
    ///
    /// # Errors
    /// [`Error::Config`] if the value is no bool.
    pub fn bool(&self, key: &str) -> Result<Option<bool>> {
        self.typed(key, "a bool", |value| match *value {
            GgufValue::Bool(v) => Some(v),
            _ => None,
        })
    }

    /// A text.
    ///
    /// # Errors
    /// [`Error::Config`] if the value is no string.
    pub fn str(&self, key: &str) -> Result<Option<&str>> {
        self.typed(key, "a string", |value| match value {
            GgufValue::String(v) => Some(v.as_str()),
            _ => None,
        })
    }

    /// An array of texts, as of a vocabulary.
    ///
    /// # Errors
    /// [`Error::Config`] if the value is no array of strings.
    pub fn strings(&self, key: &str) -> Result<Option<&[String]>> {
        self.typed(key, "an array of strings", |value| match value {
            GgufValue::Array(GgufArray::String(v)) => Some(v.as_slice()),
            _ => None,
        })
    }

    /// An array of 32-bit floats, as of token scores.
    ///
    /// # Errors
    /// [`Error::Config`] if the value is no such array.
    pub fn f32s(&self, key: &str) -> Result<Option<&[f32]>> {
        self.typed(key, "an array of 32-bit floats", |value| match value {
            GgufValue::Array(GgufArray::F32(v)) => Some(v.as_slice()),
            _ => None,
        })
    }

    /// An array of 32-bit integers, as of token types.
    ///
    /// # Errors
    /// [`Error::Config`] if the value is no such array.
    pub fn i32s(&self, key: &str) -> Result<Option<&[i32]>> {
        self.typed(key, "an array of signed 32-bit integers", |value| match value {
            GgufValue::Array(GgufArray::I32(v)) => Some(v.as_slice()),
            _ => None,
        })
    }

    /// The error for a key that a model needs and this file does not have.
    pub fn missing(&self, key: &str) -> Error {
        Error::config(&self.path, key, "missing from the metadata")
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&'a GgufValue) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.values.get(key) else { return Ok(None) };
        match read(value) {
            Some(value) => Ok(Some(value)),
            None => {
                let what = format!("must be {wanted}, but is {}", value.kind());
                Err(Error::config(&self.path, key, what))
            }
        }
    }
}
