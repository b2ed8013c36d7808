//! Models by name: from `org/name` on a hub to a folder that loads like any other.
//!
//! [`fetch`] brings the files that a model needs (its config, its tokenizer, and its weights once)
//! into the cache that all tools of the hub share, and gives the [`Snapshot`] of one commit. A
//! download that broke off goes on where it stopped; sizes, and the SHA-256 of large files, are
//! checked before a file counts as there.
//!
//! ```no_run
//! use massval_models::hub::{self, HubOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = HubOptions::new("/home/me/.cache/huggingface/hub");
//! let name = "HuggingFaceTB/SmolLM2-135M".parse()?;
//! let snapshot = hub::fetch(&name, "main", &options, &mut |done, all| {
//!     println!("{done} of {all} bytes");
//! })?;
//! println!("{} is {}", snapshot.commit, snapshot.folder.display());
//! # Ok(()) }
//! ```
//!
//! Nothing here reads the environment: whoever wants `HF_HOME` or `HF_TOKEN` honoured reads them
//! into [`HubOptions`]. No error, `Debug` output or result shows a token.

mod address;
mod cache;
mod client;
mod download;
mod error;
mod name;
mod options;
mod plan;
mod refusal;
mod snapshot;

pub use error::HubError;
pub use name::HubName;
pub use options::{ENDPOINT, HubOptions, Proxy, Token};
pub use snapshot::{Snapshot, fetch};

/// Told while files arrive: how many bytes are there, of how many. The config, and an index of
/// shards, come before the rest, with a total of their own.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);
