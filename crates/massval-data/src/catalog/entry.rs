//! What there is to open, with a line about each.

use serde::Serialize;
use serde_json::{Map, Value};

use super::source::Kind;
use crate::read::Schema;
use crate::{Result, Side};

/// A set, or a family of them, under one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// What specs, results and tables call it.
    pub name: &'static str,
    /// Another name that specs may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<&'static str>,
    /// Where the knowledge is.
    pub side: Side,
    /// What one item is, in a sentence.
    pub description: &'static str,
    /// Whether it counts tokens, and so needs a tokenizer.
    pub tokenizer: bool,
    /// Whether it is read from a file; else it takes none.
    pub file: bool,
    #[serde(skip)]
    pub(super) kind: Kind,
}

impl Entry {
    /// The upstream schema of its file, for sets that are read as they are published.
    #[must_use]
    pub const fn schema(&self) -> Option<Schema> {
        match self.kind {
            Kind::File(schema) => Some(schema),
            _ => None,
        }
    }

    /// The options it has, with their defaults; null where the file decides.
    ///
    /// # Errors
    /// None in practice: [`Error::Options`](crate::Error::Options) if a default has no form in JSON.
    pub fn options(&self) -> Result<Map<String, Value>> {
        self.kind.source().defaults(self.name)
    }
}

/// All that can be opened. Of two entries with the same name, one is generated and one is read from a
/// file.
///
/// ```
/// let names: Vec<_> = massval_data::catalog::entries().iter().map(|entry| entry.name).collect();
/// assert_eq!(names[0], "passkey");
/// assert_eq!(names.iter().filter(|name| **name == "cities").count(), 2);
/// ```
#[must_use]
pub fn entries() -> &'static [Entry] {
    ENTRIES
}

const fn generated(name: &'static str, side: Side, kind: Kind, description: &'static str) -> Entry {
    Entry { name, alias: None, side, description, tokenizer: false, file: false, kind }
}

const fn read(name: &'static str, side: Side, schema: Schema, description: &'static str) -> Entry {
    let kind = Kind::File(schema);
    Entry { name, alias: None, side, description, tokenizer: false, file: true, kind }
}

/// Of the small language: generated in its usual world, or in that of a config file.
const fn small(
    name: &'static str,
    side: Side,
    kind: Kind,
    file: bool,
    description: &'static str,
) -> Entry {
    Entry { name, alias: None, side, description, tokenizer: false, file, kind }
}

use Side::{Contextual, Parametric};

static ENTRIES: &[Entry] = &[
    Entry {
        tokenizer: true,
        ..generated(
            "passkey",
            Contextual,
            Kind::Passkey,
            "Asks for a number hidden at a chosen depth in irrelevant text of a chosen length.",
        )
    },
    Entry {
        tokenizer: true,
        ..generated(
            "passkey_reference",
            Contextual,
            Kind::ReferencePasskey,
            "Asks for a hidden number, in prompts that are the reference's draw for draw.",
        )
    },
    generated(
        "key_value",
        Contextual,
        Kind::KeyValue,
        "Asks for the value of one key among pairs of keys and values.",
    ),
    generated(
        "list_recall",
        Contextual,
        Kind::ListRecall,
        "Asks for a list of words to be repeated, all of them in order.",
    ),
    generated(
        "coin_flip",
        Contextual,
        Kind::CoinFlip,
        "Asks whether a coin is still heads up after some people have flipped it.",
    ),
    generated(
        "arithmetic",
        Contextual,
        Kind::Arithmetic,
        "Asks how many marbles are in a box after some were added and some taken.",
    ),
    generated("capitals", Parametric, Kind::Capitals, "Asks for the capital of a country."),
    generated(
        "cities",
        Parametric,
        Kind::Cities,
        "Asks whether a city is in a country; of two neighbours one is true, one false.",
    ),
    generated(
        "conflict",
        Contextual,
        Kind::Conflict,
        "Asks for the capital of a country after the prompt has named another city; the prompt's \
         answer and the world's are both scored.",
    ),
    Entry {
        alias: Some("reference_conflict"),
        ..generated(
            "conflict_reference",
            Parametric,
            Kind::ReferenceConflict,
            "Asks what `cities` asks, after the reference's sentence, which has nothing to do with \
             it.",
        )
    },
    Entry {
        alias: Some("reference_conflict"),
        kind: Kind::ReferenceConflictOfFile,
        ..read(
            "conflict_reference",
            Parametric,
            Schema::Cities,
            "Asks what a file of cities asks, after the reference's sentence, which has nothing to \
             do with it.",
        )
    },
    small(
        "small_facts",
        Parametric,
        Kind::SmallFacts,
        false,
        "Asks for a capital, country or currency of the small language's invented world.",
    ),
    small(
        "small_passkey",
        Contextual,
        Kind::SmallPasskey,
        false,
        "Asks for a pass key hidden among plain sentences of the small language.",
    ),
    small(
        "small_key_value",
        Contextual,
        Kind::SmallKeyValue,
        false,
        "Asks for the value of one word among pairs of words of the small language.",
    ),
    small(
        "small_conflict",
        Contextual,
        Kind::SmallConflict,
        false,
        "Asks for a capital of the small language's world after the prompt has named another city; \
         the prompt's answer and the world's are both scored.",
    ),
    small(
        "small_facts",
        Parametric,
        Kind::SmallFacts,
        true,
        "Asks for a capital, country or currency of the world that a language's config describes.",
    ),
    small(
        "small_passkey",
        Contextual,
        Kind::SmallPasskey,
        true,
        "Asks for a pass key hidden among plain sentences of the language that a config describes.",
    ),
    small(
        "small_key_value",
        Contextual,
        Kind::SmallKeyValue,
        true,
        "Asks for the value of one word among pairs of words of the language that a config \
         describes.",
    ),
    small(
        "small_conflict",
        Contextual,
        Kind::SmallConflict,
        true,
        "Asks for a capital of the world that a language's config describes, after the prompt has \
         named another city; the prompt's answer and the world's are both scored.",
    ),
    Entry {
        alias: Some("facts"),
        kind: Kind::Facts,
        ..read(
            "knowledge_qa",
            Parametric,
            Schema::TrueFalse,
            "Asks whether a fact holds, out of a CSV of subject, relation and object; of two \
             neighbours one is true, one false.",
        )
    },
    read(
        "gsm8k",
        Contextual,
        Schema::Gsm8k,
        "Asks for the number that a word problem of GSM8K comes to.",
    ),
    read(
        "aqua",
        Contextual,
        Schema::Aqua,
        "Asks which of five options solves an algebra problem of AQuA-RAT.",
    ),
    read(
        "imdb",
        Contextual,
        Schema::Imdb,
        "Gives a film review of IMDB, which is positive or negative.",
    ),
    read(
        "cities",
        Parametric,
        Schema::Cities,
        "Asks whether a city is in a country, as a file in the schema of P1's cities.csv says.",
    ),
    read(
        "coin_flip",
        Contextual,
        Schema::CoinFlip,
        "Asks whether a coin is still heads up, as a file in the schema of P1's coin_flip.json \
         tells.",
    ),
    read(
        "squad",
        Contextual,
        Schema::Squad,
        "Asks what the passage of SQuAD in the prompt answers.",
    ),
    read("sports", Parametric, Schema::Sports, "Asks a question about sports: true or false."),
    read("art", Parametric, Schema::Art, "Asks a question about art: true or false."),
    read(
        "technology",
        Parametric,
        Schema::Technology,
        "Asks a question about technology: true or false.",
    ),
    read(
        "celebrity",
        Parametric,
        Schema::Celebrity,
        "Asks a question about celebrities: true or false.",
    ),
    read(
        "true_false",
        Parametric,
        Schema::TrueFalse,
        "Asks a question about anything: true or false.",
    ),
];
