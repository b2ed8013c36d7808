//! A number hidden within much irrelevant text.
//!
//! The task is that of Mohtashami and Jaggi (2023); the texts are the reference's.

mod fitted;
mod numpy;
mod reference;

use rand_chacha::rand_core::RngCore;

use super::WRONG_CHOICES;
use crate::draw::below;
use crate::{Choice, Error, Result, Role};

pub use fitted::{Passkey, PasskeyOptions};
pub use reference::{ReferencePasskey, ReferencePasskeyOptions};

/// What comes first.
const INTRODUCTION: &str = "There is an important info hidden inside a lot of irrelevant text. \
    Find it and memorize it. I will quiz you about the important information there.";

/// The question both sets ask unless another one is given.
const QUESTION: &str = "\nWhat is the pass key? The pass key is";

/// No prompt is asked to be longer than this.
const MAX_TOKENS: usize = 1 << 20;

/// No key is longer than this.
const MAX_DIGITS: usize = 1000;

/// The sentences that say the key.
fn statement(key: &str) -> String {
    format!("The pass key is {key}. Remember it. {key} is the pass key.")
}

/// Refuses keys and prompts of impossible size.
fn check_sizes(task: &str, tokens: usize, digits: usize) -> Result<()> {
    let what = if digits == 0 || digits > MAX_DIGITS {
        format!("a key of {digits} digits; it may have 1 to {MAX_DIGITS}")
    } else if tokens > MAX_TOKENS {
        format!("prompts of {tokens} tokens; at most {MAX_TOKENS} can be asked for")
    } else {
        return Ok(());
    };
    Err(Error::Options { task: task.to_owned(), what })
}

/// A key of `digits` digits, the first not zero.
fn draw_key(rng: &mut impl RngCore, digits: usize) -> String {
    let digit = |place| if place == 0 { 1 + below(rng, 9) } else { below(rng, 10) };
    (0..digits).map(digit).map(|digit| digit.to_string()).collect()
}

/// The right key and other ones of the same length.
fn choices(rng: &mut impl RngCore, key: &str) -> Vec<Choice> {
    let mut keys = vec![key.to_owned()];
    while keys.len() <= WRONG_CHOICES {
        let other = draw_key(rng, key.len());
        if !keys.contains(&other) {
            keys.push(other);
        }
    }
    let role = |place| if place == 0 { Role::Right } else { Role::Wrong };
    keys.iter().enumerate().map(|(i, key)| Choice::new(format!(" {key}"), role(i))).collect()
}
