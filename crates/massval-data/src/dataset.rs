//! A set of items, by index.

use serde::{Deserialize, Serialize};

use crate::{Item, Result};

/// Where the knowledge that an answer needs is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// In the prompt.
    Contextual,
    /// In the weights.
    Parametric,
}

/// A set of items.
///
/// [`Dataset::item`] is a function of the index alone: it does not matter which items were asked
/// for before, or how many there will be.
pub trait Dataset: Sync {
    /// What results and tables call the set: `passkey`.
    fn name(&self) -> &str;

    /// Where the knowledge is.
    fn side(&self) -> Side;

    /// How many items there are; `None` if it generates as many as one likes.
    fn len(&self) -> Option<usize>;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Item `index`, from 0.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) past the end; what making or reading an item may meet.
    fn item(&self, index: usize) -> Result<Item>;

    /// Everything that decides the items (options, seed, file hash), for the results: two sets with
    /// the same value have the same items.
    fn identity(&self) -> serde_json::Value;
}
