//! The facts of the invented world, and in which forms training shows them.

use rand_chacha::rand_core::RngCore;
use serde::{Deserialize, Serialize};

use super::LanguageConfig;
use super::config::share;
use super::names::{cities, countries, currencies};
use crate::draw::{below, distinct, item_rng, shuffle};

/// What a fact says of its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Of a country, its capital.
    Capital,
    /// Of a city, the country it lies in.
    Country,
    /// Of a country, its currency.
    Currency,
}

/// How many forms a fact can be told in.
pub(super) const FORMS: usize = 3;

impl Relation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Capital, Self::Country, Self::Currency];

    /// The forms, up to the object, with `{}` for the subject. The object always comes last, so that a
    /// fact is asked for from the same side in each.
    pub(super) const fn forms(self) -> [&'static str; FORMS] {
        match self {
            Self::Capital => {
                ["the capital of {} is", "{} is ruled from", "the king of {} lives in"]
            }
            Self::Country => ["{} lies in", "{} is a city of", "the flag over {} is that of"],
            Self::Currency => {
                ["the currency of {} is", "the people of {} pay with", "the money in {} is called"]
            }
        }
    }
}

/// Where training tells a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// In all forms.
    Always,
    /// In all forms but this one.
    NotIn(usize),
    /// In none.
    Never,
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) relation: Relation,
    pub(super) subject: String,
    pub(super) object: String,
    pub(super) told: Told,
}

impl Fact {
    fn new(relation: Relation, subject: &str, object: &str) -> Self {
        let (subject, object) = (subject.to_owned(), object.to_owned());
        Self { relation, subject, object, told: Told::Always }
    }

    /// What the object completes.
    pub(super) fn prompt(&self, form: usize) -> String {
        let forms = self.relation.forms();
        forms.get(form).unwrap_or(&forms[0]).replace("{}", &self.subject)
    }

    /// Whether training shows it in this form.
    pub(super) fn shown(&self, form: usize) -> bool {
        match self.told {
            Told::Always => true,
            Told::NotIn(hidden) => form != hidden,
            Told::Never => false,
        }
    }

    /// One of the forms that training shows it in.
    pub(super) fn draw_form(&self, rng: &mut impl RngCore) -> usize {
        match self.told {
            Told::NotIn(hidden) => (hidden + 1 + below(rng, FORMS - 1)) % FORMS,
            Told::Always | Told::Never => below(rng, FORMS),
        }
    }

    /// Whether it is about one of `names`.
    pub(super) fn mentions(&self, names: &[&str]) -> bool {
        names.iter().any(|&name| name == self.subject || name == self.object)
    }
}

/// The facts of a world.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// Capitals and currencies in the order of the countries, countries in the order of the cities.
    all: Vec<Fact>,
    cities: Vec<String>,
    /// Places in `all` of capitals that training overrides.
    overridden: Vec<usize>,
    /// Places in `all` of capitals that it never overrides.
    never_overridden: Vec<usize>,
}

impl Facts {
    /// The world of a valid config.
    pub(super) fn new(config: &LanguageConfig) -> Self {
        let rng = &mut item_rng("language/world", config.seed, 0);
        let countries = countries(config.countries);
        let names = cities(config.cities);
        let mut currencies = currencies(config.countries);
        shuffle(rng, &mut currencies);
        let mut places: Vec<usize> = (0..names.len()).collect();
        shuffle(rng, &mut places);

        // In the drawn order every country has one city first, its capital, and then the others in turn.
        let mut capitals = Vec::new();
        let mut homes = vec![Fact::new(Relation::Country, "", ""); names.len()];
        for (turn, &place) in places.iter().enumerate() {
            let (city, country) = (&names[place], &countries[turn % countries.len()]);
            if turn < countries.len() {
                capitals.push(Fact::new(Relation::Capital, country, city));
            }
            homes[place] = Fact::new(Relation::Country, city, country);
        }
        let money = countries.iter().zip(&currencies);
        let mut money: Vec<Fact> =
            money.map(|(country, name)| Fact::new(Relation::Currency, country, name)).collect();

        // Only of cities that are nothing else: a capital's country is told with the capital, and a
        // capital or currency never told would be known by its absence from all other facts.
        let plain = places.get(countries.len()..).unwrap_or_default();
        for place in distinct(rng, share(plain.len(), config.unseen_facts), plain.len()) {
            homes[plain[place]].told = Told::Never;
        }
        for facts in [&mut capitals, &mut homes, &mut money] {
            hide_forms(rng, facts, config.hidden_forms);
        }

        let held_out = share(capitals.len(), config.held_out);
        let mut overridden: Vec<usize> = (0..capitals.len()).collect();
        shuffle(rng, &mut overridden);
        let never_overridden = overridden.split_off(capitals.len() - held_out);
        let all = [capitals, homes, money].concat();
        Self { all, cities: names, overridden, never_overridden }
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Fact] {
        &self.all
    }

    /// All cities.
    pub(super) fn cities(&self) -> &[String] {
        &self.cities
    }

    /// Up to `count` different facts that training tells, each in one of the forms that it shows.
    pub(super) fn draw(&self, rng: &mut impl RngCore, count: usize) -> Vec<(&Fact, usize)> {
        let told: Vec<&Fact> = self.all.iter().filter(|fact| fact.told != Told::Never).collect();
        let drawn = distinct(rng, count, told.len());
        drawn.into_iter().map(|place| (told[place], told[place].draw_form(rng))).collect()
    }

    /// The capitals that training overrides, or those that it does not.
    pub(super) fn capitals(&self, held_out: bool) -> Vec<&Fact> {
        let places = if held_out { &self.never_overridden } else { &self.overridden };
        places.iter().filter_map(|&place| self.all.get(place)).collect()
    }

    /// What facts of `relation` have as objects, each once, in the order of the facts.
    pub(super) fn objects(&self, relation: Relation) -> Vec<&str> {
        let mut objects: Vec<&str> = Vec::new();
        for fact in self.all.iter().filter(|fact| fact.relation == relation) {
            if !objects.contains(&fact.object.as_str()) {
                objects.push(&fact.object);
            }
        }
        objects
    }
}

/// Hides one form of so many percent of the facts that are told; each form as often as the others.
fn hide_forms(rng: &mut impl RngCore, facts: &mut [Fact], percent: u32) {
    let mut told: Vec<&mut Fact> = facts.iter_mut().filter(|f| f.told != Told::Never).collect();
    shuffle(rng, &mut told);
    let count = share(told.len(), percent);
    for (turn, fact) in told.into_iter().take(count).enumerate() {
        fact.told = Told::NotIn(turn % FORMS);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn facts(config: &LanguageConfig) -> Facts {
        config.validate().unwrap();
        Facts::new(config)
    }

    fn of(facts: &Facts, relation: Relation) -> BTreeMap<&str, &str> {
        let of = facts.all().iter().filter(|fact| fact.relation == relation);
        of.map(|fact| (fact.subject.as_str(), fact.object.as_str())).collect()
    }

    #[test]
    fn the_default_world_keeps_a_quarter_back() {
        let facts = facts(&LanguageConfig::default());
        let count = |wanted: fn(&Told) -> bool| {
            facts.all().iter().filter(|fact| wanted(&fact.told)).count()
        };
        assert_eq!(facts.all().len(), 16 + 64 + 16);
        assert_eq!(count(|told| *told == Told::Never), 12);
        assert_eq!(count(|told| matches!(told, Told::NotIn(_))), 4 + 13 + 4);
        assert_eq!((facts.capitals(false).len(), facts.capitals(true).len()), (12, 4));
    }

    proptest! {
        #[test]
        fn every_world_is_whole(
            seed: u64, countries in 4_usize..=32, more in 0_usize..=96, percent in 0_u32..=50,
        ) {
            let cities = (countries + more).min(128);
            let config = LanguageConfig {
                seed, countries, cities, hidden_forms: percent, unseen_facts: percent,
                held_out: percent, ..LanguageConfig::default()
            };
            let facts = facts(&config);
            let (capitals, homes, money) = (
                of(&facts, Relation::Capital), of(&facts, Relation::Country),
                of(&facts, Relation::Currency),
            );
            prop_assert_eq!((capitals.len(), homes.len(), money.len()), (countries, cities, countries));
            for (country, capital) in &capitals {
                prop_assert_eq!(homes[capital], *country);
            }
            prop_assert_eq!(money.values().collect::<BTreeSet<_>>().len(), countries);
            let sizes = homes.values().fold(BTreeMap::<_, usize>::new(), |mut sizes, country| {
                *sizes.entry(*country).or_default() += 1;
                sizes
            });
            let (least, most) = (sizes.values().min().unwrap(), sizes.values().max().unwrap());
            prop_assert!(sizes.len() == countries && most - least <= 1);
            for fact in facts.all().iter().filter(|fact| fact.told == Told::Never) {
                prop_assert!(!capitals.values().any(|capital| *capital == fact.subject));
            }
        }

        #[test]
        fn only_shown_forms_are_drawn(seed: u64, count in 0_usize..120) {
            let facts = facts(&LanguageConfig { seed, ..LanguageConfig::default() });
            let drawn = facts.draw(&mut item_rng("test", seed, 0), count);
            prop_assert_eq!(drawn.len(), count.min(84));
            prop_assert!(drawn.iter().all(|(fact, form)| fact.shown(*form)));
            let subjects: BTreeSet<_> =
                drawn.iter().map(|(fact, _)| (&fact.subject, fact.relation as u8)).collect();
            prop_assert_eq!(subjects.len(), drawn.len());
        }
    }

    #[test]
    fn other_seeds_are_other_worlds() {
        let of_seed = |seed| {
            let facts = facts(&LanguageConfig { seed, ..LanguageConfig::default() });
            facts.all().to_vec()
        };
        assert_ne!(of_seed(0), of_seed(1));
        assert_eq!(of_seed(5), of_seed(5));
    }
}
