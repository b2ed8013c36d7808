//! `*.index.json`: which shard of a checkpoint holds which tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path};

use serde::Deserialize;

use super::unique_map::UniqueMap;
use crate::{Error, Result};

const FORMAT: &str = "shard index";
/// An index is a list of names; the largest public ones stay under 10 MB.
const MAX_INDEX: u64 = 100_000_000;

// `metadata.total_size` is left unread. Nothing loads by it, and its writers do not agree: some count
// a shared tensor once, some twice, some as it was before a cast, some write nothing. What it could
// reveal, a shard cut short, each shard's own header reveals for certain.
#[derive(Deserialize)]
struct RawIndex {
    weight_map: UniqueMap<String>,
}

/// The tensors that an index promises, by shard file name.
#[derive(Debug)]
pub(crate) struct ShardIndex {
    pub(crate) shards: BTreeMap<String, BTreeSet<String>>,
}

impl ShardIndex {
    /// Reads an index and checks that its shards are plain file names.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Format`] if it is too large, no JSON of
    /// this form, empty, names a tensor twice, or names a file outside its own folder.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let length = fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
        if length > MAX_INDEX {
            let what = format!("{length} bytes are more than the {MAX_INDEX} an index may have");
            return Err(Error::format(path, FORMAT, what));
        }
        let text = fs::read(path).map_err(|e| Error::io(path, e))?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &[u8]) -> Result<Self> {
        let raw: RawIndex =
            serde_json::from_slice(text).map_err(|e| Error::format(path, FORMAT, e.to_string()))?;
        let mut shards = BTreeMap::<String, BTreeSet<String>>::new();
        for (tensor, shard) in raw.weight_map.0 {
            if !is_plain_file_name(&shard) {
                let what = format!(
                    "tensor `{tensor}` is said to lie in `{shard}`; \
                     a shard must be a file of the index's own folder"
                );
                return Err(Error::format(path, FORMAT, what));
            }
            shards.entry(shard).or_default().insert(tensor);
        }
        if shards.is_empty() {
            return Err(Error::format(path, FORMAT, "`weight_map` names no tensor"));
        }
        Ok(Self { shards })
    }
}

/// Whether `name` is one component, on every platform: no separator, drive, `..` or NUL.
fn is_plain_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!(components.next(), Some(Component::Normal(_)))
        && components.next().is_none()
        && !name.contains(['/', '\\', ':', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ShardIndex> {
        ShardIndex::parse(Path::new("model.safetensors.index.json"), text.as_bytes())
    }

    #[test]
    fn groups_tensors_by_shard() {
        let index = parse(
            r#"{"metadata":{"total_size":3},
                "weight_map":{"b":"2.safetensors","a":"1.safetensors","c":"2.safetensors"}}"#,
        )
        .unwrap();
        let second: Vec<_> = index.shards["2.safetensors"].iter().collect();
        assert_eq!(second, ["b", "c"]);
        assert_eq!(index.shards.len(), 2);
    }

    #[test]
    fn a_shard_outside_the_folder_is_refused() {
        for shard in [
            "../x.safetensors",
            "/etc/passwd",
            "a/b.safetensors",
            "..",
            ".",
            "",
            "a\\\\b.safetensors",
            "C:x.safetensors",
            "./x.safetensors",
            "x.safetensors/",
        ] {
            let error =
                parse(&format!(r#"{{"weight_map":{{"w":"{shard}"}}}}"#)).unwrap_err().to_string();
            assert!(error.contains("own folder"), "{error}");
        }
    }

    #[test]
    fn contradictions_and_holes_are_errors() {
        for (text, expected) in [
            (r#"{"weight_map":{"w":"a","w":"b"}}"#, "`w` is named twice"),
            (r#"{"weight_map":{}}"#, "names no tensor"),
            (r#"{}"#, "weight_map"),
            (r#"{"weight_map":{"w":1}}"#, "`w`"),
            (r#"{"weight_map":[]}"#, "object"),
            ("", "EOF"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
