//! From a path to a [`Weights`]: one file, or a folder with an index of shards.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::index::ShardIndex;
use super::safetensors::{self, Placed};
use super::{Entry, Format, GgufMetadata, Mapped, Place, TensorInfo, Weights, gguf, pytorch};
use crate::{Error, Result};

/// What a folder's weights may be called, the preferred first: as transformers, safetensors before
/// pickles, and the single file before the shards' index.
pub(crate) const NAMES: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];
const SAFETENSORS_INDEX: &str = ".safetensors.index.json";
const PYTORCH_INDEX: &str = ".bin.index.json";

/// A file, and what it holds.
struct Part {
    path: PathBuf,
    map: Option<Mapped>,
    tensors: Vec<(TensorInfo, Found)>,
    skipped: Vec<String>,
}

/// Where in a file a tensor is.
enum Found {
    Range(Range<usize>),
    Pickled(pytorch_reader::Tensor),
}

impl Weights {
    /// Opens a checkpoint and checks its files' structure.
    ///
    /// `path` is a `.safetensors` or `.gguf` file, one of PyTorch's (`.bin`, `.pt`, `.pth`), an
    /// index of shards (`*.safetensors.index.json`, `*.bin.index.json`), or a folder with
    /// `model.safetensors`, `pytorch_model.bin`, or an index of either. As in transformers,
    /// safetensors comes before PyTorch, and the single file before the index.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read, [`Error::Format`] for one that is not what
    /// it should be (truncated, overlapping or empty tensors, two tensors of one name, a shard
    /// that is missing, that lies outside its folder, or that disagrees with its index),
    /// [`Error::Unsupported`] for a format or number type this crate does not read.
    pub fn open(path: &Path) -> Result<Self> {
        let meta = path.metadata().map_err(|e| Error::io(path, e))?;
        if meta.is_dir() {
            return Self::open_folder(path);
        }
        Self::open_named(path)
    }

    fn open_folder(folder: &Path) -> Result<Self> {
        if let Some(path) = NAMES.iter().map(|name| folder.join(name)).find(|path| path.exists()) {
            return Self::open_named(&path);
        }
        Err(Error::Unsupported {
            path: folder.to_owned(),
            what: format!(
                "the folder has none of {}{}",
                NAMES.map(|name| format!("`{name}`")).join(", "),
                hint(folder).unwrap_or_default()
            ),
        })
    }

    /// Opens a file as what its name says it is, or as the GGUF that it is under any name.
    fn open_named(path: &Path) -> Result<Self> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(SAFETENSORS_INDEX) {
            return Self::open_shards(Format::Safetensors, path);
        }
        if name.ends_with(PYTORCH_INDEX) {
            return Self::open_shards(Format::PyTorch, path);
        }
        let map = Mapped::open(path, "checkpoint")?;
        if super::is_gguf(path, &map) {
            let (metadata, tensors) = gguf::parse(path, &map)?;
            let part = Part::mapped(path, map, tensors);
            return Self::assemble(Format::Gguf, vec![part], Some(metadata));
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        let format = match extension.unwrap_or_default().to_ascii_lowercase().as_str() {
            "safetensors" => Format::Safetensors,
            "bin" | "pt" | "pth" => Format::PyTorch,
            _ => {
                let what = "a checkpoint is a `.safetensors`, `.gguf`, `.bin`, `.pt` or `.pth` \
                            file, or a folder"
                    .to_owned();
                return Err(Error::Unsupported { path: path.to_owned(), what });
            }
        };
        Self::assemble(format, vec![Part::open(format, path)?], None)
    }

    fn open_shards(format: Format, index_path: &Path) -> Result<Self> {
        let index = ShardIndex::open(index_path)?;
        let folder = index_path.parent().unwrap_or(Path::new(""));
        let mut shards = Vec::with_capacity(index.shards.len());
        for (name, promised) in &index.shards {
            let part = Part::open(format, &folder.join(name))?;
            check_shard(format, promised, &part)?;
            shards.push(part);
        }
        Self::assemble(format, shards, None)
    }

    fn assemble(format: Format, parts: Vec<Part>, gguf: Option<GgufMetadata>) -> Result<Self> {
        let mut weights = Self {
            format,
            files: Vec::new(),
            entries: Vec::new(),
            maps: Vec::new(),
            gguf,
            skipped: Vec::new(),
        };
        for (file, part) in parts.into_iter().enumerate() {
            if part.tensors.is_empty() {
                return Err(Error::format(&part.path, "checkpoint", "it holds no tensor"));
            }
            let map = weights.maps.len();
            weights.entries.extend(part.tensors.into_iter().map(|(info, found)| {
                let place = match found {
                    Found::Range(range) => Place::Mapped(map, range),
                    Found::Pickled(tensor) => Place::Pickled(tensor),
                };
                Entry { info, file, place }
            }));
            weights.maps.extend(part.map);
            weights.skipped.extend(part.skipped);
            weights.files.push(part.path);
        }
        weights.entries.sort_by(|a, b| a.info.name.cmp(&b.info.name));
        for pair in weights.entries.windows(2) {
            if let [a, b] = pair
                && a.info.name == b.info.name
            {
                let what = format!("tensor `{}` is there twice", b.info.name);
                return Err(Error::format(weights.path(b), "checkpoint", what));
            }
        }
        Ok(weights)
    }
}

impl Part {
    fn mapped(path: &Path, map: Mapped, tensors: Vec<Placed>) -> Self {
        let tensors = tensors.into_iter().map(|(info, range)| (info, Found::Range(range)));
        let tensors = tensors.collect();
        Self { path: path.to_owned(), map: Some(map), tensors, skipped: Vec::new() }
    }

    /// Opens one file of a format that may come in several.
    fn open(format: Format, path: &Path) -> Result<Self> {
        // Mapped in any case: whatever is no regular file, or empty, is refused alike.
        let map = Mapped::open(path, format.name())?;
        if format != Format::PyTorch {
            let tensors = safetensors::parse(path, &map)?.tensors;
            return Ok(Self::mapped(path, map, tensors));
        }
        let pytorch::Checked { tensors, skipped } = pytorch::open_weights(path)?;
        let tensors = tensors.into_iter().map(|(info, tensor)| (info, Found::Pickled(tensor)));
        Ok(Self { path: path.to_owned(), map: None, tensors: tensors.collect(), skipped })
    }
}

/// Holds a shard against what the index says of it.
fn check_shard(format: Format, promised: &BTreeSet<String>, part: &Part) -> Result<()> {
    let bad = |what| Err(Error::format(&part.path, format.name(), what));
    let held: BTreeSet<&str> = part.tensors.iter().map(|(info, _)| info.name.as_str()).collect();
    if let Some(lacking) = promised.iter().find(|name| !held.contains(name.as_str())) {
        return bad(format!("the index places tensor `{lacking}` here, but it is not"));
    }
    if let Some(extra) = held.into_iter().find(|name| !promised.contains(*name)) {
        return bad(format!("it holds tensor `{extra}`, of which the index knows nothing here"));
    }
    Ok(())
}

/// What else the folder has that could have been meant.
fn hint(folder: &Path) -> Option<String> {
    let names: BTreeSet<String> = folder
        .read_dir()
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let weights = |name: &&String| {
        [".gguf", ".safetensors", ".pt", ".pth"].iter().any(|end| name.ends_with(end))
    };
    let name = names.iter().find(weights)?;
    Some(format!("; name the file itself to read `{name}`"))
}
