//! What holds for every generated set, and the first items of each.

use std::collections::HashSet;

use proptest::prelude::*;

use super::testing::Words;
use super::*;
use crate::{Choice, Dataset, Gold, Item, Role};

/// All sets, with this seed where they take one.
fn sets(seed: u64) -> Vec<Box<dyn Dataset>> {
    let words = Words { special: 1 };
    let lines = KeyValueOptions {
        seed,
        form: KeyValueForm::Lines,
        keys: KeyKind::Uuid,
        depths: Depths::Cycle(vec![0.0, 100.0]),
        ..KeyValueOptions::default()
    };
    let passkey = PasskeyOptions { seed, ..PasskeyOptions::default() };
    let reference = ReferencePasskeyOptions { position: seed as usize % 100, ..Default::default() };
    vec![
        Box::new(Passkey::new(passkey, words).unwrap()),
        Box::new(ReferencePasskey::new(reference, &words).unwrap()),
        Box::new(KeyValue::new(KeyValueOptions { seed, ..Default::default() }).unwrap()),
        Box::new(KeyValue::new(lines).unwrap()),
        Box::new(ListRecall::new(ListRecallOptions { seed, words: 12 }).unwrap()),
        Box::new(CoinFlip::new(CoinFlipOptions { seed, people: 5 }).unwrap()),
        Box::new(Arithmetic::new(ArithmeticOptions { seed, ..Default::default() }).unwrap()),
    ]
}

/// The first spelling of the answer as it follows the prompt.
fn answer(item: &Item) -> String {
    let text = match &item.gold {
        Gold::Text { answers } => answers[0].clone(),
        Gold::Digits { digits } => digits.clone(),
        Gold::Number { number } => number.clone(),
        Gold::Truth { truth } => if *truth { "yes" } else { "no" }.to_owned(),
        Gold::List { items } => items.join(", "),
        other => panic!("{other:?}"),
    };
    format!(" {text}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_item_does_not_depend_on_which_were_asked_for(seed: u64, index in 0_usize..300) {
        let (one, other) = (sets(seed), sets(seed));
        for (one, other) in one.iter().zip(&other) {
            let alone = one.item(index).unwrap();
            for before in [index + 1, 0, index / 2] {
                other.item(before).unwrap();
            }
            prop_assert_eq!(&alone, &other.item(index).unwrap());
            prop_assert_eq!(one.identity(), other.identity());
        }
    }

    #[test]
    fn the_evidence_stands_in_the_prompt_once_and_leads_to_the_answer(
        seed: u64, index in 0_usize..300,
    ) {
        for set in sets(seed) {
            let item = set.item(index).unwrap();
            prop_assert_eq!(item.index, index);
            let evidence = &item.prompt[item.evidence.clone().unwrap()];
            prop_assert_eq!(item.prompt.matches(evidence).count(), 1, "{}", item.prompt);
            match &item.gold {
                Gold::Truth { truth } => {
                    let flips = evidence.matches(" flips ").count();
                    prop_assert_eq!(*truth, flips.is_multiple_of(2));
                }
                Gold::Number { number } => prop_assert_eq!(number, &told(evidence).to_string()),
                _ => {
                    prop_assert!(evidence.contains(answer(&item).trim()));
                }
            }
        }
    }

    #[test]
    fn the_first_alternative_alone_is_right(seed: u64, index in 0_usize..300) {
        for set in sets(seed) {
            let item = set.item(index).unwrap();
            let Some(Choice { text, role }) = item.choices.first() else {
                prop_assert_eq!(set.name(), "list_recall");
                continue;
            };
            prop_assert_eq!((text.replace('"', ""), *role), (answer(&item), Role::Right));
            prop_assert!(item.choices[1..].iter().all(|choice| choice.role == Role::Wrong));
            let texts: HashSet<&str> = item.choices.iter().map(|c| c.text.as_str()).collect();
            prop_assert_eq!(texts.len(), item.choices.len());
            prop_assert_eq!(texts.len(), if set.name() == "coin_flip" { 2 } else { 4 });
        }
    }

    #[test]
    fn other_seeds_give_other_items(seed: u64) {
        for (one, other) in sets(seed).iter().zip(sets(seed.wrapping_add(1))) {
            prop_assert_ne!(one.item(0).unwrap(), other.item(0).unwrap());
        }
    }

    #[test]
    fn deeper_pairs_stand_later(pairs in 1_usize..200, a in 0.0..=100.0, b in 0.0..=100.0) {
        let start = |depth| {
            let options = KeyValueOptions { pairs, depths: Depths::at(depth), ..Default::default() };
            KeyValue::new(options).unwrap().item(0).unwrap().evidence.unwrap().start
        };
        prop_assert!(start(f64::min(a, b)) <= start(f64::max(a, b)));
    }
}

/// What a story of marbles comes to.
fn told(story: &str) -> i64 {
    let words: Vec<&str> = story.split_whitespace().collect();
    let step = |window: &[&str]| match window {
        ["holds" | "puts", number, "marbles" | "marbles."] => number.parse().unwrap(),
        ["takes", number, "marbles"] => -number.parse::<i64>().unwrap(),
        _ => 0,
    };
    words.windows(3).map(step).sum()
}

#[test]
fn prompts_do_not_repeat_and_ids_are_of_one_set() {
    let mut ids = HashSet::new();
    for set in sets(3).into_iter().chain(sets(4)) {
        let mut prompts = HashSet::new();
        for index in 0..500 {
            let item = set.item(index).unwrap();
            assert!(prompts.insert(item.prompt.clone()), "{}: {}", set.name(), item.prompt);
            assert!(ids.insert(item.id), "{}", set.name());
        }
    }
}

#[test]
fn yes_and_no_are_balanced() {
    let set = CoinFlip::new(CoinFlipOptions { seed: 9, people: 3 }).unwrap();
    let truths: Vec<bool> =
        (0..200).map(|i| set.item(i).unwrap().gold == Gold::Truth { truth: true }).collect();
    assert!(truths.chunks(2).all(|two| two[0] != two[1]));
    let yes_first = truths.iter().step_by(2).filter(|truth| **truth).count();
    assert!((30..=70).contains(&yes_first), "{yes_first}");
}

#[test]
fn drawn_depths_reach_both_ends() {
    let set = KeyValue::new(KeyValueOptions { pairs: 4, ..Default::default() }).unwrap();
    let mut places = [0; 4];
    for index in 0..400 {
        let item = set.item(index).unwrap();
        places[item.prompt[..item.evidence.unwrap().start].matches("\": \"").count()] += 1;
    }
    assert!(places.iter().all(|count| (60..=140).contains(count)), "{places:?}");
}

#[test]
fn impossible_options_are_refused() {
    let refused = [
        (KeyValue::new(KeyValueOptions { pairs: 0, ..Default::default() }).err(), "0 pairs"),
        (KeyValue::new(KeyValueOptions { pairs: 5000, ..Default::default() }).err(), "`uuid`"),
        (ListRecall::new(ListRecallOptions { seed: 0, words: 0 }).err(), "0 words"),
        (CoinFlip::new(CoinFlipOptions { seed: 0, people: 1000 }).err(), "1000 people"),
        (Arithmetic::new(ArithmeticOptions { steps: 0, ..Default::default() }).err(), "0 steps"),
        (Arithmetic::new(ArithmeticOptions { largest: 1, ..Default::default() }).err(), "up to 1;"),
        (
            Arithmetic::new(ArithmeticOptions { filler: 5000, ..Default::default() }).err(),
            "5000 sentences",
        ),
    ];
    for (error, named) in refused {
        let message = error.unwrap().to_string();
        assert!(message.contains(named), "{message}");
    }
}

#[test]
fn options_are_read_with_defaults_and_without_strangers() {
    let options: KeyValueOptions = serde_json::from_str(
        r#"{"pairs": 4, "form": "lines", "keys": "uuid", "depths": {"cycle": [50]}}"#,
    )
    .unwrap();
    let expected = KeyValueOptions {
        pairs: 4,
        form: KeyValueForm::Lines,
        keys: KeyKind::Uuid,
        depths: Depths::at(50.0),
        ..Default::default()
    };
    assert_eq!(options, expected);
    let message = serde_json::from_str::<CoinFlipOptions>(r#"{"persons": 4}"#).unwrap_err();
    assert!(message.to_string().contains("`persons`"), "{message}");
}

mod golden;
