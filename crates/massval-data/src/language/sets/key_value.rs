//! Keys with values.

use serde::{Deserialize, Serialize};

use super::{Split, check_room, choice, item, refuse};
use crate::draw::item_rng;
use crate::generate::Depths;
use crate::identity::Identity;
use crate::language::Language;
use crate::language::question::Question;
use crate::{Dataset, Gold, Item, Result, Role, Side};

const NAME: &str = "small_key_value";

/// What decides the items of [`SmallKeyValue`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmallKeyValueOptions {
    /// The seed of all draws.
    pub seed: u64,
    /// Which words are keys and values.
    pub split: Split,
    /// How many pairs a prompt has.
    pub pairs: usize,
    /// Which pair is asked for: how deep it stands.
    pub depths: Depths,
}

impl Default for SmallKeyValueOptions {
    /// Four pairs, any of them asked for.
    fn default() -> Self {
        Self { seed: 0, split: Split::default(), pairs: 4, depths: Depths::Drawn }
    }
}

/// A list of words with values in the small language, one of which is asked for.
///
/// The alternatives are the values of the prompt's other keys; there are none if it has one pair.
#[derive(Debug, Clone)]
pub struct SmallKeyValue {
    options: SmallKeyValueOptions,
    language: Language,
    identity: Identity,
}

impl SmallKeyValue {
    /// The set that `options` describe.
    ///
    /// # Errors
    /// [`Error::Options`](crate::Error::Options) for pairs or depths out of range.
    pub fn new(language: &Language, options: SmallKeyValueOptions) -> Result<Self> {
        options.depths.check(NAME)?;
        let most = language.keys.words(options.split.held_out()).len() / 2;
        if options.pairs == 0 || options.pairs > most {
            let what = format!(
                "{} pairs; the words of the split make 1 to {most}, the language's `held_out` decides",
                options.pairs
            );
            return refuse(NAME, what);
        }
        let question = vec![("", ""); options.pairs];
        let words = Question::key_value(&question, 0).map_or(0, |question| question.words());
        check_room(NAME, language, words, "ask for fewer `pairs`")?;
        let identity = Identity::new(NAME, 1, &options, &language.config().fingerprint());
        Ok(Self { options, language: language.clone(), identity })
    }
}

impl Dataset for SmallKeyValue {
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
        let depth = self.options.depths.of_item(index, &mut rng);
        let held_out = self.options.split.held_out();
        let words = self.language.keys.draw_words(&mut rng, held_out, 2 * self.options.pairs);
        let pairs: Vec<(&str, &str)> =
            words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let place = depth.place(pairs.len().saturating_sub(1));
        let Some(question) = Question::key_value(&pairs, place) else {
            return refuse(NAME, "there is no pair to ask for");
        };

        let gold = Gold::Text { answers: vec![question.answer.clone()] };
        let mut item = item(&self.identity, index, &question, gold);
        let others = pairs.iter().map(|(_, value)| *value).filter(|v| *v != question.answer);
        item.choices.extend(others.map(|value| choice(value, Role::Wrong)));
        if !item.choices.is_empty() {
            item.choices.insert(0, choice(&question.answer, Role::Right));
        }
        Ok(item)
    }

    fn identity(&self) -> serde_json::Value {
        self.identity.value()
    }
}
