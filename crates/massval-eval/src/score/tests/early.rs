//! A decided verdict never changes.

use massval_data::Gold;
use proptest::prelude::*;

use super::super::*;
use super::{digits, number, option, strings, text, truth};

/// Every kind of right answer with every rule for it.
fn tasks() -> Vec<(Gold, Option<ReferenceRule>)> {
    vec![
        (truth(true), None),
        (truth(true), Some(ReferenceRule::CheckSentence)),
        (truth(false), Some(ReferenceRule::CheckSentence)),
        (digits("12"), None),
        (digits("12"), Some(ReferenceRule::PasskeySubstring)),
        (digits("12"), Some(ReferenceRule::PasskeyFirstDigits)),
        (number("12"), None),
        (number("12"), Some(ReferenceRule::LastNumber)),
        (option('B', "12"), Some(ReferenceRule::OptionText)),
        (Gold::Sentiment { positive: true }, None),
        (Gold::Sentiment { positive: false }, Some(ReferenceRule::OneMood)),
        (text(&["No way", "No", "D.C.", "the 12"]), None),
        (text(&["no"]), Some(ReferenceRule::Squad)),
        (Gold::Conflict { context: strings(&["No-no"]), memory: strings(&["Yes", "Yes 1"]) }, None),
        (Gold::List { items: strings(&["no", "yes"]) }, None),
    ]
}

/// Pieces that answers are made of, torn so that words grow.
fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "no",
        "No",
        "n",
        "o",
        "yes",
        "Yes",
        "t",
        "true",
        "false",
        "in",
        "correct",
        "positive",
        "negative",
        "not",
        "12",
        "1",
        "2",
        "3",
        "D",
        "C",
        ".",
        ",",
        " ",
        "\n",
        "-",
        "'",
        "\u{2019}",
        "/",
        "B",
        ")",
        "a",
        "the",
        "way",
        "é",
        "\u{301}",
        "½",
        "１",
        "²",
        "\u{1D7CF}",
        "e",
        ":",
    ])
}

fn answer(pieces: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), pieces).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn decided_verdicts_stay(start in answer(0..7), more in answer(1..5)) {
        for (gold, rule) in tasks() {
            if decided(&gold, &start, rule) {
                let now = score(&gold, &start, rule).unwrap();
                let later = score(&gold, &format!("{start}{more}"), rule).unwrap();
                prop_assert_eq!(now, later, "{:?} {:?}", gold, rule);
            }
        }
    }

    #[test]
    fn an_unfinished_character_decides_nothing(start in answer(0..7), more in answer(1..4)) {
        for (gold, rule) in tasks() {
            if decided(&gold, &format!("{start}\u{FFFD}"), rule) {
                let now = score(&gold, &format!("{start}\u{FFFD}"), rule).unwrap();
                let later = score(&gold, &format!("{start}{more}"), rule).unwrap();
                prop_assert_eq!(now, later, "{:?} {:?}", gold, rule);
            }
        }
    }
}

#[test]
fn what_is_settled_is_decided() {
    let substring = Some(ReferenceRule::PasskeySubstring);
    assert!(decided(&digits("12"), " 12\n", substring));
    assert!(decided(&digits("12"), " 3 12", substring));
    assert!(!decided(&digits("12"), " 12", None));
    assert!(!decided(&digits("12"), " 3.", substring));
    assert!(decided(&digits("12"), " 3.", None));

    let check = Some(ReferenceRule::CheckSentence);
    assert!(decided(&truth(true), "Yes.", check));
    assert!(!decided(&truth(true), "Yes", check));
    assert!(!decided(&truth(true), "No.", check));
    assert!(decided(&truth(true), "No.", None));

    assert!(decided(&text(&["Paris"]), " Paris,", None));
    assert!(!decided(&text(&["Paris"]), " Paris", None));
    assert!(!decided(&text(&["Paris"]), " Paris-", None));
    assert!(decided(&text(&["Paris"]), " Rome ", None));
    assert!(!decided(&text(&["Paris"]), " The ", None));
    assert!(decided(&text(&["New York", "New York City"]), " New York i", None));
    let conflict = Gold::Conflict { context: strings(&["Rome"]), memory: strings(&["Paris"]) };
    assert!(decided(&conflict, "Berlin.", None));
}
