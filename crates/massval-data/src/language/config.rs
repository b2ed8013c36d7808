//! What decides a small language and its corpus.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::names::{MAX_CITIES, MAX_COUNTRIES, THINGS};
use crate::identity::sha256;
use crate::{Error, Result};

/// What decides a small language: its world, what is kept from training, and how rows are made.
///
/// ```
/// use massval_data::language::LanguageConfig;
///
/// let config: LanguageConfig = serde_json::from_str(r#"{"seed": 7, "sequence": 64}"#).unwrap();
/// config.validate()?;
/// assert_eq!(config.countries, 16);
/// assert_ne!(config.fingerprint(), LanguageConfig::default().fingerprint());
/// # Ok::<(), massval_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LanguageConfig {
    /// The seed of the world and of all rows.
    pub seed: u64,
    /// How many countries there are, each with a capital and a currency.
    pub countries: usize,
    /// How many cities there are, each in one country.
    pub cities: usize,
    /// Of so many percent of the facts, training shows all forms but one.
    pub hidden_forms: u32,
    /// So many percent of the cities that are no capitals never have their country named in training.
    pub unseen_facts: u32,
    /// So many percent of pass keys, of key words and of overridden countries are kept from training.
    pub held_out: u32,
    /// Digits of a pass key, all different; each is a token.
    pub digits: usize,
    /// A list of keys and values has at most so many pairs.
    pub pairs: usize,
    /// The row from which lists have up to `pairs` pairs. In row 0 they have one; in between the most
    /// grows evenly.
    pub ramp: usize,
    /// Tokens that a model reads of a row; a row has one more, the last one's target.
    pub sequence: usize,
    /// How often each kind of document is drawn.
    pub mix: Mix,
    /// The loss weight of tokens that answer something; all others weigh 1.
    pub answer_weight: f32,
}

/// How often each kind of document is drawn, against the sum of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// Facts of the world.
    pub facts: u32,
    /// Plain sentences.
    pub filler: u32,
    /// A list of words that is said twice.
    pub repeat: u32,
    /// A pass key within plain sentences.
    pub passkey: u32,
    /// A list of keys and values, some of which are asked for.
    pub key_value: u32,
    /// A fact that the document overrides.
    pub conflict: u32,
}

impl Default for LanguageConfig {
    /// 64 cities in 16 countries, rows of 96 tokens.
    fn default() -> Self {
        Self {
            seed: 0,
            countries: 16,
            cities: 64,
            hidden_forms: 25,
            unseen_facts: 25,
            held_out: 25,
            digits: 3,
            pairs: 6,
            ramp: 16_000,
            sequence: 96,
            mix: Mix::default(),
            answer_weight: 1.0,
        }
    }
}

impl Default for Mix {
    /// A third facts; every third document asks for what it has told.
    fn default() -> Self {
        Self { facts: 4, filler: 1, repeat: 1, passkey: 2, key_value: 3, conflict: 1 }
    }
}

impl Mix {
    /// The weights in the order of the fields.
    pub(super) fn weights(&self) -> [u32; 6] {
        let Self { facts, filler, repeat, passkey, key_value, conflict } = *self;
        [facts, filler, repeat, passkey, key_value, conflict]
    }
}

/// The shortest row that holds any kind of document.
const MIN_SEQUENCE: usize = 40;
/// The longest row.
const MAX_SEQUENCE: usize = 1 << 12;
/// More than half kept back would leave too little to learn from.
const MAX_PERCENT: u32 = 50;

/// What counts up when equal configs give other rows.
const VERSION: u32 = 1;

impl LanguageConfig {
    /// Reads a config in JSON.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is no config,
    /// [`Error::Options`] as [`validate`](Self::validate).
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let config: Self = serde_json::from_str(&text)
            .map_err(|error| Error::Format { path: path.to_owned(), what: error.to_string() })?;
        config.validate()?;
        Ok(config)
    }

    /// Checks that there is such a language.
    ///
    /// # Errors
    /// [`Error::Options`] naming the field that is out of range, and its range.
    pub fn validate(&self) -> Result<()> {
        within("countries", self.countries, 4, MAX_COUNTRIES)?;
        within("cities", self.cities, self.countries, MAX_CITIES)?;
        within("digits", self.digits, 1, 5)?;
        within("sequence", self.sequence, MIN_SEQUENCE, MAX_SEQUENCE)?;
        for (name, percent) in [
            ("hidden_forms", self.hidden_forms),
            ("unseen_facts", self.unseen_facts),
            ("held_out", self.held_out),
        ] {
            within(name, percent as usize, 0, MAX_PERCENT as usize)?;
        }
        within("pairs", self.pairs, 1, (THINGS.len() - share(THINGS.len(), self.held_out)) / 2)?;
        if self.mix.weights().iter().all(|&weight| weight == 0) {
            return refuse("the weights of `mix` are all 0; at least one kind must be drawn");
        }
        if !(self.answer_weight.is_finite() && self.answer_weight > 0.0) {
            let what = format!("`answer_weight` is {}; it must be above 0", self.answer_weight);
            return refuse(what);
        }
        Ok(())
    }

    /// The SHA-256 of all that decides the rows. A training that resumes compares it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        sha256(&json!({ "language": VERSION, "config": self }).to_string())
    }
}

/// So many percent of `count`, rounded down.
pub(super) fn share(count: usize, percent: u32) -> usize {
    count * percent as usize / 100
}

/// What cannot be.
pub(super) fn refuse<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::Options { task: "language".to_owned(), what: what.into() })
}

fn within(name: &str, value: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    refuse(format!("`{name}` is {value}; it may be {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_field_changes_the_fingerprint() {
        let d = LanguageConfig::default;
        let configs = [
            d(),
            LanguageConfig { seed: 1, ..d() },
            LanguageConfig { countries: 15, ..d() },
            LanguageConfig { cities: 63, ..d() },
            LanguageConfig { hidden_forms: 24, ..d() },
            LanguageConfig { unseen_facts: 24, ..d() },
            LanguageConfig { held_out: 24, ..d() },
            LanguageConfig { digits: 2, ..d() },
            LanguageConfig { pairs: 5, ..d() },
            LanguageConfig { ramp: 1, ..d() },
            LanguageConfig { sequence: 95, ..d() },
            LanguageConfig { mix: Mix { conflict: 2, ..Mix::default() }, ..d() },
            LanguageConfig { answer_weight: 1.5, ..d() },
        ];
        let prints: HashSet<String> = configs.iter().map(LanguageConfig::fingerprint).collect();
        assert_eq!(prints.len(), configs.len());
        let text = serde_json::to_string(&d()).unwrap();
        let again: LanguageConfig = serde_json::from_str(&text).unwrap();
        assert_eq!(again.fingerprint(), d().fingerprint());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let d = LanguageConfig::default;
        let none = Mix { facts: 0, filler: 0, repeat: 0, passkey: 0, key_value: 0, conflict: 0 };
        for (config, wanted) in [
            (LanguageConfig { countries: 3, ..d() }, "`countries` is 3; it may be 4 to 32"),
            (LanguageConfig { cities: 15, ..d() }, "`cities` is 15; it may be 16 to 128"),
            (LanguageConfig { cities: usize::MAX, ..d() }, "it may be 16 to 128"),
            (LanguageConfig { digits: 0, ..d() }, "`digits` is 0; it may be 1 to 5"),
            (LanguageConfig { pairs: 25, ..d() }, "`pairs` is 25; it may be 1 to 24"),
            (LanguageConfig { sequence: 39, ..d() }, "`sequence` is 39; it may be 40 to 4096"),
            (LanguageConfig { held_out: 51, ..d() }, "`held_out` is 51; it may be 0 to 50"),
            (LanguageConfig { mix: none, ..d() }, "the weights of `mix` are all 0"),
            (LanguageConfig { answer_weight: 0.0, ..d() }, "`answer_weight` is 0"),
            (LanguageConfig { answer_weight: f32::NAN, ..d() }, "`answer_weight` is NaN"),
        ] {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with("language: ") && message.contains(wanted), "{message}");
        }
        d().validate().unwrap();
    }

    #[test]
    fn a_file_with_a_strange_field_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("language.json");
        let error = LanguageConfig::read(&path).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        std::fs::write(&path, r#"{"towns": 3}"#).unwrap();
        let message = LanguageConfig::read(&path).unwrap_err().to_string();
        assert!(message.contains("language.json: unknown field `towns`"), "{message}");
        std::fs::write(&path, serde_json::to_string(&LanguageConfig::default()).unwrap()).unwrap();
        assert_eq!(LanguageConfig::read(&path).unwrap(), LanguageConfig::default());
    }
}
