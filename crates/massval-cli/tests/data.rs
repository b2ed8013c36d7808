//! `massval data`: the list of sets, items word for word, and what is refused.

mod common;

use std::fs;
use std::path::Path;

use common::{fixture, listing, run, succeed, succeed_json};
use massval::models::tokenizer::{SpecialTokens, Tokenizer};
use serde_json::Value;
use tempfile::tempdir;

fn arg(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// The items of JSON lines.
fn items(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).expect("an item")).collect()
}

fn string(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Checks that a run fails with exit code 1 and one line that holds all of `said`.
#[track_caller]
fn refused(args: &[&str], said: &[&str]) {
    let outcome = run(["data"].iter().chain(args));
    let line = outcome.stderr.trim_end_matches('\n');
    assert_eq!(outcome.code, Some(1), "{args:?}: {line}");
    assert!(line.starts_with("massval: ") && !line.contains('\n'), "{args:?}: {line}");
    assert_eq!(outcome.stdout, "", "{args:?}");
    for part in said {
        assert!(line.contains(part), "{args:?}: no {part:?} in: {line}");
    }
}

/// Checks that a run is refused as wrong usage.
#[track_caller]
fn misused(args: &[&str], said: &[&str]) {
    let outcome = run(["data"].iter().chain(args));
    assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.stderr);
    for part in said {
        assert!(outcome.stderr.contains(part), "{args:?}: no {part:?} in: {}", outcome.stderr);
    }
}

#[test]
fn list() {
    let text = succeed(["data"]);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!("list", text);
    let json = succeed_json(["data", "--json"]);
    let entries = json.as_array().unwrap();
    let passkey = entries.iter().find(|entry| entry["name"] == "passkey").unwrap();
    assert_eq!((&passkey["tokenizer"], &passkey["file"]), (&true.into(), &false.into()));
    assert_eq!(passkey["options"]["tokens"], 256);
    for entry in entries {
        assert!(text.contains(string(&entry["name"])), "{entry}");
    }
}

#[test]
fn items_word_for_word() {
    insta::assert_snapshot!("capitals", succeed(["data", "capitals:wrong=2", "--limit", "3"]));
    let flips = run(["data", "coin_flip:people=2", "--limit", "4", "--seed", "7"]);
    insta::assert_snapshot!("coin_flip", flips.stdout);
    assert_eq!(flips.stderr, "4 items of coin_flip:people=2, gold: no 2, yes 2\n");
    assert_eq!(flips.code, Some(0));
}

#[test]
fn all_items_where_there_is_an_end() {
    let outcome = run(["data", "cities"]);
    assert_eq!(outcome.stderr, "716 items of cities, gold: no 358, yes 358\n");
    assert_eq!(items(&outcome.stdout).len(), 716);
}

#[test]
fn a_seed_is_for_specs_without_one() {
    let say = |args: &[&str]| succeed(["data", "--limit", "2"].iter().chain(args));
    assert_eq!(say(&["list_recall", "--seed", "3"]), say(&["list_recall:seed=3"]));
    assert_eq!(say(&["list_recall:seed=3", "--seed", "4"]), say(&["list_recall:seed=3"]));
    assert_ne!(say(&["list_recall", "--seed", "3"]), say(&["list_recall"]));
}

#[test]
fn evidence_has_tokens() {
    let folder = fixture("tokenizer-small/byte-level");
    let tokenizer = Tokenizer::from_folder(&folder).unwrap();
    let args = ["data", "passkey:tokens=700,depths=50", "--limit", "2", "--tokenizer"];
    let text = succeed([&args[..], &[arg(&folder)]].concat());
    for item in items(&text) {
        let prompt = string(&item["prompt"]);
        let ids = tokenizer.encode(prompt, SpecialTokens::None).unwrap();
        assert!((650..=700).contains(&ids.len()), "{} tokens", ids.len());
        let at = |end: &str| item["evidence_tokens"][end].as_u64().unwrap() as usize;
        let evidence = tokenizer.decode(&ids[at("start")..at("end")], false).unwrap();
        let digits = string(&item["gold"]["digits"]);
        let wanted = format!("The pass key is {digits}. Remember it. {digits} is the pass key.");
        assert!(evidence.contains(&wanted), "{evidence}");
    }
}

#[test]
fn tokenizers_come_in_several_files() {
    let prompts = |tokenizer: &Path| {
        let tokenizer = arg(tokenizer);
        let text =
            succeed(["data", "passkey:tokens=900", "--limit", "1", "--tokenizer", tokenizer]);
        string(&items(&text)[0]["prompt"]).to_owned()
    };
    let folder = fixture("tokenizer-small/byte-level");
    assert_eq!(prompts(&folder), prompts(&folder.join("tokenizer.json")));
    let gguf = fixture("gguf-llama/f32.gguf");
    let text = succeed(["data", "conflict", "--limit", "2", "--tokenizer", arg(&gguf)]);
    for item in items(&text) {
        assert_eq!(item["evidence_tokens"]["start"], 0, "{item}");
        assert!(item["evidence_tokens"]["end"].as_u64() > Some(1), "{item}");
    }
}

#[test]
fn a_file_of_items() {
    let folder = tempdir().unwrap();
    let out = folder.path().join("items.jsonl");
    let args = ["data", "capitals", "--limit", "5", "--out", arg(&out)];
    let said = succeed(args);
    assert_eq!(said, format!("wrote {}: 5 items of capitals, gold: text 5\n", out.display()));
    let written = fs::read_to_string(&out).unwrap();
    assert_eq!(written, succeed(["data", "capitals", "--limit", "5"]));
    let json = succeed_json(args.iter().chain(&["--json"]));
    assert_eq!((&json["count"], &json["available"]), (&5.into(), &136.into()));
    assert_eq!((string(&json["spec"]), string(&json["side"])), ("capitals", "parametric"));
    assert_eq!(string(&json["out"]), arg(&out));
    assert!(json.get("items").is_none());
    assert_eq!(listing(folder.path()), ["items.jsonl"]);
    let json = succeed_json(["data", "capitals", "--limit", "5", "--json"]);
    assert_eq!(json["items"].as_array().unwrap(), &items(&written));
    assert_eq!(json["gold"]["text"], 5);
}

#[test]
fn files_are_read() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("test.jsonl");
    fs::write(&path, "{\"question\":\"9 + 9?\",\"answer\":\"#### 18\"}\n").unwrap();
    let spec = format!("gsm8k:{}", path.display());
    let outcome = run(["data", &spec]);
    assert_eq!(outcome.stderr, format!("1 item of {spec}, gold: number 1\n"));
    assert_eq!(items(&outcome.stdout)[0]["gold"]["number"], "18");
    fs::write(&path, "{\"question\":\"9 + 9?\"}\n").unwrap();
    refused(&[&spec], &["test.jsonl", "line 1", "`answer`"]);
    refused(&["gsm8k:no/such.jsonl"], &["no/such.jsonl"]);
}

#[test]
fn wrong_usage() {
    misused(&["passkeys"], &["passkeys", "did you mean `passkey`?"]);
    misused(&["passkey:tokns=3"], &["tokns", "did you mean `tokens`?"]);
    misused(&["passkey:tokens=few"], &["tokens", "few", "a whole number"]);
    misused(&["gsm8k"], &["gsm8k:FILE"]);
    misused(&["capitals", "--limit", "0"], &["--limit"]);
    misused(&["--limit", "3"], &["SPEC"]);
    misused(&["--out", "a"], &["SPEC"]);
}

#[test]
fn what_cannot_be_had() {
    let folder = tempdir().unwrap();
    let out = folder.path().join("items.jsonl");
    let out = ["--out", arg(&out)];
    let nothing = |args: &[&str], said: &[&str]| {
        refused(args, said);
        refused(&[args, &out].concat(), said);
        assert_eq!(listing(folder.path()), [""; 0], "{args:?} left something behind");
    };
    nothing(&["coin_flip"], &["coin_flip: ", "--limit"]);
    nothing(&["capitals", "--limit", "137"], &["capitals: 137 items", "136"]);
    nothing(&["list_recall:words=0", "--limit", "1"], &["list_recall: 0 words"]);
    nothing(&["passkey", "--limit", "1"], &["passkey: ", "--tokenizer"]);
    nothing(&["gsm8k:a.jsonl", "--seed", "1"], &["gsm8k: ", "--seed"]);
    let small = fixture("tokenizer-small/byte-level");
    let tokenizer = ["--limit", "1", "--tokenizer", arg(&small)];
    nothing(&[&["passkey:tokens=9"][..], &tokenizer].concat(), &["passkey: 9 tokens", "at least"]);
    nothing(&["capitals", "--tokenizer", "no/such.gguf"], &["no/such.gguf"]);
    nothing(&["capitals", "--tokenizer", arg(&fixture("text"))], &["tokenizer.json"]);
    let missing = folder.path().join("missing/items.jsonl");
    refused(&["capitals", "--out", arg(&missing)], &["missing/items.jsonl"]);
}
