//! A pass key within plain sentences.

use serde::{Deserialize, Serialize};

use super::{Split, check_room, choice, item, none, refuse};
use crate::draw::{distinct, item_rng};
use crate::generate::Depths;
use crate::identity::Identity;
use crate::language::question::Question;
use crate::language::{Language, filler};
use crate::{Dataset, Gold, Item, Result, Role, Side};

const NAME: &str = "small_passkey";

/// The most wrong alternatives.
const WRONG: usize = 9;

/// What decides the items of [`SmallPasskey`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmallPasskeyOptions {
    /// The seed of all draws.
    pub seed: u64,
    /// Which keys are hidden.
    pub split: Split,
    /// The most tokens that a prompt has together with its answer, `<s>` included. Whole sentences fill
    /// it up as far as they fit.
    pub tokens: usize,
    /// How deep among the sentences the key stands.
    pub depths: Depths,
}

impl Default for SmallPasskeyOptions {
    /// Up to 64 tokens, any depth.
    fn default() -> Self {
        Self { seed: 0, split: Split::default(), tokens: 64, depths: Depths::Drawn }
    }
}

/// A pass key told among plain sentences of the small language, and asked for after them.
///
/// The alternatives are up to nine other keys of the same split.
#[derive(Debug, Clone)]
pub struct SmallPasskey {
    options: SmallPasskeyOptions,
    language: Language,
    identity: Identity,
}

impl SmallPasskey {
    /// The set that `options` describe.
    ///
    /// # Errors
    /// [`Error::Options`](crate::Error::Options) for tokens or depths out of range, and if no key is of
    /// the split.
    pub fn new(language: &Language, options: SmallPasskeyOptions) -> Result<Self> {
        options.depths.check(NAME)?;
        let Some(key) = language.keys.passkeys(options.split.held_out()).first() else {
            return none(NAME, "pass key");
        };
        let least = 1 + Question::passkey(key, &[], 0).words();
        if options.tokens < least {
            return refuse(NAME, format!("{} tokens; at least {least} are needed", options.tokens));
        }
        check_room(NAME, language, options.tokens - 1, "ask for fewer `tokens`")?;
        let identity = Identity::new(NAME, 1, &options, &language.config().fingerprint());
        Ok(Self { options, language: language.clone(), identity })
    }
}

impl Dataset for SmallPasskey {
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
        let keys = self.language.keys.passkeys(self.options.split.held_out());
        let mut drawn = distinct(&mut rng, 1 + WRONG, keys.len()).into_iter().map(|at| &keys[at]);
        let Some(key) = drawn.next() else { return none(NAME, "pass key") };
        let spare = self.options.tokens.saturating_sub(1 + Question::passkey(key, &[], 0).words());
        let noise = filler::sentences(&mut rng, spare);
        let question = Question::passkey(key, &noise, depth.place(noise.len()));

        let gold = Gold::Text { answers: vec![key.clone()] };
        let mut item = item(&self.identity, index, &question, gold);
        item.choices.push(choice(key, Role::Right));
        item.choices.extend(drawn.map(|key| choice(key, Role::Wrong)));
        Ok(item)
    }

    fn identity(&self) -> serde_json::Value {
        self.identity.value()
    }
}
