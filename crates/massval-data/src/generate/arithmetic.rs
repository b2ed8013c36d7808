//! A count, and what is added to it and taken from it.

use rand_chacha::rand_core::RngCore;
use serde::{Deserialize, Serialize};

use super::WRONG_CHOICES;
use super::text::{FILLER, enclose};
use super::words::{NAMES, draw_different};
use crate::draw::{below, item_rng};
use crate::identity::Identity;
use crate::{Choice, Dataset, Error, Gold, Item, Result, Role, Side};

const NAME: &str = "arithmetic";

/// A chain has no more steps.
const MAX_STEPS: usize = 1 << 12;

/// No more sentences of filler stand between two steps.
const MAX_FILLER: usize = 1 << 12;

/// No number in a chain but the result may be larger.
const MAX_OPERAND: i64 = 1_000_000;

/// Fewer marbles are never moved: one would be no plural.
const MIN_OPERAND: i64 = 2;

/// Wrong alternatives are off by at most this much.
const MAX_ERROR: i64 = 9;

/// What decides the items of an [`Arithmetic`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArithmeticOptions {
    /// The seed of all draws.
    pub seed: u64,
    /// How often something is added or taken.
    pub steps: usize,
    /// The largest number at the start and in a step; the least is 2.
    pub largest: u32,
    /// How many sentences of filler stand before each step.
    pub filler: usize,
}

impl Default for ArithmeticOptions {
    /// 3 steps with numbers up to 20, a sentence of filler before each.
    fn default() -> Self {
        Self { seed: 0, steps: 3, largest: 20, filler: 1 }
    }
}

/// A chain of additions and subtractions, told among filler: how many are there in the end?
///
/// Results are never negative. The alternatives are off by up to 9.
///
/// ```
/// use massval_data::Dataset;
/// use massval_data::generate::{Arithmetic, ArithmeticOptions};
///
/// let set = Arithmetic::new(ArithmeticOptions { steps: 1, ..ArithmeticOptions::default() })?;
/// let item = set.item(0)?;
/// assert!(item.prompt.ends_with("The number of marbles in the box is now"));
/// # Ok::<(), massval_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Arithmetic {
    options: ArithmeticOptions,
    identity: Identity,
}

impl Arithmetic {
    /// The set.
    ///
    /// # Errors
    /// [`Error::Options`] for options out of range.
    pub fn new(options: ArithmeticOptions) -> Result<Self> {
        let what = if options.steps == 0 || options.steps > MAX_STEPS {
            format!("{} steps; there may be 1 to {MAX_STEPS}", options.steps)
        } else if !(MIN_OPERAND..=MAX_OPERAND).contains(&i64::from(options.largest)) {
            format!(
                "numbers up to {}; the largest may be {MIN_OPERAND} to {MAX_OPERAND}",
                options.largest
            )
        } else if options.filler > MAX_FILLER {
            format!("{} sentences of filler; at most {MAX_FILLER}", options.filler)
        } else {
            let identity = Identity::generated(NAME, 1, &options, None);
            return Ok(Self { options, identity });
        };
        Err(Error::Options { task: NAME.to_owned(), what })
    }

    /// What is told, and the number it comes to.
    fn story(&self, rng: &mut impl RngCore) -> (String, i64) {
        let largest = i64::from(self.options.largest);
        let mut total = draw_operand(rng, largest);
        let mut told = format!("A box holds {total} marbles.");
        let mut filler = FILLER.iter().cycle();
        for _ in 0..self.options.steps {
            for sentence in filler.by_ref().take(self.options.filler) {
                told = told + " " + sentence;
            }
            let name = draw_different(rng, &NAMES, 1).concat();
            // no more can be taken than there are
            let takes = below(rng, 2) == 1 && total >= MIN_OPERAND;
            let operand = draw_operand(rng, if takes { total.min(largest) } else { largest });
            if takes {
                total -= operand;
                told += &format!(" {name} takes {operand} marbles out.");
            } else {
                total += operand;
                told += &format!(" {name} puts {operand} marbles in.");
            }
        }
        (told, total)
    }
}

/// A number from [`MIN_OPERAND`] to `most`, which must not be less.
fn draw_operand(rng: &mut impl RngCore, most: i64) -> i64 {
    MIN_OPERAND + below(rng, (most - MIN_OPERAND + 1) as usize) as i64
}

/// The right number and different ones close to it.
fn choices(rng: &mut impl RngCore, right: i64) -> Vec<Choice> {
    let mut numbers = vec![right];
    while numbers.len() <= WRONG_CHOICES {
        let wrong = right - MAX_ERROR + below(rng, 2 * MAX_ERROR as usize + 1) as i64;
        if wrong >= 0 && !numbers.contains(&wrong) {
            numbers.push(wrong);
        }
    }
    let role = |place| if place == 0 { Role::Right } else { Role::Wrong };
    let choice = |(place, number)| Choice::new(format!(" {number}"), role(place));
    numbers.into_iter().enumerate().map(choice).collect()
}

impl Dataset for Arithmetic {
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
        let (story, result) = self.story(&mut rng);
        let (prompt, evidence) = enclose("", &story, "\nThe number of marbles in the box is now");
        let gold = Gold::Number { number: result.to_string() };
        let mut item = Item::new(index, self.identity.item_id(index), prompt, gold);
        item.evidence = Some(evidence);
        item.choices = choices(&mut rng, result);
        Ok(item)
    }

    fn identity(&self) -> serde_json::Value {
        self.identity.value()
    }
}
