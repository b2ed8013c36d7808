//! Tests of scoring: the reference's known wrong verdicts, and what the strict rules make of them.

mod choice;
mod early;
mod reference;
mod strict;

use massval_data::Gold;

use super::*;

fn truth(truth: bool) -> Gold {
    Gold::Truth { truth }
}

fn digits(digits: &str) -> Gold {
    Gold::Digits { digits: digits.into() }
}

fn number(number: &str) -> Gold {
    Gold::Number { number: number.into() }
}

fn option(letter: char, text: &str) -> Gold {
    Gold::Option { letter, text: text.into() }
}

fn text(answers: &[&str]) -> Gold {
    Gold::Text { answers: strings(answers) }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&s| s.to_owned()).collect()
}

#[test]
fn every_rule_refuses_what_it_is_not_made_for() {
    let golds = [
        truth(true),
        digits("12"),
        number("12"),
        option('A', "12"),
        Gold::Sentiment { positive: true },
        text(&["12"]),
        Gold::List { items: strings(&["a"]) },
    ];
    let rules = [
        (ReferenceRule::CheckSentence, 0),
        (ReferenceRule::PasskeySubstring, 1),
        (ReferenceRule::PasskeyFirstDigits, 1),
        (ReferenceRule::LastNumber, 2),
        (ReferenceRule::OptionText, 3),
        (ReferenceRule::OneMood, 4),
        (ReferenceRule::Squad, 5),
    ];
    for (rule, fits) in rules {
        for (i, gold) in golds.iter().enumerate() {
            let scores = score(gold, "yes", Some(rule));
            assert_eq!(scores.is_ok(), i == fits, "{rule:?} {gold:?}");
            if i != fits {
                let message = scores.unwrap_err().to_string();
                assert!(message.contains(rule.name()) && message.contains(kind(gold)), "{message}");
                assert!(!decided(gold, "yes", Some(rule)));
            }
        }
    }
}

#[test]
fn unusable_golds_are_errors() {
    let empty = [
        text(&[]),
        text(&["Paris", " - "]),
        digits(""),
        digits("12a"),
        number("none"),
        number("1/0"),
        option('Z', "x"),
        Gold::List { items: vec![] },
        Gold::List { items: strings(&["apple", ""]) },
        Gold::Conflict { context: strings(&["Rome"]), memory: vec![] },
    ];
    for gold in empty {
        assert!(matches!(score(&gold, "x", None), Err(Error::Gold { .. })), "{gold:?}");
    }
}

#[test]
fn scores_survive_json() {
    let gold = Gold::Conflict { context: strings(&["Rome"]), memory: strings(&["Paris"]) };
    let scores = score(&gold, " Paris.", None).unwrap();
    let json = serde_json::to_string(&scores).unwrap();
    assert_eq!(json, r#"{"strict":{"score":0.0},"memory":{"score":1.0,"extracted":"Paris"}}"#);
    assert_eq!(serde_json::from_str::<Scores>(&json).unwrap(), scores);
}

#[test]
fn metrics_by_name() {
    let measure = |name: &str, right: &[&str], answer: &str| {
        name.parse::<Metric>().unwrap().measure(right, answer).unwrap().score
    };
    assert_eq!(measure("exact_match", &["Rome", "The Eiffel Tower"], "eiffel tower."), 1.0);
    assert_eq!(measure("exact_match", &["Paris"], "Paris, France"), 0.0);
    assert_eq!(measure("number_match", &["1,250"], "It costs $1250.00."), 1.0);
    assert_eq!(measure("option_match", &["b"], "The answer is (B)."), 1.0);
    assert_eq!(measure("yes_no", &["No"], "No, that is incorrect."), 1.0);
    assert_eq!(measure("substring", &["12"], "3124"), 1.0);
    // Two of three words, of which two are wanted: 2 * 2 / (2 + 3).
    assert_eq!(measure("f1", &["eiffel tower"], "the big Eiffel Tower"), 0.8);
    assert_eq!(measure("f1", &["x x y"], "x z"), 0.4);
    assert_eq!(measure("f1", &["the"], "a"), 1.0);

    let error = "em".parse::<Metric>().unwrap_err().to_string();
    assert!(error.contains("exact_match"), "{error}");
    assert!(Metric::F1.measure(&[], "x").is_err());
    assert!(Metric::YesNo.measure(&["maybe"], "x").is_err());
    assert!(Metric::OptionMatch.measure(&["AB"], "x").is_err());
    assert!(Metric::Substring.measure(&[""], "x").is_err());
}

#[test]
fn names_are_those_of_serde() {
    let rules = [
        ReferenceRule::CheckSentence,
        ReferenceRule::LastNumber,
        ReferenceRule::OptionText,
        ReferenceRule::OneMood,
        ReferenceRule::PasskeySubstring,
        ReferenceRule::PasskeyFirstDigits,
        ReferenceRule::Squad,
    ];
    for rule in rules {
        assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
    }
    for name in ["exact_match", "number_match", "option_match", "yes_no", "substring", "f1"] {
        let metric: Metric = name.parse().unwrap();
        assert_eq!(serde_json::to_value(metric).unwrap(), name);
        assert_eq!(metric.to_string(), name);
    }
}
