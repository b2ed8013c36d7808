use super::*;
use crate::Token;
use crate::generate::testing::{Bytes, Words};

/// The token counts of SmolLM2's tokenizer, for the texts of this task alone.
struct SmolLm2;

impl Encode for SmolLm2 {
    fn encode(&self, text: &str, _special: bool) -> Result<Vec<Token>> {
        let text = text.replace(QUESTION, "\nQ");
        let mut count = text.matches('\n').count();
        for line in text.lines() {
            count += match line {
                INTRODUCTION => 29,
                "Q" => 10, // 11 with the line end before it
                line if line == FILLER.join(" ") => 24,
                line if line == statement("{KEY}") => 18,
                line if line.starts_with("The pass key is") => {
                    15 + line.bytes().filter(u8::is_ascii_digit).count()
                }
                other => panic!("no part of the task: {other}"),
            };
        }
        Ok(vec![Token { id: 0, bytes: 0..0 }; count])
    }

    fn identity(&self) -> String {
        "SmolLM2".to_owned()
    }
}

fn set(tokens: usize, position: usize, interval: usize, digits: usize) -> ReferencePasskey {
    let options = ReferencePasskeyOptions {
        tokens,
        position,
        interval,
        digits,
        ..ReferencePasskeyOptions::default()
    };
    ReferencePasskey::new(options, &SmolLm2).unwrap()
}

fn draws(set: &ReferencePasskey, count: usize) -> Vec<(String, i64)> {
    (0..count).map(|i| set.draw(i)).map(|draw| (draw.key, draw.place)).collect()
}

fn owned(draws: &[(&str, i64)]) -> Vec<(String, i64)> {
    draws.iter().map(|&(key, place)| (key.to_owned(), place)).collect()
}

#[test]
fn draws_what_the_reference_draws() {
    // the reference's generator over numpy 2.4.6
    for ((tokens, position, interval, digits), expected) in [
        ((128, 50, 500, 6), [("882518", 3), ("768175", 12), ("617897", 19)]),
        ((256, 100, 500, 12), [("201724567512", 2), ("322177812301", 23), ("369695086135", 9)]),
        (
            (128, 50, 500, 25),
            [
                ("5537208525973060779008207", 12),
                ("9083686862161391557686990", 2),
                ("3227076688005408144413615", 14),
            ],
        ),
        ((128, 0, 0, 6), [("881522", 1), ("361239", 2), ("484546", 0)]),
        ((128, 10, 5, 1), [("3", -1), ("2", -1), ("2", -1)]),
        ((128, 50, 0, 6), [("882518", 0), ("228515", 0), ("768175", 0)]),
        (
            (128, 20, 300, 40),
            [
                ("3380710128808632513823902670581635505019", 4),
                ("8895063239571936349192382824400398927182", 8),
                ("5592706536052292172447184064098188514502", 3),
            ],
        ),
    ] {
        let set = set(tokens, position, interval, digits);
        assert_eq!(draws(&set, 3), owned(&expected), "{:?}", set.options);
    }
    let shipped = draws(&set(128, 50, 500, 6), 200);
    assert_eq!(shipped[199], ("431598".to_owned(), 17));
    assert_eq!(shipped.iter().map(|(_, place)| place).sum::<i64>(), 2122);
}

#[test]
fn a_place_past_the_end_lengthens_the_prompt_and_one_before_the_start_too() {
    let distractors = |set: &ReferencePasskey, index| {
        set.item(index).unwrap().prompt.matches("Here we go.").count()
    };
    let shipped = set(128, 50, 500, 6);
    assert_eq!([0, 1, 2, 3].map(|i| distractors(&shipped, i)), [3, 12, 19, 3]);
    assert_eq!(distractors(&set(128, 10, 5, 1), 0), 4);
}

#[test]
fn wrapped_prompts_have_143_tokens_with_smollm2_and_the_same_draws() {
    let wrapped = ReferencePasskey::new(ReferencePasskeyOptions::wrapped(), &SmolLm2).unwrap();
    let expected = owned(&[
        ("882518", 3),
        ("768175", 0),
        ("617897", 3),
        ("495534", 2),
        ("485116", 1),
        ("923438", 3),
    ]);
    assert_eq!(draws(&wrapped, 6), expected);
    for index in 0..200 {
        let item = wrapped.item(index).unwrap();
        assert_eq!(SmolLm2.encode(&item.prompt, true).unwrap().len(), 143, "{}", item.prompt);
    }
}

#[test]
fn the_first_item_is_the_text_of_the_reference() {
    let set = ReferencePasskey::new(ReferencePasskeyOptions::wrapped(), &SmolLm2).unwrap();
    let item = set.item(1).unwrap();
    let filler = "The grass is green. The sky is blue. The sun is yellow. Here we go. \
        There and back again.";
    let key = "The pass key is 768175. Remember it. 768175 is the pass key.";
    let expected = "There is an important info hidden inside a lot of irrelevant text. Find it and \
        memorize it. I will quiz you about the important information there."
        .to_owned()
        + &["", key, filler, filler, filler, "What is the pass key? The pass key is"].join("\n");
    assert_eq!(item.prompt, expected);
    assert_eq!(&item.prompt[item.evidence.unwrap()], key);
    assert_eq!(item.gold, Gold::Digits { digits: "768175".to_owned() });
    assert_eq!(item.choices[0].text, " 768175");
    assert!(item.choices.iter().all(|choice| choice.text.len() == 7));
}

#[test]
fn special_tokens_count_three_times_and_the_least_length_is_named() {
    let least = |tokenizer: &Words| {
        let options = ReferencePasskeyOptions { tokens: 10, ..ReferencePasskeyOptions::default() };
        let message = ReferencePasskey::new(options, tokenizer).unwrap_err().to_string();
        message.rsplit(' ').next().unwrap().parse::<usize>().unwrap()
    };
    let (plain, with_special) = (least(&Words { special: 0 }), least(&Words { special: 1 }));
    assert_eq!(with_special, plain + 4); // introduction, key, two distractors
    let at_least = |tokens| {
        let options = ReferencePasskeyOptions { tokens, ..ReferencePasskeyOptions::default() };
        ReferencePasskey::new(options, &Words { special: 0 })
    };
    assert_eq!(at_least(plain).unwrap().distractors, 2);
    assert!(at_least(plain - 1).is_err());
    // the reference's, with this tokenizer: 29 + 18 + 2 * 24
    let options = ReferencePasskeyOptions { tokens: 94, ..ReferencePasskeyOptions::default() };
    let message = ReferencePasskey::new(options, &SmolLm2).unwrap_err().to_string();
    assert!(message.ends_with("at least 95"), "{message}");
}

#[test]
fn impossible_sizes_are_refused() {
    let shipped = ReferencePasskeyOptions::default;
    for (options, named) in [
        (ReferencePasskeyOptions { digits: 0, ..shipped() }, "a key of 0 digits"),
        (ReferencePasskeyOptions { digits: 1001, ..shipped() }, "a key of 1001 digits"),
        (ReferencePasskeyOptions { tokens: usize::MAX, ..shipped() }, "tokens"),
        (ReferencePasskeyOptions { position: usize::MAX, ..shipped() }, "position"),
        (ReferencePasskeyOptions { interval: usize::MAX, ..shipped() }, "interval"),
    ] {
        let message = ReferencePasskey::new(options, &Bytes).unwrap_err().to_string();
        assert!(message.contains(named), "{message}");
    }
    let error = set(128, 50, 500, 6).item(usize::MAX).unwrap_err();
    assert!(matches!(error, Error::Index { len: MAX_ITEMS, .. }), "{error}");
}
