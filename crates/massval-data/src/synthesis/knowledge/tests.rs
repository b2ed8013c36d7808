use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn facts(rows: &[[&str; 3]]) -> Facts {
    Facts::new(rows.iter().map(|[subject, relation, object]| Fact::new(subject, relation, object)))
}

fn options(seed: u64) -> KnowledgeQaOptions {
    KnowledgeQaOptions { seed, ..Default::default() }
}

fn items(set: &KnowledgeQa) -> Vec<Item> {
    (0..set.len().unwrap()).map(|index| set.item(index).unwrap()).collect()
}

fn refusal(facts: &Facts, options: KnowledgeQaOptions) -> String {
    KnowledgeQa::new(facts, options).unwrap_err().to_string()
}

const CAPITALS: [[&str; 3]; 3] =
    [["France", "capital", "Paris"], ["Peru", "capital", "Lima"], ["Chad", "capital", "N'Djamena"]];

#[test]
fn items_are_what_they_were() {
    let set = KnowledgeQa::new(&facts(&CAPITALS), options(0)).unwrap();
    assert_eq!(
        serde_json::to_value(&items(&set)[..2]).unwrap(),
        json!([
            {
                "index": 0,
                "id": "knowledge_qa/24950108/0",
                "prompt": "Is Lima the capital of Peru?",
                "gold": { "kind": "truth", "truth": true },
                "choices": [
                    { "text": " Yes", "role": "right" },
                    { "text": " No", "role": "wrong" },
                ],
                "pair": 0,
            },
            {
                "index": 1,
                "id": "knowledge_qa/24950108/1",
                "prompt": "Is N'Djamena the capital of Peru?",
                "gold": { "kind": "truth", "truth": false },
                "choices": [
                    { "text": " No", "role": "right" },
                    { "text": " Yes", "role": "wrong" },
                ],
                "pair": 0,
            },
        ])
    );
}

#[test]
fn what_is_true_is_never_asked_as_false() {
    // France borders all but one.
    let rows = [
        ["France", "neighbour", "Spain"],
        ["France", "neighbour", "Italy"],
        ["France", "neighbour", "Belgium"],
        ["Spain", "neighbour", "Portugal"],
    ];
    for seed in 0..50 {
        let set = KnowledgeQa::new(&facts(&rows), options(seed)).unwrap();
        // Portugal serves one of France's facts; nothing is left for the other two.
        assert_eq!(set.left_out().len(), 2, "seed {seed}");
        assert_eq!(set.len(), Some(4));
        for item in items(&set).iter().filter(|item| item.gold == Gold::Truth { truth: false }) {
            let wanted =
                ["Is Portugal the neighbour of France?", "Is Italy the neighbour of Spain?"];
            let other = "Is Belgium the neighbour of Spain?";
            assert!(
                wanted.contains(&item.prompt.as_str()) || item.prompt == other,
                "{}",
                item.prompt
            );
        }
    }
}

#[test]
fn relations_that_ask_the_same_do_not_contradict_each_other() {
    let rows = [
        ["Anna", "sister", "Berta"],
        ["Carl", "sister", "Dora"],
        ["Anna", "sibling", "Dora"],
        ["Carl", "sibling", "Emil"],
    ];
    let mut options = options(0);
    options.template = "Is {object} a sibling of {subject}?".to_owned();
    for seed in 0..30 {
        options.seed = seed;
        let set = KnowledgeQa::new(&facts(&rows), options.clone());
        for item in items(&set.unwrap()) {
            let no = item.gold == Gold::Truth { truth: false };
            assert!(!(no && item.prompt == "Is Dora a sibling of Anna?"), "seed {seed}");
        }
    }
}

#[test]
fn a_frequent_object_is_as_frequent_in_false_questions() {
    let rows: Vec<_> = (0..2000)
        .map(|i| {
            Fact::new(format!("thing {i}"), "colour", ["red", "red", "red", "blue", "green"][i % 5])
        })
        .collect();
    let set = KnowledgeQa::new(&Facts::new(rows), options(0)).unwrap();
    let red = items(&set)
        .iter()
        .filter(|item| {
            item.gold == Gold::Truth { truth: false } && item.prompt.starts_with("Is red")
        })
        .count();
    // 800 things are not red; of the objects that are not theirs, three in four are.
    assert!((540..660).contains(&red), "{red}");
}

#[test]
fn templates_of_the_options_go_before_those_of_the_file() {
    let csv = "subject,relation,object,template\na,r,b,{subject}? {object}?\nc,r,d,\ne,s,f,{subject} s {object}\ng,s,h,\ni,t,j,\nk,t,l,\n";
    let facts = Facts::from_reader(csv.as_bytes(), "facts.csv").unwrap();
    let mut options = options(0);
    options.templates.insert("R".to_owned(), "{object} r {subject}".to_owned());
    let set = KnowledgeQa::new(&facts, options).unwrap();
    let truths: BTreeSet<_> = items(&set)
        .into_iter()
        .filter(|item| item.gold == Gold::Truth { truth: true })
        .map(|item| item.prompt)
        .collect();
    let wanted = ["Is j the t of i?", "Is l the t of k?", "b r a", "d r c", "e s f", "g s h"];
    assert!(truths.iter().eq(&wanted), "{truths:?}");
}

#[test]
fn what_cannot_be_asked_is_an_error() {
    assert_eq!(refusal(&facts(&[]), options(0)), "knowledge_qa: there is no fact to ask about");
    assert_eq!(
        refusal(&facts(&[["a", "r", "b"], ["c", "r", "B"]]), options(0)),
        "knowledge_qa: the relation `r` has the object `b` only; it needs two or more to ask what is false"
    );
    assert_eq!(
        refusal(&facts(&[["a", "r", "b"], ["a", "r", "c"]]), options(0)),
        "knowledge_qa: no fact has an object that is false of its subject"
    );
    assert!(refusal(&facts(&[["a", "", "b"]]), options(0)).contains("a part is empty"));
    let with = |relation: &str, template: &str| KnowledgeQaOptions {
        templates: BTreeMap::from([(relation.to_owned(), template.to_owned())]),
        ..Default::default()
    };
    assert_eq!(
        refusal(&facts(&CAPITALS), with("captial", "{subject} {object}")),
        "knowledge_qa: a template is given for `captial`, but no fact has that relation; did you mean `capital`?"
    );
    assert_eq!(
        refusal(&facts(&CAPITALS), with("capital", "{subject}")),
        "knowledge_qa: `{subject}` has no place {object}"
    );
    let mut two = with("capital", "{subject} {object}");
    two.templates.insert("Capital".to_owned(), "{object} {subject}".to_owned());
    assert_eq!(
        refusal(&facts(&CAPITALS), two),
        "knowledge_qa: the relation `capital` has two templates"
    );
    let set = KnowledgeQa::new(&facts(&CAPITALS), options(0)).unwrap();
    assert_eq!(
        set.item(6).unwrap_err().to_string(),
        "knowledge_qa: item 6 asked for, but there are 6"
    );
}

#[test]
fn seed_facts_and_templates_decide_the_identity() {
    let identity =
        |rows: &[[&str; 3]], options| KnowledgeQa::new(&facts(rows), options).unwrap().identity();
    let one = identity(&CAPITALS, options(0));
    assert_eq!(one, identity(&CAPITALS, options(0)));
    assert_ne!(one, identity(&CAPITALS, options(1)));
    assert_ne!(one, identity(&CAPITALS[..2], options(0)));
}

/// Few names, so that facts repeat and subjects have several objects.
fn some_facts() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    prop::collection::vec((0..6_u8, 0..2_u8, 0..6_u8), 1..40)
}

fn fact((subject, relation, object): &(u8, u8, u8)) -> Fact {
    Fact::new(format!("S{subject}"), format!("r{relation}"), format!("O{object}"))
}

proptest! {
    #[test]
    fn questions_are_balanced_distinct_and_rightly_labelled(rows in some_facts(), seed: u64) {
        let facts = Facts::new(rows.iter().map(fact));
        let Ok(set) = KnowledgeQa::new(&facts, options(seed)) else { return Ok(()) };
        let items = items(&set);
        // The slow and obvious way to tell: look the question up among all that are true.
        let truths: BTreeSet<String> = facts
            .as_slice()
            .iter()
            .map(|f| format!("Is {} the {} of {}?", f.object, f.relation, f.subject))
            .collect();
        for (index, item) in items.iter().enumerate() {
            prop_assert_eq!(item.index, index);
            prop_assert_eq!(item.pair, Some(index / 2));
            let truth = truths.contains(&item.prompt);
            prop_assert_eq!(&item.gold, &Gold::Truth { truth });
            prop_assert_eq!(truth, index % 2 == 0);
            prop_assert_eq!(item.choices[0].text.as_str(), if truth { " Yes" } else { " No" });
        }
        let prompts: BTreeSet<_> = items.iter().map(|item| item.prompt.to_lowercase()).collect();
        prop_assert_eq!(prompts.len(), items.len());
        prop_assert_eq!(items.len() / 2 + set.left_out().len(), facts.as_slice().len());
    }

    #[test]
    fn neither_the_order_nor_the_repetition_of_rows_matters(rows in some_facts(), seed: u64) {
        let forward = Facts::new(rows.iter().map(fact));
        let backward = Facts::new(rows.iter().rev().chain(&rows).map(fact));
        let (a, b) = (KnowledgeQa::new(&forward, options(seed)), KnowledgeQa::new(&backward, options(seed)));
        match (a, b) {
            (Ok(a), Ok(b)) => prop_assert_eq!(items(&a), items(&b)),
            (a, b) => prop_assert!(a.is_err() && b.is_err()),
        }
    }
}
