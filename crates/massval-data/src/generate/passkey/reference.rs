//! The passkey task as the reference generates it, draw for draw.

use serde::{Deserialize, Serialize};

use super::numpy::RandomState;
use super::{INTRODUCTION, MAX_DIGITS, MAX_TOKENS, QUESTION, check_sizes, choices, statement};
use crate::draw::item_rng;
use crate::generate::text::{FILLER, enclose};
use crate::identity::Identity;
use crate::{Dataset, Encode, Error, Gold, Item, Result, Side};

const NAME: &str = "passkey_reference";

/// Longer keys are drawn in chunks of so many digits.
const CHUNK: usize = 18;

/// Item `i` repeats all draws before it: past this index that takes too long.
const MAX_ITEMS: usize = 1 << 20;

/// What decides the items of a [`ReferencePasskey`]. The names in parentheses are the reference's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReferencePasskeyOptions {
    /// The length of the prompts in tokens, as the reference reckons it (`S`).
    pub tokens: usize,
    /// Where the key is to stand, in tokens (`insert_position`); 0 for anywhere. The seed is
    /// `tokens + position`.
    pub position: usize,
    /// The key's place is drawn from the tokens `position` to `position + interval`
    /// (`token_interval`); with 0 it stands at `position` in every item.
    pub interval: usize,
    /// The key's number of digits (`L`).
    pub digits: usize,
    /// Whether a place past the last distractor is taken modulo the number of places, which the
    /// reference does not do: without it the prompts become longer than `tokens`.
    pub wrap: bool,
    /// What follows the text, with what separates it. The reference's files have none.
    pub question: String,
}

impl Default for ReferencePasskeyOptions {
    /// What the reference's script asks for: 128 tokens, a key of 6 digits, a place from 50 to 550.
    fn default() -> Self {
        Self {
            tokens: 128,
            position: 50,
            interval: 500,
            digits: 6,
            wrap: false,
            question: QUESTION.to_owned(),
        }
    }
}

impl ReferencePasskeyOptions {
    /// The default with its places wrapped, so that all prompts have one length: 143 tokens with
    /// SmolLM2's tokenizer, question included.
    #[must_use]
    pub fn wrapped() -> Self {
        Self { wrap: true, ..Self::default() }
    }

    /// The set the reference evaluates on: 256 tokens, a key of 12 digits, a place from 100 to 600.
    #[must_use]
    pub fn evaluated() -> Self {
        Self { tokens: 256, position: 100, digits: 12, ..Self::default() }
    }
}

/// The passkey task of the reference: its texts, its reckoning of lengths, its draws (NumPy's
/// `RandomState`), and what is odd about them.
///
/// - A length is that of parts tokenized one by one, each with the special tokens of its own, the
///   key standing as the literal `{KEY}`; line ends count nothing.
/// - The place of the key is bounded by `position + interval`, not by the prompt. A place past the
///   last distractor brings as many more of them; a place before the first one brings one more,
///   too. Unless [`wrap`](ReferencePasskeyOptions::wrap) is set, prompts differ in length.
/// - Keys of nines alone are never drawn.
/// - One stream of draws serves all items; item `i` repeats it from its start. There are 2^20 items.
///
/// The alternatives to the key are not the reference's, and drawn apart from the stream.
#[derive(Debug, Clone)]
pub struct ReferencePasskey {
    options: ReferencePasskeyOptions,
    identity: Identity,
    lengths: Lengths,
    seed: u32,
    /// How many distractors a prompt is to have.
    distractors: i64,
}

/// The lengths of the parts, in tokens.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    introduction: i64,
    key: i64,
    distractor: i64,
}

/// What the stream decides of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Draw {
    key: String,
    /// How many distractors come before the key. Below 0 it means none.
    place: i64,
}

impl ReferencePasskey {
    /// The set for a tokenizer.
    ///
    /// # Errors
    /// [`Error::Options`] for sizes out of range, and for fewer tokens than introduction, key and
    /// two distractors take; the message names the least number. What the tokenizer meets.
    pub fn new(
        options: ReferencePasskeyOptions,
        tokenizer: &(impl Encode + ?Sized),
    ) -> Result<Self> {
        check_sizes(NAME, options.tokens, options.digits)?;
        let refuse = |what| Err(Error::Options { task: NAME.to_owned(), what });
        if options.position > MAX_TOKENS || options.interval > MAX_TOKENS {
            return refuse(format!(
                "position {} and interval {}; neither may exceed {MAX_TOKENS}",
                options.position, options.interval
            ));
        }
        let lengths = Lengths::of(tokenizer)?;
        let least = lengths.introduction + lengths.key + 2 * lengths.distractor;
        let tokens = options.tokens as i64;
        if tokens < least {
            return refuse(format!(
                "{tokens} tokens are too few; with this tokenizer it takes at least {least}"
            ));
        }
        let identity = Identity::generated(NAME, 1, &options, Some(tokenizer.identity()));
        Ok(Self {
            // both are at most 2^20
            seed: (options.tokens + options.position) as u32,
            distractors: (tokens - lengths.key - lengths.introduction) / lengths.distractor,
            options,
            identity,
            lengths,
        })
    }

    /// The draws of item `index`.
    fn draw(&self, index: usize) -> Draw {
        let mut rng = RandomState::new(self.seed);
        for _ in 0..index {
            draw_reference_key(&mut rng, self.options.digits, |_| {});
            self.draw_place(&mut rng);
        }
        let mut key = String::new();
        draw_reference_key(&mut rng, self.options.digits, |chunk| key += &chunk.to_string());
        let place = self.draw_place(&mut rng);
        Draw {
            key,
            place: if self.options.wrap { place.rem_euclid(self.distractors + 1) } else { place },
        }
    }

    fn draw_place(&self, rng: &mut RandomState) -> i64 {
        let (position, interval) = (self.options.position as i64, self.options.interval as i64);
        let place_at =
            |token: i64| (token - self.lengths.introduction).div_euclid(self.lengths.distractor);
        match (position, interval) {
            (0, _) => rng.randint(0, self.distractors),
            (_, 0) => place_at(position),
            _ => rng.randint(place_at(position), place_at(position + interval) + 1),
        }
    }
}

impl Lengths {
    fn of(tokenizer: &(impl Encode + ?Sized)) -> Result<Self> {
        let length = |text: &str| Ok::<_, Error>(tokenizer.encode(text, true)?.len() as i64);
        let lengths = Self {
            introduction: length(INTRODUCTION)?,
            key: length(&statement("{KEY}"))?,
            distractor: length(&FILLER.join(" "))?,
        };
        if lengths.distractor == 0 {
            let what = "it makes no token of a sentence".to_owned();
            return Err(Error::Tokenizer { what });
        }
        Ok(lengths)
    }
}

/// Gives the key to `take`, chunk by chunk. No chunk starts with a zero.
fn draw_reference_key(rng: &mut RandomState, digits: usize, mut take: impl FnMut(i64)) {
    debug_assert!((1..=MAX_DIGITS).contains(&digits));
    let mut left = digits;
    while left > 0 {
        let chunk = left.min(CHUNK);
        left -= chunk;
        let least = 10_i64.pow(chunk as u32 - 1);
        take(rng.randint(least, 10 * least - 1));
    }
}

impl Dataset for ReferencePasskey {
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
        if index >= MAX_ITEMS {
            return Err(Error::Index { task: NAME.to_owned(), index, len: MAX_ITEMS });
        }
        let Draw { key, place } = self.draw(index);
        let distractor = FILLER.join(" ");
        let lines = |count: i64| vec![distractor.as_str(); count.max(0) as usize];
        let before = [vec![INTRODUCTION], lines(place)].concat().join("\n");
        let after = lines(self.distractors - place).iter().fold(String::new(), |a, l| a + "\n" + l);
        let (prompt, evidence) =
            enclose(&(before + "\n"), &statement(&key), &(after + &self.options.question));
        let mut rng = item_rng(NAME, u64::from(self.seed), index);
        let choices = choices(&mut rng, &key);
        let gold = Gold::Digits { digits: key };
        let mut item = Item::new(index, self.identity.item_id(index), prompt, gold);
        item.evidence = Some(evidence);
        item.choices = choices;
        Ok(item)
    }

    fn identity(&self) -> serde_json::Value {
        self.identity.value()
    }
}

#[cfg(test)]
mod tests;
