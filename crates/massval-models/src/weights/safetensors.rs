//! The header of a safetensors file: which tensors it holds, and where.
//!
//! The `safetensors` crate reads such headers too, but keeps the last of two entries of one
//! name and adds file offsets unchecked; a file from a stranger needs the stricter reading
//! here. Writing, and the tests, hold to the format as that crate has it.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde::de::MapAccess;

use super::TensorInfo;
use super::stored_type::StoredType;
use super::unique_map::{KeyedValue, UniqueMap};
use crate::{Error, Result};

const FORMAT: &str = "safetensors";
/// The format's own limit on its header.
const MAX_HEADER: u64 = 100_000_000;
const METADATA: &str = "__metadata__";

/// One tensor and its bytes' place in the file.
pub(crate) type Placed = (TensorInfo, Range<usize>);

/// What a safetensors header holds.
#[derive(Debug)]
pub(crate) struct Header {
    /// The tensors in the order of their bytes.
    pub(crate) tensors: Vec<Placed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

enum RawEntry {
    Tensor(RawTensor),
    /// Checked to be a map of texts, then let go.
    Metadata,
}

impl<'de> KeyedValue<'de> for RawEntry {
    fn read<A: MapAccess<'de>>(key: &str, map: &mut A) -> std::result::Result<Self, A::Error> {
        if key == METADATA {
            map.next_value::<UniqueMap<String>>().map(|_| Self::Metadata)
        } else {
            map.next_value().map(Self::Tensor)
        }
    }
}

/// Reads and checks the header of the safetensors file whose bytes are `file`.
///
/// # Errors
/// [`Error::Format`] unless the header is whole and every byte after it belongs to exactly one
/// tensor, whose shape and type account for it. [`Error::Unsupported`] for a number type this
/// crate does not know.
pub(crate) fn parse(path: &Path, file: &[u8]) -> Result<Header> {
    let bad = |what: String| Error::format(path, FORMAT, what);
    let Some((length, rest)) = file.split_first_chunk::<8>() else {
        return Err(bad(format!("{} bytes are too few for a header", file.len())));
    };
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER {
        return Err(bad(format!(
            "its header claims {length} bytes, above the format's limit of {MAX_HEADER}"
        )));
    }
    let split = usize::try_from(length).ok().and_then(|n| rest.split_at_checked(n));
    let Some((header, data)) = split else {
        return Err(bad(format!(
            "its header claims {length} bytes, but only {} follow: the file is truncated",
            rest.len()
        )));
    };
    let UniqueMap(entries): UniqueMap<RawEntry> =
        serde_json::from_slice(header).map_err(|e| bad(format!("header: {e}")))?;

    let start = file.len() - data.len();
    let mut tensors = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        match entry {
            RawEntry::Metadata => {}
            RawEntry::Tensor(raw) => tensors.push(placed(path, name, raw, start, data.len())?),
        }
    }
    tensors.sort_by_key(|(_, range)| range.start);
    check_coverage(path, &tensors, start, file.len())?;
    Ok(Header { tensors })
}

fn placed(
    path: &Path,
    name: String,
    raw: RawTensor,
    start: usize,
    data_len: usize,
) -> Result<Placed> {
    let bad = |what: String| Error::format(path, FORMAT, format!("tensor `{name}`: {what}"));
    let Some(dtype) = StoredType::from_safetensors(&raw.dtype) else {
        return Err(Error::Unsupported {
            path: path.to_owned(),
            what: format!("tensor `{name}` has the unknown type `{}`", raw.dtype),
        });
    };
    let (begin, end) = raw.data_offsets;
    if begin > end || end > data_len as u64 {
        return Err(bad(format!(
            "its bytes {begin}..{end} lie outside the {data_len} bytes of data"
        )));
    }
    let (shape, elements) = super::checked_shape(&raw.shape)
        .map_err(|what| bad(format!("shape {:?}: {what}", raw.shape)))?;
    let expected = dtype.bytes_for(elements);
    if expected != Some(end - begin) {
        return Err(bad(format!(
            "shape {shape:?} of {dtype} does not fill its {} bytes exactly",
            end - begin
        )));
    }
    // Both lie within the file's length, which is a usize.
    let range = start + begin as usize..start + end as usize;
    Ok((TensorInfo { name, shape, dtype }, range))
}

fn check_coverage(path: &Path, tensors: &[Placed], start: usize, end: usize) -> Result<()> {
    let mut position = start;
    let mut previous = "the header";
    for (info, range) in tensors {
        if range.start < position {
            let what = format!("tensor `{}` overlaps `{previous}`", info.name);
            return Err(Error::format(path, FORMAT, what));
        }
        if range.start > position {
            let gap = range.start - position;
            let what = format!("{gap} bytes before tensor `{}` belong to nothing", info.name);
            return Err(Error::format(path, FORMAT, what));
        }
        position = range.end;
        previous = &info.name;
    }
    if position != end {
        let what = format!("{} bytes at the end of the file belong to no tensor", end - position);
        return Err(Error::format(path, FORMAT, what));
    }
    Ok(())
}
