//! What the strict rules read.

use massval_data::Gold;
use proptest::prelude::*;

use super::super::number::{Number, last_number};
use super::super::*;
use super::{digits, number, option, strings, text, truth};

fn right(gold: &Gold, answer: &str) -> bool {
    score(gold, answer, None).unwrap().strict.is_right()
}

#[test]
fn truth_is_the_first_word_alone() {
    let no = [
        "No, that is incorrect.",
        "No. Tokyo is in Japan.",
        "no",
        "**No**",
        "\"No,\" I say, yes",
        "False.",
        "That is not true.",
        "It isn't true, yes",
        "It isn’t true",
        "No-one knows: no",
        "Yes/No: No",
        "no\u{2014}it is not",
        "No - Tokyo",
    ];
    for answer in no {
        assert!(right(&truth(false), answer), "{answer}");
        assert!(!right(&truth(true), answer), "{answer}");
    }
    for answer in ["Yes", " yes, incorrect, no", "It is true.", "not false", "Not yes? Yes"] {
        assert!(right(&truth(true), answer), "{answer}");
        assert!(!right(&truth(false), answer), "{answer}");
    }
    for answer in ["", "I do not know.", "None", "Tokyo", "No-one", "yesterday", "Brightly", "YES2"]
    {
        assert!(!right(&truth(true), answer) && !right(&truth(false), answer), "{answer}");
    }
}

#[test]
fn sentiment_is_the_first_word_alone() {
    let positive = Gold::Sentiment { positive: true };
    let negative = Gold::Sentiment { positive: false };
    assert!(right(&positive, "Positive, not negative"));
    assert!(right(&negative, "This is not positive."));
    assert!(!right(&negative, "nonnegative") && !right(&positive, "non-negative"));
}

#[test]
fn digits_to_the_digit() {
    assert!(right(&digits("007"), " is 007. 123"));
    for answer in ["7", "0070", "1. 007", "00 7", "", "none"] {
        assert!(!right(&digits("007"), answer), "{answer}");
    }
    assert!(right(&digits("18"), "１８"));
}

#[test]
fn numbers_by_value() {
    let cases = [
        ("-5", "The answer is -5.", true),
        ("5", "The answer is -5.", false),
        ("-5", "\u{2212}5", true),
        ("-5", "-$5", true),
        ("5", "from 10-5", true),
        ("5", "(2)-5", true),
        ("1000", "1e3", true),
        ("1200", "1.2E+3", true),
        ("0.0005", "5e-4", true),
        ("3", "5e3x", true),
        ("10000", "1,0000", true),
        ("3", "1,2,3", true),
        ("1234567", "$1,234,567", true),
        ("5", "1,234,5", true),
        ("0.5", ".5", true),
        ("0.5", "1/2", true),
        ("2/3", "4/6", true),
        ("2024", "3/4/2024", true),
        ("18", "18.00", true),
        ("18", "18.", true),
        ("18", "18%", true),
        ("3", "18. (See step 3)", true),
        ("18", "18. (See step 3)", false),
        ("0", "-0.00", true),
        ("0", "5/0", false),
        ("9007199254740993", "9007199254740993", true),
        ("9007199254740993", "9007199254740992", false),
        ("1", "none", false),
        ("30", "10:30", true),
    ];
    for (gold, answer, want) in cases {
        assert_eq!(right(&number(gold), answer), want, "{gold} {answer}");
    }
}

#[test]
fn options_by_letter_or_text() {
    let gold = option('B', "42 km");
    let yes = [
        "B",
        "b",
        " B.",
        "B) 42 km",
        "(B)",
        "The answer is B",
        "The answer is (b).",
        "Answer: **B**",
        "The correct option is B, because A is too short.",
        "It is too long for A), so it must be B)",
        "We get \\boxed{B}",
        "A train travels. So the distance is 42 km.",
        "42 KM",
        "Option A is wrong. The answer is B) 41",
    ];
    for answer in yes {
        assert!(right(&gold, answer), "{answer}");
    }
    let no = [
        "",
        "A",
        "The answer is A) 42 km",
        "The answer is a train",
        "142 km",
        "-42 km",
        "3.42 km",
        "42 km is too short",
        "Because",
    ];
    for answer in no {
        assert!(!right(&gold, answer), "{answer}");
    }
}

#[test]
fn texts_begin_with_the_answer() {
    let gold = text(&["Washington, D.C.", "Washington DC"]);
    for answer in
        [" Washington, D.C.", "washington dc is", "\"Washington, D.C.\"", "The Washington D.C"]
    {
        assert!(right(&gold, answer), "{answer}");
    }
    assert!(!right(&gold, "Washington"));
    let gold = text(&["Paris"]);
    for answer in ["Paris", "paris, in France", "\n**Paris**", "Paris - the capital", "Paris."] {
        assert!(right(&gold, answer), "{answer}");
    }
    for answer in ["Parisian", "Paris-Nord", "It is Paris", "", "Par is", "Paris's"] {
        assert!(!right(&gold, answer), "{answer}");
    }
    assert!(right(&text(&["Port-au-Prince"]), "port au prince"));
    assert!(right(&text(&["The Hague"]), "Hague"));
    assert!(!right(&text(&["Guinea"]), "Guinea-Bissau"));
}

#[test]
fn conflicts_are_judged_twice() {
    let gold = Gold::Conflict { context: strings(&["Rome"]), memory: strings(&["Paris"]) };
    let verdicts = |answer| {
        let scores = score(&gold, answer, None).unwrap();
        (scores.strict.is_right(), scores.memory.unwrap().is_right())
    };
    assert_eq!(verdicts(" Rome"), (true, false));
    assert_eq!(verdicts(" Paris, although"), (false, true));
    assert_eq!(verdicts(" Berlin"), (false, false));
}

#[test]
fn lists_in_order_and_f1() {
    let gold = Gold::List { items: strings(&["apple", "red pear", "plum"]) };
    let judge = |answer| {
        let scores = score(&gold, answer, None).unwrap();
        (scores.strict.is_right(), scores.f1.unwrap())
    };
    assert_eq!(judge("apple, red pear, plum"), (true, 1.0));
    assert_eq!(judge("Here they are:\n1. Apple\n2. Red pear\n3. Plum"), (true, 1.0));
    assert_eq!(judge("The list: apple, red pear, and plum."), (true, 1.0));
    assert_eq!(judge("plum, red pear, apple"), (false, 1.0));
    assert_eq!(judge("apple, plum"), (false, 0.8));
    assert_eq!(judge("apple, apple, apple"), (false, 1.0 / 3.0));
    assert_eq!(judge(""), (false, 0.0));
    let words = Gold::List { items: strings(&["7", "x", "7"]) };
    let scores = score(&words, "7 x 7", None).unwrap();
    assert_eq!((scores.strict.is_right(), scores.f1), (true, Some(1.0)));
}

proptest! {
    #[test]
    fn a_written_number_is_read_back(value in -1_000_000_000i64..1_000_000_000, places in 0u32..4) {
        let exact = format!("{}.{:0width$}", value, 0, width = places as usize + 1);
        for spelled in [value.to_string(), exact, format!("about {value}e0 km")] {
            let (_, number) = last_number(&spelled).unwrap();
            prop_assert_eq!(number.unwrap().value(), value as f64);
        }
    }

    #[test]
    fn decimals_equal_as_floats_do(a in "-?[0-9]{1,6}(\\.[0-9]{1,4})?(e-?[0-9])?", b in "-?[0-9]{1,3}(\\.0{1,3})?") {
        let value = |text: &str| last_number(text).unwrap().1.unwrap();
        let (x, y): (Number, Number) = (value(&a), value(&b));
        let floats = a.parse::<f64>().unwrap() == b.parse::<f64>().unwrap();
        prop_assert_eq!(x == y, floats);
        prop_assert_eq!(x.value(), a.parse::<f64>().unwrap());
    }

    #[test]
    fn no_answer_makes_a_rule_panic(answer in "\\PC{0,40}") {
        for gold in [truth(true), digits("1"), number("1"), option('A', "x"), text(&["x"])] {
            score(&gold, &answer, None).unwrap();
            decided(&gold, &answer, None);
        }
        score(&Gold::List { items: strings(&["x"]) }, &answer, None).unwrap();
    }
}
