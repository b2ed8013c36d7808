//! Whether a city is in a country.

use serde::{Deserialize, Serialize};

use super::table::{CITIES, City, rows, shuffled};
use crate::identity::{Identity, sha256};
use crate::{Choice, Dataset, Error, Gold, Item, Result, Role, Side};

const NAME: &str = "cities";

/// How a city is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CityForm {
    /// "Is the city of Lyon in France?", as P1 asks (`run_datasets.py`): " Yes" or " No".
    #[default]
    Question,
    /// "The city of Lyon is in France.", a new line, "True or false? Answer:": " True" or " False".
    Statement,
}

impl CityForm {
    fn prompt(self, city: &str, country: &str) -> String {
        match self {
            Self::Question => format!("Is the city of {city} in {country}?"),
            Self::Statement => {
                format!("The city of {city} is in {country}.\nTrue or false? Answer:")
            }
        }
    }

    fn words(self) -> [&'static str; 2] {
        match self {
            Self::Question => [" Yes", " No"],
            Self::Statement => [" True", " False"],
        }
    }
}

/// What decides the items of [`Cities`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CitiesOptions {
    /// The seed of the order.
    pub seed: u64,
    /// How a city is asked about.
    pub form: CityForm,
}

/// 358 cities of half a million people or more, each asked about twice: with the country it is in,
/// then with one it is not in. The two items are neighbours and a pair.
///
/// Every country stands as often in a true item as in a false one, so that who looks at the country
/// alone, or at the city alone, gets exactly half of the set right. A false country is no neighbour
/// of the true one, and has no place of the city's name. No country has more than eight cities (in
/// P1's `cities.csv`, a quarter of all items is about China).
#[derive(Debug, Clone)]
pub struct Cities {
    form: CityForm,
    rows: Vec<City>,
    identity: Identity,
}

impl Cities {
    /// The set that `options` describe.
    ///
    /// # Errors
    /// None that options cause; the frozen facts are read as any file is.
    pub fn new(options: CitiesOptions) -> Result<Self> {
        let rows = shuffled(rows("cities.csv", CITIES)?, "cities/order", options.seed);
        let identity = Identity::new(NAME, 1, &options, &sha256(CITIES));
        Ok(Self { form: options.form, rows, identity })
    }
}

impl Dataset for Cities {
    fn name(&self) -> &str {
        self.identity.name()
    }

    fn side(&self) -> Side {
        Side::Parametric
    }

    fn len(&self) -> Option<usize> {
        Some(2 * self.rows.len())
    }

    fn item(&self, index: usize) -> Result<Item> {
        let (pair, truth) = (index / 2, index.is_multiple_of(2));
        let row = self.rows.get(pair).ok_or_else(|| Error::Index {
            task: NAME.to_owned(),
            index,
            len: 2 * self.rows.len(),
        })?;
        let country = if truth { &row.country } else { &row.false_country };
        let prompt = self.form.prompt(&row.city, country);
        let id = self.identity.item_id(index);
        let mut item = Item::new(index, id, prompt, Gold::Truth { truth });
        let [yes, no] = self.form.words();
        let (right, wrong) = if truth { (yes, no) } else { (no, yes) };
        item.choices = vec![Choice::new(right, Role::Right), Choice::new(wrong, Role::Wrong)];
        item.pair = Some(pair);
        Ok(item)
    }

    fn identity(&self) -> serde_json::Value {
        self.identity.value()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn items(seed: u64, form: CityForm) -> Vec<Item> {
        let set = Cities::new(CitiesOptions { seed, form }).unwrap();
        (0..set.len().unwrap()).map(|index| set.item(index).unwrap()).collect()
    }

    fn truth(item: &Item) -> bool {
        matches!(item.gold, Gold::Truth { truth: true })
    }

    #[test]
    fn items_are_what_they_were() {
        let items = items(0, CityForm::Question);
        assert_eq!(
            serde_json::to_value(&items[..2]).unwrap(),
            serde_json::json!([
                {
                    "index": 0,
                    "id": "cities/c6bdaa28/0",
                    "prompt": "Is the city of Port Said in Egypt?",
                    "gold": { "kind": "truth", "truth": true },
                    "choices": [
                        { "text": " Yes", "role": "right" },
                        { "text": " No", "role": "wrong" },
                    ],
                    "pair": 0,
                },
                {
                    "index": 1,
                    "id": "cities/c6bdaa28/1",
                    "prompt": "Is the city of Port Said in the Democratic Republic of the Congo?",
                    "gold": { "kind": "truth", "truth": false },
                    "choices": [
                        { "text": " No", "role": "right" },
                        { "text": " Yes", "role": "wrong" },
                    ],
                    "pair": 0,
                },
            ])
        );
    }

    #[test]
    fn a_statement_is_judged_true_or_false() {
        let items = items(0, CityForm::Statement);
        assert_eq!(items[0].prompt, "The city of Port Said is in Egypt.\nTrue or false? Answer:");
        let texts: Vec<_> = items[0].choices.iter().map(|choice| choice.text.as_str()).collect();
        assert_eq!(texts, [" True", " False"]);
        let texts: Vec<_> = items[1].choices.iter().map(|choice| choice.text.as_str()).collect();
        assert_eq!(texts, [" False", " True"]);
    }

    /// The best that can be had from one part of the questions alone, fitted on the set itself.
    fn best_guess<'a>(items: &'a [Item], part: impl Fn(&'a str) -> &'a str) -> usize {
        let mut count = BTreeMap::<&str, [usize; 2]>::new();
        for item in items {
            count.entry(part(&item.prompt)).or_default()[usize::from(truth(item))] += 1;
        }
        count.values().map(|[no, yes]| *no.max(yes)).sum()
    }

    #[test]
    fn a_guess_from_the_country_or_from_the_city_is_right_half_of_the_time() {
        let items = items(3, CityForm::Question);
        assert_eq!(
            best_guess(&items, |prompt| prompt.rsplit_once(" in ").unwrap().1),
            items.len() / 2
        );
        assert_eq!(
            best_guess(&items, |prompt| prompt.rsplit_once(" in ").unwrap().0),
            items.len() / 2
        );
        // The guesser is no fool: with both parts it knows everything.
        assert_eq!(best_guess(&items, |prompt| prompt), items.len());
    }

    #[test]
    fn a_pair_is_a_true_item_and_its_false_neighbour() {
        for pair in items(5, CityForm::Question).chunks(2) {
            assert_eq!(pair[0].pair, pair[1].pair);
            assert!(truth(&pair[0]) && !truth(&pair[1]));
            let city = |item: &Item| item.prompt.rsplit_once(" in ").unwrap().0.to_owned();
            assert_eq!(city(&pair[0]), city(&pair[1]));
        }
    }

    #[test]
    fn a_seed_changes_the_order_and_loses_nothing() {
        let prompts = |seed| -> Vec<String> {
            items(seed, CityForm::Question).into_iter().map(|item| item.prompt).collect()
        };
        let (mut a, mut b) = (prompts(0), prompts(1));
        assert_ne!(a, b);
        a.sort();
        b.sort();
        assert_eq!(a, b);
    }

    #[test]
    fn past_the_end_is_an_error() {
        let set = Cities::new(CitiesOptions::default()).unwrap();
        let error = set.item(716).unwrap_err().to_string();
        assert_eq!(error, "cities: item 716 asked for, but there are 716");
    }
}
