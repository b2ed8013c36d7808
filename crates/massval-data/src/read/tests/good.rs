//! What sound files give.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Error, Gold, Role, Side};

const AQUA: &str = r#"{"question":"Q?","options":["A)21","B) 21 km ","C)7","D)7","E)None of these"],"rationale":"r","correct":"B"}"#;

const CITIES: &str = "statement,label,city,country,correct_country
The city of X is in Y.,1,X,Y,Y
The city of X is in Z.,0,X,Z,Y
\"The city of \"\"W\"\" is in V, U.\",0,W,V,T
The city of S is in R.,1,S,R,R
The city of S is in Q.,0,S,Q,R
";

#[test]
fn gsm8k_ends_in_its_number() {
    let text = r##"{"question":"A?","answer":"so #### no\n#### -1,250.0"}"##;
    let set = plain("test.jsonl", text, Schema::Gsm8k).unwrap();
    let item = set.item(0).unwrap();
    assert_eq!(item.prompt, "A?");
    assert_eq!(item.gold, Gold::Number { number: "-1250.0".to_owned() });
    assert!(item.choices.is_empty() && item.evidence.is_none());
    let parts: Vec<_> = item.id.split('/').collect();
    assert_eq!((parts[0], parts[1].len(), parts[2]), ("gsm8k", 8, "0"));
    assert_eq!((set.name(), set.side(), set.len()), ("gsm8k", Side::Contextual, Some(1)));
}

#[test]
fn aqua_lists_its_options_or_does_not() {
    // As published: one object a line, in a file named .json.
    let text = format!("{AQUA}\n{AQUA}\n");
    let set = plain("aqua_test.json", &text, Schema::Aqua).unwrap();
    assert_eq!(set.len(), Some(2));
    let item = set.item(1).unwrap();
    assert_eq!(
        item.prompt,
        "Q? Choose the correct answer from the options: A)21 B) 21 km  C)7 D)7 E)None of these"
    );
    assert_eq!(item.gold, Gold::Option { letter: 'B', text: " 21 km ".to_owned() });
    assert_eq!(choices(&item), [" B", " A", " C", " D", " E"]);
    let options = Options { options_in_prompt: Some(false), ..Options::default() };
    let bare = read("a.json", AQUA, Schema::Aqua, &options).unwrap();
    let item = bare.item(0).unwrap();
    assert_eq!(item.prompt, "Q?");
    assert_eq!(choices(&item), [" 21 km", " 21", " 7", " None of these"]);
    assert_eq!(item.choices.iter().filter(|choice| choice.role == Role::Right).count(), 1);
    assert_eq!(bare.identity()["options_in_prompt"], json!(false));
    // Another prompt is another item.
    assert_ne!(item.id, set.item(0).unwrap().id);
}

#[test]
fn imdb_has_moods() {
    let text = "text,label\n\"Great, really\",1\nBad,0\n";
    let set = plain("a.csv", text, Schema::Imdb).unwrap();
    let item = set.item(0).unwrap();
    assert_eq!(item.prompt, "Great, really");
    assert_eq!(item.gold, Gold::Sentiment { positive: true });
    assert_eq!(choices(&item), [" Positive", " Negative"]);
    assert_eq!(choices(&set.item(1).unwrap()), [" Negative", " Positive"]);
}

#[test]
fn true_or_false_sets_are_nested_or_flat() {
    let text = r#"{"version":"1","total_pairs":2,"categories":{},"data":[
        {"question":"Is it?","answer":true,"category":"c","correct_fact":"f"},
        {"question":"Was it?","answer":false,"category":"c","correct_fact":"f"}]}"#;
    for schema in
        [Schema::Sports, Schema::Art, Schema::Technology, Schema::Celebrity, Schema::TrueFalse]
    {
        let set = plain("a.json", text, schema).unwrap();
        assert_eq!((set.name(), set.side(), set.len()), (schema.name(), Side::Parametric, Some(2)));
        assert_eq!(set.item(0).unwrap().gold, Gold::Truth { truth: true });
        assert_eq!(choices(&set.item(1).unwrap()), [" No", " Yes"]);
    }
    let flat = "question,answer\nIs it?,True\n";
    assert_eq!(plain("a.csv", flat, Schema::Art).unwrap().item(0).unwrap().prompt, "Is it?");
    let list = r#"[{"question":"Is it?","answer":false}]"#;
    assert_eq!(plain("a.json", list, Schema::Art).unwrap().len(), Some(1));
}

#[test]
fn cities_are_asked_about_in_pairs() {
    let set = plain("cities.csv", CITIES, Schema::Cities).unwrap();
    let items = set.items();
    assert_eq!(items[1].prompt, "Is the city of X in Z?");
    assert_eq!(items[1].gold, Gold::Truth { truth: false });
    assert_eq!(items[2].prompt, "Is the city of \"W\" in V, U?");
    let pairs: Vec<_> = items.iter().map(|item| item.pair).collect();
    assert_eq!(pairs, [Some(0), Some(0), None, Some(1), Some(1)]);
}

#[test]
fn three_of_a_city_are_one_pair() {
    let text = "statement,label,city\nA is B.,1,A\nA is C.,1,A\nA is D.,0,A\nA is E.,1,A\n";
    let set = plain("a.csv", text, Schema::Cities).unwrap();
    let pairs: Vec<_> = set.items().iter().map(|item| item.pair).collect();
    assert_eq!(pairs, [None, Some(0), Some(0), None]);
}

#[test]
fn coins_say_yes_or_no() {
    let text =
        r#"{"examples":[{"question":"Heads up?","answer":"no"},{"question":"?","answer":"Yes"}]}"#;
    let set = plain("coin_flip.json", text, Schema::CoinFlip).unwrap();
    assert_eq!(set.item(0).unwrap().gold, Gold::Truth { truth: false });
    assert_eq!(set.item(1).unwrap().gold, Gold::Truth { truth: true });
    assert_eq!(set.side(), Side::Contextual);
}

/// Two questions with an answer and one without.
const SQUAD: &str = r#"{"version":"v2.0","data":[{"title":"T","paragraphs":[{
 "context":"Zoë met Ana in Rome.","qas":[
  {"id":"1","question":"Where?","is_impossible":false,
   "answers":[{"text":"Rome","answer_start":15},{"text":"in Rome","answer_start":12},{"text":"Rome","answer_start":15}]},
  {"id":"2","question":"When?","is_impossible":true,"answers":[],"plausible_answers":[]},
  {"id":"3","question":"Whom?","answers":[{"text":"Ana","answer_start":8}]}]}]}]}"#;

#[test]
fn squad_knows_where_its_answers_are() {
    let options = Options { unanswerable: Some(Unanswerable::Skip), ..Options::default() };
    let set = read("dev-v2.0.json", SQUAD, Schema::Squad, &options).unwrap();
    assert_eq!((set.len(), set.skipped()), (Some(2), 1));
    let item = set.item(0).unwrap();
    assert_eq!(item.prompt, "Zoë met Ana in Rome.\nWhere?");
    assert_eq!(&item.prompt[item.evidence.clone().unwrap()], "Rome");
    assert_eq!(item.gold, Gold::Text { answers: vec!["Rome".to_owned(), "in Rome".to_owned()] });
    let last = set.item(1).unwrap();
    assert_eq!((last.index, &last.prompt[last.evidence.clone().unwrap()]), (1, "Ana"));
    assert_eq!(set.identity()["skipped"], json!(1));
}

#[test]
fn squad_is_flat_on_the_hub() {
    let text = r#"{"context":"In Rome.","question":"Where?","answers":{"text":["Rome","Rome"],"answer_start":[3,3]}}
{"context":"In Rome.","question":"Where?","answers":{"text":["Rome"]}}"#;
    let set = plain("a.jsonl", text, Schema::Squad).unwrap();
    assert_eq!(set.item(0).unwrap().evidence, Some(3..7));
    assert_eq!(set.item(1).unwrap().evidence, None);
    let list = format!("[{}]", text.replace("}\n{", "},\n{"));
    assert_eq!(plain("a.json", list, Schema::Squad).unwrap().items().len(), 2);
}

#[test]
fn the_content_tells_the_format() {
    let line = r#####"{"question":"A?","answer":"#### 1"}"#####;
    let cases = [
        ("a.jsonl", format!("\n{line}\n\n{line}"), 2),
        ("a", format!("\u{feff}{line}\r\n{line}\r\n"), 2),
        ("a.txt", format!("[{line},\n{line}]"), 2),
        ("a.json", "{\"question\":\"A?\",\n\"answer\":\"#### 1\"}\n".to_owned(), 1),
        ("a.json", line.to_owned(), 1),
    ];
    for (name, text, count) in cases {
        assert_eq!(plain(name, &text, Schema::Gsm8k).unwrap().items().len(), count, "{text}");
    }
    let options = Options { format: Some(Format::Csv), ..Options::default() };
    let set = read("a.txt", "question,answer\nA?,#### 1\n", Schema::Gsm8k, &options);
    assert_eq!(set.unwrap().len(), Some(1));
}

#[test]
fn the_identity_tells_sets_apart() {
    let one = plain("a.csv", CITIES, Schema::Cities).unwrap();
    let same = plain("b.csv", CITIES, Schema::Cities).unwrap();
    assert_eq!(one.identity(), same.identity());
    assert_eq!(one.items(), same.items());
    let other = plain("a.csv", CITIES.replace("Z", "K"), Schema::Cities).unwrap();
    assert_ne!(one.identity(), other.identity());
    assert_ne!(one.items()[0].id, other.items()[0].id);
    // The options' default is the option.
    let options = Options { options_in_prompt: Some(true), ..Options::default() };
    let given = read("a.json", AQUA, Schema::Aqua, &options).unwrap();
    assert_eq!(plain("a.json", AQUA, Schema::Aqua).unwrap().identity(), given.identity());
}

#[test]
fn past_the_end_there_is_nothing() {
    let set = plain("a.csv", CITIES, Schema::Cities).unwrap();
    assert!(matches!(set.item(5), Err(Error::Index { index: 5, len: 5, .. })));
}

#[test]
fn schemas_have_names() {
    for schema in Schema::ALL {
        assert_eq!(schema.name().parse::<Schema>().unwrap(), schema);
        assert_eq!(serde_json::to_value(schema).unwrap(), json!(schema.name()));
    }
    let message = "city".parse::<Schema>().unwrap_err().to_string();
    assert!(message.contains("did you mean `cities`?"), "{message}");
    let message = "zzz".parse::<Schema>().unwrap_err().to_string();
    assert!(message.contains("there are gsm8k, aqua"), "{message}");
}

proptest! {
    /// What is written comes back, whatever the format, and each item has its own name.
    #[test]
    fn formats_agree(rows in prop::collection::vec(("\\PC*[a-z]\\PC*", any::<bool>()), 1..12)) {
        let objects: Vec<_> =
            rows.iter().map(|(text, label)| json!({"text": text, "label": u8::from(*label)})).collect();
        let lines: String = objects.iter().map(|object| format!("{object}\n")).collect();
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["text", "label"]).unwrap();
        for (text, label) in &rows {
            writer.write_record([text.as_str(), if *label { "1" } else { "0" }]).unwrap();
        }
        let files = [
            ("a.jsonl", lines.into_bytes()),
            ("a.json", serde_json::to_vec_pretty(&objects).unwrap()),
            ("a.csv", writer.into_inner().unwrap()),
        ];
        for (name, bytes) in files {
            let set = plain(name, bytes, Schema::Imdb).unwrap();
            let found: Vec<_> = set.items().iter().map(|item| (item.prompt.clone(), item.gold.clone())).collect();
            let wanted: Vec<_> =
                rows.iter().map(|(text, positive)| (text.clone(), Gold::Sentiment { positive: *positive })).collect();
            prop_assert_eq!(found, wanted);
            let names: std::collections::BTreeSet<_> = set.items().iter().map(|item| &item.id).collect();
            prop_assert_eq!(names.len(), rows.len());
        }
    }

    /// Evidence is the answer, wherever it stands and whatever stands before it.
    #[test]
    fn evidence_is_the_answer(before in "\\PC*", answer in "[a-zé]{1,8}", after in "\\PC*") {
        let context = format!("{before}{answer}{after}");
        let start = before.chars().count();
        let record = json!({"context": context, "question": "?", "answers": [{"text": answer, "answer_start": start}]});
        let set = plain("a.jsonl", record.to_string(), Schema::Squad).unwrap();
        let item = set.item(0).unwrap();
        prop_assert_eq!(&item.prompt[item.evidence.unwrap()], answer);
    }
}
