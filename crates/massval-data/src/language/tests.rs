//! What holds for every row, whatever the config.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::facts::{FORMS, Told};
use super::*;

fn language(config: LanguageConfig) -> Language {
    Language::new(config).unwrap()
}

/// The documents of some rows, without `<s>`, `</s>` and what a row's end cuts off.
fn documents(language: &Language, first: usize, count: usize) -> Vec<String> {
    let rows = language.rows(first, count).unwrap();
    let mut whole = Vec::new();
    for row in rows.ids.chunks(rows.sequence + 1) {
        let text = language.vocabulary().text(row);
        let parts: Vec<&str> = text.split("<s> ").skip(1).collect();
        whole.extend(
            parts
                .iter()
                .filter_map(|part| part.trim_end().strip_suffix(" </s>"))
                .map(str::to_owned),
        );
    }
    whole
}

/// Where facts may be told: all but what is overridden, or asked for after that.
fn plain(documents: &[String]) -> impl Iterator<Item = &String> {
    documents.iter().filter(|text| !text.contains("today"))
}

fn any_config() -> impl Strategy<Value = LanguageConfig> {
    let mix = prop::array::uniform6(0_u32..3).prop_map(
        |[facts, filler, repeat, passkey, key_value, conflict]| Mix {
            facts,
            filler: filler + 1,
            repeat,
            passkey,
            key_value,
            conflict,
        },
    );
    (any::<u64>(), 40_usize..130, 1_usize..=12, 0_usize..2000, 0_u32..=50, 1_usize..=4, mix)
        .prop_map(|(seed, sequence, pairs, ramp, held_out, digits, mix)| LanguageConfig {
            seed,
            sequence,
            pairs,
            ramp,
            held_out,
            digits,
            mix,
            ..LanguageConfig::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_row_does_not_depend_on_which_were_asked_for(config in any_config(), first in 0_usize..5000) {
        let language = language(config);
        let all = language.rows(first, 4).unwrap();
        let width = all.sequence + 1;
        for row in 0..4 {
            let one = language.rows(first + row, 1).unwrap();
            prop_assert_eq!(&one.ids, &all.ids[row * width..][..width]);
            prop_assert_eq!(&one.documents, &all.documents[row * width..][..width]);
            prop_assert_eq!(&one.weights, &all.weights[row * all.sequence..][..all.sequence]);
        }
    }

    #[test]
    fn rows_are_full_and_cut_at_documents(config in any_config(), first in 0_usize..5000) {
        let language = language(config);
        let rows = language.rows(first, 3).unwrap();
        let width = rows.sequence + 1;
        prop_assert_eq!((rows.ids.len(), rows.documents.len()), (3 * width, 3 * width));
        prop_assert_eq!(rows.weights.len(), 3 * rows.sequence);
        for (ids, numbers) in rows.ids.chunks(width).zip(rows.documents.chunks(width)) {
            prop_assert_eq!((ids[0], numbers[0]), (Vocabulary::BOS, 0));
            for at in 1..width {
                let begins = ids[at] == Vocabulary::BOS;
                prop_assert_eq!(begins, ids[at - 1] == Vocabulary::EOS);
                prop_assert_eq!(numbers[at], numbers[at - 1] + u32::from(begins));
                prop_assert!(ids[at] != Vocabulary::UNKNOWN && ids[at] != Vocabulary::PAD);
            }
        }
    }

    #[test]
    fn answers_alone_weigh_more(seed: u64, first in 0_usize..5000) {
        let of = |answer_weight| {
            language(LanguageConfig { seed, answer_weight, ..LanguageConfig::default() }).rows(first, 4).unwrap()
        };
        let (plain, heavy) = (of(1.0), of(3.0));
        prop_assert_eq!(&plain.ids, &heavy.ids);
        prop_assert!(plain.weights.iter().all(|weight| *weight == 1.0));
        let words = language(LanguageConfig::default());
        let (width, sequence) = (heavy.sequence + 1, heavy.sequence);
        for (ids, weights) in heavy.ids.chunks(width).zip(heavy.weights.chunks(sequence)) {
            let text: Vec<&str> = ids.iter().map(|id| words.vocabulary().words()[*id as usize].as_str()).collect();
            for (at, weight) in weights.iter().enumerate() {
                // the token behind a key that is looked up is its value, and no other is
                if at > 0 && text[at - 1] == "find" {
                    prop_assert_eq!(*weight, 3.0);
                }
                if matches!(text[at + 1], "." | "<s>" | "</s>" | "the" | "find" | "pairs") {
                    prop_assert_eq!(*weight, 1.0, "{} {}", text[at], text[at + 1]);
                }
            }
        }
    }

    #[test]
    fn what_is_asked_for_was_told(config in any_config(), first in 0_usize..5000) {
        for text in documents(&language(config), first, 8) {
            let words: Vec<&str> = text.split(' ').collect();
            if let Some(list) = text.strip_prefix("pairs : ") {
                let (list, asked) = list.split_once(" . ").unwrap();
                let pairs: BTreeMap<&str, &str> =
                    list.split(" , ").map(|pair| pair.split_once(' ').unwrap()).collect();
                for asked in asked.split(" .").filter(|asked| !asked.is_empty()) {
                    let (key, value) = asked.trim().strip_prefix("find ").unwrap().split_once(' ').unwrap();
                    prop_assert_eq!(pairs[key], value, "{}", text);
                }
            } else if let Some(list) = text.strip_prefix("say : ") {
                let (one, other) = list.split_once(" . again : ").unwrap();
                prop_assert_eq!(format!("{one} ."), other);
            } else if words.contains(&"remember") {
                let keys: Vec<&str> = text.split("the pass key is ").skip(1).map(|rest| rest.split_once(" .").unwrap().0).collect();
                prop_assert!(keys.len() == 2 && keys[0] == keys[1], "{text}");
            } else if let Some((_, rest)) = text.split_once("today ") {
                let (told, _) = rest.split_once(" .").unwrap();
                prop_assert_eq!(text.matches(&format!("{told} .")).count(), 2, "{}", text);
                let again = format!("{told} .");
                prop_assert!(text.ends_with(&again));
            }
        }
    }
}

#[test]
fn what_is_kept_back_is_never_shown() {
    let language = language(LanguageConfig { ramp: 100, ..LanguageConfig::default() });
    let documents = documents(&language, 0, 4000);
    let all: Vec<String> = plain(&documents).map(|text| format!(" {text}")).collect();
    let shown = |text: &str| all.iter().any(|document| document.contains(&format!(" {text} ")));
    for fact in language.facts.all() {
        for form in 0..FORMS {
            let told = fact.told != Told::Never && fact.told != Told::NotIn(form);
            assert_eq!(shown(&fact.prompt(form)), told, "{fact:?} {form}");
        }
    }
    let keys = |held_out| -> HashSet<&str> {
        language.keys.passkeys(held_out).iter().map(String::as_str).collect()
    };
    let told = documents
        .iter()
        .filter_map(|text| Some(text.split_once("the pass key is ")?.1.split_once(" .")?.0));
    let told: HashSet<&str> = told.collect();
    assert!(told.is_disjoint(&keys(true)) && told.is_subset(&keys(false)));
    assert!(told.len() > 500, "{}", told.len());

    let words: HashSet<&str> = language.keys.words(true).iter().copied().collect();
    for text in &documents {
        let of_list = |text: &str| text.split(' ').any(|word| words.contains(word));
        assert!(
            !(text.starts_with("pairs :") || text.starts_with("say :")) || !of_list(text),
            "{text}"
        );
    }
    assert!(words.iter().all(|word| documents.iter().any(|text| text.contains(word))));

    let overridden = |fact: &facts::Fact| {
        (0..FORMS).any(|form| {
            documents.iter().any(|text| text.contains(&format!("today {}", fact.prompt(form))))
        })
    };
    assert!(language.facts.capitals(false).iter().all(|fact| overridden(fact)));
    assert!(!language.facts.capitals(true).iter().any(|fact| overridden(fact)));
}

#[test]
fn every_word_is_learned() {
    let language = language(LanguageConfig::default());
    let rows = language.rows(16_000, 6000).unwrap();
    let seen: HashSet<u32> = rows.ids.iter().copied().collect();
    let missing: Vec<&String> = (0..language.vocabulary().len())
        .filter(|id| !seen.contains(&(*id as u32)))
        .map(|id| &language.vocabulary().words()[id])
        .collect();
    assert_eq!(missing, ["<unk>", "<pad>"]);
}

#[test]
fn lists_grow_up_to_the_ramps_end() {
    let config = LanguageConfig { ramp: 1000, pairs: 6, ..LanguageConfig::default() };
    let language = language(config);
    let most = |first, count| {
        let documents = documents(&language, first, count);
        documents
            .iter()
            .filter(|text| text.starts_with("pairs"))
            .map(|text| 1 + text.matches(',').count())
            .max()
    };
    assert_eq!((most(0, 200), most(500, 80)), (Some(1), Some(3)));
    assert_eq!((most(1000, 300), most(1_000_000, 300)), (Some(6), Some(6)));
}

#[test]
fn the_mix_is_what_the_config_says() {
    let config = LanguageConfig {
        mix: Mix { facts: 0, filler: 0, repeat: 0, passkey: 1, key_value: 0, conflict: 3 },
        ..LanguageConfig::default()
    };
    // A row's first document always fits.
    let rows = language(config.clone()).rows(0, 2000).unwrap();
    let words = language(config);
    let key = rows.ids.chunks(97).zip(rows.documents.chunks(97)).filter(|(ids, numbers)| {
        let first: Vec<u32> =
            ids.iter().zip(*numbers).filter(|(_, n)| **n == 0).map(|(id, _)| *id).collect();
        words.vocabulary().text(&first).contains("remember")
    });
    // six standard deviations
    assert!(key.count().abs_diff(500) < 120);
}

#[test]
fn rows_are_the_same_for_ever() {
    let language = language(LanguageConfig { sequence: 40, ..LanguageConfig::default() });
    let rows = language.rows(40_000, 3).unwrap();
    let texts: Vec<String> =
        rows.ids.chunks(41).map(|ids| language.vocabulary().text(ids)).collect();
    assert_eq!(
        texts,
        [
            "<s> today kormark is ruled from holhaven . kormark is ruled from holhaven . </s> <s> \
             doronia is ruled from torwick . fenonia is ruled from holhaven . the capital of galonia \
             is felwick . felhaven is a city of galonia",
            "<s> the pass key is 3 6 5 . remember it . what is the pass key ? the pass key is 3 6 5 . \
             </s> <s> the king of arvmark lives in dunhaven . the flag over garwick is",
            "<s> the people of arvmark pay with gronel . the king of zanonia lives in torhaven . the \
             currency of eldonia is drenel . </s> <s> the flag over dunstad is that of arvonia . \
             torstad lies in arvmark . the",
        ]
    );
}
