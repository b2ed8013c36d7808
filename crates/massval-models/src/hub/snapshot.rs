//! From a name and a revision to a folder with the files of one commit.

use std::collections::BTreeSet;
use std::path::PathBuf;

use burn::tensor::{DType, Device};

use super::Progress;
use super::cache::Cache;
use super::client::{Client, Remote};
use super::download::download;
use super::error::HubError;
use super::name::{HubName, check_revision};
use super::options::HubOptions;
use super::plan::{CONFIG, check_shards, plan};
use crate::weights::ShardIndex;
use crate::{Checkpoint, HubOrigin, Model, Result, arch, tokenizer};

/// The files of one commit of a model, in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The model.
    pub name: HubName,
    /// The commit that the revision stood for.
    pub commit: String,
    /// The folder with its files.
    pub folder: PathBuf,
}

impl Snapshot {
    /// Loads the model, which remembers where it came from.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load(
        &self,
        device: &Device,
        dtype: DType,
        progress: crate::decoder::Progress<'_>,
    ) -> Result<Model> {
        Ok(self.signed(Model::load(&self.folder, device, dtype, progress)?))
    }

    /// A model that was loaded from [`folder`](Self::folder) in another way, so that it remembers where it came from.
    #[must_use]
    pub fn signed(&self, model: Model) -> Model {
        model.with_hub(self.origin())
    }

    /// Reads the checkpoint's headers.
    ///
    /// # Errors
    /// As [`Checkpoint::inspect`].
    pub fn inspect(&self) -> Result<Checkpoint> {
        let mut checkpoint = Checkpoint::inspect(&self.folder)?;
        checkpoint.hub = Some(self.origin());
        Ok(checkpoint)
    }

    fn origin(&self) -> HubOrigin {
        HubOrigin { name: self.name.to_string(), commit: self.commit.clone() }
    }
}

/// Fetches what a model needs and the cache does not have.
///
/// `revision` is a branch, a tag or a commit; the usual one is `main`. The hub is asked once what
/// the revision stands for, and only for the files of that commit which are not in the cache; the
/// config first, so that a model which cannot be read costs no weights.
///
/// # Errors
/// [`Error::Hub`](crate::Error::Hub) with what went wrong; what arrived until then is kept, and the
/// next call goes on from there. As [`arch::read_config`] for a config of a model that is not read.
/// [`Error::Format`](crate::Error::Format) for an index of shards that is none, or that names files
/// outside its folder.
pub fn fetch(
    name: &HubName,
    revision: &str,
    options: &HubOptions,
    progress: Progress<'_>,
) -> Result<Snapshot> {
    check_revision(revision)?;
    let cache = Cache::new(&options.cache, name, revision);
    let commit = match options.offline {
        true => cached(&cache, name, revision)?,
        false => fetched(&cache, &Client::new(name, options)?, revision, progress)?,
    };
    Ok(Snapshot { name: name.clone(), folder: cache.snapshot(&commit), commit })
}

/// The commit, if the cache has all of it that a model needs.
fn cached(cache: &Cache, name: &HubName, revision: &str) -> Result<String> {
    let offline = |lacking: String| {
        let cache = cache.folder().to_owned();
        HubError::Offline { model: name.at(revision), lacking, cache }
    };
    let commit = cache.commit().ok_or_else(|| offline("the model".to_owned()))?;
    let names = cache.names(&commit);
    if names.is_empty() {
        return Err(offline("the model".to_owned()).into());
    }
    let plan = plan(&names).map_err(|_| offline("its config.json, or its weights".to_owned()))?;
    if let Some(index) = plan.index {
        let shards = ShardIndex::open(&cache.snapshot(&commit).join(index))?;
        if let Some(lacking) = shards.shards.into_keys().find(|shard| !names.contains(shard)) {
            return Err(offline(format!("its file {lacking}")).into());
        }
    }
    Ok(commit)
}

/// The commit, after everything that a model needs of it is in the cache.
fn fetched(
    cache: &Cache,
    client: &Client<'_>,
    revision: &str,
    progress: Progress<'_>,
) -> Result<String> {
    let info = client.info(revision)?;
    let unusable = |what: String| HubError::Repository { model: client.name().at(revision), what };
    let plan = plan(&info.names).map_err(unusable)?;
    let mut fetch =
        Fetch { cache, client, commit: &info.commit, had: cache.names(&info.commit), progress };
    let folder = cache.snapshot(&info.commit);
    let first: Vec<_> = std::iter::once(CONFIG).chain(plan.index).map(str::to_owned).collect();
    fetch.files(&first)?;
    let config = folder.join(CONFIG);
    arch::read_config(&config, &tokenizer::read_text(&config)?)?;
    let mut files: Vec<_> = plan.files.into_iter().map(str::to_owned).collect();
    if let Some(index) = plan.index {
        // Its shards' names are checked there: no path leads out of the folder.
        let shards = ShardIndex::open(&folder.join(index))?.shards;
        check_shards(index, shards.keys().map(String::as_str), &info.names).map_err(unusable)?;
        files.extend(shards.into_keys());
    }
    fetch.files(&files)?;
    cache.set_commit(&info.commit)?;
    Ok(info.commit)
}

/// Brings files of one commit into the cache.
struct Fetch<'a> {
    cache: &'a Cache,
    client: &'a Client<'a>,
    commit: &'a str,
    /// What the snapshot had: a commit's files do not change.
    had: BTreeSet<String>,
    progress: Progress<'a>,
}

impl Fetch<'_> {
    fn files(&mut self, names: &[String]) -> Result<(), HubError> {
        let lacking = names.iter().filter(|name| !self.had.contains(*name));
        let remotes = lacking
            .map(|name| self.client.remote(self.commit, name))
            .collect::<Result<Vec<Remote>, _>>()?;
        let all = remotes.iter().fold(0_u64, |sum, remote| sum.saturating_add(remote.size));
        let mut before = 0_u64;
        for remote in &remotes {
            let mut told = |done: u64| (self.progress)(before.saturating_add(done), all);
            download(self.client, self.cache, self.commit, remote, &mut told)?;
            before = before.saturating_add(remote.size);
        }
        Ok(())
    }
}
