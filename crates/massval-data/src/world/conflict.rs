//! A fact that the prompt overrides.

use serde::{Deserialize, Serialize};

use super::CapitalForm;
use super::capitals::check_wrong;
use super::table::{Atlas, CAPITALS};
use crate::draw::{below, item_rng};
use crate::identity::{Identity, sha256};
use crate::{Choice, Dataset, Error, Gold, Item, Result, Role, Side};

const NAME: &str = "conflict";

/// How the prompt overrides a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Override {
    /// "In this document the capital of France is Lima."
    Document,
    /// "Suppose that the capital of France is Lima."
    Supposition,
    /// "Last year Lima became the capital of France."
    News,
    /// "By law, Lima is the capital of France, and no other city is."
    Law,
}

impl Override {
    fn sentence(self, country: &str, capital: &str) -> String {
        match self {
            Self::Document => format!("In this document the capital of {country} is {capital}."),
            Self::Supposition => format!("Suppose that the capital of {country} is {capital}."),
            Self::News => format!("Last year {capital} became the capital of {country}."),
            Self::Law => {
                format!("By law, {capital} is the capital of {country}, and no other city is.")
            }
        }
    }
}

/// What decides the items of a [`Conflict`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConflictOptions {
    /// The seed of the order and of all draws.
    pub seed: u64,
    /// How the capital is asked for.
    pub form: CapitalForm,
    /// How the fact is overridden; one is drawn for every item.
    pub overrides: Vec<Override>,
    /// How many wrong alternatives stand beside the prompt's answer and the world's.
    pub wrong: usize,
}

impl Default for ConflictOptions {
    /// "In this document ...", to be completed, with eight wrong alternatives beside the two.
    fn default() -> Self {
        Self {
            seed: 0,
            form: CapitalForm::default(),
            overrides: vec![Override::Document],
            wrong: 8,
        }
    }
}

/// Capitals, after the prompt has named the capital of another country instead.
///
/// The evidence is the sentence that does so. Of the alternatives the first is the prompt's
/// ([`Role::Right`]), the second the world's ([`Role::Memory`]), and the others are wrong. With the
/// same seed, item *i* is about the same country as item *i* of [`Capitals`](super::Capitals), which
/// is the same question without the sentence.
#[derive(Debug, Clone)]
pub struct Conflict {
    options: ConflictOptions,
    atlas: Atlas,
    identity: Identity,
}

impl Conflict {
    /// The set that `options` describe.
    ///
    /// # Errors
    /// [`Error::Options`] without an override, or if more wrong alternatives are asked for than there
    /// are countries left.
    pub fn new(options: ConflictOptions) -> Result<Self> {
        if options.overrides.is_empty() {
            let what = "no override is given; name at least one, such as `document`".to_owned();
            return Err(Error::Options { task: NAME.to_owned(), what });
        }
        let atlas = Atlas::new(options.seed)?;
        check_wrong(NAME, options.wrong, atlas.len().saturating_sub(2))?;
        let identity = Identity::new(NAME, 1, &options, &sha256(CAPITALS));
        Ok(Self { options, atlas, identity })
    }
}

impl Dataset for Conflict {
    fn name(&self) -> &str {
        self.identity.name()
    }

    fn side(&self) -> Side {
        Side::Contextual
    }

    fn len(&self) -> Option<usize> {
        Some(self.atlas.len())
    }

    fn item(&self, index: usize) -> Result<Item> {
        let own = self.atlas.get(NAME, index)?;
        let mut rng = item_rng(NAME, self.options.seed, index);
        let others = self.atlas.others(&mut rng, index, 1 + self.options.wrong);
        let overrides = &self.options.overrides;
        let phrase = overrides.get(below(&mut rng, overrides.len()));
        // `new` has seen to it that there is both.
        let (Some((instead, wrong)), Some(phrase)) = (others.split_first(), phrase) else {
            let what = "there is nothing to override a fact with".to_owned();
            return Err(Error::Options { task: NAME.to_owned(), what });
        };

        let sentence = phrase.sentence(&own.country, &instead.capital);
        let prompt = format!("{sentence} {}", self.options.form.prompt(&own.country));
        let gold = Gold::Conflict { context: instead.spellings(), memory: own.spellings() };
        let mut item = Item::new(index, self.identity.item_id(index), prompt, gold);
        item.evidence = Some(0..sentence.len());
        let choice = |capital: &str, role| Choice::new(format!(" {capital}"), role);
        item.choices.push(choice(&instead.capital, Role::Right));
        item.choices.push(choice(&own.capital, Role::Memory));
        item.choices.extend(wrong.iter().map(|row| choice(&row.capital, Role::Wrong)));
        Ok(item)
    }

    fn identity(&self) -> serde_json::Value {
        self.identity.value()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::world::{Capitals, CapitalsOptions};

    const ALL: [Override; 4] =
        [Override::Document, Override::Supposition, Override::News, Override::Law];

    fn set(seed: u64, overrides: &[Override], wrong: usize) -> Conflict {
        let overrides = overrides.to_vec();
        Conflict::new(ConflictOptions { seed, overrides, wrong, ..Default::default() }).unwrap()
    }

    #[test]
    fn an_item_is_what_it_was() {
        assert_eq!(
            serde_json::to_value(set(0, &ALL[..1], 1).item(0).unwrap()).unwrap(),
            serde_json::json!({
                "index": 0,
                "id": "conflict/8814c3b9/0",
                "prompt": "In this document the capital of Japan is Bamako. The capital of Japan is",
                "evidence": { "start": 0, "end": 48 },
                "gold": { "kind": "conflict", "context": ["Bamako"], "memory": ["Tokyo"] },
                "choices": [
                    { "text": " Bamako", "role": "right" },
                    { "text": " Tokyo", "role": "memory" },
                    { "text": " Cairo", "role": "wrong" },
                ],
            })
        );
    }

    #[test]
    fn all_overrides_are_drawn() {
        let set = set(0, &ALL, 8);
        let starts: BTreeSet<String> = (0..set.len().unwrap())
            .map(|index| set.item(index).unwrap().prompt[..6].to_owned())
            .collect();
        assert_eq!(
            starts.into_iter().collect::<Vec<_>>(),
            ["By law", "In thi", "Last y", "Suppos"]
        );
    }

    #[test]
    fn the_question_is_that_of_the_capitals() {
        for form in [CapitalForm::Cloze, CapitalForm::Question] {
            let conflict =
                Conflict::new(ConflictOptions { seed: 4, form, ..Default::default() }).unwrap();
            let capitals =
                Capitals::new(CapitalsOptions { seed: 4, form, ..Default::default() }).unwrap();
            assert_eq!(conflict.len(), capitals.len());
            for index in 0..20 {
                let (with, without) =
                    (conflict.item(index).unwrap(), capitals.item(index).unwrap());
                assert_eq!(with.prompt[with.evidence.unwrap().end..].trim_start(), without.prompt);
                let (Gold::Conflict { memory, .. }, Gold::Text { answers }) =
                    (with.gold, without.gold)
                else {
                    panic!("golds of another kind");
                };
                assert_eq!(memory, answers);
            }
        }
    }

    #[test]
    fn what_cannot_be_had_is_an_error() {
        let error = |options| Conflict::new(options).unwrap_err().to_string();
        assert_eq!(
            error(ConflictOptions { overrides: Vec::new(), ..Default::default() }),
            "conflict: no override is given; name at least one, such as `document`"
        );
        assert_eq!(
            error(ConflictOptions { wrong: 135, ..Default::default() }),
            "conflict: 135 wrong alternatives are asked for, at most 134 can be had"
        );
        assert!(set(0, &ALL, 134).item(136).is_err());
    }

    proptest! {
        #[test]
        fn context_memory_and_the_wrong_ones_differ(seed: u64, index in 0_usize..136, wrong in 0_usize..134) {
            let item = set(seed, &ALL, wrong).item(index).unwrap();
            let Gold::Conflict { context, memory } = &item.gold else { panic!() };
            prop_assert!(context.iter().all(|spelling| !memory.contains(spelling)));
            let evidence = &item.prompt[item.evidence.clone().unwrap()];
            prop_assert!(evidence.contains(&context[0]) && evidence.ends_with('.'));
            prop_assert!(memory.iter().all(|spelling| !evidence.contains(spelling.as_str())));
            let texts: BTreeSet<_> = item.choices.iter().map(|choice| &choice.text).collect();
            prop_assert_eq!(texts.len(), wrong + 2);
            prop_assert_eq!(item.choices[0].text.trim_start(), &context[0]);
            prop_assert_eq!(item.choices[1].text.trim_start(), &memory[0]);
            let roles: Vec<_> = item.choices[..2].iter().map(|choice| choice.role).collect();
            prop_assert_eq!(roles, [Role::Right, Role::Memory]);
            prop_assert!(item.choices[2..].iter().all(|choice| choice.role == Role::Wrong));
        }
    }
}
