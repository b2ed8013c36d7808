//! The folder in which a checkpoint grows, block by block, before it takes its name.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use massval_models::tensorfile::atomic_write;
use massval_models::weights::Weights;
use serde_json::Value;

use super::block::{LinearLog, Written};
use crate::{Error, Result};

const RUN: &str = "run.json";
const LAYERS: &str = "layers";
const FINAL: &str = "checkpoint";

/// What is there of an output that is not finished: `OUT.partial`, beside `OUT`.
#[derive(Debug)]
pub(super) struct Work {
    out: PathBuf,
    folder: PathBuf,
}

impl Work {
    /// Begins, or goes on with, the run that `identity` describes.
    ///
    /// # Errors
    /// [`Error::Input`] if `out` has something in it, or what is unfinished beside it is of another run, or the one
    /// thing was asked for and the other is there.
    pub(super) fn open(out: &Path, identity: &Value, resume: bool) -> Result<Self> {
        check_empty(out)?;
        let mut name = out.file_name().unwrap_or(out.as_os_str()).to_owned();
        name.push(".partial");
        let work = Self { out: out.to_owned(), folder: out.with_file_name(name) };
        let run = work.folder.join(RUN);
        let refuse = |what: &str| Err(Error::Input(format!("{}: {what}", work.folder.display())));
        match (run.exists(), resume) {
            (true, true) => {
                let text = fs::read_to_string(&run).map_err(|error| io(&run, error))?;
                if serde_json::from_str::<Value>(&text).ok().as_ref() != Some(identity) {
                    return refuse(
                        "holds an unfinished run with other settings, another model or another text; remove it to \
                         begin anew",
                    );
                }
            }
            (true, false) => {
                return refuse("holds an unfinished run: go on with --resume, or remove it");
            }
            (false, true) => return refuse("holds no unfinished run to go on with"),
            (false, false) => {
                check_empty(&work.folder)?;
                let layers = work.folder.join(LAYERS);
                fs::create_dir_all(&layers).map_err(|error| io(&layers, error))?;
                let text = serde_json::to_string_pretty(identity).unwrap_or_default();
                atomic_write(&run, |out| out.write_all(text.as_bytes()))?;
            }
        }
        Ok(work)
    }

    /// The tensors of a block that is done.
    pub(super) fn layer(&self, layer: usize) -> Result<Option<Weights>> {
        let path = self.layer_path(layer);
        if path.exists() { Ok(Some(Weights::open(&path)?)) } else { Ok(None) }
    }

    /// Keeps a block.
    pub(super) fn keep(&self, layer: usize, written: &Written) -> Result<()> {
        let path = self.layer_path(layer);
        let log = serde_json::to_string(&written.log).unwrap_or_default();
        let about = HashMap::from([("log".to_owned(), log)]);
        let tensors = written.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor));
        let bytes = safetensors::serialize(tensors, Some(about))
            .map_err(|error| Error::Input(format!("{}: {error}", path.display())))?;
        Ok(atomic_write(&path, |out| out.write_all(&bytes))?)
    }

    /// What was logged of a block that is done.
    pub(super) fn log(&self, layer: usize) -> Result<Vec<LinearLog>> {
        let path = self.layer_path(layer);
        let damaged = || Error::Input(format!("{}: damaged; remove it", path.display()));
        let file = fs::File::open(&path).map_err(|error| io(&path, error))?;
        let mut head = Vec::new();
        let mut length = [0; 8];
        let mut file = file.take(1 << 28);
        file.read_exact(&mut length).map_err(|error| io(&path, error))?;
        file.take(u64::from_le_bytes(length)).read_to_end(&mut head).map_err(|e| io(&path, e))?;
        let head: Value = serde_json::from_slice(&head).map_err(|_| damaged())?;
        let log = head.pointer("/__metadata__/log").and_then(Value::as_str);
        log.and_then(|log| serde_json::from_str(log).ok()).ok_or_else(damaged)
    }

    /// An empty folder for the finished checkpoint.
    pub(super) fn checkpoint(&self) -> Result<PathBuf> {
        let folder = self.folder.join(FINAL);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| io(&folder, error))?;
        }
        fs::create_dir_all(&folder).map_err(|error| io(&folder, error))?;
        Ok(folder)
    }

    /// Gives the finished checkpoint its name.
    pub(super) fn finish(self) -> Result<()> {
        let folder = self.folder.join(FINAL);
        if self.out.is_dir() {
            fs::remove_dir(&self.out).map_err(|error| io(&self.out, error))?;
        }
        fs::rename(&folder, &self.out).map_err(|error| io(&self.out, error))?;
        fs::remove_dir_all(&self.folder).map_err(|error| io(&self.folder, error))
    }

    fn layer_path(&self, layer: usize) -> PathBuf {
        self.folder.join(LAYERS).join(format!("{layer:05}.safetensors"))
    }
}

/// Refuses an output with something in it.
pub(super) fn check_empty(out: &Path) -> Result<()> {
    let refuse = |what: &str| Err(Error::Input(format!("{}: {what}", out.display())));
    match fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => refuse("is not empty; name a folder that is not there yet"),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => refuse("is no folder"),
        Err(error) => Err(io(out, error)),
    }
}

pub(super) fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io { path: path.to_owned(), source }
}
