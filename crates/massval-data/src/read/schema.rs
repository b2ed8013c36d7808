//! The sets that can be read, and what their fields mean.

mod aqua;
mod cities;
mod coin_flip;
mod gsm8k;
mod imdb;
mod squad;
mod true_false;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::format::{Wanted, records};
use super::record::Record;
use super::{Format, Limits, Options, Records};
use crate::{Choice, Error, Gold, Item, Result, Role, Side};

/// A set that can be read, by the schema it is published in.
///
/// ```
/// use massval_data::read::Schema;
/// assert_eq!("gsm8k".parse::<Schema>()?, Schema::Gsm8k);
/// let error = "gms8k".parse::<Schema>().unwrap_err().to_string();
/// assert!(error.contains("did you mean `gsm8k`?"));
/// # Ok::<(), massval_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Schema {
    /// GSM8K: `question`, and an `answer` that ends in `#### 18`. The number's thousands commas and
    /// a dollar sign are left out of the gold.
    Gsm8k,
    /// AQuA-RAT: `question`, five `options` (`A)...`), `correct` (a letter). The text of the gold is
    /// the option after `A)`, blanks and all; the `rationale` is not used.
    ///
    /// With the options in the prompt, their letters are the choices, and options of the same text
    /// stay apart; without them, the choices are the distinct texts.
    Aqua,
    /// IMDB: `text`, `label` (0 negative, 1 positive).
    Imdb,
    /// Cities: `statement` ("The city of X is in Y."), `label`, `city` (the set of *The Geometry of
    /// Truth*, Marks and Tegmark). The statement becomes a question as P1 asks it: "Is the city of X
    /// in Y?". Neighbours about one city, one true and one false, are a pair.
    Cities,
    /// Coin flips, as P1's repository has them: `examples` of `question`, `answer` (yes or no).
    CoinFlip,
    /// SQuAD 1.1 and 2.0, nested as published, or flat as on the hub: `context`, `question`,
    /// `answers`. The prompt is the context, a new line, and the question; the evidence is the first
    /// answer's place in the context, where the file gives it.
    Squad,
    /// P1's true-or-false questions about sports: `data` of `question`, `answer` (true or false).
    Sports,
    /// The same about art.
    Art,
    /// The same about technology.
    Technology,
    /// The same about celebrities.
    Celebrity,
    /// The same about anything.
    TrueFalse,
}

impl Schema {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Gsm8k,
        Self::Aqua,
        Self::Imdb,
        Self::Cities,
        Self::CoinFlip,
        Self::Squad,
        Self::Sports,
        Self::Art,
        Self::Technology,
        Self::Celebrity,
        Self::TrueFalse,
    ];

    /// Its name, as in options and results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gsm8k => "gsm8k",
            Self::Aqua => "aqua",
            Self::Imdb => "imdb",
            Self::Cities => "cities",
            Self::CoinFlip => "coin_flip",
            Self::Squad => "squad",
            Self::Sports => "sports",
            Self::Art => "art",
            Self::Technology => "technology",
            Self::Celebrity => "celebrity",
            Self::TrueFalse => "true_false",
        }
    }

    /// Where the knowledge is, as P1 has it: what is asked about the world is parametric; problems,
    /// reviews and texts to read are contextual.
    #[must_use]
    pub fn side(self) -> Side {
        match self {
            Self::Gsm8k | Self::Aqua | Self::Imdb | Self::CoinFlip | Self::Squad => {
                Side::Contextual
            }
            Self::Cities | Self::Sports | Self::Art | Self::Technology | Self::Celebrity => {
                Side::Parametric
            }
            Self::TrueFalse => Side::Parametric,
        }
    }

    fn wanted(self) -> Wanted<'static> {
        let (fields, list): (&[&str], _) = match self {
            Self::Gsm8k => (&["question", "answer"], None),
            Self::Aqua => (&["question", "options", "correct"], None),
            Self::Imdb => (&["text", "label"], None),
            Self::Cities => (&["statement", "label", "city"], None),
            Self::CoinFlip => (&["question", "answer"], Some("examples")),
            Self::Squad => (&["context", "question", "answers"], Some("data")),
            Self::Sports | Self::Art | Self::Technology | Self::Celebrity | Self::TrueFalse => {
                (&["question", "answer"], Some("data"))
            }
        };
        Wanted { fields, list }
    }

    pub(crate) fn records(self, path: &Path, format: Format, limits: Limits) -> Result<Records> {
        match (self, format) {
            (Self::Squad, Format::Json) => squad::nested(path, limits),
            _ => records(path, format, self.wanted(), limits),
        }
    }

    /// The item of a record, its index and name still to be set; `None` if it has no answer.
    pub(crate) fn item(self, record: &Record, options: &Options) -> Result<Option<Item>> {
        match self {
            Self::Gsm8k => gsm8k::item(record).map(Some),
            Self::Aqua => aqua::item(record, options.options_in_prompt()).map(Some),
            Self::Imdb => imdb::item(record).map(Some),
            Self::Cities => cities::item(record).map(Some),
            Self::CoinFlip => coin_flip::item(record).map(Some),
            Self::Squad => squad::item(record),
            Self::Sports | Self::Art | Self::Technology | Self::Celebrity | Self::TrueFalse => {
                true_false::item(record).map(Some)
            }
        }
    }

    /// What a record has in common with its neighbour if they are a pair.
    pub(crate) fn twin_key(self, record: &Record) -> Option<&str> {
        match self {
            Self::Cities => record.optional("city").and_then(serde_json::Value::as_str),
            _ => None,
        }
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Schema {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if let Some(schema) = Self::ALL.into_iter().find(|schema| schema.name() == name) {
            return Ok(schema);
        }
        let alike = |schema: &Self| strsim::jaro_winkler(name, schema.name());
        let nearest = Self::ALL.into_iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
        let hint = match nearest.filter(|schema| alike(schema) >= 0.75) {
            Some(schema) => format!("did you mean `{schema}`?"),
            None => format!("there are {}", Self::ALL.map(Self::name).join(", ")),
        };
        let name = super::record::cut(name);
        Err(Error::Options {
            task: "schema".to_owned(),
            what: format!("`{name}` is unknown; {hint}"),
        })
    }
}

/// An item whose place in the set is not known yet.
fn unplaced(prompt: impl Into<String>, gold: Gold, choices: Vec<Choice>) -> Item {
    let mut item = Item::new(0, String::new(), prompt, gold);
    item.choices = choices;
    item
}

/// Two words to choose from, the right one first.
fn right_and_wrong(right: &str, wrong: &str) -> Vec<Choice> {
    vec![
        Choice::new(format!(" {right}"), Role::Right),
        Choice::new(format!(" {wrong}"), Role::Wrong),
    ]
}

/// A question to say yes or no to.
fn yes_or_no(prompt: impl Into<String>, truth: bool) -> Item {
    let (right, wrong) = if truth { ("Yes", "No") } else { ("No", "Yes") };
    unplaced(prompt, Gold::Truth { truth }, right_and_wrong(right, wrong))
}
