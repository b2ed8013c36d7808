//! Keys with values, one of which is asked for.

use std::ops::Range;

use rand_chacha::rand_core::RngCore;
use serde::{Deserialize, Serialize};

use super::text::enclose;
use super::words::{NOUNS, draw_different};
use super::{Depths, WRONG_CHOICES};
use crate::draw::{distinct, item_rng};
use crate::identity::Identity;
use crate::{Choice, Dataset, Error, Gold, Item, Result, Role, Side};

const NAME: &str = "key_value";

/// No prompt has more pairs.
const MAX_PAIRS: usize = 1 << 16;

/// How the pairs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyValueForm {
    /// As a JSON object, one pair a line: `"harbor": "candle",`.
    #[default]
    Json,
    /// One pair a line: `harbor: candle`.
    Lines,
}

/// What keys and values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Different plain nouns; a prompt has no word twice.
    #[default]
    Words,
    /// 128 random bits in the form of a UUID.
    Uuid,
}

/// What decides the items of a [`KeyValue`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyValueOptions {
    /// The seed of all draws.
    pub seed: u64,
    /// How many pairs a prompt has.
    pub pairs: usize,
    /// How they are written.
    pub form: KeyValueForm,
    /// What keys and values are.
    pub keys: KeyKind,
    /// Where among the pairs the one stands that is asked for.
    pub depths: Depths,
}

impl Default for KeyValueOptions {
    /// 16 pairs of words as JSON, any of them asked for.
    fn default() -> Self {
        Self {
            seed: 0,
            pairs: 16,
            form: KeyValueForm::Json,
            keys: KeyKind::Words,
            depths: Depths::Drawn,
        }
    }
}

/// Key-value retrieval, after *Lost in the Middle* (Liu et al., 2023): keys with values, one of
/// which is asked for. The alternatives are up to three values of other keys of the same prompt.
///
/// ```
/// use massval_data::Dataset;
/// use massval_data::generate::{KeyValue, KeyValueForm, KeyValueOptions};
///
/// let options = KeyValueOptions { pairs: 3, form: KeyValueForm::Lines, ..Default::default() };
/// let item = KeyValue::new(options)?.item(0)?;
/// assert_eq!(item.prompt.matches(": ").count(), 3);
/// # Ok::<(), massval_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct KeyValue {
    options: KeyValueOptions,
    identity: Identity,
}

impl KeyValue {
    /// The set.
    ///
    /// # Errors
    /// [`Error::Options`] for a number of pairs or a depth out of range.
    pub fn new(options: KeyValueOptions) -> Result<Self> {
        options.depths.check(NAME)?;
        let (most, advice) = match options.keys {
            KeyKind::Words => (NOUNS.len() / 2, "; keys of kind `uuid` allow more"),
            KeyKind::Uuid => (MAX_PAIRS, ""),
        };
        if options.pairs == 0 || options.pairs > most {
            let what = format!("{} pairs; there may be 1 to {most}{advice}", options.pairs);
            return Err(Error::Options { task: NAME.to_owned(), what });
        }
        let identity = Identity::generated(NAME, 1, &options, None);
        Ok(Self { options, identity })
    }

    /// Different keys and values.
    fn draw_pairs(&self, rng: &mut impl RngCore) -> Vec<(String, String)> {
        let count = self.options.pairs;
        let mut words: Vec<String> = match self.options.keys {
            KeyKind::Words => {
                draw_different(rng, &NOUNS, 2 * count).into_iter().map(str::to_owned).collect()
            }
            KeyKind::Uuid => (0..2 * count).map(|_| draw_uuid(rng)).collect(),
        };
        let values = words.split_off(words.len() / 2);
        words.into_iter().zip(values).collect()
    }

    /// The prompt that asks for the pair at `place`, and where that pair is.
    fn prompt(&self, pairs: &[(String, String)], place: usize) -> (String, Range<usize>) {
        let written: Vec<String> = pairs.iter().map(|pair| self.pair(pair)).collect();
        let (before, rest) = written.split_at(place);
        let (evidence, after) = rest.split_first().map_or(("", rest), |(e, after)| (e, after));
        let (open, separator, close, indent) = match self.options.form {
            KeyValueForm::Json => ("{\n", ",\n", "\n}", "  "),
            KeyValueForm::Lines => ("", "\n", "", ""),
        };
        let mut start = format!("Here are keys, each with its value.\n{open}");
        for pair in before {
            start = start + indent + pair + separator;
        }
        start += indent;
        let mut end = String::new();
        for pair in after {
            end = end + separator + indent + pair;
        }
        let key = pairs.get(place).map_or("", |(key, _)| key);
        end = format!("{end}{close}\nThe value of {} is", self.quoted(key));
        enclose(&start, evidence, &end)
    }

    fn pair(&self, (key, value): &(String, String)) -> String {
        format!("{}: {}", self.quoted(key), self.quoted(value))
    }

    /// As keys and values are written in the prompt.
    fn quoted(&self, word: &str) -> String {
        match self.options.form {
            KeyValueForm::Json => format!("\"{word}\""),
            KeyValueForm::Lines => word.to_owned(),
        }
    }
}

fn draw_uuid(rng: &mut impl RngCore) -> String {
    let hex = format!("{:016x}{:016x}", rng.next_u64(), rng.next_u64());
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

impl Dataset for KeyValue {
    fn name(&self) -> &str {
        self.identity.name()
    }

    fn side(&self) -> Side {
        Side::Contextual
    }

    fn len(&self) -> Option<usize> {
        None
    }

    fn item(&self, index: usize) -> Result<Item> {
        let mut rng = item_rng(NAME, self.options.seed, index);
        let depth = self.options.depths.of_item(index, &mut rng);
        let pairs = self.draw_pairs(&mut rng);
        let place = depth.place(pairs.len() - 1);
        let (prompt, evidence) = self.prompt(&pairs, place);

        let mut values: Vec<String> = pairs.into_iter().map(|(_, value)| value).collect();
        let value = values.swap_remove(place);
        let choice = |value: &str, role| Choice::new(format!(" {}", self.quoted(value)), role);
        let mut choices = vec![choice(&value, Role::Right)];
        let others = distinct(&mut rng, WRONG_CHOICES, values.len());
        choices.extend(others.into_iter().map(|other| choice(&values[other], Role::Wrong)));

        let gold = Gold::Text { answers: vec![value] };
        let mut item = Item::new(index, self.identity.item_id(index), prompt, gold);
        item.evidence = Some(evidence);
        item.choices = choices;
        Ok(item)
    }

    fn identity(&self) -> serde_json::Value {
        self.identity.value()
    }
}
