//! Checkpoints: opened, checked, listed, and read as `f32`.
//!
//! [`Weights`] maps a checkpoint's files into memory and knows every tensor's name, shape and
//! type; [`Loader`] takes tensors out of it and keeps the books for a [`LoadReport`]. A file is
//! checked in full when it is opened, so that reading a tensor later cannot go out of bounds.
//! PyTorch's files are not mapped: each tensor is read, and its bytes checked, when it is asked
//! for.

mod decode;
mod gguf;
mod hash;
mod index;
mod loader;
mod mapped;
mod open;
mod packed;
pub(crate) mod pytorch;
pub(crate) mod quantized;
mod report;
pub(crate) mod safetensors;
mod stored_type;
mod unique_map;

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub use gguf::{GgufArray, GgufMetadata, GgufValue, unpermute_rows};
pub use hash::blake3_file;
#[cfg(feature = "hub")]
pub(crate) use index::ShardIndex;
pub use loader::Loader;
pub(crate) use mapped::Mapped;
#[cfg(feature = "hub")]
pub(crate) use open::NAMES;
pub use report::{LoadReport, Missing, WrongShape};
pub use stored_type::StoredType;

use crate::{Error, Result};

/// A stored tensor's name, shape and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The name in the checkpoint.
    pub name: String,
    /// The extents, slowest-varying first, as Hugging Face has them: a linear layer is
    /// `[out, in]`. GGUF files list them the other way round; here they are not.
    pub shape: Vec<usize>,
    /// How the numbers are stored.
    pub dtype: StoredType,
}

impl TensorInfo {
    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product() // checked against overflow when the file was opened
    }
}

/// The file format of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// One safetensors file, or shards with an index.
    Safetensors,
    /// One GGUF file.
    Gguf,
    /// One file of PyTorch's, or shards with an index.
    PyTorch,
}

impl Format {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Gguf => "GGUF",
            Self::PyTorch => "PyTorch",
        }
    }
}

/// An opened checkpoint.
///
/// Its files are mapped into memory, or held open, but not read: opening takes milliseconds, and a
/// tensor costs memory only when it is decoded. **The files must stay as they are while a `Weights`
/// lives**: if one is truncated meanwhile, the operating system ends the process at the next read.
///
/// ```no_run
/// use massval_models::weights::Weights;
///
/// # fn main() -> massval_models::Result<()> {
/// let weights = Weights::open("SmolLM2-135M-Instruct".as_ref())?;
/// for tensor in weights.tensors() {
///     println!("{} {:?} {}", tensor.name, tensor.shape, tensor.dtype);
/// }
/// let norm: Vec<f32> = weights.read_f32("model.norm.weight")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Weights {
    format: Format,
    files: Vec<PathBuf>,
    /// Sorted by name; names are unique.
    entries: Vec<Entry>,
    maps: Vec<Mapped>,
    gguf: Option<GgufMetadata>,
    skipped: Vec<String>,
}

#[derive(Debug)]
struct Entry {
    info: TensorInfo,
    /// Which of `files`.
    file: usize,
    place: Place,
}

/// Where a tensor's bytes are.
#[derive(Debug)]
enum Place {
    /// At this range of this one of `maps`.
    Mapped(usize, Range<usize>),
    /// Wherever the file's pickle says.
    Pickled(pytorch_reader::Tensor),
    /// In several tensors of the files.
    Packed(packed::Packed),
}

impl Weights {
    /// The files it consists of, in order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The format of those files.
    pub fn format(&self) -> Format {
        self.format
    }

    /// All tensors, sorted by name.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = &TensorInfo> {
        self.entries.iter().map(|entry| &entry.info)
    }

    /// The tensor of this name.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.entry(name).map(|entry| &entry.info)
    }

    /// The bytes that all tensors take as stored.
    pub fn total_bytes(&self) -> u64 {
        let bytes = |info: &TensorInfo| info.dtype.bytes_for(info.elements() as u64);
        self.tensors().filter_map(bytes).sum()
    }

    /// What else PyTorch's files hold: entries that are no tensors, such as a step count.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// The metadata, if this is a GGUF file.
    pub fn gguf(&self) -> Option<&GgufMetadata> {
        self.gguf.as_ref()
    }

    /// A tensor's numbers as `f32`, row-major: cast, or dequantized exactly as ggml does.
    ///
    /// # Errors
    /// [`Error::Input`] if there is no tensor of this name, [`Error::Unsupported`] if it holds
    /// integers or 8-bit floats; of a PyTorch file, [`Error::Format`] if the tensor's bytes are
    /// missing or damaged, and [`Error::Io`].
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        let entry = self.found(name)?;
        if let Place::Packed(packed) = &entry.place {
            return Ok(self.unpacked(packed)?.dequantize());
        }
        decode::decode(entry.info.dtype, &self.bytes(entry)?, entry.info.elements())
            .ok_or_else(|| self.undecodable(entry))
    }

    /// A `[rows, columns]` tensor's numbers as `f32` in the order `[columns, rows]`: a linear
    /// layer stored `[out, in]` comes out `[in, out]`, as matrix products want it.
    ///
    /// # Errors
    /// As [`read_f32`](Self::read_f32); [`Error::Input`] too if the tensor has not two axes.
    pub fn read_f32_transposed(&self, name: &str) -> Result<Vec<f32>> {
        self.transposed(name, |row| row)
    }

    /// As [`read_f32_transposed`](Self::read_f32_transposed), for a query or key projection of
    /// a Llama GGUF, whose rows are stored permuted: they come out in Hugging Face's channel
    /// order (see [`unpermute_rows`]).
    ///
    /// # Errors
    /// As [`read_f32_transposed`](Self::read_f32_transposed); [`Error::Input`] too if the rows
    /// are no whole number of heads of an even `head_dim`.
    pub fn read_f32_transposed_unpermuted(&self, name: &str, head_dim: usize) -> Result<Vec<f32>> {
        let rows = self.found(name)?.info.shape.first().copied().unwrap_or(0);
        if head_dim == 0 || !head_dim.is_multiple_of(2) || !rows.is_multiple_of(head_dim) {
            return Err(Error::input(format!(
                "tensor `{name}`: its {rows} rows are no whole number of heads of {head_dim} channels"
            )));
        }
        self.transposed(name, |row| gguf::stored_row(row, head_dim))
    }

    /// The bytes of an `F32`, `F16` or `BF16` tensor as they are stored: little-endian,
    /// row-major, of any alignment.
    ///
    /// # Errors
    /// As [`read_f32`](Self::read_f32); [`Error::Unsupported`] for any other type.
    pub fn read_native(&self, name: &str) -> Result<(StoredType, Cow<'_, [u8]>)> {
        let entry = self.found(name)?;
        match entry.info.dtype {
            dtype @ (StoredType::F32 | StoredType::F16 | StoredType::BF16) => {
                Ok((dtype, self.bytes(entry)?))
            }
            _ => Err(self.undecodable(entry)),
        }
    }

    /// The bytes of a tensor of any type as they are stored, row-major; what a tensor of several parts is made of
    /// cannot be read so.
    ///
    /// # Errors
    /// As [`read_native`](Self::read_native).
    pub fn stored_bytes(&self, name: &str) -> Result<(StoredType, Cow<'_, [u8]>)> {
        let entry = self.found(name)?;
        Ok((entry.info.dtype, self.bytes(entry)?))
    }

    /// Has the system read a tensor ahead, if its file is mapped: it will be decoded soon.
    pub(crate) fn prefetch(&self, name: &str) {
        if let Some(Entry { place: Place::Mapped(map, range), .. }) = self.entry(name)
            && let Some(map) = self.maps.get(*map)
        {
            map.prefetch(range.clone());
        }
        if let Some(Entry { place: Place::Packed(packed), .. }) = self.entry(name) {
            self.prefetch_parts(packed);
        }
    }

    /// Gives back the memory that reading mapped files has filled.
    pub(crate) fn release(&self) {
        self.maps.iter().for_each(Mapped::release);
    }

    fn transposed(&self, name: &str, source: impl Fn(usize) -> usize + Sync) -> Result<Vec<f32>> {
        let entry = self.found(name)?;
        let &[rows, columns] = entry.info.shape.as_slice() else {
            let shape = &entry.info.shape;
            return Err(Error::input(format!("tensor `{name}` of shape {shape:?} is no matrix")));
        };
        if let Place::Packed(packed) = &entry.place {
            let values = self.unpacked(packed)?.dequantize();
            return decode::transposed(&values, [rows, columns], source)
                .ok_or_else(|| self.undecodable(entry));
        }
        decode::decode_transposed(entry.info.dtype, &self.bytes(entry)?, [rows, columns], source)
            .ok_or_else(|| self.undecodable(entry))
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        let found = self.entries.binary_search_by(|entry| entry.info.name.as_str().cmp(name));
        found.ok().and_then(|i| self.entries.get(i))
    }

    fn found(&self, name: &str) -> Result<&Entry> {
        self.entry(name).ok_or_else(|| Error::input(format!("there is no tensor `{name}`")))
    }

    fn bytes(&self, entry: &Entry) -> Result<Cow<'_, [u8]>> {
        match &entry.place {
            Place::Mapped(map, range) => {
                let bytes = self.maps.get(*map).and_then(|map| map.get(range.clone()));
                bytes.map(Cow::Borrowed).ok_or_else(|| self.undecodable(entry))
            }
            Place::Pickled(tensor) => pytorch::bytes(self.path(entry), tensor).map(Cow::Owned),
            Place::Packed(_) => Err(self.undecodable(entry)),
        }
    }

    /// The file that an entry is in.
    fn path(&self, entry: &Entry) -> &Path {
        self.files.get(entry.file).map_or(Path::new(""), PathBuf::as_path)
    }

    /// Refuses decoded numbers of which one is infinite or none at all.
    ///
    /// Attention does not carry a NaN on everywhere: a row of scores that are all NaN can come out
    /// as zeros, so that a damaged checkpoint would give plausible logits.
    fn check_finite(&self, name: &str, values: &[f32]) -> Result<()> {
        let sound = |part: &[f32]| part.iter().fold(true, |sound, x| sound & x.is_finite());
        if values.chunks(4096).all(sound) {
            return Ok(());
        }
        let count = values.iter().filter(|x| !x.is_finite()).count();
        Err(Error::Unsupported {
            path: self.entry(name).map(|entry| self.path(entry).to_owned()).unwrap_or_default(),
            what: format!(
                "tensor `{name}`: {count} of its {} numbers are not finite; the file is damaged",
                values.len()
            ),
        })
    }

    fn undecodable(&self, entry: &Entry) -> Error {
        Error::Unsupported {
            path: self.path(entry).to_owned(),
            what: format!(
                "tensor `{}` is stored as {}, which cannot be read this way",
                entry.info.name, entry.info.dtype
            ),
        }
    }
}

/// A shape as `usize`, with its number of elements: none of them zero, no overflow.
pub(crate) fn checked_shape(shape: &[u64]) -> Result<(Vec<usize>, u64), &'static str> {
    let mut elements = 1u64;
    let mut extents = Vec::with_capacity(shape.len());
    for &extent in shape {
        if extent == 0 {
            return Err("it has no elements");
        }
        elements = elements.checked_mul(extent).ok_or("its number of elements overflows")?;
        extents.push(usize::try_from(extent).map_err(|_| "an extent is too large")?);
    }
    // Decoded numbers are addressed in bytes.
    match usize::try_from(elements).ok().and_then(|n| n.checked_mul(8)) {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok((extents, elements)),
        _ => Err("its number of elements overflows"),
    }
}

/// Whether a file is, or is named as, a GGUF file: what is only named so fails with that in mind.
fn is_gguf(path: &Path, bytes: &[u8]) -> bool {
    bytes.starts_with(b"GGUF")
        || path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

#[cfg(test)]
mod tests;
