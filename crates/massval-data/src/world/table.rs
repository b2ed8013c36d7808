//! The frozen facts.

use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::draw::{distinct, item_rng, shuffle};
use crate::{Error, Result};

/// `capitals.csv`, as it is in the crate.
pub(super) const CAPITALS: &str = include_str!("../../data/capitals.csv");
/// `cities.csv`, as it is in the crate.
pub(super) const CITIES: &str = include_str!("../../data/cities.csv");

/// A country and its capital. (The files also have ISO 3166-1 codes, for the reader.)
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Capital {
    /// As it is called within a sentence: `the Netherlands`.
    pub(super) country: String,
    /// The usual spelling.
    pub(super) capital: String,
    /// Other spellings, with `|` between them.
    aliases: String,
}

impl Capital {
    /// All spellings of the capital, the usual one first.
    pub(super) fn spellings(&self) -> Vec<String> {
        let aliases = self.aliases.split('|').filter(|alias| !alias.is_empty());
        std::iter::once(self.capital.as_str()).chain(aliases).map(str::to_owned).collect()
    }
}

/// A city, the country it is in, and one it is not in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct City {
    /// The city.
    pub(super) city: String,
    /// Where it is.
    pub(super) country: String,
    /// Where it is not.
    pub(super) false_country: String,
}

/// The rows of one of the tables above.
pub(super) fn rows<T: DeserializeOwned>(name: &str, text: &str) -> Result<Vec<T>> {
    csv::Reader::from_reader(text.as_bytes())
        .deserialize()
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| Error::Format { path: name.into(), what: error.to_string() })
}

/// The capitals in the order of a seed. Sets with the same seed have the same order, so that item 7
/// of two of them is about the same country.
#[derive(Debug, Clone)]
pub(super) struct Atlas {
    rows: Vec<Capital>,
}

impl Atlas {
    /// All capitals.
    pub(super) fn new(seed: u64) -> Result<Self> {
        let rows = shuffled(rows("capitals.csv", CAPITALS)?, "capitals/order", seed);
        Ok(Self { rows })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Number `index`, of the set `task`.
    pub(super) fn get(&self, task: &str, index: usize) -> Result<&Capital> {
        let len = self.rows.len();
        self.rows.get(index).ok_or_else(|| Error::Index { task: task.to_owned(), index, len })
    }

    /// `count` others than number `index`, each once; all others if there are no more.
    pub(super) fn others(&self, rng: &mut ChaCha8Rng, index: usize, count: usize) -> Vec<&Capital> {
        distinct(rng, count, self.rows.len().saturating_sub(1))
            .into_iter()
            .filter_map(|other| self.rows.get(if other < index { other } else { other + 1 }))
            .collect()
    }
}

/// `rows` in the order of a seed.
pub(super) fn shuffled<T>(mut rows: Vec<T>, set: &str, seed: u64) -> Vec<T> {
    shuffle(&mut item_rng(set, seed, 0), &mut rows);
    rows
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn capitals() -> Vec<Capital> {
        rows("capitals.csv", CAPITALS).unwrap()
    }

    fn cities() -> Vec<City> {
        rows("cities.csv", CITIES).unwrap()
    }

    #[test]
    fn no_spelling_is_of_two_capitals() {
        let capitals = capitals();
        assert_eq!(capitals.len(), 136);
        let spellings: Vec<String> = capitals.iter().flat_map(Capital::spellings).collect();
        assert_eq!(spellings.iter().collect::<BTreeSet<_>>().len(), spellings.len());
        let countries: BTreeSet<_> = capitals.iter().map(|row| &row.country).collect();
        assert_eq!(countries.len(), capitals.len());
    }

    #[test]
    fn contested_capitals_are_left_out_and_renamed_ones_have_their_names() {
        let capitals = capitals();
        let find = |country: &str| capitals.iter().find(|row| row.country == country);
        for country in ["Bolivia", "South Africa", "Israel", "Sri Lanka", "Ivory Coast", "Georgia"]
        {
            assert_eq!(find(country), None);
        }
        assert_eq!(find("Ukraine").unwrap().spellings(), ["Kyiv", "Kiev"]);
        assert_eq!(find("Kazakhstan").unwrap().spellings(), ["Astana", "Nur-Sultan"]);
        assert_eq!(find("France").unwrap().spellings(), ["Paris"]);
    }

    #[test]
    fn no_name_gives_its_country_away() {
        let capitals = capitals().into_iter().map(|row| (row.capital, row.country));
        let cities = cities().into_iter().map(|row| (row.city, row.country));
        for (place, country) in capitals.chain(cities) {
            let (a, b) = (place.to_lowercase(), country.to_lowercase());
            assert!(!a.contains(&b) && !b.contains(&a), "{place}, {country}");
        }
    }

    #[test]
    fn every_city_is_there_once_and_no_country_has_more_than_eight() {
        let cities = cities();
        assert_eq!(cities.len(), 358);
        let names: BTreeSet<_> = cities.iter().map(|row| row.city.to_lowercase()).collect();
        assert_eq!(names.len(), cities.len());
        let mut count = BTreeMap::<_, usize>::new();
        for row in &cities {
            *count.entry(&row.country).or_default() += 1;
        }
        assert!(count.values().all(|&n| n <= 8), "{count:?}");
        assert!(count.len() > 80);
    }

    #[test]
    fn shared_names_are_left_out() {
        // Each is a city of two countries with more than 15,000 people.
        for name in ["Hyderabad", "Barcelona", "Birmingham", "San José", "Tripoli", "Valencia"] {
            assert!(cities().iter().all(|row| row.city != name), "{name}");
        }
    }

    #[test]
    fn a_false_country_is_another_one_and_no_neighbour() {
        for row in cities() {
            assert_ne!(row.country, row.false_country, "{}", row.city);
            let pair = [row.country.as_str(), row.false_country.as_str()];
            for neighbours in [["France", "Germany"], ["India", "Pakistan"], ["China", "Russia"]] {
                assert!(!neighbours.iter().all(|name| pair.contains(name)), "{}", row.city);
            }
        }
    }

    #[test]
    fn others_are_all_the_others() {
        let atlas = Atlas::new(0).unwrap();
        let mut rng = item_rng("test", 0, 0);
        for index in [0, 1, 77, atlas.len() - 1] {
            let own = atlas.get("test", index).unwrap();
            let others = atlas.others(&mut rng, index, usize::MAX);
            assert_eq!(others.len(), atlas.len() - 1);
            assert!(others.iter().all(|row| row.country != own.country));
            let names: BTreeSet<_> = others.iter().map(|row| &row.country).collect();
            assert_eq!(names.len(), others.len());
        }
    }

    #[test]
    fn a_broken_table_is_named() {
        let error = rows::<City>("cities.csv", "city,country\na,b\n").unwrap_err().to_string();
        assert!(error.starts_with("cities.csv: "), "{error}");
        assert!(error.contains("missing field `false_country`"), "{error}");
    }
}
