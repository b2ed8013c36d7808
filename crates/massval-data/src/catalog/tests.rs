//! Every entry opens, and every bad spec is refused with what to do about it.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::read::Schema;
use crate::{Side, Token};

/// One token per byte.
struct Bytes;

impl Encode for Bytes {
    fn encode(&self, text: &str, _special: bool) -> Result<Vec<Token>> {
        let token = |(at, byte)| Token { id: u32::from(byte), bytes: at..at + 1 };
        Ok(text.bytes().enumerate().map(token).collect())
    }

    fn identity(&self) -> String {
        "bytes".to_owned()
    }
}

/// A file that the set of a name can be read from.
fn sample(folder: &TempDir, name: &str) -> PathBuf {
    let (file, text) = match name {
        "gsm8k" => ("a.jsonl", r##"{"question":"Q?","answer":"so #### 18"}"##),
        "aqua" => (
            "a.jsonl",
            r#"{"question":"Q?","options":["A)1","B)2","C)3","D)4","E)5"],"correct":"B"}"#,
        ),
        "imdb" => ("a.csv", "text,label\nGood,1\n"),
        "cities" | "conflict_reference" => {
            ("a.csv", "statement,label,city\nThe city of X is in Y.,1,X\n")
        }
        "coin_flip" => ("a.json", r#"{"examples":[{"question":"Q?","answer":"yes"}]}"#),
        "squad" => (
            "a.jsonl",
            r#"{"context":"A B","question":"Q?","answers":{"text":["B"],"answer_start":[2]}}"#,
        ),
        "small_facts" | "small_passkey" | "small_key_value" | "small_conflict" => {
            ("language.json", r#"{"seed": 1}"#)
        }
        "knowledge_qa" => ("a.csv", "subject,relation,object\nA,r,B\nC,r,D\n"),
        _ => ("a.json", r#"{"data":[{"question":"Q?","answer":true}]}"#),
    };
    let path = folder.path().join(name).with_extension(file);
    std::fs::write(&path, text).unwrap();
    path
}

/// How the set of an entry is asked for, with the tokens that the tests' tokenizer needs.
fn written(folder: &TempDir, entry: &Entry) -> String {
    match (entry.file, entry.tokenizer) {
        (true, _) => format!("{}:{}", entry.name, sample(folder, entry.name).display()),
        (false, true) => format!("{}:tokens=900", entry.name),
        (false, false) => entry.name.to_owned(),
    }
}

fn opened(text: &str, seed: Option<u64>) -> Box<dyn Dataset> {
    open(&text.parse().unwrap(), seed, Some(&Bytes)).unwrap()
}

#[track_caller]
fn refused(text: &str, wanted: &str) {
    assert_eq!(text.parse::<Spec>().unwrap_err().to_string(), wanted);
}

#[test]
fn every_entry_opens_and_gives_an_item() {
    let folder = tempfile::tempdir().unwrap();
    for entry in entries() {
        let text = written(&folder, entry);
        let set = opened(&text, None);
        let item = set.item(0).unwrap();
        assert_eq!((set.name(), set.side()), (entry.name, entry.side), "{text}");
        assert!(item.id.starts_with(entry.name) && !item.prompt.is_empty(), "{text}");
    }
}

#[test]
fn entries_differ_and_miss_no_schema() {
    let mut seen = HashSet::new();
    for entry in entries() {
        assert!(seen.insert((entry.name, entry.file)), "{} is there twice", entry.name);
        assert!(entry.description.ends_with('.') && !entry.description.contains("  "));
        let options = entry.options().unwrap();
        assert!(options.keys().all(|name| !name.contains(|c: char| c != '_' && !c.is_lowercase())));
    }
    for schema in Schema::ALL {
        assert!(seen.contains(&(schema.name(), true)), "{schema}");
    }
}

#[test]
fn only_what_counts_tokens_needs_a_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    for entry in entries() {
        let spec = written(&folder, entry).parse().unwrap();
        match open(&spec, None, None) {
            Ok(_) => assert!(!entry.tokenizer, "{spec}"),
            Err(error) => assert_eq!(
                error.to_string(),
                format!(
                    "{}: its prompts are measured in tokens; a model's tokenizer is needed",
                    entry.name
                )
            ),
        }
    }
}

#[test]
fn the_seed_is_for_sets_that_do_not_say_theirs() {
    let folder = tempfile::tempdir().unwrap();
    for entry in entries() {
        let text = written(&folder, entry);
        let (none, other) = (opened(&text, None).identity(), opened(&text, Some(7)).identity());
        let seeded = entry.options().unwrap().contains_key("seed");
        assert_eq!(none != other, seeded, "{text}");
        if seeded {
            let says = format!("{text}{}seed=3", if text.ends_with("900") { "," } else { ":" });
            assert_eq!(opened(&says, Some(7)).identity(), opened(&says, None).identity());
            assert_eq!(opened(&says, None).identity(), opened(&text, Some(3)).identity());
        }
    }
}

#[test]
fn options_reach_their_set() {
    let options = |text: &str| opened(text, None).identity()["options"].clone();
    let passkey = options("passkey:tokens=900,digits=12,depths=0,50,99.5,question= Key, please:");
    assert_eq!(
        passkey,
        json!({
            "seed": 0,
            "tokens": 900,
            "digits": 12,
            "depths": { "cycle": [0.0, 50.0, 99.5] },
            "question": " Key, please:",
        })
    );
    assert_eq!(options("key_value:depths=drawn,keys=uuid,form=lines")["form"], "lines");
    assert_eq!(
        options("conflict:overrides=news, law,wrong=2")["overrides"],
        json!(["news", "law"])
    );
    assert_eq!(options("capitals:form=question"), options("capitals:wrong=9,form=question"));
}

#[test]
fn presets_come_first_and_options_change_them() {
    let options = |text: &str| opened(text, None).identity()["options"].clone();
    let plain = options("passkey_reference:tokens=900");
    assert_eq!((&plain["wrap"], &plain["digits"]), (&json!(false), &json!(6)));
    let wrapped = options("passkey_reference:tokens=900,preset=wrapped");
    assert_eq!((&wrapped["wrap"], &wrapped["digits"]), (&json!(true), &json!(6)));
    let evaluated = options("passkey_reference:preset=evaluated,tokens=900,wrap=true");
    assert_eq!((&evaluated["wrap"], &evaluated["digits"]), (&json!(true), &json!(12)));
    assert_eq!(options("passkey_reference:preset=default,tokens=900"), plain);
}

#[test]
fn other_names_are_the_same_set() {
    let (one, other): (Spec, Spec) =
        ("facts:a.csv".parse().unwrap(), "knowledge_qa:a.csv".parse().unwrap());
    assert_eq!(one, other);
    assert_eq!(one.to_string(), "knowledge_qa:a.csv");
    let spec: Spec = "reference_conflict:form=statement".parse().unwrap();
    assert_eq!(spec.to_string(), "conflict_reference:form=statement");
}

#[test]
fn a_file_decides_between_two_sets_of_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let made = opened("cities", None);
    let read = opened(&format!("cities:{}", sample(&folder, "cities").display()), None);
    assert_eq!((made.len(), read.len()), (Some(716), Some(1)));
}

#[test]
fn a_config_decides_the_small_language() {
    let folder = tempfile::tempdir().unwrap();
    let file = sample(&folder, "small_facts");
    let prompts = |text: &str| -> Vec<String> {
        let set = opened(text, None);
        (0..20).map(|index| set.item(index).unwrap().choices[0].text.clone()).collect()
    };
    let read = prompts(&format!("small_facts:{}:relation=capital,wrong=3", file.display()));
    assert_ne!(read, prompts("small_facts:relation=capital,wrong=3"));
    std::fs::write(&file, "{}").unwrap();
    let read = prompts(&format!("small_facts:{}:relation=capital,wrong=3", file.display()));
    assert_eq!(read, prompts("small_facts:relation=capital,wrong=3"));
    std::fs::write(&file, r#"{"cities": 4}"#).unwrap();
    let spec = format!("small_passkey:{}", file.display()).parse().unwrap();
    let error = open(&spec, None, None).err().unwrap().to_string();
    assert_eq!(error, "language: `cities` is 4; it may be 16 to 128");
}

#[test]
fn files_may_have_the_marks_in_their_names() {
    for (text, path, options) in [
        ("gsm8k:a.jsonl", "a.jsonl", 0),
        ("gsm8k:C:\\sets\\a.jsonl", "C:\\sets\\a.jsonl", 0),
        ("gsm8k:/sets/split=test/a:1,b.jsonl", "/sets/split=test/a:1,b.jsonl", 0),
        ("gsm8k:./split=test/a.jsonl:format=jsonl", "./split=test/a.jsonl", 1),
        ("aqua:a:b:options_in_prompt=false,format=json", "a:b", 2),
        ("facts:a.csv:template=Is it: {object} of {subject}?", "a.csv", 1),
    ] {
        let spec: Spec = text.parse().unwrap();
        assert_eq!((spec.path(), spec.options().len()), (Some(path.as_ref()), options), "{text}");
    }
}

#[test]
fn unknown_names_are_refused_with_the_nearest() {
    let names: BTreeSet<&str> = entries().iter().map(|entry| entry.name).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    refused(
        "pass_key",
        &format!("set: `pass_key` is unknown; did you mean `passkey`? There are {names}"),
    );
    refused("zzz:a=1", &format!("set: `zzz` is unknown; there are {names}"));
    refused("", &format!("set: `` is unknown; there are {names}"));
}

#[test]
fn unknown_options_are_refused_with_the_nearest() {
    refused(
        "passkey:tokns=256",
        "passkey: there is no option `tokns`; did you mean `tokens`? There are seed, tokens, digits, \
         depths, question",
    );
    refused("list_recall:x=1", "list_recall: there is no option `x`; there are seed, words");
    refused(
        "gsm8k:a.jsonl:options_in_prompt=true",
        "gsm8k: there is no option `options_in_prompt`; there are format",
    );
    refused(
        "facts:a.csv:templates=x",
        "knowledge_qa: there is no option `templates`; did you mean `template`? There are seed, \
         template",
    );
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    let whole = "a whole number from 0 is wanted";
    for (text, name, value, why) in [
        ("passkey:tokens=many", "tokens", "many", whole),
        ("passkey:tokens=", "tokens", "", whole),
        ("passkey:tokens=-1", "tokens", "-1", whole),
        ("passkey:tokens=1e3", "tokens", "1e3", whole),
        ("passkey:tokens=256,digits", "tokens", "256,digits", whole),
        ("passkey:seed=18446744073709551616", "seed", "18446744073709551616", whole),
        (
            "passkey:depths=deep",
            "depths",
            "deep",
            "percents, separated by commas, or `drawn` are wanted",
        ),
        (
            "passkey:depths=0,,1",
            "depths",
            "0,,1",
            "percents, separated by commas, or `drawn` are wanted",
        ),
        ("passkey_reference:wrap=yes", "wrap", "yes", "true or false is wanted"),
        (
            "passkey_reference:preset=wraped",
            "preset",
            "wraped",
            "did you mean `wrapped`? There are default, wrapped, evaluated",
        ),
        ("key_value:form=xml", "form", "xml", "unknown variant `xml`, expected `json` or `lines`"),
        (
            "conflict:overrides=news,rumour",
            "overrides",
            "news,rumour",
            "unknown variant `rumour`, expected one of `document`, `supposition`, `news`, `law`",
        ),
        (
            "squad:a:unanswerable=maybe",
            "unanswerable",
            "maybe",
            "unknown variant `maybe`, expected `refuse` or `skip`",
        ),
        (
            "arithmetic:largest=4294967296",
            "largest",
            "4294967296",
            "invalid value: integer `4294967296`, expected u32",
        ),
    ] {
        let task = text.split(':').next().unwrap();
        refused(text, &format!("{task}: `{name}` cannot be `{value}`: {why}"));
    }
}

#[test]
fn other_bad_specs_are_refused() {
    refused("gsm8k", "gsm8k: it is read from a file; write gsm8k:FILE");
    refused("gsm8k:format=jsonl", "gsm8k: it is read from a file; write gsm8k:FILE");
    refused("facts", "knowledge_qa: it is read from a file; write facts:FILE");
    refused("passkey:", "passkey: nothing stands behind the `:`; a file or options do");
    refused("gsm8k::format=jsonl", "gsm8k: nothing stands behind the `:`; a file or options do");
    refused(
        "passkey:tokens=1,tokens=2",
        "passkey: the option `tokens` is given twice; once is enough",
    );
    refused(
        "list_recall:words",
        "list_recall: it takes no file, and `words` is no option with a value (NAME=VALUE); there \
         are seed, words",
    );
    refused(
        "capitals:a.csv:form=question",
        "capitals: it takes no file, and `a.csv` is no option with a value (NAME=VALUE); there are \
         seed, form, wrong",
    );
}

#[test]
fn what_only_opening_tells_is_refused_then() {
    let error = |text: &str| {
        let spec: Spec = text.parse().unwrap();
        open(&spec, None, Some(&Bytes)).err().unwrap().to_string()
    };
    assert!(error("gsm8k:no/such.jsonl").starts_with("no/such.jsonl: "));
    assert!(error("facts:no/such.csv").starts_with("no/such.csv: "));
    assert_eq!(error("list_recall:words=0").split(';').next(), Some("list_recall: 0 words"));
    assert_eq!(error("passkey:depths=101").split(';').next(), Some("passkey: a depth of 101 %"));
}

#[test]
fn specs_are_texts_in_results() {
    let spec: Spec = "capitals:form=question,wrong=3".parse().unwrap();
    let text = serde_json::to_value(&spec).unwrap();
    assert_eq!(text, "capitals:form=question,wrong=3");
    assert_eq!(serde_json::from_value::<Spec>(text).unwrap(), spec);
    let error = serde_json::from_value::<Spec>(json!("capitols")).unwrap_err().to_string();
    assert!(error.contains("did you mean `capitals`?"), "{error}");
}

#[test]
fn entries_are_listed_in_json() {
    let passkey = entries().iter().find(|entry| entry.name == "passkey");
    assert_eq!(
        serde_json::to_value(passkey).unwrap(),
        json!({
            "name": "passkey",
            "side": Side::Contextual,
            "description":
                "Asks for a number hidden at a chosen depth in irrelevant text of a chosen length.",
            "tokenizer": true,
            "file": false,
        })
    );
}

proptest! {
    #[test]
    fn what_parses_is_written_as_it_was(rest in "[a-z=:,./ ]{0,24}", name in 0..entries().len()) {
        let text = format!("{}:{rest}", entries()[name].name);
        if let Ok(spec) = text.parse::<Spec>() {
            prop_assert_eq!(spec.to_string(), text);
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>(), rest in any::<String>()) {
        let _ = text.parse::<Spec>();
        let _ = format!("conflict:{rest}").parse::<Spec>();
        let _ = format!("facts:{rest}:template={rest}").parse::<Spec>();
    }
}
