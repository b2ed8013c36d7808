//! The passkey task in a chosen number of tokens, the key at a chosen depth.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{INTRODUCTION, QUESTION, check_sizes, choices, draw_key, statement};
use crate::draw::item_rng;
use crate::generate::Depths;
use crate::generate::depths::Depth;
use crate::generate::text::{FILLER, enclose};
use crate::identity::Identity;
use crate::{Choice, Dataset, Encode, Error, Gold, Item, Result, Side};

const NAME: &str = "passkey";

/// How many keys are tried to learn the least length of a prompt: where a token holds several
/// digits, keys of one length differ in tokens.
const KEYS_TRIED: usize = 16;

/// No tokenizer makes a token of more units of filler than that.
const UNITS_PER_TOKEN: usize = 16;

/// What decides the items of a [`Passkey`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasskeyOptions {
    /// The seed of all draws.
    pub seed: u64,
    /// The length of the prompts in tokens, question and special tokens included.
    pub tokens: usize,
    /// The key's number of digits.
    pub digits: usize,
    /// Where in the filler the key stands.
    pub depths: Depths,
    /// What follows the text, with what separates it.
    pub question: String,
}

impl Default for PasskeyOptions {
    /// 256 tokens, a key of 6 digits, anywhere.
    fn default() -> Self {
        Self {
            seed: 0,
            tokens: 256,
            digits: 6,
            depths: Depths::Drawn,
            question: QUESTION.to_owned(),
        }
    }
}

/// The passkey task in a chosen number of tokens, the key at a chosen depth.
///
/// A prompt takes as much filler as fits: it has at most the tokens asked for, and fewer only by
/// less than a filler word with a line end takes. Where every word, full stop and line end is one
/// token, as with most vocabularies, that is one token at most, and mostly none: the last sentence
/// of the filler is cut to size. The key stands on a line of its own between two sentences.
///
/// ```
/// # use massval_data::{Encode, Result, Token};
/// # struct Bytes;
/// # impl Encode for Bytes {
/// #     fn encode(&self, text: &str, _special: bool) -> Result<Vec<Token>> {
/// #         Ok(text.bytes().enumerate().map(|(i, b)| Token { id: b.into(), bytes: i..i + 1 }).collect())
/// #     }
/// #     fn identity(&self) -> String { "bytes".to_owned() }
/// # }
/// use massval_data::Dataset;
/// use massval_data::generate::{Depths, Passkey, PasskeyOptions};
///
/// // Bytes is a tokenizer with one token per byte.
/// let options = PasskeyOptions { tokens: 500, depths: Depths::at(50.0), ..Default::default() };
/// let set = Passkey::new(options, Bytes)?;
/// let item = set.item(0)?;
/// assert!((490..=500).contains(&item.prompt.len()));
/// assert!(item.prompt[item.evidence.unwrap()].starts_with("The pass key is "));
/// # Ok::<(), massval_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Passkey<E> {
    options: PasskeyOptions,
    tokenizer: E,
    identity: Identity,
    least_tokens: usize,
}

/// What is drawn for an item.
struct Draw {
    depth: Depth,
    key: String,
    choices: Vec<Choice>,
}

impl<E: Encode> Passkey<E> {
    /// The set for a tokenizer.
    ///
    /// # Errors
    /// [`Error::Options`] for sizes and depths out of range, and for fewer tokens than
    /// [`least_tokens`](Self::least_tokens), which the message names. What the tokenizer meets.
    pub fn new(options: PasskeyOptions, tokenizer: E) -> Result<Self> {
        check_sizes(NAME, options.tokens, options.digits)?;
        options.depths.check(NAME)?;
        let identity = Identity::generated(NAME, 1, &options, Some(tokenizer.identity()));
        let mut set = Self { options, tokenizer, identity, least_tokens: 0 };
        for index in 0..KEYS_TRIED {
            let (prompt, _) = set.prompt(&set.draw(index), least_units());
            set.least_tokens = set.least_tokens.max(set.length(&prompt)?);
        }
        if set.options.tokens < set.least_tokens {
            return Err(set.too_short(set.least_tokens));
        }
        Ok(set)
    }

    /// The fewest tokens to ask for: introduction, two sentences of filler, key, question.
    #[must_use]
    pub fn least_tokens(&self) -> usize {
        self.least_tokens
    }

    fn too_short(&self, least: usize) -> Error {
        let what = format!(
            "{} tokens are too few; with this tokenizer, key length and question it takes at least \
             {least}",
            self.options.tokens
        );
        Error::Options { task: NAME.to_owned(), what }
    }

    fn draw(&self, index: usize) -> Draw {
        let mut rng = item_rng(NAME, self.options.seed, index);
        let depth = self.options.depths.of_item(index, &mut rng);
        let key = draw_key(&mut rng, self.options.digits);
        Draw { depth, choices: choices(&mut rng, &key), key }
    }

    /// The prompt with so many units of filler, and where its evidence is.
    fn prompt(&self, draw: &Draw, units: usize) -> (String, Range<usize>) {
        let filler = filler(units);
        let (before, after) = filler.split_at(draw.depth.place(filler.len()));
        let mut start = INTRODUCTION.to_owned();
        if !before.is_empty() {
            start = start + "\n" + &before.join(" ");
        }
        let mut end = String::new();
        if !after.is_empty() {
            end = end + "\n" + &after.join(" ");
        }
        enclose(&(start + "\n"), &statement(&draw.key), &(end + &self.options.question))
    }

    fn length(&self, prompt: &str) -> Result<usize> {
        Ok(self.tokenizer.encode(prompt, true)?.len())
    }

    /// The prompt with as much filler as fits.
    fn fitted(&self, draw: &Draw) -> Result<(String, Range<usize>)> {
        let fits = |units| -> Result<_> {
            let (prompt, evidence) = self.prompt(draw, units);
            let length = self.length(&prompt)?;
            Ok((length <= self.options.tokens).then_some((prompt, evidence)).ok_or(length))
        };
        let mut low = least_units();
        let mut best = fits(low)?.map_err(|length| self.too_short(length))?;
        let mut high = 2 * low;
        while let Ok(found) = fits(high)? {
            (low, best) = (high, found);
            high *= 2;
            if high / UNITS_PER_TOKEN > self.options.tokens {
                let what = "more filler makes no more tokens".to_owned();
                return Err(Error::Tokenizer { what });
            }
        }
        // `low` units fit, `high` do not
        while high - low > 1 {
            let middle = low.midpoint(high);
            match fits(middle)? {
                Ok(found) => (low, best) = (middle, found),
                Err(_) => high = middle,
            }
        }
        Ok(best)
    }
}

/// The units of two sentences, as in the reference, which wants two distractors.
fn least_units() -> usize {
    FILLER.iter().take(2).map(|sentence| words(sentence).len() + 1).sum()
}

fn words(sentence: &str) -> Vec<&str> {
    sentence.trim_end_matches('.').split(' ').collect()
}

/// The sentences of the filler again and again, until they have so many units: a word is one, and
/// so is a full stop. The last sentence may be cut.
fn filler(units: usize) -> Vec<String> {
    let mut left = units;
    let mut sentences = Vec::new();
    for sentence in FILLER.iter().cycle() {
        if left == 0 {
            break;
        }
        let words = words(sentence);
        let taken = left.min(words.len() + 1);
        left -= taken;
        sentences.push(match words.get(..taken) {
            Some(cut) => cut.join(" "),
            None => (*sentence).to_owned(),
        });
    }
    sentences
}

impl<E: Encode> Dataset for Passkey<E> {
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
        let draw = self.draw(index);
        let (prompt, evidence) = self.fitted(&draw)?;
        let gold = Gold::Digits { digits: draw.key };
        let mut item = Item::new(index, self.identity.item_id(index), prompt, gold);
        item.evidence = Some(evidence);
        item.choices = draw.choices;
        Ok(item)
    }

    fn identity(&self) -> serde_json::Value {
        self.identity.value()
    }
}

#[cfg(test)]
mod tests;
