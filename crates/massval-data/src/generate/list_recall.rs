//! A list of words that is to be repeated.

use serde::{Deserialize, Serialize};

use super::text::enclose;
use super::words::{NOUNS, draw_different};
use crate::draw::item_rng;
use crate::identity::Identity;
use crate::{Dataset, Error, Gold, Item, Result, Side};

const NAME: &str = "list_recall";

/// What decides the items of a [`ListRecall`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListRecallOptions {
    /// The seed of all draws.
    pub seed: u64,
    /// How many words a list has; no word stands in it twice.
    pub words: usize,
}

impl Default for ListRecallOptions {
    /// 8 words.
    fn default() -> Self {
        Self { seed: 0, words: 8 }
    }
}

/// A list of words that is to be repeated.
///
/// ```
/// use massval_data::generate::{ListRecall, ListRecallOptions};
/// use massval_data::{Dataset, Gold};
///
/// let item = ListRecall::new(ListRecallOptions { seed: 1, words: 3 })?.item(0)?;
/// let Gold::List { items } = &item.gold else { unreachable!() };
/// assert_eq!(item.prompt[item.evidence.unwrap()], items.join(", "));
/// # Ok::<(), massval_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ListRecall {
    options: ListRecallOptions,
    identity: Identity,
}

impl ListRecall {
    /// The set.
    ///
    /// # Errors
    /// [`Error::Options`] for a number of words out of range.
    pub fn new(options: ListRecallOptions) -> Result<Self> {
        if options.words == 0 || options.words > NOUNS.len() {
            let what = format!("{} words; there may be 1 to {}", options.words, NOUNS.len());
            return Err(Error::Options { task: NAME.to_owned(), what });
        }
        let identity = Identity::generated(NAME, 1, &options, None);
        Ok(Self { options, identity })
    }
}

impl Dataset for ListRecall {
    fn name(&self) -> &str {
        self.identity.name()
    }

    fn side(&self) -> Side {
        Side::Contextual
    }

    fn len(&self) -> Option<usize> {
        None
    }

    fn item(&self, index: usize) -> Result<Item> {
        let mut rng = item_rng(NAME, self.options.seed, index);
        let words = draw_different(&mut rng, &NOUNS, self.options.words);
        let (prompt, evidence) = enclose(
            "Here is a list of words: ",
            &words.join(", "),
            ".\nThe same list once more, all words in the same order:",
        );
        let gold = Gold::List { items: words.into_iter().map(str::to_owned).collect() };
        let mut item = Item::new(index, self.identity.item_id(index), prompt, gold);
        item.evidence = Some(evidence);
        Ok(item)
    }

    fn identity(&self) -> serde_json::Value {
        self.identity.value()
    }
}
