//! Facts of the invented world.

use serde::{Deserialize, Serialize};

use super::{check_wrong, choice, refuse};
use crate::draw::{distinct, item_rng, shuffle};
use crate::identity::Identity;
use crate::language::facts::{FORMS, Fact, Told};
use crate::language::{Language, Relation};
use crate::{Dataset, Error, Gold, Item, Result, Role, Side};

const NAME: &str = "small_facts";

/// Which facts are asked for, in which forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactSplit {
    /// Facts in forms that training shows them in.
    #[default]
    Shown,
    /// Facts in the one form that it does not show them in.
    HiddenForm,
    /// Facts that it shows in no form. Nobody can know them: it is a control.
    Unseen,
}

/// What decides the items of [`SmallFacts`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmallFactsOptions {
    /// The seed of the order and of the wrong alternatives.
    pub seed: u64,
    /// Which facts are asked for, in which forms.
    pub split: FactSplit,
    /// Facts of this kind alone; of all kinds if absent.
    pub relation: Option<Relation>,
    /// How many wrong alternatives stand beside the right one; 0 for no alternatives at all.
    pub wrong: usize,
}

impl Default for SmallFactsOptions {
    /// What training shows, with nine wrong alternatives: a guess is right once in ten times.
    fn default() -> Self {
        Self { seed: 0, split: FactSplit::default(), relation: None, wrong: 9 }
    }
}

/// Facts of the small language's world, to be completed: `the capital of arvonia is`.
///
/// The alternatives are what other facts of the same kind have in its place, so another country's
/// capital for a capital. An item for every fact and form of the split.
#[derive(Debug, Clone)]
pub struct SmallFacts {
    options: SmallFactsOptions,
    language: Language,
    /// Facts and forms, in the order of the items.
    asked: Vec<(usize, usize)>,
    identity: Identity,
}

impl SmallFacts {
    /// The set that `options` describe.
    ///
    /// # Errors
    /// [`Error::Options`] if the language has no such fact, or if more wrong alternatives are asked for
    /// than there are.
    pub fn new(language: &Language, options: SmallFactsOptions) -> Result<Self> {
        let wanted = |fact: &Fact, form: usize| match options.split {
            FactSplit::Shown => fact.shown(form),
            FactSplit::HiddenForm => fact.told == Told::NotIn(form),
            FactSplit::Unseen => fact.told == Told::Never,
        };
        let mut asked = Vec::new();
        for (place, fact) in language.facts.all().iter().enumerate() {
            if options.relation.is_none_or(|relation| relation == fact.relation) {
                let forms = (0..FORMS).filter(|&form| wanted(fact, form));
                asked.extend(forms.map(|form| (place, form)));
            }
        }
        if asked.is_empty() {
            let what = "the language has no such facts; its `hidden_forms` and `unseen_facts` \
                        decide, and only cities' countries are unseen";
            return refuse(NAME, what);
        }
        check_wrong(NAME, options.wrong, language.config().countries - 1)?;
        shuffle(&mut item_rng("small_facts/order", options.seed, 0), &mut asked);
        let identity = Identity::new(NAME, 1, &options, &language.config().fingerprint());
        Ok(Self { options, language: language.clone(), asked, identity })
    }
}

impl Dataset for SmallFacts {
    fn name(&self) -> &str {
        self.identity.name()
    }

    fn side(&self) -> Side {
        Side::Parametric
    }

    fn len(&self) -> Option<usize> {
        Some(self.asked.len())
    }

    fn item(&self, index: usize) -> Result<Item> {
        let asked = self.asked.get(index);
        let fact =
            asked.and_then(|(place, form)| Some((self.language.facts.all().get(*place)?, form)));
        let Some((fact, form)) = fact else {
            return Err(Error::Index { task: NAME.to_owned(), index, len: self.asked.len() });
        };
        let gold = Gold::Text { answers: vec![fact.object.clone()] };
        let mut item = Item::new(index, self.identity.item_id(index), fact.prompt(*form), gold);
        if self.options.wrong > 0 {
            let others = self.language.facts.objects(fact.relation);
            let others: Vec<&str> =
                others.into_iter().filter(|name| *name != fact.object).collect();
            let mut rng = item_rng(NAME, self.options.seed, index);
            item.choices.push(choice(&fact.object, Role::Right));
            let drawn = distinct(&mut rng, self.options.wrong, others.len());
            item.choices.extend(drawn.into_iter().map(|place| choice(others[place], Role::Wrong)));
        }
        Ok(item)
    }

    fn identity(&self) -> serde_json::Value {
        self.identity.value()
    }
}
