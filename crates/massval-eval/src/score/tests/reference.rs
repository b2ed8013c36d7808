//! The reference's verdicts, right and wrong.

use massval_data::Gold;

use super::super::*;
use super::{digits, number, option, text, truth};

fn read(gold: &Gold, rule: ReferenceRule, answer: &str) -> (bool, Option<String>) {
    let verdict = score(gold, answer, Some(rule)).unwrap().reference.unwrap();
    (verdict.is_right(), verdict.extracted)
}

#[test]
fn check_sentence_reads_keywords_inside_words() {
    let said = |answer| read(&truth(true), ReferenceRule::CheckSentence, answer).1;
    let yes = [
        "Yes, it is.",
        "No, that is incorrect.",
        "No. Tokyo is in Japan.",
        "No, Tulsa is in Oklahoma.",
        "No, the promise was broken.",
        "No, yesterday",
        "Brightly",
        "OK",
        "That is not true.",
    ];
    for answer in yes {
        assert_eq!(said(answer).as_deref(), Some("True"), "{answer}");
    }
    let no = ["No.", "I do not know.", "It is known for that", "None", "That is wrong", "FALSE"];
    for answer in no {
        assert_eq!(said(answer).as_deref(), Some("False"), "{answer}");
    }
    for answer in ["", "Paris", "perhaps"] {
        assert_eq!(said(answer), None, "{answer}");
        for gold in [true, false] {
            assert!(!read(&truth(gold), ReferenceRule::CheckSentence, answer).0);
        }
    }
}

#[test]
fn a_right_no_with_the_word_incorrect_is_wrong() {
    let answer = "No, that is incorrect.";
    assert!(!read(&truth(false), ReferenceRule::CheckSentence, answer).0);
    assert!(read(&truth(false), ReferenceRule::CheckSentence, "No.").0);
    assert!(read(&truth(true), ReferenceRule::CheckSentence, answer).0);
}

#[test]
fn last_number_loses_signs_exponents_and_fractions() {
    let cases = [
        ("The answer is -5", "5"),
        ("1e3", "3"),
        ("2/3", "3"),
        ("The answer is 18. (See step 3)", "3"),
        ("1,0000", "0"),
        ("It costs $1,234.50.", "1,234.50"),
        ("12,345,678", "12,345,678"),
        ("18.", "18"),
    ];
    for (answer, want) in cases {
        let (_, said) = read(&number("5"), ReferenceRule::LastNumber, answer);
        assert_eq!(said.as_deref(), Some(want), "{answer}");
    }
    assert!(read(&number("5"), ReferenceRule::LastNumber, "-5").0);
    // The right answer goes through the same pattern.
    assert!(read(&number("#### -1,250"), ReferenceRule::LastNumber, "1250.0").0);
    assert_eq!(read(&number("5"), ReferenceRule::LastNumber, "five"), (false, None));
    // Python's \d and float know the digits of other scripts.
    assert!(read(&number("18"), ReferenceRule::LastNumber, "答えは１８です").0);
    assert!(read(&number("18"), ReferenceRule::LastNumber, "١٨").0);
}

#[test]
fn option_text_by_luck_and_not_by_letter() {
    let rule = ReferenceRule::OptionText;
    assert!(read(&option('B', "5"), rule, "A) 15").0);
    assert!(!read(&option('B', "42"), rule, "The answer is B").0);
    assert!(read(&option('B', "42"), rule, "The answer is B)42").0);
    // Blanks around the text count.
    assert!(!read(&option('B', " 42"), rule, "B)42").0);
    assert!(score(&option('B', ""), "x", Some(rule)).is_err());
}

#[test]
fn one_mood_and_not_the_other() {
    let positive = Gold::Sentiment { positive: true };
    let rule = ReferenceRule::OneMood;
    assert!(read(&positive, rule, "POSITIVE").0);
    assert!(read(&positive, rule, "not positive").0);
    assert!(!read(&positive, rule, "Positive, not negative").0);
    assert_eq!(read(&positive, rule, "good"), (false, None));
    assert!(read(&Gold::Sentiment { positive: false }, rule, "Negatively").0);
}

#[test]
fn passkey_inside_longer_runs() {
    let gold = digits("123456");
    assert!(read(&gold, ReferenceRule::PasskeySubstring, "1. The key is 91234567").0);
    assert!(!read(&gold, ReferenceRule::PasskeySubstring, "123 456").0);
    assert!(read(&gold, ReferenceRule::PasskeyFirstDigits, "it is 123456, not 7").0);
    assert!(!read(&gold, ReferenceRule::PasskeyFirstDigits, "1. It is 123456").0);
    assert!(!read(&gold, ReferenceRule::PasskeyFirstDigits, "1234567").0);
}

#[test]
fn squad_takes_the_best_answer() {
    let verdict = score(&text(&["Rome", "the city of Paris"]), "Paris", Some(ReferenceRule::Squad));
    let verdict = verdict.unwrap().reference.unwrap();
    assert_eq!(verdict.score, 0.5);
    assert!(!verdict.is_right());
}
