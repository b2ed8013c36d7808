//! What holds for every set, and the first items of each.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::generate::Depths;
use crate::language::{LanguageConfig, Relation, Vocabulary};
use crate::{Dataset, Encode};

const SPLITS: [Split; 2] = [Split::Trained, Split::HeldOut];

fn language(seed: u64) -> Language {
    Language::new(LanguageConfig { seed, ..LanguageConfig::default() }).unwrap()
}

/// Every set in every split.
fn sets(language: &Language, seed: u64) -> Vec<Box<dyn Dataset>> {
    let mut sets: Vec<Box<dyn Dataset>> = Vec::new();
    for split in [FactSplit::Shown, FactSplit::HiddenForm, FactSplit::Unseen] {
        let options = SmallFactsOptions { seed, split, ..SmallFactsOptions::default() };
        sets.push(Box::new(SmallFacts::new(language, options).unwrap()));
    }
    for split in SPLITS {
        let passkey = SmallPasskeyOptions { seed, split, ..SmallPasskeyOptions::default() };
        let key_value = SmallKeyValueOptions { seed, split, ..SmallKeyValueOptions::default() };
        let conflict = SmallConflictOptions { seed, split, ..SmallConflictOptions::default() };
        sets.push(Box::new(SmallPasskey::new(language, passkey).unwrap()));
        sets.push(Box::new(SmallKeyValue::new(language, key_value).unwrap()));
        sets.push(Box::new(SmallConflict::new(language, conflict).unwrap()));
    }
    sets
}

/// What answers an item, by the prompt.
fn answers(item: &Item) -> Vec<&String> {
    match &item.gold {
        Gold::Text { answers } => answers.iter().collect(),
        Gold::Conflict { context, memory } => context.iter().chain(memory).collect(),
        other => panic!("{other:?}"),
    }
}

/// As a tokenizer of the written file cuts a text: at spaces, and between words and marks.
fn cut(text: &str) -> Vec<&str> {
    let words = text.split_whitespace();
    words
        .flat_map(|word| match word.find(|c: char| !c.is_alphanumeric()) {
            Some(at) if at > 0 => vec![&word[..at], &word[at..]],
            _ => vec![word],
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_item_is_its_own(world in 0_u64..50, seed: u64, index in 0_usize..200) {
        let language = language(world);
        let (sets, others) = (sets(&language, seed), sets(&language, seed));
        for (one, other) in sets.iter().zip(&others) {
            let index = index % one.len().unwrap_or(200);
            let item = one.item(index).unwrap();
            other.item(0).unwrap();
            prop_assert_eq!(&item, &other.item(index).unwrap());
            prop_assert_eq!(one.identity(), other.identity());
            prop_assert_eq!(item.index, index);
        }
    }

    #[test]
    fn prompts_and_answers_are_tokens_of_the_language(
        world in 0_u64..50, seed: u64, index in 0_usize..200,
    ) {
        let language = language(world);
        let words = language.vocabulary();
        for set in sets(&language, seed) {
            let item = set.item(index % set.len().unwrap_or(200)).unwrap();
            for choice in &item.choices {
                let text = format!("{}{}", item.prompt, choice.text);
                let ids = words.ids(&text).unwrap();
                prop_assert_eq!(words.text(&ids), text.clone());
                prop_assert!(ids.iter().all(|id| *id > Vocabulary::PAD));
                prop_assert!(ids.len() < language.config().sequence);
                let cut: Vec<u32> = cut(&text).into_iter().map(|word| words.id(word).unwrap()).collect();
                prop_assert_eq!(cut, ids);
            }
            if let Some(evidence) = item.evidence.clone() {
                let mut located = item.clone();
                located.locate(words).unwrap();
                let tokens = words.encode(&item.prompt, false).unwrap();
                let held = &tokens[located.evidence_tokens.unwrap()];
                prop_assert_eq!(held[0].bytes.start, evidence.start);
                prop_assert_eq!(held[held.len() - 1].bytes.end, evidence.end);
            }
        }
    }

    #[test]
    fn alternatives_differ_and_the_first_is_right(
        world in 0_u64..50, seed: u64, index in 0_usize..200,
    ) {
        for set in sets(&language(world), seed) {
            let item = set.item(index % set.len().unwrap_or(200)).unwrap();
            let texts: HashSet<&str> = item.choices.iter().map(|choice| choice.text.trim_start()).collect();
            prop_assert_eq!(texts.len(), if set.name() == "small_key_value" { 4 } else { 10 });
            prop_assert_eq!(item.choices.len(), texts.len());
            let answers = answers(&item);
            let roles = if answers.len() == 2 { vec![Role::Right, Role::Memory] } else { vec![Role::Right] };
            for (at, choice) in item.choices.iter().enumerate() {
                prop_assert_eq!(choice.role, *roles.get(at).unwrap_or(&Role::Wrong));
                if let Some(answer) = answers.get(at) {
                    prop_assert_eq!(choice.text.trim_start(), answer.as_str());
                }
            }
            match item.evidence.clone() {
                Some(evidence) => {
                    prop_assert!(item.prompt[evidence].contains(answers[0].as_str()));
                    prop_assert!(answers.get(1).is_none_or(|memory| !item.prompt.contains(memory.as_str())));
                }
                None => prop_assert_eq!(set.side(), crate::Side::Parametric),
            }
        }
    }

    #[test]
    fn pools_of_the_splits_are_apart(world in 0_u64..50, seed: u64, index in 0_usize..2000) {
        let language = language(world);
        for split in SPLITS {
            let held_out = split == Split::HeldOut;
            let options = SmallPasskeyOptions { seed, split, ..Default::default() };
            let item = SmallPasskey::new(&language, options).unwrap().item(index).unwrap();
            prop_assert!(language.keys.passkeys(held_out).contains(answers(&item)[0]));

            let options = SmallKeyValueOptions { seed, split, pairs: 5, ..Default::default() };
            let item = SmallKeyValue::new(&language, options).unwrap().item(index).unwrap();
            let list = item.prompt.strip_prefix("pairs : ").unwrap().split_once(" . ").unwrap();
            let pairs: BTreeMap<&str, &str> =
                list.0.split(" , ").map(|pair| pair.split_once(' ').unwrap()).collect();
            let words = language.keys.words(held_out);
            prop_assert!(pairs.iter().all(|(key, value)| words.contains(key) && words.contains(value)));
            prop_assert_eq!(pairs[list.1.strip_prefix("find ").unwrap()], answers(&item)[0].as_str());

            let options = SmallConflictOptions { seed, split, ..Default::default() };
            let item = SmallConflict::new(&language, options).unwrap().item(index).unwrap();
            let fact = language.facts.capitals(held_out).into_iter().find(|fact| fact.object == *answers(&item)[1]);
            let form = (0..3).find(|form| item.prompt.ends_with(&fact.unwrap().prompt(*form)));
            prop_assert!(fact.unwrap().shown(form.unwrap()));
        }
    }
}

#[test]
fn facts_are_asked_for_in_all_forms_of_their_split() {
    let language = language(0);
    let of = |split, relation| {
        let options = SmallFactsOptions { split, relation, ..SmallFactsOptions::default() };
        let set = SmallFacts::new(&language, options).unwrap();
        let items = (0..set.len().unwrap()).map(|index| set.item(index).unwrap());
        items.map(|item| (item.prompt, answers_of(&item.gold))).collect::<BTreeMap<_, _>>()
    };
    let (shown, hidden, unseen) =
        (of(FactSplit::Shown, None), of(FactSplit::HiddenForm, None), of(FactSplit::Unseen, None));
    assert_eq!((shown.len(), hidden.len(), unseen.len()), (84 * 3 - 21, 21, 12 * 3));
    let all: HashSet<&String> = shown.keys().chain(hidden.keys()).chain(unseen.keys()).collect();
    assert_eq!(all.len(), 96 * 3);
    for fact in language.facts.all() {
        for form in 0..3 {
            let prompt = fact.prompt(form);
            let told = [&shown, &hidden, &unseen].map(|set| set.get(&prompt));
            let answers: Vec<&String> = told.iter().copied().flatten().collect();
            assert_eq!(answers, [&fact.object], "{prompt}");
            assert_eq!(told[0].is_some(), fact.shown(form), "{prompt}");
        }
    }
    assert_eq!(of(FactSplit::Unseen, Some(Relation::Country)), unseen);
    assert_eq!(of(FactSplit::Shown, Some(Relation::Currency)).len(), 16 * 3 - 4);
}

fn answers_of(gold: &Gold) -> String {
    match gold {
        Gold::Text { answers } => answers[0].clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_else_in_a_prompt_tells_of_what_is_overridden() {
    let language = language(0);
    let set = SmallConflict::new(&language, SmallConflictOptions::default()).unwrap();
    let mut facts = 0;
    for index in 0..1000 {
        let item = set.item(index).unwrap();
        let told = item.prompt.matches(answers(&item)[0].as_str()).count();
        let known = item.prompt.matches(answers(&item)[1].as_str()).count();
        assert_eq!((told, known), (1, 0), "{}", item.prompt);
        let beside = language.facts.all().iter().filter(|fact| {
            (0..3).any(|form| {
                item.prompt.contains(&format!("{} {} .", fact.prompt(form), fact.object))
            })
        });
        facts += beside.count();
    }
    assert!(facts > 200, "{facts}");
}

#[test]
fn prompts_fill_their_tokens_and_depths_reach_both_ends() {
    let language = language(0);
    let starts = |percent: f64| {
        let options = SmallPasskeyOptions { depths: Depths::at(percent), ..Default::default() };
        let item = SmallPasskey::new(&language, options).unwrap().item(3).unwrap();
        let tokens = 2 + (item.prompt.clone() + " " + &answers_of(&item.gold)).split(' ').count();
        assert!((54..=64).contains(&tokens), "{tokens}");
        item.evidence.unwrap().start
    };
    assert!(starts(0.0) == 0 && starts(50.0) > 0 && starts(100.0) > starts(50.0));
}

#[test]
fn what_cannot_be_had_is_an_error() {
    let usual = language(0);
    let bare = Language::new(LanguageConfig {
        held_out: 0,
        unseen_facts: 0,
        sequence: 40,
        countries: 4,
        ..LanguageConfig::default()
    })
    .unwrap();
    let held_out = Split::HeldOut;
    let facts = |language, options| SmallFacts::new(language, options).map(drop);
    let passkey = |language, options| SmallPasskey::new(language, options).map(drop);
    let key_value = |language, options| SmallKeyValue::new(language, options).map(drop);
    let conflict = |language, options| SmallConflict::new(language, options).map(drop);
    for (result, wanted) in [
        (facts(&bare, Default::default()), "9 wrong alternatives are asked for, at most 3"),
        (
            facts(&bare, SmallFactsOptions { split: FactSplit::Unseen, ..Default::default() }),
            "no such facts",
        ),
        (
            facts(
                &usual,
                SmallFactsOptions {
                    split: FactSplit::Unseen,
                    relation: Some(Relation::Capital),
                    ..Default::default()
                },
            ),
            "only cities' countries are unseen",
        ),
        (
            passkey(
                &bare,
                SmallPasskeyOptions { tokens: 40, split: held_out, ..Default::default() },
            ),
            "no such pass key",
        ),
        (passkey(&bare, Default::default()), "prompts and answers of 64 tokens; rows have 40"),
        (
            passkey(&usual, SmallPasskeyOptions { tokens: 25, ..Default::default() }),
            "25 tokens; at least 26 are needed",
        ),
        (passkey(&usual, SmallPasskeyOptions { tokens: 97, ..Default::default() }), "rows have 96"),
        (
            passkey(
                &usual,
                SmallPasskeyOptions { depths: Depths::at(101.0), ..Default::default() },
            ),
            "101 %",
        ),
        (key_value(&usual, SmallKeyValueOptions { pairs: 0, ..Default::default() }), "0 pairs"),
        (
            key_value(
                &usual,
                SmallKeyValueOptions { pairs: 9, split: held_out, ..Default::default() },
            ),
            "9 pairs; the words of the split make 1 to 8",
        ),
        (
            key_value(&bare, SmallKeyValueOptions { pairs: 12, ..Default::default() }),
            "prompts and answers of 43 tokens; rows have 40; ask for fewer `pairs`",
        ),
        (
            conflict(
                &bare,
                SmallConflictOptions { split: held_out, tokens: 40, ..Default::default() },
            ),
            "no such country",
        ),
        (
            conflict(&usual, SmallConflictOptions { tokens: 17, ..Default::default() }),
            "at least 18",
        ),
        (conflict(&usual, SmallConflictOptions { wrong: 63, ..Default::default() }), "at most 62"),
    ] {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(wanted), "{message}");
    }
    let set = SmallFacts::new(&usual, SmallFactsOptions::default()).unwrap();
    assert!(matches!(set.item(231), Err(Error::Index { len: 231, .. })));
}

#[test]
fn items_are_what_they_were() {
    let language = language(0);
    let sets = sets(&language, 0);
    let items = [0, 3, 4, 5].map(|at| {
        let item = sets[at].item(0).unwrap();
        let choices: Vec<&str> =
            item.choices[..2].iter().map(|choice| choice.text.as_str()).collect();
        let evidence = item.evidence.clone().map_or("", |bytes| &item.prompt[bytes]);
        json!([item.id, item.prompt, evidence, choices])
    });
    assert_eq!(
        json!(items),
        json!([
            ["small_facts/40419b3c/0", "the money in kormark is called", "", [" planel", " zonel"]],
            [
                "small_passkey/c35526db/0",
                "the pass key is 7 9 3 . remember it . the horses hold the hammer . the singer near the \
                 farmer drops the arrow . the red nurses like the arrow . the birds keep the quiet \
                 saddle . the dog drops the green ring . what is the pass key ? the pass key is",
                "the pass key is 7 9 3 . remember it .",
                [" 7 9 3", " 7 8 4"],
            ],
            [
                "small_key_value/0c0f1852/0",
                "pairs : nail needle , stone apple , bread fan , shoe knife . find bread",
                "bread fan",
                [" fan", " needle"],
            ],
            [
                "small_conflict/c1a6ec9b/0",
                "the big singer hides the brick . the boy paints the red stone . the currency of \
                 koronia is zotta . the guard sees the clock . today the capital of dormark is \
                 garhaven . the capital of dormark is",
                "today the capital of dormark is garhaven .",
                [" garhaven", " balwick"],
            ],
        ])
    );
}
