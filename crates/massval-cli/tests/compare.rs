//! `massval compare`: the four arms, and what is refused.

mod common;

use common::{arg, fixture, listing, misused, refused, succeed, succeed_json};
use serde_json::Value;
use tempfile::tempdir;

/// A small model with a tokenizer: 2 layers, 2 heads and 1 KV head of 16 channels, 64 positions.
fn small() -> String {
    arg(&fixture("gguf-llama/f32.gguf")).to_owned()
}

fn natural() -> String {
    arg(&fixture("text/natural.txt")).to_owned()
}

#[test]
fn massive_rows_random_rows_and_none_are_kept() {
    let (folder, model, text) = (tempdir().unwrap(), small(), natural());
    let scan = ["scan", &model, "--text", &text, "--max-tokens", "60", "--criterion", "top-k:1"];
    succeed(scan.iter().copied().chain(["--out", arg(folder.path())]));
    let (findings, out) = (folder.path().join("scan.json"), folder.path().join("out"));
    let what =
        ["compare", &model, "--bits", "2", "--group-size", "16", "--protect", arg(&findings)];
    let tasks = ["--task", "capitals", "--limit", "2", "--text", &text, "--windows", "2"];
    let both =
        succeed_json(what.iter().chain(&tasks).copied().chain(["--out", arg(&out), "--json"]));
    assert_eq!(
        listing(&out),
        ["disrupt.html", "disrupt.json", "items.jsonl", "perplexity.json", "run.json"]
    );
    let names = ["none", "rtn:2", "rtn:2 massive", "rtn:2 random"];
    let arms = both["perplexity"]["arms"].as_array().expect("arms");
    let name = |arm: &Value| arm["arm"]["name"].as_str().map(str::to_owned);
    assert_eq!(arms.iter().filter_map(name).collect::<Vec<_>>(), names);
    let exact = |arm: usize| arms[arm]["arm"]["rounded"][0]["exact"].as_f64().expect("a share");
    assert!(exact(1) == 0.0 && exact(2) > 0.0 && exact(2) == exact(3));
    let error =
        |arm: usize| arms[arm]["arm"]["rounded"][0]["relative_error"].as_f64().expect("one");
    assert!(error(2) < error(1) && error(3) < error(1));
    for arm in &arms[1..] {
        assert!(arm["kl_nats"].as_f64() > Some(0.0), "{arm}");
    }
    let rows = |arm: usize| arms[arm]["arm"]["intervention"]["weights"]["rows"].clone();
    assert!(rows(2)["0.q"].is_array() && rows(2) != rows(3), "{}", rows(2));
    let tasks: Vec<&str> = both["tasks"]["comparisons"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["arm"] == "rtn:2 massive")
        .filter_map(|c| c["against"].as_str())
        .collect();
    assert_eq!(tasks, ["none", "rtn:2", "rtn:2 random"]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (model, text) = (small(), natural());
    let with =
        |more: &[&'static str]| [&["compare", &model, "--group-size", "16"][..], more].concat();
    refused(&with(&["--method", "gptq"]), &["--calibration"]);
    refused(&[&with(&[])[..], &["--calibration", &text]].concat(), &["rtn reads nothing"]);
    refused(&with(&["--bits", "4,4"]), &["rtn:4", "twice"]);
    let smooth = ["--method", "rtn,smoothquant", "--length", "16", "--calibration", &text];
    refused(&[&with(&[])[..], &smooth].concat(), &["smoothquant", "8 bits"]);
    refused(&with(&["--protect", "nowhere.json"]), &["nowhere.json"]);
    misused(&with(&["--bits", "5"]), &["2, 3, 4, 8"]);
    refused(&["compare", &model, "--group-size", "7"], &["groups of 7"]);
}
