//! Ids and texts equal transformers', for small trained tokenizers and for SmolLM2; malformed
//! files give one clear line.

use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

pub(super) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

pub(super) fn json_file(name: &str) -> Json {
    let bytes = std::fs::read(fixtures().join(name)).expect("the fixture is in the repository");
    serde_json::from_slice(&bytes).expect("the fixture is JSON")
}

fn ids(value: &Json) -> Vec<u32> {
    serde_json::from_value(value.clone()).expect("a list of ids")
}

/// Compares `encode` with `ids`, `ids_special` and `decode` with `decoded`, where a case has them.
pub(super) fn check_cases(name: &str, tokenizer: &Tokenizer, cases: &Json) {
    let mut wrong = Vec::new();
    for case in cases.as_array().expect("a list") {
        let text = case["text"].as_str().expect("a text");
        let modes = [("ids", SpecialTokens::None), ("ids_special", SpecialTokens::AsModel)];
        for (field, special) in modes.into_iter().filter(|(field, _)| case.get(field).is_some()) {
            let got = tokenizer.encode(text, special).expect("the text can be encoded");
            if got != ids(&case[field]) {
                wrong.push(format!("{text:?}, {field}: {got:?} instead of {}", case[field]));
            }
        }
        let encoded = ids(case.get("ids_special").unwrap_or(&case["ids"]));
        for (field, skip) in [("decoded", false), ("decoded_plain", true)] {
            let got = tokenizer.decode(&encoded, skip).expect("the ids can be decoded");
            if case.get(field).is_some_and(|expected| got != *expected) {
                wrong.push(format!("{text:?}, {field}: {got:?} instead of {}", case[field]));
            }
        }
    }
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

/// Long texts are kept as a checksum of their ids.
pub(super) fn check_long(name: &str, tokenizer: &Tokenizer, cases: &Json) {
    for case in cases.as_array().expect("a list") {
        let times = case["times"].as_u64().expect("a number") as usize;
        let text = case["unit"].as_str().expect("a text").repeat(times);
        let got = tokenizer.encode(&text, SpecialTokens::None).expect("the text can be encoded");
        let checksum: u64 = (1..).zip(&got).map(|(i, id)| i * u64::from(*id)).sum();
        assert_eq!(
            json!([got.len(), checksum]),
            json!([case["count"], case["checksum"]]),
            "{name}, {}",
            case["unit"]
        );
    }
}

#[test]
fn small_tokenizers_equal_transformers() {
    let fixture = json_file("tokenizer-small/cases.json");
    for (name, expected) in fixture["folders"].as_object().expect("an object") {
        let tokenizer = Tokenizer::from_folder(&fixtures().join("tokenizer-small").join(name))
            .expect("the folder is sound");
        check_cases(name, &tokenizer, &expected["cases"]);
        check_long(name, &tokenizer, &expected["long"]);
        let special = json!({
            "bos": tokenizer.bos_id(), "eos": tokenizer.eos_ids().first(),
            "pad": tokenizer.pad_id(), "unk": tokenizer.unk_id(), "size": tokenizer.vocab_size(),
        });
        let wanted = json!({
            "bos": expected["bos"], "eos": expected["eos"],
            "pad": expected["pad"], "unk": expected["unk"], "size": expected["vocab_size"],
        });
        assert_eq!(special, wanted, "{name}");
    }
}

fn byte_level() -> Tokenizer {
    Tokenizer::from_folder(&fixtures().join("tokenizer-small/byte-level")).expect("sound")
}

#[test]
fn a_tokenizer_of_another_model_is_named_with_both_numbers() {
    let tokenizer = byte_level();
    assert!(tokenizer.check_vocab(501).is_ok());
    assert!(tokenizer.check_vocab(512).is_ok());
    let error = tokenizer.check_vocab(500).expect_err("one row is missing").to_string();
    assert!(error.contains("<think>") && error.contains("500") && !error.contains('\n'), "{error}");
}

#[test]
fn single_tokens_are_shown_with_their_space() {
    let tokenizer = byte_level();
    let the = tokenizer.id("Ġth").expect("a frequent token");
    assert_eq!(tokenizer.token(the).as_deref(), Some("Ġth"));
    assert_eq!(tokenizer.decode_one(the), " th");
    assert_eq!(tokenizer.decode_one(9999), "<9999>");
    assert_eq!(tokenizer.token(9999), None);
    assert_eq!(tokenizer.decode(&[9999], false).ok().as_deref(), Some(""));
    let sentencepiece = Tokenizer::from_folder(&fixtures().join("tokenizer-small/sentencepiece"));
    let sentencepiece = sentencepiece.expect("sound");
    let the = sentencepiece.id("▁the").expect("a frequent token");
    assert_eq!(sentencepiece.decode_one(the), " the");
}

/// A folder that holds the byte-level tokenizer and other files.
fn folder_with(files: &[(&str, Json)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let from = fixtures().join("tokenizer-small/byte-level/tokenizer.json");
    std::fs::copy(from, dir.path().join("tokenizer.json")).expect("copied");
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content.to_string()).expect("written");
    }
    dir
}

#[test]
fn the_generation_config_says_what_ends_a_generation() {
    let config = json!({"eos_token_id": 7, "bos_token_id": 1});
    let tokenizer_config = json!({"eos_token": "</s>"});
    let cases = [
        (vec![("tokenizer_config.json", tokenizer_config.clone())], vec![2]),
        (
            vec![("tokenizer_config.json", tokenizer_config), ("config.json", config.clone())],
            vec![7],
        ),
        (
            vec![
                ("config.json", config),
                ("generation_config.json", json!({"eos_token_id": [3, 2]})),
            ],
            vec![3, 2],
        ),
        (vec![], vec![]),
    ];
    for (files, expected) in cases {
        let dir = folder_with(&files);
        let tokenizer = Tokenizer::from_folder(dir.path()).expect("sound");
        assert_eq!(tokenizer.eos_ids(), expected, "{files:?}");
    }
    let dir = folder_with(&[("generation_config.json", json!({"eos_token_id": -1}))]);
    let error = Tokenizer::from_folder(dir.path()).expect_err("no id").to_string();
    assert!(error.contains("generation_config.json") && error.contains("eos_token_id"), "{error}");
}

#[test]
fn chat_templates_come_from_three_places() {
    let messages = [Message::user("hi")];
    let named = |name: &str, template: &str| json!({"name": name, "template": template});
    let text = json!({"chat_template": "{{ bos_token }}A", "bos_token": "<s>"});
    let list = json!({"chat_template": [named("tool_use", "T"), named("default", "B")]});
    for (config, expected) in [(text.clone(), "<s>A"), (list, "B")] {
        let dir = folder_with(&[("tokenizer_config.json", config)]);
        let tokenizer = Tokenizer::from_folder(dir.path()).expect("sound");
        assert_eq!(tokenizer.apply_chat(&messages, false).ok().as_deref(), Some(expected));
    }
    let dir = folder_with(&[("tokenizer_config.json", text)]);
    std::fs::write(dir.path().join("chat_template.jinja"), "<s>{{ messages[0].content }}\n")
        .expect("written");
    let tokenizer = Tokenizer::from_folder(dir.path()).expect("sound");
    assert_eq!(tokenizer.apply_chat(&messages, false).ok().as_deref(), Some("<s>hi"));
    // BOS is there once: the template writes it, and encoding adds none.
    let ids = tokenizer.encode_chat(&messages, &ChatOptions::default()).expect("sound");
    assert_eq!(ids.iter().filter(|id| **id == 1).count(), 1);

    assert!(!byte_level().has_chat_template());
    let error = byte_level().apply_chat(&messages, true).expect_err("there is none").to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
    let dir =
        folder_with(&[("tokenizer_config.json", json!({"chat_template": [named("x", "T")]}))]);
    assert!(Tokenizer::from_folder(dir.path()).is_err());
}

#[test]
fn text_that_is_not_utf8_is_named_with_its_offset() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("text.txt");
    std::fs::write(&path, b"abc\xff\xfe").expect("written");
    let error = read_text(&path).expect_err("not UTF-8").to_string();
    assert!(error.contains("text.txt") && error.contains("0xff at offset 3"), "{error}");
    std::fs::write(&path, "\u{feff}ä").expect("written");
    assert_eq!(read_text(&path).ok().as_deref(), Some("\u{feff}ä"));
    assert!(matches!(read_text(&dir.path().join("missing")), Err(Error::Io { .. })));
}

/// `tokenizer.json` of `folder`, changed.
fn changed(folder: &str, change: impl FnOnce(&mut Json)) -> Result<Tokenizer> {
    let mut root = json_file(&format!("tokenizer-small/{folder}/tokenizer.json"));
    change(&mut root);
    let dir = folder_with(&[("tokenizer.json", root)]);
    Tokenizer::from_folder(dir.path())
}

#[test]
fn malformed_files_give_one_line_that_names_what_is_wrong() {
    type Change = fn(&mut Json);
    let cases: &[(&str, &str, Change)] = &[
        ("byte-level", "not a JSON object", |r| *r = json!([])),
        ("byte-level", "model: missing", |r| *r = json!({})),
        ("byte-level", "\"CPE\" is unknown", |r| r["model"]["type"] = json!("CPE")),
        ("byte-level", "model.vocab: not an object", |r| r["model"]["vocab"] = json!([1])),
        ("byte-level", "whole number", |r| r["model"]["vocab"]["a"] = json!(-1)),
        ("byte-level", "whole number", |r| r["model"]["vocab"]["a"] = json!(u64::MAX)),
        ("byte-level", "both have id 7", |r| {
            r["model"]["vocab"]["a"] = json!(7);
        }),
        ("byte-level", "model.merges[0]", |r| r["model"]["merges"][0] = json!(["a"])),
        ("byte-level", "model.merges[1]", |r| r["model"]["merges"][1] = json!(["a", "nope"])),
        ("byte-level", "merge into", |r| r["model"]["merges"][0] = json!(["Ġthe", "Ġthe"])),
        ("byte-level", "shorter than", |r| {
            r["model"]["continuing_subword_prefix"] = json!("########");
        }),
        ("byte-level", "model.merges: not a list", |r| r["model"]["merges"] = json!("a b")),
        ("byte-level", "model.dropout", |r| r["model"]["dropout"] = json!(0.1)),
        ("byte-level", "model.unk_token", |r| r["model"]["unk_token"] = json!("nope")),
        ("byte-level", "stated to have id 4711", |r| r["added_tokens"][4]["id"] = json!(4711)),
        ("byte-level", "both have id", |r| r["added_tokens"][4]["id"] = json!(0)),
        ("byte-level", "added_tokens[0].content", |r| r["added_tokens"][0] = json!({"id": 0})),
        ("byte-level", "loading failed", |r| r["pre_tokenizer"] = json!({"type": "Nope"})),
        ("byte-level", "loading failed", |r| {
            r["pre_tokenizer"] = json!({
                "type": "Split", "pattern": {"Regex": "(("}, "behavior": "Isolated", "invert": false,
            });
        }),
        ("byte-level", "pre_tokenizer.pretokenizers[0].length", |r| {
            let part = json!({"type": "FixedLength", "length": 0});
            r["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [part]});
        }),
        ("byte-level", "decoder.stop", |r| {
            r["decoder"] = json!({"type": "Strip", "content": " ", "start": 0, "stop": 1});
        }),
        ("byte-level", "truncated", |r| {
            r["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "////fwAA"});
        }),
        ("byte-level", "version", |r| r["version"] = json!("9.0")),
        ("sentencepiece", "adds id 9999", |r| {
            r["post_processor"]["special_tokens"]["<s>"]["ids"] = json!([9999]);
        }),
        ("unigram", "model.unk_id", |r| r["model"]["unk_id"] = json!(100_000)),
        ("unigram", "model.vocab[3]", |r| r["model"]["vocab"][3] = json!(["a"])),
        ("unigram", "model.vocab: not a list", |r| r["model"]["vocab"] = json!({})),
        ("unigram", "longest allowed", |r| {
            r["model"]["vocab"][9] = json!(["a".repeat(1 << 20), -1.0]);
        }),
    ];
    for (folder, expected, change) in cases {
        let error = changed(folder, change).expect_err(expected).to_string();
        assert!(error.contains(expected), "{expected:?} is not in {error:?}");
        assert!(error.contains("tokenizer.json") && !error.contains('\n'), "{error}");
    }
}

#[test]
fn truncated_files_are_refused_at_every_length() {
    let path = fixtures().join("tokenizer-small/unigram/tokenizer.json");
    let bytes = std::fs::read(path).expect("the fixture is in the repository");
    let whole = bytes.trim_ascii_end().len();
    for length in (0..whole).step_by(97).chain([whole - 1]) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("tokenizer.json"), &bytes[..length]).expect("written");
        assert!(Tokenizer::from_folder(dir.path()).is_err(), "{length} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn damaged_files_never_end_the_program(
        folder in prop::sample::select(vec!["byte-level", "sentencepiece", "unigram"]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0x20u8..0x7f), 1..4),
    ) {
        let path = fixtures().join("tokenizer-small").join(folder).join("tokenizer.json");
        let mut bytes = std::fs::read(path).expect("the fixture is in the repository");
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("tokenizer.json"), bytes).expect("written");
        match Tokenizer::from_folder(dir.path()) {
            // The damage may have hit a token, which is then another one.
            Ok(tokenizer) => {
                let ids = tokenizer.encode("the massive values", SpecialTokens::AsModel);
                if let Ok(ids) = ids {
                    prop_assert!(tokenizer.decode(&ids, false).is_ok());
                }
            }
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
    }
}

#[test]
fn a_charsmap_that_is_not_one_is_an_error_not_a_panic() {
    // The tree is there, but its first entry points far outside it.
    let charsmap = "BAAAAP////9hYmNk";
    let normalizer = json!({"type": "Precompiled", "precompiled_charsmap": charsmap});
    let tokenizer = changed("unigram", |r| r["normalizer"] = normalizer).expect("it loads");
    let error = tokenizer.encode("abc", SpecialTokens::None).expect_err("no tree").to_string();
    assert!(error.contains("malformed"), "{error}");
}

#[test]
fn a_folder_without_a_tokenizer_says_so() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let error = Tokenizer::from_folder(dir.path()).expect_err("empty").to_string();
    assert!(error.contains("no tokenizer"), "{error}");
    std::fs::write(dir.path().join("tokenizer.model"), b"x").expect("written");
    let error = Tokenizer::from_folder(dir.path()).expect_err("no tokenizer.json").to_string();
    assert!(error.contains("tokenizer.model"), "{error}");
    let dir = folder_with(&[("tokenizer_config.json", json!([]))]);
    assert!(matches!(Tokenizer::from_folder(dir.path()), Err(Error::Format { .. })));
    let decoder = json!({"added_tokens_decoder": {"3": {"content": "<x>"}}});
    let dir = folder_with(&[("tokenizer_config.json", decoder)]);
    assert!(Tokenizer::from_folder(dir.path()).is_err());
}

/// The real model's Hugging Face folder, if there is one.
#[test]
fn smollm2_equals_transformers() {
    let folder = fixtures().join("../models/SmolLM2-135M-Instruct");
    if !folder.join("tokenizer.json").is_file() {
        return;
    }
    let tokenizer = Tokenizer::from_folder(&folder).expect("the folder is sound");
    check_cases("SmolLM2", &tokenizer, &json_file("tokenizer-smollm2/golden.json"));
    assert_eq!((tokenizer.vocab_size(), tokenizer.eos_ids()), (49_152, &[2][..]));
    assert!(tokenizer.has_chat_template());
}
