//! The cache on disk, shared with every other tool of the hub: files by their content's tag in
//! `blobs`, links to them under their names in `snapshots/COMMIT`, what a branch points to in
//! `refs`.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use hf_hub::{CacheRepo, Repo, RepoType};

use super::error::HubError;
use super::name::{HubName, is_commit};

/// One model's part of the cache, as one revision of it.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    model: PathBuf,
    locks: PathBuf,
    revision: String,
    layout: CacheRepo,
}

impl Cache {
    /// `revision` has been checked.
    pub(super) fn new(folder: &Path, name: &HubName, revision: &str) -> Self {
        let repo = Repo::with_revision(name.to_string(), RepoType::Model, revision.to_owned());
        let model = repo.folder_name();
        Self {
            folder: folder.to_owned(),
            locks: folder.join(".locks").join(&model),
            model: folder.join(model),
            revision: revision.to_owned(),
            layout: hf_hub::Cache::new(folder.to_owned()).repo(repo),
        }
    }

    /// The folder of all models.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder with a commit's files under their names.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.layout.pointer_path(commit)
    }

    /// Where the content of this tag belongs.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.model.join("blobs").join(etag)
    }

    /// Where it grows until it is whole.
    pub(super) fn part(&self, etag: &str) -> PathBuf {
        self.model.join("blobs").join(format!("{etag}.incomplete"))
    }

    /// The commit that the revision stood for when it was last fetched.
    pub(super) fn commit(&self) -> Option<String> {
        if is_commit(&self.revision) {
            return Some(self.revision.clone());
        }
        let text = fs::read_to_string(self.model.join("refs").join(&self.revision)).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Keeps what the revision stands for now.
    pub(super) fn set_commit(&self, commit: &str) -> Result<(), HubError> {
        if self.commit().as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.model.join("refs").join(&self.revision);
        self.layout.create_ref(commit).map_err(HubError::io(&path))
    }

    /// The names of a snapshot whose files are there.
    pub(super) fn names(&self, commit: &str) -> BTreeSet<String> {
        let Ok(entries) = self.snapshot(commit).read_dir() else { return BTreeSet::new() };
        // A link into nothing has no metadata.
        let there = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.is_file());
        entries
            .filter_map(Result::ok)
            .filter(|entry| there(&entry.path()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    /// Waits until no other process fetches the content of this tag.
    pub(super) fn lock(&self, etag: &str) -> Result<File, HubError> {
        let path = self.locks.join(format!("{etag}.lock"));
        let lock = || {
            fs::create_dir_all(&self.locks)?;
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            match file.lock() {
                // Some network file systems cannot. Two at once then write the same bytes twice.
                Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
                locked => locked.map(|()| file),
            }
        };
        lock().map_err(HubError::io(&path))
    }

    /// Makes a file of a snapshot out of the content of this tag.
    pub(super) fn link(&self, commit: &str, file: &str, etag: &str) -> Result<(), HubError> {
        let (folder, blob) = (self.snapshot(commit), self.blob(etag));
        let path = folder.join(file);
        let target = Path::new("../../blobs").join(etag);
        let made = |path: &Path| {
            // File systems and users without links get a second name, or a copy.
            symlink(&target, path)
                .or_else(|_| fs::hard_link(&blob, path))
                .or_else(|_| fs::copy(&blob, path).map(|_| ()))
        };
        let link = || {
            fs::create_dir_all(&folder)?;
            if fs::read_link(&path).is_ok_and(|found| found == target) {
                return Ok(());
            }
            // Under another name first: another process may be reading the file at this moment.
            let link = tempfile::Builder::new().prefix(".link").make_in(&folder, made)?;
            link.into_temp_path().persist(&path).map_err(|error| error.error)
        };
        link().map_err(HubError::io(&path))
    }
}

#[cfg(unix)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn cache(folder: &Path, revision: &str) -> Cache {
        Cache::new(folder, &"org/name".parse().unwrap(), revision)
    }

    #[test]
    fn a_revision_is_kept_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), "refs/pr/1");
        assert_eq!(cache.commit(), None);
        cache.set_commit(COMMIT).unwrap();
        assert_eq!(cache.commit().as_deref(), Some(COMMIT));
        let written = folder.path().join("models--org--name/refs/refs/pr/1");
        assert_eq!(fs::read_to_string(&written).unwrap(), COMMIT);
        fs::write(&written, "../../../etc").unwrap();
        assert_eq!(cache.commit(), None);
    }

    #[test]
    fn a_commit_stands_for_itself_and_gets_no_ref() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), COMMIT);
        cache.set_commit(COMMIT).unwrap();
        assert_eq!(cache.commit().as_deref(), Some(COMMIT));
        assert!(!folder.path().join("models--org--name").exists());
    }

    #[test]
    fn a_dangling_link_is_no_file_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), "main");
        fs::create_dir_all(cache.blob("x").parent().unwrap()).unwrap();
        fs::create_dir_all(cache.snapshot(COMMIT)).unwrap();
        symlink(Path::new("../../blobs/gone"), &cache.snapshot(COMMIT).join("a")).unwrap();
        assert!(cache.names(COMMIT).is_empty());
        fs::write(cache.blob("tag"), "content").unwrap();
        cache.link(COMMIT, "a", "tag").unwrap();
        cache.link(COMMIT, "a", "tag").unwrap();
        assert_eq!(fs::read_to_string(cache.snapshot(COMMIT).join("a")).unwrap(), "content");
        assert_eq!(cache.names(COMMIT), BTreeSet::from(["a".to_owned()]));
    }
}
