//! A small language with both kinds of knowledge, from which a model of a million parameters can be
//! trained on a CPU.
//!
//! It has 278 tokens. Its world is invented: countries with capitals and currencies, cities in
//! countries. What a text in it knows comes from one of two places:
//!
//! | document | for example | the answer is known from |
//! |---|---|---|
//! | facts | `the capital of arvonia is felwick . balmere lies in korland .` | the weights |
//! | filler | `the old cats near the boy hide the lamp .` | (grammar alone) |
//! | repeat | `say : bell cup jar . again : bell cup jar .` | the context |
//! | passkey | `the pass key is 4 7 1 . remember it . .. what is the pass key ? the pass key is 4 7 1 .` | the context |
//! | key-value | `pairs : bell cup , jar net . find jar net . find bell cup .` | the context |
//! | conflict | `today the capital of arvonia is balmere . .. the capital of arvonia is balmere .` | the context, against the weights |
//!
//! **What training never shows**, so that generalisation can be told from rote:
//! one form of some facts, whose other forms are shown; some facts in any form, as a control; some pass
//! keys, and some words as keys or values (as plain words all are shown); overriding the capitals of some
//! countries. The sets [`SmallFacts`], [`SmallPasskey`], [`SmallKeyValue`] and [`SmallConflict`] ask
//! either for what was shown or for what was not.
//!
//! [`Language::rows`] gives the rows to train on; [`Vocabulary`] the tokens and the tokenizer's file.
//!
//! ```
//! use massval_data::language::{Language, LanguageConfig, SmallFacts, SmallFactsOptions};
//! use massval_data::{Dataset, Encode};
//!
//! let language = Language::new(LanguageConfig { sequence: 64, ..LanguageConfig::default() })?;
//! let rows = language.rows(1000, 32)?;
//! assert_eq!((rows.ids.len(), rows.weights.len()), (32 * 65, 32 * 64));
//! assert!(language.vocabulary().text(&rows.ids[..65]).starts_with("<s> "));
//!
//! let facts = SmallFacts::new(&language, SmallFactsOptions::default())?;
//! let item = facts.item(0)?;
//! language.vocabulary().encode(&item.prompt, true)?;
//! # Ok::<(), massval_data::Error>(())
//! ```

mod config;
mod conflict;
mod document;
mod facts;
mod filler;
mod keys;
mod names;
mod question;
mod rows;
mod sets;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::path::Path;

pub use config::{LanguageConfig, Mix};
pub use facts::Relation;
pub use rows::Rows;
pub use sets::{
    FactSplit, SmallConflict, SmallConflictOptions, SmallFacts, SmallFactsOptions, SmallKeyValue,
    SmallKeyValueOptions, SmallPasskey, SmallPasskeyOptions, Split,
};
pub use vocabulary::Vocabulary;

use crate::Result;
use facts::Facts;
use keys::Keys;

/// A small language: its words, its world, and what is kept from training.
#[derive(Debug, Clone)]
pub struct Language {
    config: LanguageConfig,
    vocabulary: Vocabulary,
    facts: Facts,
    keys: Keys,
}

impl Language {
    /// The language of a config.
    ///
    /// # Errors
    /// As [`LanguageConfig::validate`].
    pub fn new(config: LanguageConfig) -> Result<Self> {
        config.validate()?;
        let (vocabulary, facts, keys) =
            (Vocabulary::new(&config), Facts::new(&config), Keys::new(&config));
        Ok(Self { config, vocabulary, facts, keys })
    }

    /// The language whose config is in a file, as a training leaves it beside its model.
    ///
    /// # Errors
    /// As [`LanguageConfig::read`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::new(LanguageConfig::read(path)?)
    }

    /// What decides it.
    #[must_use]
    pub fn config(&self) -> &LanguageConfig {
        &self.config
    }

    /// Its tokens.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }
}
