//! Plain sentences, in which verbs agree with their subjects.

use rand_chacha::rand_core::RngCore;

use super::names::{ACTORS, ADJECTIVES, THINGS, VERBS};
use crate::draw::below;

/// A sentence of 6 to 11 words, its full stop included: `the old cats near the boy hide the lamp .`
/// What stands between subject and verb may be of the other number.
pub(super) fn sentence(rng: &mut impl RngCore) -> String {
    let number = below(rng, 2);
    let [actor, other] = [pick(rng, &ACTORS), pick(rng, &ACTORS)];
    let subject = described(rng, actor[number]);
    let near = match below(rng, 4) {
        0 => format!(" near the {}", other[below(rng, 2)]),
        _ => String::new(),
    };
    let verb = pick(rng, &VERBS)[number];
    let thing = pick(rng, &THINGS);
    let object = described(rng, thing);
    format!("the {subject}{near} {verb} the {object} .")
}

/// Sentences of at most `words` words altogether, as many as fit.
pub(super) fn sentences(rng: &mut impl RngCore, words: usize) -> Vec<String> {
    fitting(words, || sentence(rng))
}

/// What `next` gives, up to the first that does not fit into so many words.
pub(super) fn fitting(words: usize, mut next: impl FnMut() -> String) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut left = words;
    loop {
        let sentence = next();
        match left.checked_sub(sentence.split(' ').count()) {
            Some(rest) => left = rest,
            None => return sentences,
        }
        sentences.push(sentence);
    }
}

fn described(rng: &mut impl RngCore, noun: &str) -> String {
    match below(rng, 3) {
        0 => format!("{} {noun}", pick(rng, &ADJECTIVES)),
        _ => noun.to_owned(),
    }
}

fn pick<T: Copy>(rng: &mut impl RngCore, list: &[T]) -> T {
    // never of an empty list: all are constants
    list[below(rng, list.len())]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::draw::item_rng;

    proptest! {
        #[test]
        fn verbs_agree_with_their_subjects(seed: u64) {
            let text = sentence(&mut item_rng("test", seed, 0));
            let words: Vec<&str> = text.split(' ').collect();
            prop_assert!((6..=11).contains(&words.len()) && words.ends_with(&["."]), "{text}");
            let number = |forms: &[[&str; 2]], word: &str| {
                forms.iter().find_map(|pair| pair.iter().position(|form| *form == word))
            };
            let subject = words.iter().find_map(|word| number(&ACTORS, word));
            let verbs: Vec<usize> = words.iter().filter_map(|word| number(&VERBS, word)).collect();
            prop_assert_eq!(vec![subject.unwrap()], verbs, "{}", text);
        }

        #[test]
        fn sentences_fit(seed: u64, words in 0_usize..200) {
            let made = sentences(&mut item_rng("test", seed, 0), words);
            let count: usize = made.iter().map(|text| text.split(' ').count()).sum();
            prop_assert!(count <= words && count + 11 > words, "{count} of {words}");
        }
    }
}
