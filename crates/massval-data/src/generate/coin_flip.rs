//! A coin that some people flip and others do not.

use serde::{Deserialize, Serialize};

use super::text::enclose;
use super::words::{NAMES, draw_different};
use crate::draw::{below, item_rng};
use crate::identity::Identity;
use crate::{Choice, Dataset, Error, Gold, Item, Result, Role, Side};

const NAME: &str = "coin_flip";

/// The draws that order the answers of two neighbouring items.
const ORDER: &str = "coin_flip/order";

/// What decides the items of a [`CoinFlip`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoinFlipOptions {
    /// The seed of all draws.
    pub seed: u64,
    /// How many people there are.
    pub people: usize,
}

impl Default for CoinFlipOptions {
    /// 4 people, as in the reference's file.
    fn default() -> Self {
        Self { seed: 0, people: 4 }
    }
}

/// A coin that some people flip and others do not: is it still heads up?
///
/// Of items 0 and 1, 2 and 3, and so on, one is yes and the other no, in a drawn order; flips are
/// uniform among those that lead to the answer. The question's words are those of the coin flip
/// task of Wei et al. (2022).
///
/// ```
/// use massval_data::generate::{CoinFlip, CoinFlipOptions};
/// use massval_data::{Dataset, Gold};
///
/// let item = CoinFlip::new(CoinFlipOptions::default())?.item(0)?;
/// let flips = item.prompt.matches(" flips the coin.").count();
/// assert_eq!(item.gold, Gold::Truth { truth: flips % 2 == 0 });
/// # Ok::<(), massval_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct CoinFlip {
    options: CoinFlipOptions,
    identity: Identity,
}

impl CoinFlip {
    /// The set.
    ///
    /// # Errors
    /// [`Error::Options`] for a number of people out of range.
    pub fn new(options: CoinFlipOptions) -> Result<Self> {
        if options.people == 0 || options.people > NAMES.len() {
            let what = format!("{} people; there may be 1 to {}", options.people, NAMES.len());
            return Err(Error::Options { task: NAME.to_owned(), what });
        }
        let identity = Identity::generated(NAME, 1, &options, None);
        Ok(Self { options, identity })
    }

    /// Whether the answer to item `index` is yes.
    fn truth(&self, index: usize) -> bool {
        let first = below(&mut item_rng(ORDER, self.options.seed, index / 2), 2) == 1;
        first ^ (index % 2 == 1)
    }
}

impl Dataset for CoinFlip {
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
        let truth = self.truth(index);
        let mut rng = item_rng(NAME, self.options.seed, index);
        let names = draw_different(&mut rng, &NAMES, self.options.people);
        let mut heads = true;
        let mut story = "A coin is heads up.".to_owned();
        for (place, name) in names.iter().enumerate() {
            let last = place + 1 == names.len();
            let flips = if last { heads != truth } else { below(&mut rng, 2) == 1 };
            heads ^= flips;
            story = story + " " + name + if flips { " flips" } else { " does not flip" };
            story += " the coin.";
        }
        let question = " Is the coin still heads up? Note that \"flip\" here means \"reverse\". \
            Answer yes or no.\nAnswer:";
        let (prompt, evidence) = enclose("", &story, question);
        let (right, wrong) = if truth { (" yes", " no") } else { (" no", " yes") };
        let mut item =
            Item::new(index, self.identity.item_id(index), prompt, Gold::Truth { truth });
        item.evidence = Some(evidence);
        item.choices = vec![Choice::new(right, Role::Right), Choice::new(wrong, Role::Wrong)];
        Ok(item)
    }

    fn identity(&self) -> serde_json::Value {
        self.identity.value()
    }
}
