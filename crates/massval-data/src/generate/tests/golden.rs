//! The first items, word for word. Whoever changes them must count up the set's version.

use super::*;

fn first(set: &impl Dataset) -> (String, String) {
    let item = set.item(0).unwrap();
    let choices: Vec<&str> = item.choices.iter().map(|choice| choice.text.as_str()).collect();
    (item.prompt.clone(), format!("{} |{}", item.id, choices.join("|")))
}

#[test]
fn of_key_value() {
    let options = KeyValueOptions { pairs: 4, ..Default::default() };
    let (prompt, rest) = first(&KeyValue::new(options.clone()).unwrap());
    let expected = [
        "Here are keys, each with its value.",
        "{",
        r#"  "lawn": "maple","#,
        r#"  "cabinet": "pearl","#,
        r#"  "cloud": "shovel","#,
        r#"  "ocean": "forest""#,
        "}",
        r#"The value of "cabinet" is"#,
    ];
    assert_eq!(prompt, expected.join("\n"));
    assert_eq!(rest, r#"key_value/7415ee35/0 | "pearl"| "forest"| "shovel"| "maple""#);

    let options = KeyValueOptions { form: KeyValueForm::Lines, keys: KeyKind::Uuid, ..options };
    let (prompt, rest) = first(&KeyValue::new(options).unwrap());
    let expected = [
        "Here are keys, each with its value.",
        "5de4b52b-a3c6-1e9f-b9a0-0ca15d8b9ac5: 9c892c33-ab43-8162-622d-3a3949035315",
        "f7b666c7-e9a2-0ba5-723c-41b1102d78ca: 07c78334-5ff9-388f-f803-5884a4aa3b63",
        "8c97cff5-dd7c-668d-baac-e06f15d6e80a: 0e500172-6284-4d44-b8fc-d7cc24f759d5",
        "890105fe-e9cb-e0c8-6490-a4ca9fb7e4f5: f1479bd1-64b3-dcab-898f-b61f7ed382fe",
        "The value of f7b666c7-e9a2-0ba5-723c-41b1102d78ca is",
    ];
    assert_eq!(prompt, expected.join("\n"));
    assert_eq!(
        rest,
        "key_value/97756482/0 | 07c78334-5ff9-388f-f803-5884a4aa3b63| \
         0e500172-6284-4d44-b8fc-d7cc24f759d5| f1479bd1-64b3-dcab-898f-b61f7ed382fe| \
         9c892c33-ab43-8162-622d-3a3949035315"
    );
}

#[test]
fn of_list_recall() {
    let set = ListRecall::new(ListRecallOptions::default()).unwrap();
    let (prompt, rest) = first(&set);
    let expected = [
        "Here is a list of words: badge, lion, drum, soil, circle, dog, beam, comb.",
        "The same list once more, all words in the same order:",
    ];
    assert_eq!(prompt, expected.join("\n"));
    assert_eq!(rest, "list_recall/1bda40fe/0 |");
}

#[test]
fn of_coin_flip() {
    let set = CoinFlip::new(CoinFlipOptions::default()).unwrap();
    let (prompt, rest) = first(&set);
    let expected = [
        "A coin is heads up. Michael does not flip the coin. Frances does not flip the coin. \
         Ruth does not flip the coin. Brian does not flip the coin. Is the coin still heads \
         up? Note that \"flip\" here means \"reverse\". Answer yes or no.",
        "Answer:",
    ];
    assert_eq!(prompt, expected.join("\n"));
    assert_eq!(rest, "coin_flip/14b4f149/0 | yes| no");
}

#[test]
fn of_arithmetic() {
    let set = Arithmetic::new(ArithmeticOptions::default()).unwrap();
    let (prompt, rest) = first(&set);
    let expected = [
        "A box holds 2 marbles. The grass is green. Sandra puts 17 marbles in. The sky is \
         blue. David takes 7 marbles out. The sun is yellow. Frances puts 2 marbles in.",
        "The number of marbles in the box is now",
    ];
    assert_eq!(prompt, expected.join("\n"));
    assert_eq!(rest, "arithmetic/a1d4876d/0 | 14| 17| 19| 18");
}
