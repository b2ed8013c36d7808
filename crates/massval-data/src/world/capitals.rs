//! The capitals of countries.

use serde::{Deserialize, Serialize};

use super::table::{Atlas, CAPITALS};
use crate::draw::item_rng;
use crate::identity::{Identity, sha256};
use crate::{Choice, Dataset, Error, Gold, Item, Result, Role, Side};

const NAME: &str = "capitals";

/// How a capital is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CapitalForm {
    /// "The capital of France is", to be completed. For models that were not taught to answer.
    #[default]
    Cloze,
    /// "Question: What is the capital of France?", a new line, "Answer:".
    Question,
}

impl CapitalForm {
    pub(super) fn prompt(self, country: &str) -> String {
        match self {
            Self::Cloze => format!("The capital of {country} is"),
            Self::Question => format!("Question: What is the capital of {country}?\nAnswer:"),
        }
    }
}

/// What decides the items of [`Capitals`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CapitalsOptions {
    /// The seed of the order and of the wrong alternatives.
    pub seed: u64,
    /// How a capital is asked for.
    pub form: CapitalForm,
    /// How many wrong alternatives stand beside the right one: capitals of other countries, drawn
    /// for every item. With 0 there are no alternatives at all.
    pub wrong: usize,
}

impl Default for CapitalsOptions {
    /// Completion, and nine wrong alternatives: a guess is right once in ten times.
    fn default() -> Self {
        Self { seed: 0, form: CapitalForm::default(), wrong: 9 }
    }
}

/// The capitals of 136 countries of a million people or more.
///
/// The gold has every accepted spelling; the first alternative is the usual one.
#[derive(Debug, Clone)]
pub struct Capitals {
    options: CapitalsOptions,
    atlas: Atlas,
    identity: Identity,
}

impl Capitals {
    /// The set that `options` describe.
    ///
    /// # Errors
    /// [`Error::Options`] if more wrong alternatives are asked for than there are other countries.
    pub fn new(options: CapitalsOptions) -> Result<Self> {
        let atlas = Atlas::new(options.seed)?;
        check_wrong(NAME, options.wrong, atlas.len().saturating_sub(1))?;
        let identity = Identity::new(NAME, 1, &options, &sha256(CAPITALS));
        Ok(Self { options, atlas, identity })
    }
}

/// Whether `wrong` alternatives can be had.
pub(super) fn check_wrong(task: &str, wrong: usize, most: usize) -> Result<()> {
    if wrong > most {
        let what = format!("{wrong} wrong alternatives are asked for, at most {most} can be had");
        return Err(Error::Options { task: task.to_owned(), what });
    }
    Ok(())
}

impl Dataset for Capitals {
    fn name(&self) -> &str {
        self.identity.name()
    }

    fn side(&self) -> Side {
        Side::Parametric
    }

    fn len(&self) -> Option<usize> {
        Some(self.atlas.len())
    }

    fn item(&self, index: usize) -> Result<Item> {
        let own = self.atlas.get(NAME, index)?;
        let prompt = self.options.form.prompt(&own.country);
        let gold = Gold::Text { answers: own.spellings() };
        let mut item = Item::new(index, self.identity.item_id(index), prompt, gold);
        if self.options.wrong > 0 {
            let mut rng = item_rng(NAME, self.options.seed, index);
            let others = self.atlas.others(&mut rng, index, self.options.wrong);
            item.choices.push(Choice::new(format!(" {}", own.capital), Role::Right));
            item.choices.extend(
                others.iter().map(|row| Choice::new(format!(" {}", row.capital), Role::Wrong)),
            );
        }
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

    fn set(seed: u64, form: CapitalForm, wrong: usize) -> Capitals {
        Capitals::new(CapitalsOptions { seed, form, wrong }).unwrap()
    }

    fn find(set: &Capitals, country: &str) -> Item {
        let items = (0..set.len().unwrap()).map(|index| set.item(index).unwrap());
        items.into_iter().find(|item| item.prompt.contains(country)).unwrap()
    }

    #[test]
    fn an_item_is_what_it_was() {
        let item = set(0, CapitalForm::Cloze, 3).item(0).unwrap();
        assert_eq!(
            serde_json::to_value(item).unwrap(),
            serde_json::json!({
                "index": 0,
                "id": "capitals/ec09e62d/0",
                "prompt": "The capital of Japan is",
                "gold": { "kind": "text", "answers": ["Tokyo"] },
                "choices": [
                    { "text": " Tokyo", "role": "right" },
                    { "text": " Rabat", "role": "wrong" },
                    { "text": " Belgrade", "role": "wrong" },
                    { "text": " Caracas", "role": "wrong" },
                ],
            })
        );
    }

    #[test]
    fn both_forms_ask_for_the_same() {
        let item = find(&set(1, CapitalForm::Cloze, 9), "the Netherlands");
        assert_eq!(item.prompt, "The capital of the Netherlands is");
        assert_eq!(item.gold, Gold::Text { answers: vec!["Amsterdam".to_owned()] });
        let item = find(&set(1, CapitalForm::Question, 9), "Poland");
        assert_eq!(item.prompt, "Question: What is the capital of Poland?\nAnswer:");
        assert_eq!(
            item.gold,
            Gold::Text { answers: vec!["Warsaw".to_owned(), "Warszawa".to_owned()] }
        );
    }

    #[test]
    fn a_seed_changes_the_order_and_loses_nobody() {
        let prompts = |seed| -> Vec<String> {
            let set = set(seed, CapitalForm::Cloze, 0);
            (0..set.len().unwrap()).map(|index| set.item(index).unwrap().prompt).collect()
        };
        let (a, b) = (prompts(0), prompts(1));
        assert_ne!(a, b);
        assert_eq!(a.iter().collect::<BTreeSet<_>>(), b.iter().collect::<BTreeSet<_>>());
        assert_eq!(a.iter().collect::<BTreeSet<_>>().len(), a.len());
    }

    #[test]
    fn without_wrong_alternatives_there_is_none() {
        assert!(set(0, CapitalForm::Cloze, 0).item(5).unwrap().choices.is_empty());
    }

    #[test]
    fn what_cannot_be_had_is_an_error() {
        let most = set(0, CapitalForm::Cloze, 135);
        assert_eq!(most.item(0).unwrap().choices.len(), 136);
        let options = CapitalsOptions { wrong: 136, ..CapitalsOptions::default() };
        let error = Capitals::new(options).unwrap_err().to_string();
        assert_eq!(error, "capitals: 136 wrong alternatives are asked for, at most 135 can be had");
        let error = most.item(136).unwrap_err().to_string();
        assert_eq!(error, "capitals: item 136 asked for, but there are 136");
        assert!(most.item(usize::MAX).is_err());
    }

    #[test]
    fn options_decide_the_identity() {
        let identity = |seed, form, wrong| set(seed, form, wrong).identity();
        let one = identity(0, CapitalForm::Cloze, 9);
        assert_eq!(one, identity(0, CapitalForm::Cloze, 9));
        assert_ne!(one, identity(1, CapitalForm::Cloze, 9));
        assert_ne!(one, identity(0, CapitalForm::Question, 9));
        assert_ne!(one, identity(0, CapitalForm::Cloze, 8));
    }

    proptest! {
        #[test]
        fn alternatives_differ_and_the_first_is_right(seed: u64, index in 0_usize..136, wrong in 1_usize..136) {
            let item = set(seed, CapitalForm::Cloze, wrong).item(index).unwrap();
            prop_assert_eq!(item.index, index);
            prop_assert_eq!(item.choices.len(), wrong + 1);
            let texts: BTreeSet<_> = item.choices.iter().map(|choice| &choice.text).collect();
            prop_assert_eq!(texts.len(), wrong + 1);
            let Gold::Text { answers } = &item.gold else { panic!() };
            prop_assert_eq!(item.choices[0].text.trim_start(), &answers[0]);
            prop_assert_eq!(item.choices[0].role, Role::Right);
            prop_assert!(item.choices[1..].iter().all(|choice| choice.role == Role::Wrong));
        }
    }
}
