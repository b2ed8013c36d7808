//! `massval perplexity`: its definition, rules and arms, the result file, and what is refused.

mod common;

use std::fs;
use std::path::Path;

use common::checkpoint::Gguf;
use common::{arg, fixture, json, listing, massval, misused, refused, succeed, succeed_json};
use massval::disruption::{Intervention, Operator, Selection};
use massval::report::schema::PerplexityResult;
use serde_json::Value;
use tempfile::tempdir;

/// A small model with a tokenizer: 2 layers, 2 heads and 1 KV head of 16 channels, 64 positions.
fn small() -> String {
    arg(&fixture("gguf-llama/f32.gguf")).to_owned()
}

fn natural() -> String {
    arg(&fixture("text/natural.txt")).to_owned()
}

/// What a run on the small model prints, in its folder.
#[track_caller]
fn printed(more: &[&str]) -> String {
    let mut command = massval();
    command.current_dir(fixture("gguf-llama"));
    let text = ["perplexity", "f32.gguf", "--text", "../text/natural.txt"];
    let done = command.args(text).args(more).assert().success().stderr("");
    String::from_utf8(done.get_output().stdout.clone()).expect("UTF-8")
}

/// The result of a run on the small model.
#[track_caller]
fn measured(more: &[&str]) -> Value {
    serde_json::from_str(&printed(&[more, &["--json"]].concat())).expect("JSON")
}

fn perplexity(result: &Value, arm: usize) -> f64 {
    result["arms"][arm]["perplexity"].as_f64().expect("a perplexity")
}

#[test]
fn tables_state_the_definition() {
    let table = printed(&["--k", "1", "--window", "32"]);
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    insta::assert_snapshot!("table", table);
    insta::assert_snapshot!("markdown", printed(&["--format", "markdown", "--window", "16"]));
    let csv = printed(&["--format", "csv", "--select", "top-k:1"]);
    let lines: Vec<&str> = csv.lines().collect();
    let head = "arm,role,series,channels_per_head,tokens,mean_nll,perplexity,low,high,kl_nats,\
                top1_agreement,rot_q_channels,rot_q_share,rot_k_channels,rot_k_share";
    assert_eq!(lines[0], head);
    assert!(lines[1].starts_with("none,none,,,882,"), "{csv}");
    assert!(lines[2].starts_with("top-k:1,massive,\"massive, joint-mean\",1,882,"), "{csv}");
    assert_eq!(lines.len(), 3);
}

#[test]
fn the_result_holds_all_that_made_it() {
    let folder = tempdir().unwrap();
    let out = folder.path().join("perplexity.json");
    let (model, text) = (small(), natural());
    let args = ["perplexity", &model, "--text", &text, "--window", "32", "--seed", "7", "--json"];
    let arms = ["--select", "bottom-k:2", "--op", "zero", "--sites", "rot_k"];
    let printed = succeed_json(args.iter().chain(&arms).copied().chain(["--out", arg(&out)]));
    assert_eq!(printed, json(&out));
    assert_eq!(listing(folder.path()), ["perplexity.json"]);

    let result = PerplexityResult::read(&out).expect("a result that validates");
    let definition = &result.definition;
    assert!(definition.starts_with("exp of the mean negative log-probability"), "{definition}");
    assert!(definition.contains("windows of 32 tokens"), "{definition}");
    let run = &printed["provenance"];
    assert_eq!((&run["seed"], &run["input"]["source"]), (&7.into(), &"text".into()));
    for hash in [&run["model"]["files"][0]["blake3"], &run["input"]["sha256"]] {
        assert_eq!(hash.as_str().map(str::len), Some(64), "{hash}");
    }
    for arm in printed["arms"].as_array().unwrap() {
        let nll = arm["mean_nll"].as_f64().unwrap();
        assert!((nll.exp() - arm["perplexity"].as_f64().unwrap()).abs() < 1e-6 * nll.exp());
        let windows = arm["windows"].as_array().unwrap();
        assert_eq!(windows.len(), 28);
        let tokens = |window: &Value| window["tokens"].as_u64().unwrap();
        assert_eq!(windows.iter().map(tokens).sum::<u64>(), arm["tokens"].as_u64().unwrap());
        let sum = |window: &Value| tokens(window) as f64 * window["mean_nll"].as_f64().unwrap();
        let mean = windows.iter().map(sum).sum::<f64>() / arm["tokens"].as_f64().unwrap();
        assert!((mean - nll).abs() < 1e-9, "{mean} is not {nll}");
    }
    let stored = result.arms[1].arm.intervention.clone().expect("an intervention");
    let stored: Intervention = serde_json::from_value(stored).expect("one that is read back");
    let sites = ["rot_k".parse().unwrap()];
    let asked = Intervention::new(Operator::Zero, Selection::BottomK { k: 2 });
    assert_eq!(stored, asked.at(&sites).seeded(7));
}

#[test]
fn windows_are_cut_as_asked() {
    let window = |more: &[&str]| {
        let result = measured(more);
        let windows = result["arms"][0]["windows"].as_array().map(Vec::len).unwrap();
        let tokens = result["arms"][0]["tokens"].as_u64().unwrap();
        (windows, tokens, result["window"].clone())
    };
    // 896 tokens; the first of each window is not scored.
    let (windows, tokens, rule) = window(&[]);
    assert_eq!((windows, tokens, &rule["tokens"]), (14, 896 - 14, &64.into()));
    let (windows, tokens, _) = window(&["--window", "60"]);
    assert_eq!((windows, tokens), (15, 896 - 15));
    let (windows, tokens, rule) = window(&["--window", "16", "--stride", "4"]);
    assert_eq!((windows, tokens, &rule["stride"]), (221, 895, &4.into()));
    let (windows, tokens, rule) = window(&["--bos"]);
    assert_eq!((windows, tokens, &rule["bos"]), (15, 896, &true.into()));
    let (windows, tokens, _) = window(&["--window", "16", "--windows", "3"]);
    assert_eq!((windows, tokens), (3, 45));
    assert_eq!(window(&["--windows", "4294967295"]).0, 14);
    // The papers' rules leave a short last window out.
    let (windows, tokens, _) = window(&["--rule", "wikitext2", "--window", "60"]);
    assert_eq!((windows, tokens), (14, 14 * 59));
    let (.., rule) = window(&["--rule", "wikitext2", "--protocol", "bluorion-bos"]);
    assert_eq!(rule["bos"], true);
    for rule in ["wikitext2", "c4", "pg19", "redpajama"] {
        for protocol in ["bluorion", "locuslab"] {
            assert!(window(&["--rule", rule, "--protocol", protocol]).0 > 0, "{rule} {protocol}");
        }
    }
}

#[test]
fn records_are_read() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("text.jsonl");
    fs::write(&path, "{\"body\":\"the hen and\"}\n{\"body\":\"the eggs\"}\n").unwrap();
    let model = small();
    let args = ["perplexity", &model, "--text", arg(&path)];
    refused(&args, &["text.jsonl", "line 1", "`text`", "`body`"]);
    let result = succeed_json([&args[..], &["--field", "body", "--json"]].concat());
    assert!(perplexity(&result, 0) > 1.0);
}

#[test]
fn arms_are_measured_on_the_same_tokens() {
    let result = measured(&["--preset", "llama", "--window", "32"]);
    let arms = result["arms"].as_array().unwrap();
    let names: Vec<&str> = arms.iter().map(|arm| arm["arm"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["none", "non-massive", "random", "massive (llama)"]);
    for arm in &arms[1..] {
        assert_eq!(arm["tokens"], arms[0]["tokens"]);
        assert!(arm["kl_nats"].as_f64() > Some(0.0), "{arm}");
        assert!(arm["top1_agreement"].as_f64() < Some(1.0), "{arm}");
    }
    // The reference's Llama is the largest channel of each head.
    let again = measured(&["--select", "top-k:1", "--window", "32"]);
    assert_eq!(perplexity(&result, 3), perplexity(&again, 1));
    assert_eq!(perplexity(&result, 0), perplexity(&again, 0));
    // Undisturbed keys in the cache are no matter where nothing is written after the text.
    let kept = measured(&["--select", "top-k:1", "--window", "32", "--sites", "rot_q"]);
    assert_ne!(perplexity(&kept, 1), perplexity(&again, 1));
}

/// Arguments that are refused, and what is said.
type Refused<'a> = (&'a [&'a str], &'a [&'a str]);

#[test]
fn arms_and_windows_that_do_not_fit() {
    let folder = tempdir().unwrap();
    let out = folder.path().join("out.json");
    let (model, text) = (small(), natural());
    let cases: &[Refused<'_>] = &[
        (&["--window", "65"], &["65", "positions for 64"]),
        (&["--window", "16", "--stride", "17"], &["stride of 17", "1 to 16"]),
        (&["--field", "body"], &["`field`", "plain text"]),
        (&["--k", "9"], &["k = 9", "at most 8"]),
        (&["--k", "1", "--layers", "2"], &["layer 2", "has 2"]),
        (&["--k", "1,1"], &["bottom-k:1 is asked for twice"]),
        (&["--k", "1", "--select", "top-k:1"], &["top-k:1 is asked for twice"]),
        (&["--k", "1", "--sites", "rot_q", "--keep-cache"], &["only queries"]),
        (&["--k", "1", "--sites", "v", "--partner"], &["V has no partner"]),
        (&["--k", "1", "--when", "decode"], &["--when decode", "nothing is written"]),
        (&["--k", "1", "--positions", "evidence"], &["--positions evidence", "none"]),
        (&["--k", "1", "--positions", "900..999"], &["selects nothing", "positions"]),
        (&["--select", "head-mean:100"], &["head-mean:100", "selects nothing", "threshold"]),
        (&["--k", "1", "--op", "scale:1e300"], &["not finite"]),
        (&["--findings", "no/such.json"], &["no/such.json"]),
        // Without channels there is nothing that these could say more of.
        (&["--op", "zero"], &["--k", "--select", "--findings", "--preset"]),
        (&["--sites", "q"], &["--select"]),
        (&["--layers", "0"], &["--select"]),
        (&["--heads", "0"], &["--select"]),
        (&["--partner"], &["--select"]),
        (&["--keep-cache"], &["--select"]),
        (&["--positions", "first"], &["--select"]),
    ];
    for (more, said) in cases {
        let args = ["perplexity", &model, "--text", &text, "--out", arg(&out)];
        refused(&[&args[..], more].concat(), said);
        assert_eq!(listing(folder.path()), [""; 0], "{more:?} left something behind");
    }
    let gpt2 = fixture("models/gpt2");
    refused(&["perplexity", arg(&gpt2), "--text", &text], &[arg(&gpt2), "tokenizer"]);
}

#[test]
fn texts_that_cannot_be_scored() {
    let (folder, model) = (tempdir().unwrap(), small());
    let text = |name: &str, bytes: &[u8], more: &[&str], said: &[&str]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        refused(&[&["perplexity", &model, "--text", arg(&path)][..], more].concat(), said);
    };
    text("latin.txt", b"caf\xe9", &[], &["latin.txt", "UTF-8", "byte 3"]);
    text("empty.txt", b"", &[], &["empty.txt", "no text"]);
    text("blank.txt", b" \n", &[], &["blank.txt", "no text"]);
    text("one.txt", b"a", &[], &["has 1 token, too few"]);
    text("one.txt", b"a", &["--rule", "wikitext2"], &["too few", "64"]);
    text("empty.jsonl", b"", &[], &["empty.jsonl", "empty"]);
    text("not.parquet", b"nonsense", &[], &["not.parquet", "PAR1"]);
    refused(&["perplexity", &model, "--text", "no/such.txt"], &["no/such.txt"]);
    let place = arg(folder.path());
    refused(&["perplexity", &model, "--text", place], &[place, "folder"]);
}

#[test]
fn a_tokenizer_without_bos() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("small.gguf");
    let mut file = Gguf::read(&fixture("gguf-llama/f32.gguf"));
    file.replace("tokenizer.ggml.bos_token_id", "tokenizer.ggml.boz_token_id");
    fs::write(&path, file.bytes).unwrap();
    let text = natural();
    let args = ["perplexity", arg(&path), "--text", &text];
    for more in [&["--bos"][..], &["--rule", "c4", "--protocol", "locuslab"]] {
        refused(&[&args[..], more].concat(), &["BOS", "has none"]);
    }
    succeed(args);
}

#[test]
fn places_that_cannot_be_written() {
    let folder = tempdir().unwrap();
    let (model, text) = (small(), natural());
    let file = folder.path().join("letter.txt");
    fs::write(&file, "dear").unwrap();
    let (below, missing) = (file.join("out.json"), folder.path().join("missing/out.json"));
    let run = |out: &Path, said: &[&str]| {
        let args = ["perplexity", &model, "--text", &text, "--windows", "1", "--out", arg(out)];
        refused(&args, &[said, &[arg(out)]].concat());
    };
    run(folder.path(), &["is a folder"]);
    run(&below, &["not a folder"]);
    run(&missing, &["not a folder"]);
    assert_eq!(listing(folder.path()), ["letter.txt"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "dear");
}

#[test]
fn wrong_usage() {
    let (model, text) = (small(), natural());
    misused(&["perplexity", &model], &["--text"]);
    let cases: &[Refused<'_>] = &[
        (&["--window", "1"], &["--window"]),
        (&["--stride", "0"], &["--stride"]),
        (&["--windows", "0"], &["--windows"]),
        (&["--rule", "wikitext"], &["wikitext", "'wikitext2'"]),
        (&["--rule", "c4", "--stride", "4"], &["--rule", "--stride"]),
        (&["--rule", "c4", "--bos"], &["--rule", "--bos"]),
        (&["--protocol", "locuslab"], &["--rule"]),
        (&["--op", "zeero"], &["zeero", "zero"]),
        (&["--select", "topk:2"], &["topk:2", "top-k:2"]),
        (&["--preset", "llama", "--select", "top-k:1"], &["--preset", "--select"]),
        (&["--json", "--format", "csv"], &["--json", "--format"]),
        (&["--seed", "-1"], &["-1"]),
    ];
    for (more, said) in cases {
        misused(&[&["perplexity", &model, "--text", &text][..], more].concat(), said);
    }
}
