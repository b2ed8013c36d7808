//! From a path to a [`Weights`]: one file, or a folder with an index of shards.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::index::ShardIndex;
use super::safetensors::{self, Placed};
use super::{Entry, Format, GgufMetadata, Mapped, Weights, gguf};
use crate::{Error, Result};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

impl Weights {
    /// Opens a checkpoint and checks its files' structure.
    ///
    /// `path` is a `.safetensors` or `.gguf` file, an index of shards
    /// (`*.safetensors.index.json`), or a folder with `model.safetensors` or
    /// `model.safetensors.index.json`; of both, the single file, as transformers does.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read, [`Error::Format`] for one that is not what
    /// it should be (truncated, overlapping or empty tensors, a shard that is missing, that
    /// lies outside its folder, or that disagrees with its index), [`Error::Unsupported`] for a
    /// format or number type this crate does not read.
    pub fn open(path: &Path) -> Result<Self> {
        let meta = path.metadata().map_err(|e| Error::io(path, e))?;
        if meta.is_dir() {
            return Self::open_folder(path);
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(".safetensors.index.json") {
            return Self::open_shards(path);
        }
        Self::open_file(path)
    }

    fn open_folder(folder: &Path) -> Result<Self> {
        let single = folder.join(SINGLE);
        if single.exists() {
            return Self::open_file(&single);
        }
        let index = folder.join(INDEX);
        if index.exists() {
            return Self::open_shards(&index);
        }
        Err(Error::Unsupported {
            path: folder.to_owned(),
            what: format!(
                "the folder has neither `{SINGLE}` nor `{INDEX}`{}",
                hint(folder).unwrap_or_default()
            ),
        })
    }

    fn open_file(path: &Path) -> Result<Self> {
        let map = Mapped::open(path, "checkpoint")?;
        if super::is_gguf(path, &map) {
            let (metadata, tensors) = gguf::parse(path, &map)?;
            return Self::assemble(
                Format::Gguf,
                vec![(path.to_owned(), map, tensors)],
                Some(metadata),
            );
        }
        let extension = path.extension().unwrap_or_default();
        if !extension.eq_ignore_ascii_case("safetensors") {
            return Err(Error::Unsupported {
                path: path.to_owned(),
                what: "a checkpoint is a `.safetensors` or `.gguf` file, or a folder".to_owned(),
            });
        }
        let tensors = safetensors::parse(path, &map)?.tensors;
        Self::assemble(Format::Safetensors, vec![(path.to_owned(), map, tensors)], None)
    }

    fn open_shards(index_path: &Path) -> Result<Self> {
        let index = ShardIndex::open(index_path)?;
        let folder = index_path.parent().unwrap_or(Path::new(""));
        let mut shards = Vec::with_capacity(index.shards.len());
        for (name, promised) in &index.shards {
            let path = folder.join(name);
            let map = Mapped::open(&path, "safetensors")?;
            let tensors = safetensors::parse(&path, &map)?.tensors;
            check_shard(&path, promised, &tensors)?;
            shards.push((path, map, tensors));
        }
        Self::assemble(Format::Safetensors, shards, None)
    }

    fn assemble(
        format: Format,
        parts: Vec<(PathBuf, Mapped, Vec<Placed>)>,
        gguf: Option<GgufMetadata>,
    ) -> Result<Self> {
        let mut weights =
            Self { format, files: Vec::new(), maps: Vec::new(), entries: Vec::new(), gguf };
        for (file, (path, map, tensors)) in parts.into_iter().enumerate() {
            if tensors.is_empty() {
                return Err(Error::format(&path, "checkpoint", "it holds no tensor"));
            }
            let entries = tensors.into_iter().map(|(info, range)| Entry { info, file, range });
            weights.entries.extend(entries);
            weights.files.push(path);
            weights.maps.push(map);
        }
        weights.entries.sort_by(|a, b| a.info.name.cmp(&b.info.name));
        for pair in weights.entries.windows(2) {
            if let [a, b] = pair
                && a.info.name == b.info.name
            {
                let path = weights.files.get(b.file).cloned().unwrap_or_default();
                let what = format!("tensor `{}` is there twice", b.info.name);
                return Err(Error::format(&path, "checkpoint", what));
            }
        }
        Ok(weights)
    }
}

/// Holds a shard against what the index says of it.
fn check_shard(path: &Path, promised: &BTreeSet<String>, tensors: &[Placed]) -> Result<()> {
    let held: BTreeSet<&str> = tensors.iter().map(|(info, _)| info.name.as_str()).collect();
    if let Some(lacking) = promised.iter().find(|name| !held.contains(name.as_str())) {
        let what = format!("the index places tensor `{lacking}` here, but it is not");
        return Err(Error::format(path, "safetensors", what));
    }
    if let Some(extra) = held.into_iter().find(|name| !promised.contains(*name)) {
        let what = format!("it holds tensor `{extra}`, of which the index knows nothing here");
        return Err(Error::format(path, "safetensors", what));
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
    if let Some(gguf) = names.iter().find(|name| name.ends_with(".gguf")) {
        return Some(format!("; name the file itself to read `{gguf}`"));
    }
    let pickled = names.iter().find(|name| name.starts_with("pytorch_model"))?;
    Some(format!("; `{pickled}` must be converted to safetensors first"))
}
