//! What can go wrong between a name and a folder, each with what to do about it.
//!
//! No text in here ever holds a token, a proxy's password or a signed address.

use std::path::{Path, PathBuf};

use super::name::HubName;

/// Why a model could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// A name that no model can have.
    #[error("`{name}` is no name of a model on a hub: {what}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A revision that no branch, tag or commit can be called.
    #[error("`{revision}` is no name of a branch, tag or commit: {what}")]
    Revision {
        /// The revision.
        revision: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An option that cannot be used. Its value may be a secret and is not repeated.
    #[error("{option}: {what}")]
    Option {
        /// `endpoint`, `token`, `proxy`.
        option: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The cache could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Fetching is switched off, and the cache does not have it all.
    #[error(
        "{model}: {lacking} is not in the cache {}, and nothing is fetched offline; \
         run once without HF_HUB_OFFLINE",
        cache.display()
    )]
    Offline {
        /// The model and its revision.
        model: String,
        /// What the cache lacks.
        lacking: String,
        /// The cache's folder.
        cache: PathBuf,
    },
    /// The hub does not let this user read the model.
    #[error("{model}: {what}")]
    Denied {
        /// The model.
        model: String,
        /// What is missing: a token, a right, the licence's acceptance.
        what: String,
    },
    /// The hub has no such model, revision or file.
    #[error("{model}: {what}")]
    NotFound {
        /// The model, with its revision where that is what is missing.
        model: String,
        /// What is missing, and what to do.
        what: String,
    },
    /// The repository is there, but is no checkpoint that could be loaded.
    #[error("{model}: {what}")]
    Repository {
        /// The model and its commit.
        model: String,
        /// What it lacks.
        what: String,
    },
    /// No connection, or one that broke or stalled more often than it was tried again.
    #[error("{model}: {what}")]
    Connection {
        /// The model.
        model: String,
        /// Which host, and what happened.
        what: String,
    },
    /// The server answered with something that a hub does not say.
    #[error("{model}: {what}")]
    Reply {
        /// The model.
        model: String,
        /// What it said.
        what: String,
    },
    /// A file arrived whole, but is not the file that the hub announced.
    #[error("{model}: {file}: {what}; it was thrown away, run again to fetch it anew")]
    Damaged {
        /// The model.
        model: String,
        /// The file.
        file: String,
        /// What differs.
        what: String,
    },
}

impl HubError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }

    pub(super) fn reply(model: &HubName, what: impl Into<String>) -> Self {
        Self::Reply { model: model.to_string(), what: what.into() }
    }
}
