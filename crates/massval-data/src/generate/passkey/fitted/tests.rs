use proptest::prelude::*;

use super::*;
use crate::generate::testing::{Bytes, Words};

fn set<E: Encode>(tokens: usize, digits: usize, depths: Depths, tokenizer: E) -> Passkey<E> {
    let options = PasskeyOptions { tokens, digits, depths, ..PasskeyOptions::default() };
    Passkey::new(options, tokenizer).unwrap()
}

#[test]
fn the_first_item() {
    let item = set(110, 5, Depths::at(40.0), Words { special: 0 }).item(0).unwrap();
    let expected = "There is an important info hidden inside a lot of irrelevant text. Find it and \
        memorize it. I will quiz you about the important information there.\n\
        The grass is green. The sky is blue. The sun is yellow. Here we go.\n\
        The pass key is 19560. Remember it. 19560 is the pass key.\n\
        There and back again. The grass is green. The sky is blue. The sun is yellow. Here we go. \
        There and back again. The grass is green\n\
        What is the pass key? The pass key is";
    assert_eq!(item.prompt, expected);
}

#[test]
fn a_cut_sentence_has_no_full_stop() {
    assert_eq!(filler(10), ["The grass is green.", "The sky is blue."]);
    assert_eq!(filler(9), ["The grass is green.", "The sky is blue"]);
    assert_eq!(filler(6), ["The grass is green.", "The"]);
}

#[test]
fn the_least_length_works_and_one_less_names_it() {
    for special in [0, 1] {
        let words = Words { special };
        let least = set(300, 6, Depths::Drawn, words).least_tokens();
        for index in 0..20 {
            let item = set(least, 6, Depths::Drawn, words).item(index).unwrap();
            let length = words.encode(&item.prompt, true).unwrap().len();
            assert!(length == least || length + 1 == least, "{length}");
        }
        let options = PasskeyOptions { tokens: least - 1, ..PasskeyOptions::default() };
        let message = Passkey::new(options, words).unwrap_err().to_string();
        assert!(message.ends_with(&format!("at least {least}")), "{message}");
    }
}

#[test]
fn first_and_last_depth_touch_introduction_and_question() {
    let item = |depth| set(200, 6, Depths::at(depth), Words { special: 0 }).item(3).unwrap();
    let (first, last) = (item(0.0), item(100.0));
    assert_eq!(first.evidence.unwrap().start, INTRODUCTION.len() + 1);
    assert_eq!(&last.prompt[last.evidence.unwrap().end..], QUESTION);
}

#[test]
fn depths_take_turns() {
    let cycled = set(300, 6, Depths::Cycle(vec![0.0, 50.0, 100.0]), Words { special: 1 });
    let starts: Vec<usize> =
        (0..6).map(|i| cycled.item(i).unwrap().evidence.unwrap().start).collect();
    assert!(starts[0] < starts[1] && starts[1] < starts[2], "{starts:?}");
    assert_eq!(starts[..3], starts[3..]);
}

/// Makes one token of any text.
struct One;

impl Encode for One {
    fn encode(&self, text: &str, _special: bool) -> Result<Vec<crate::Token>> {
        Ok(vec![crate::Token { id: 0, bytes: 0..text.len() }])
    }

    fn identity(&self) -> String {
        "one".to_owned()
    }
}

#[test]
fn a_tokenizer_that_filler_does_not_fill_is_an_error() {
    let message = set(100, 6, Depths::Drawn, One).item(0).unwrap_err().to_string();
    assert!(message.contains("no more tokens"), "{message}");
}

#[test]
fn impossible_options_are_refused() {
    let default = PasskeyOptions::default;
    for (options, named) in [
        (PasskeyOptions { digits: 0, ..default() }, "a key of 0 digits"),
        (PasskeyOptions { tokens: usize::MAX, ..default() }, "tokens"),
        (PasskeyOptions { depths: Depths::at(101.0), ..default() }, "101 %"),
        (PasskeyOptions { tokens: 0, ..default() }, "at least"),
    ] {
        let message = Passkey::new(options, Bytes).unwrap_err().to_string();
        assert!(message.contains(named), "{message}");
    }
}

#[test]
fn most_prompts_have_the_very_length() {
    let words = Words { special: 1 };
    for tokens in [128, 200, 513] {
        let set = set(tokens, 6, Depths::Drawn, words);
        let exact = (0..100)
            .filter(|&i| words.encode(&set.item(i).unwrap().prompt, true).unwrap().len() == tokens)
            .count();
        assert!(exact >= 95, "{exact} of 100 with {tokens}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_length_is_kept(
        tokens in 110_usize..600, digits in 1_usize..30, depth in 0.0..=100.0, seed: u64,
        index in 0_usize..1000,
    ) {
        let options = PasskeyOptions {
            seed, tokens, digits, depths: Depths::at(depth), ..PasskeyOptions::default()
        };
        let words = Words { special: 1 };
        let item = Passkey::new(options, words).unwrap().item(index).unwrap();
        let length = words.encode(&item.prompt, true).unwrap().len();
        prop_assert!(length == tokens || length + 1 == tokens, "{}", length);
        let Gold::Digits { digits: key } = &item.gold else { unreachable!() };
        prop_assert_eq!(key.len(), digits);
        prop_assert_eq!(&item.prompt[item.evidence.clone().unwrap()], statement(key));
        prop_assert_eq!(item.prompt.matches("Remember it.").count(), 1);
    }

    #[test]
    fn coarse_tokens_stay_within_a_word(tokens in 600_usize..2000, index in 0_usize..100) {
        let item = set(tokens, 6, Depths::Drawn, Bytes).item(index).unwrap();
        prop_assert!(item.prompt.len() <= tokens);
        prop_assert!(item.prompt.len() > tokens - "\n yellow".len());
    }

    #[test]
    fn deeper_is_later(
        a in 0.0..=100.0, b in 0.0..=100.0, tokens in 150_usize..600, index in 0_usize..100,
    ) {
        let start = |depth| {
            let set = set(tokens, 6, Depths::at(depth), Words { special: 0 });
            let item = set.item(index).unwrap();
            (item.evidence.unwrap().start, item.gold)
        };
        let (shallow, deep) = (start(f64::min(a, b)), start(f64::max(a, b)));
        prop_assert!(shallow.0 <= deep.0);
        prop_assert_eq!(shallow.1, deep.1);
    }
}
