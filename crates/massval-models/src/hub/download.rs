//! One file from the hub into the cache: resumed where it broke off, checked before it counts.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::cache::Cache;
use super::client::{Client, Remote, Trouble};
use super::error::HubError;

const BUFFER: usize = 1 << 18;

/// Brings a file into the cache and under its name in the commit's snapshot.
///
/// `told` hears how much of it is there.
///
/// # Errors
/// What broke; a part that arrived stays, to go on from.
pub(super) fn download(
    client: &Client<'_>,
    cache: &Cache,
    commit: &str,
    remote: &Remote,
    told: &mut dyn FnMut(u64),
) -> Result<(), HubError> {
    let blob = cache.blob(&remote.etag);
    let whole = || fs::metadata(&blob).is_ok_and(|m| m.is_file() && m.len() == remote.size);
    if !whole() {
        let _locked = cache.lock(&remote.etag)?;
        // Another process may have brought it while this one waited.
        if !whole() {
            let part = fetch(client, cache, commit, remote, told)?;
            fs::rename(&part, &blob).map_err(HubError::io(&blob))?;
        }
    }
    told(remote.size);
    cache.link(commit, &remote.name, &remote.etag)
}

/// The path of the complete, checked part.
fn fetch(
    client: &Client<'_>,
    cache: &Cache,
    commit: &str,
    remote: &Remote,
    told: &mut dyn FnMut(u64),
) -> Result<PathBuf, HubError> {
    let path = cache.part(&remote.etag);
    let mut part = Part::open(path, remote)?;
    // What an earlier run left may be damaged: then it is worth one fetch from the beginning.
    let mut resumed = part.length > 0;
    loop {
        let mut best = part.length;
        client.persist(|| {
            let result = part.grow(client, commit, remote, told);
            let further = part.length > best;
            best = best.max(part.length);
            (further, result)
        })?;
        match part.check(remote) {
            Ok(()) => return part.keep(),
            Err(_) if resumed => {
                part.restart()?;
                resumed = false;
            }
            Err(what) => {
                part.remove()?;
                let (model, file) = (client.name().to_string(), remote.name.clone());
                return Err(HubError::Damaged { model, file, what });
            }
        }
    }
}

/// A file that grows, and the hash of what it holds so far.
struct Part {
    path: PathBuf,
    file: File,
    length: u64,
    hash: Sha256,
}

impl Part {
    /// Opens what an earlier run left, or begins.
    fn open(path: PathBuf, remote: &Remote) -> Result<Self, HubError> {
        let io = HubError::io(&path);
        let open = || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)
        };
        let file = open().map_err(io)?;
        let mut part = Self { path, file, length: 0, hash: Sha256::new() };
        part.read_back()?;
        // Without a hash nobody could tell whether what an earlier run left is sound.
        if part.length > remote.size || remote.sha256().is_none() {
            part.restart()?;
        }
        Ok(part)
    }

    fn read_back(&mut self) -> Result<(), HubError> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = self.file.read(&mut buffer).map_err(HubError::io(&self.path))?;
            let Some(bytes @ [_, ..]) = buffer.get(..read) else { return Ok(()) };
            self.hash.update(bytes);
            self.length += read as u64;
        }
    }

    fn restart(&mut self) -> Result<(), HubError> {
        let (file, io) = (&mut self.file, HubError::io(&self.path));
        file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(io)?;
        (self.length, self.hash) = (0, Sha256::new());
        Ok(())
    }

    /// Fetches what is still missing.
    fn grow(
        &mut self,
        client: &Client<'_>,
        commit: &str,
        remote: &Remote,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), Trouble> {
        if self.length == remote.size {
            return Ok(());
        }
        let bytes = client.bytes(commit, remote, self.length)?;
        if bytes.start != self.length {
            self.restart()?;
        }
        let mut body = bytes.body.into_reader();
        let mut buffer = vec![0; BUFFER];
        loop {
            told(self.length);
            let read = body
                .read(&mut buffer)
                .map_err(|error| client.broken(&bytes.host, &ureq::Error::from(error)))?;
            let chunk = buffer.get(..read).unwrap_or_default();
            if self.length + chunk.len() as u64 > remote.size {
                self.restart()?;
                let what = format!(
                    "{} sends more of {} than its {} bytes",
                    bytes.host, remote.name, remote.size
                );
                return Err(HubError::reply(client.name(), what).into());
            }
            if chunk.is_empty() {
                break;
            }
            self.file.write_all(chunk).map_err(HubError::io(&self.path))?;
            self.hash.update(chunk);
            self.length += chunk.len() as u64;
        }
        if self.length == remote.size {
            return Ok(());
        }
        let what = format!(
            "{} sent {} of the {} bytes of {}; run again to go on",
            bytes.host, self.length, remote.size, remote.name
        );
        Err(Trouble::Passing(HubError::Connection { model: client.name().to_string(), what }))
    }

    /// Holds what arrived against what the hub announced.
    fn check(&self, remote: &Remote) -> Result<(), String> {
        let Some(expected) = remote.sha256() else { return Ok(()) };
        let digest = self.hash.clone().finalize();
        let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        match found == expected {
            true => Ok(()),
            false => Err(format!("its SHA-256 is {found}, the hub says {expected}")),
        }
    }

    fn keep(self) -> Result<PathBuf, HubError> {
        self.file.sync_all().map_err(HubError::io(&self.path))?;
        Ok(self.path)
    }

    fn remove(&self) -> Result<(), HubError> {
        fs::remove_file(&self.path).map_err(HubError::io(&self.path))
    }
}
