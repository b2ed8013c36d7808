//! Pass keys and key words, and which of them training never uses as such.

use rand_chacha::rand_core::RngCore;

use super::LanguageConfig;
use super::config::share;
use super::names::{DIGITS, THINGS};
use crate::draw::{below, distinct, item_rng, shuffle};

/// Pools, each cut into what training uses and what is held out.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    passkeys: [Vec<String>; 2],
    words: [Vec<&'static str>; 2],
}

impl Keys {
    /// Of a valid config.
    pub(super) fn new(config: &LanguageConfig) -> Self {
        let rng = &mut item_rng("language/keys", config.seed, 0);
        let passkeys = cut(rng, passkeys(config.digits), config.held_out);
        let words = cut(rng, THINGS.to_vec(), config.held_out);
        Self { passkeys, words }
    }

    /// Pass keys of training, or those held out from it.
    pub(super) fn passkeys(&self, held_out: bool) -> &[String] {
        &self.passkeys[usize::from(held_out)]
    }

    /// Words that are keys and values in training, or that never are.
    pub(super) fn words(&self, held_out: bool) -> &[&'static str] {
        &self.words[usize::from(held_out)]
    }

    /// A pass key, if there is any.
    pub(super) fn draw_passkey(&self, rng: &mut impl RngCore, held_out: bool) -> Option<&str> {
        let keys = self.passkeys(held_out);
        keys.get(below(rng, keys.len())).map(String::as_str)
    }

    /// Up to `count` different words.
    pub(super) fn draw_words(
        &self,
        rng: &mut impl RngCore,
        held_out: bool,
        count: usize,
    ) -> Vec<&'static str> {
        let words = self.words(held_out);
        distinct(rng, count, words.len()).into_iter().map(|place| words[place]).collect()
    }
}

/// All runs of so many different digits, with spaces between them. None has a digit twice: what comes
/// next is then a matter of the last digit alone.
fn passkeys(digits: usize) -> Vec<String> {
    let mut keys = vec![String::new()];
    for _ in 0..digits {
        let longer = keys.iter().flat_map(|key| {
            let others = DIGITS.iter().filter(move |digit| !key.contains(**digit));
            others.map(move |digit| format!("{key} {digit}").trim_start().to_owned())
        });
        keys = longer.collect();
    }
    keys
}

/// What is left of `items`, and so many percent of them.
fn cut<T>(rng: &mut impl RngCore, mut items: Vec<T>, percent: u32) -> [Vec<T>; 2] {
    shuffle(rng, &mut items);
    let held_out = items.split_off(items.len() - share(items.len(), percent));
    [items, held_out]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_run_of_different_digits_is_there_once() {
        for (digits, count) in [(1, 10), (2, 90), (3, 720), (5, 30_240)] {
            let keys = passkeys(digits);
            assert_eq!(keys.iter().collect::<HashSet<_>>().len(), count);
            assert_eq!(keys.len(), count);
            for key in keys {
                let parts: HashSet<&str> = key.split(' ').collect();
                assert!(parts.len() == digits && parts.iter().all(|part| DIGITS.contains(part)));
            }
        }
    }

    proptest! {
        #[test]
        fn pools_are_whole_and_apart(seed: u64, digits in 1_usize..=3, held_out in 0_u32..=50) {
            let keys = Keys::new(&LanguageConfig { seed, digits, held_out, ..Default::default() });
            let words: HashSet<_> = keys.words(false).iter().chain(keys.words(true)).collect();
            prop_assert_eq!(words.len(), THINGS.len());
            prop_assert_eq!(keys.words(true).len(), 64 * held_out as usize / 100);
            let all: HashSet<_> = keys.passkeys(false).iter().chain(keys.passkeys(true)).collect();
            prop_assert_eq!(all.len(), passkeys(digits).len());
            prop_assert_eq!(keys.passkeys(true).len(), all.len() * held_out as usize / 100);
            let rng = &mut item_rng("test", seed, 0);
            prop_assert_eq!(keys.draw_passkey(rng, true).is_none(), keys.passkeys(true).is_empty());
            prop_assert_eq!(keys.draw_words(rng, false, 100).len(), keys.words(false).len());
        }
    }
}
