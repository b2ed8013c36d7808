//! A capital that the prompt overrides.

use serde::{Deserialize, Serialize};

use super::{Split, check_room, check_wrong, choice, item, none, refuse};
use crate::draw::{distinct, item_rng};
use crate::generate::Depths;
use crate::identity::Identity;
use crate::language::Language;
use crate::{Dataset, Gold, Item, Result, Role, Side};

const NAME: &str = "small_conflict";

/// What decides the items of [`SmallConflict`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmallConflictOptions {
    /// The seed of all draws.
    pub seed: u64,
    /// Whether training overrides the countries' capitals, too.
    pub split: Split,
    /// The most tokens that a prompt has together with its answer, `<s>` included. Whole sentences fill
    /// it up as far as they fit, one in four of them a fact about other places.
    pub tokens: usize,
    /// How deep among the sentences the fact is overridden.
    pub depths: Depths,
    /// How many wrong alternatives stand beside the prompt's answer and the world's.
    pub wrong: usize,
}

impl Default for SmallConflictOptions {
    /// Up to 48 tokens, any depth, eight wrong alternatives beside the two.
    fn default() -> Self {
        Self { seed: 0, split: Split::default(), tokens: 48, depths: Depths::Drawn, wrong: 8 }
    }
}

/// The capital of a country of the small language, after the prompt has put another city in its place.
///
/// Of the alternatives the first is the prompt's ([`Role::Right`]), the second the world's
/// ([`Role::Memory`]), and the others are wrong. The question has a form that training shows the fact
/// in, so that the weights can know it.
#[derive(Debug, Clone)]
pub struct SmallConflict {
    options: SmallConflictOptions,
    language: Language,
    identity: Identity,
}

impl SmallConflict {
    /// The set that `options` describe.
    ///
    /// # Errors
    /// [`Error::Options`](crate::Error::Options) for tokens, depths or alternatives out of range, and if
    /// no country is of the split.
    pub fn new(language: &Language, options: SmallConflictOptions) -> Result<Self> {
        options.depths.check(NAME)?;
        check_wrong(NAME, options.wrong, language.config().cities - 2)?;
        if language.facts.capitals(options.split.held_out()).is_empty() {
            return none(NAME, "country");
        }
        if options.tokens < LEAST {
            return refuse(NAME, format!("{} tokens; at least {LEAST} are needed", options.tokens));
        }
        check_room(NAME, language, options.tokens - 1, "ask for fewer `tokens`")?;
        let identity = Identity::new(NAME, 1, &options, &language.config().fingerprint());
        Ok(Self { options, language: language.clone(), identity })
    }
}

/// `<s>`, the longest form of a capital twice, with two answers and full stops, and `today`.
const LEAST: usize = 1 + 2 * (6 + 2) + 1;

impl Dataset for SmallConflict {
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
        let Some(drawn) = self.language.draw_conflict(&mut rng, self.options.split.held_out())
        else {
            return none(NAME, "country");
        };
        let spare = self.options.tokens.saturating_sub(1 + drawn.question(&[], 0).words());
        let noise = self.language.noise(&mut rng, spare, &drawn.names());
        let question = drawn.question(&noise, depth.place(noise.len()));

        let (context, memory) = (drawn.instead, drawn.fact.object.as_str());
        let gold =
            Gold::Conflict { context: vec![context.to_owned()], memory: vec![memory.to_owned()] };
        let mut item = item(&self.identity, index, &question, gold);
        item.choices.extend([choice(context, Role::Right), choice(memory, Role::Memory)]);
        let cities = self.language.facts.cities().iter().map(String::as_str);
        let others: Vec<&str> = cities.filter(|city| *city != context && *city != memory).collect();
        let wrong = distinct(&mut rng, self.options.wrong, others.len());
        item.choices.extend(wrong.into_iter().map(|place| choice(others[place], Role::Wrong)));
        Ok(item)
    }

    fn identity(&self) -> serde_json::Value {
        self.identity.value()
    }
}
