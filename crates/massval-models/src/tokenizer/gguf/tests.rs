//! Tokenizers rebuilt from GGUF metadata equal transformers' conversion of the same metadata.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::super::SpecialTokens;
use super::super::tests::{check_cases, check_long, fixtures, json_file};
use super::*;
use crate::weights::Weights;

fn list<T: serde::de::DeserializeOwned>(value: &Json) -> Vec<T> {
    if value.is_null() {
        return Vec::new();
    }
    serde_json::from_value(value.clone()).expect("a list of that type")
}

fn vocabulary(name: &str) -> GgufTokenizer {
    let fixture = json_file("tokenizer-small/gguf.json");
    let keys = &fixture["vocabularies"][name];
    let model = keys["tokenizer_type"].as_str().expect("a text");
    GgufTokenizer {
        architecture: "llama".into(),
        model: model.into(),
        tokens: list(&keys["tokens"]),
        token_types: list(&keys["token_type"]),
        merges: list(&keys["merges"]),
        scores: list(&keys["scores"]),
        bos: Some(1),
        eos: Some(2),
        pad: Some(3),
        unk: match model {
            "llama" => Some(0),
            "t5" => Some(2),
            _ => None,
        },
        charsmap: list(&keys["precompiled_charsmap"]),
        ..GgufTokenizer::default()
    }
}

fn build(gguf: GgufTokenizer) -> Result<Tokenizer> {
    gguf.build(Path::new("model.gguf"))
}

fn build_error(gguf: GgufTokenizer) -> String {
    build(gguf).expect_err("it is malformed").to_string()
}

#[test]
fn vocabularies_equal_transformers_conversion() {
    let fixture = json_file("tokenizer-small/gguf.json");
    for case in fixture["cases"].as_array().expect("a list") {
        let text = |field: &str| case[field].as_str().map(ToOwned::to_owned);
        let name = text("name").expect("a text");
        let mut gguf = vocabulary(&text("vocabulary").expect("a text"));
        if gguf.model == "t5" {
            (gguf.bos, gguf.eos, gguf.pad) = (None, Some(1), Some(0));
        }
        gguf.architecture = text("architecture").expect("a text");
        gguf.pre = text("pre");
        let tokenizer = build(gguf).expect("the vocabulary is sound");
        check_cases(&name, &tokenizer, &case["cases"]);
        check_long(&name, &tokenizer, &case["long"]);
    }
}

#[test]
fn bos_is_added_as_the_file_or_else_the_kind_of_vocabulary_says() {
    let first = |gguf: GgufTokenizer| {
        let ids = build(gguf).and_then(|t| t.encode("the", SpecialTokens::AsModel));
        let ids = ids.expect("sound");
        (ids.first() == Some(&1), ids.last() == Some(&2))
    };
    let with = |model: &str, pre: Option<&str>, add_bos, add_eos| GgufTokenizer {
        pre: pre.map(ToOwned::to_owned),
        add_bos,
        add_eos,
        ..vocabulary(model)
    };
    assert_eq!(first(with("llama", None, None, None)), (true, false));
    assert_eq!(first(with("llama", None, Some(false), Some(true))), (false, true));
    assert_eq!(first(with("gpt2", None, None, None)), (false, false));
    assert_eq!(first(with("gpt2", Some("llama-bpe"), None, None)), (true, false));
    assert_eq!(first(with("gpt2", Some("llama-bpe"), Some(false), None)), (false, false));
    assert_eq!(first(with("gpt2", Some("smollm"), Some(true), Some(true))), (true, true));
    assert_eq!(first(with("gpt2", Some("falcon"), None, None)), (false, false));
    // Of a unigram vocabulary the text's end is marked, its beginning is not.
    let t5 = build(vocabulary("t5")).and_then(|t| t.encode("the", SpecialTokens::AsModel));
    assert_eq!(t5.expect("sound").last(), Some(&2));
    let t5 = GgufTokenizer { add_eos: Some(false), ..vocabulary("t5") };
    let t5 = build(t5).and_then(|t| t.encode("the", SpecialTokens::AsModel)).expect("sound");
    assert!(t5.first() != Some(&1) && t5.last() != Some(&2));
}

#[test]
fn no_space_is_put_before_the_text_if_the_file_says_so() {
    let gguf = GgufTokenizer { add_space_prefix: Some(false), ..vocabulary("llama") };
    let tokenizer = build(gguf).expect("sound");
    let ids = tokenizer.encode("the the", SpecialTokens::None).expect("sound");
    let pieces: Vec<_> = ids.iter().filter_map(|id| tokenizer.token(*id)).collect();
    assert_eq!(pieces.concat(), "the▁the");
    assert_eq!(tokenizer.decode(&ids, false).ok().as_deref(), Some("the the"));
    let ids = tokenizer.encode(" the", SpecialTokens::None).expect("sound");
    assert_eq!(tokenizer.decode(&ids, false).ok().as_deref(), Some(" the"));
}

#[test]
fn other_ends_of_a_turn_end_a_generation_too() {
    let gguf = GgufTokenizer { ends: vec![2, 3], ..vocabulary("llama") };
    assert_eq!(build(gguf).expect("sound").eos_ids(), [2, 3]);
}

#[test]
fn malformed_metadata_gives_one_line_that_names_the_key() {
    type Change = fn(&mut GgufTokenizer);
    let cases: &[(&str, &str, Change)] = &[
        ("gpt2", "tokenizer.ggml.model: \"bert\"", |g| g.model = "bert".into()),
        ("gpt2", "tokenizer.ggml.pre: \"klingon\"", |g| g.pre = Some("klingon".into())),
        ("gpt2", "tokens: missing", |g| g.tokens.clear()),
        ("gpt2", "merges: missing", |g| g.merges.clear()),
        ("gpt2", "token_type: 500 entries for 501", |g| g.token_types.truncate(500)),
        ("gpt2", "token_type[9]: 77", |g| g.token_types[9] = 77),
        ("gpt2", "there twice, as 10 and 12", |g| g.tokens[12] = g.tokens[10].clone()),
        ("gpt2", "merges[3]: \"ab\"", |g| g.merges[3] = "ab".into()),
        ("gpt2", "merges[3]", |g| g.merges[3] = "a b c".into()),
        ("gpt2", "merges[3]: token \"nope\"", |g| g.merges[3] = "nope a".into()),
        ("gpt2", "merge into", |g| g.merges[3] = "Ġthe Ġthe".into()),
        ("gpt2", "bos_token_id: 99999", |g| g.bos = Some(99_999)),
        ("gpt2", "eot_token_id", |g| g.ends = vec![501]),
        ("gpt2", "longest allowed", |g| g.tokens[9] = "x".repeat(1 << 20)),
        ("llama", "scores: missing", |g| g.scores.clear()),
        ("llama", "scores: 3 entries", |g| g.scores.truncate(3)),
        ("llama", "scores[400]", |g| g.scores[400] = f32::NAN),
        ("llama", "charsmap: not supported", |g| g.charsmap = vec![0; 9]),
        ("gpt2", "charsmap: not supported", |g| g.charsmap = vec![0; 9]),
        ("t5", "charsmap: truncated", |g| g.charsmap.truncate(100)),
        ("t5", "charsmap: truncated", |g| g.charsmap = vec![255; 9]),
        ("t5", "scores: missing", |g| g.scores.clear()),
        ("t5", "tokens[40]", |g| g.scores[40] = f32::INFINITY),
        ("t5", "unknown_token_id: 130", |g| g.unk = Some(130)),
        ("llama", "unknown_token_id: 480", |g| g.unk = Some(480)),
    ];
    for (model, expected, change) in cases {
        let mut gguf = vocabulary(model);
        change(&mut gguf);
        let error = build_error(gguf);
        assert!(error.contains(expected), "{expected:?} is not in {error:?}");
        assert!(error.starts_with("model.gguf: ") && !error.contains('\n'), "{error}");
    }
}

#[test]
fn tokens_spelled_as_plain_text_still_decode() {
    let mut gguf = vocabulary("gpt2");
    let id = gguf.tokens.len() as u32;
    gguf.tokens.push("日本".into());
    gguf.tokens.push(String::new());
    gguf.token_types.extend([1, 5]);
    let tokenizer = build(gguf).expect("sound");
    assert_eq!(tokenizer.decode(&[id], false).ok().as_deref(), Some("日本"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_text_comes_back_from_byte_level_ids(
        text in "(\\PC|[ \t\r\n\x00]|<s>|<think>|[0-9]|'s){0,40}",
        pre in prop::sample::select(vec![
            "default", "smollm", "llama-bpe", "qwen2", "tekken", "gpt-4o", "falcon", "bloom",
        ]),
    ) {
        let gguf = GgufTokenizer { pre: Some(pre.into()), ..vocabulary("gpt2") };
        let tokenizer = build(gguf).expect("sound");
        let ids = tokenizer.encode(&text, SpecialTokens::None).expect("any text has ids");
        prop_assert_eq!(tokenizer.decode(&ids, false).expect("any ids have a text"), text);
    }
}

#[test]
fn a_damaged_charsmap_gives_an_error_or_other_ids_but_no_panic() {
    let sound = vocabulary("t5").charsmap;
    for at in (0..sound.len()).step_by(7) {
        let mut gguf = vocabulary("t5");
        gguf.charsmap[at] ^= 0xa5;
        let Ok(tokenizer) = build(gguf) else { continue };
        let _ = tokenizer.encode("ﬁne café Ａ", SpecialTokens::None);
    }
}

#[test]
fn endless_runs_of_one_character_are_no_trouble() {
    for pre in ["smollm", "llama-bpe", "tekken"] {
        let gguf = GgufTokenizer { pre: Some(pre.into()), ..vocabulary("gpt2") };
        let tokenizer = build(gguf).expect("sound");
        for unit in [" ", "\n", "a", "'", "é", "1"] {
            let text = unit.repeat(50_000) + "x";
            let ids = tokenizer.encode(&text, SpecialTokens::None).expect("any text has ids");
            assert_eq!(tokenizer.decode(&ids, false).expect("sound"), text, "{pre}, {unit:?}");
        }
    }
}

/// The real model, if `scripts/fetch-smollm2.sh` brought it.
#[test]
fn smollm2_equals_transformers() {
    let path = fixtures().join("../models/SmolLM2-135M-Instruct.Q4_1.gguf");
    if !path.is_file() {
        return;
    }
    let weights = Weights::open(&path).expect("the file is sound");
    let meta = weights.gguf().expect("it is a GGUF");
    let tokenizer = Tokenizer::from_gguf(&path, meta).expect("the metadata is sound");
    check_cases("SmolLM2", &tokenizer, &json_file("tokenizer-smollm2/golden.json"));
    assert_eq!((tokenizer.vocab_size(), tokenizer.eos_ids()), (49_152, &[2][..]));
    let chat = tokenizer.apply_chat(&[super::super::Message::user("Hi")], true).expect("sound");
    assert_eq!(
        chat,
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face\
         <|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    );
}
