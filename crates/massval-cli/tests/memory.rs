//! Models that are larger than the memory they may take, through the binary.

mod common;

use common::{arg, fixture, json, refused, run, smollm2, succeed};
use serde_json::Value;
use tempfile::tempdir;

/// SmolLM2 takes 538 MB in f32; this is room for one layer of it.
const LIMIT: &str = "300MiB";

/// A result without what tells when and how it was made.
fn result(mut value: Value) -> Value {
    let fields = value.as_object_mut().expect("an object");
    fields.remove("provenance").expect("where it comes from");
    value
}

#[test]
fn scan_is_the_same_layer_by_layer() {
    let Some(model) = smollm2() else { return };
    let text = fixture("text/natural.txt");
    let [whole, parts] = [&[][..], &["--memory-limit", LIMIT]].map(|limit| {
        let out = tempdir().unwrap();
        let scan = ["scan", arg(&model), "--text", arg(&text), "--out", arg(out.path())];
        let table = succeed([&scan[..], limit].concat());
        (table, result(json(out.path().join("scan.json"))))
    });
    assert_eq!(whole, parts);
}

#[test]
fn interventions_are_the_same_layer_by_layer() {
    let Some(model) = smollm2() else { return };
    let text = fixture("text/natural.txt");
    let perplexity = ["perplexity", arg(&model), "--text", arg(&text), "--k", "2", "--json"];
    let tasks = ["--task", "capitals", "--task", "key_value:pairs=2", "--limit", "3"];
    let disrupt = [&["disrupt", arg(&model), "--k", "2", "--json"][..], &tasks].concat();
    for command in [&perplexity[..], &disrupt] {
        let [whole, parts] = [&[][..], &["--memory-limit", LIMIT]].map(|limit| {
            let printed = succeed([command, limit].concat());
            result(serde_json::from_str(&printed).expect("JSON"))
        });
        assert_eq!(whole, parts, "{command:?}");
    }
}

#[test]
fn a_dry_run_of_a_scan_says_how_the_model_would_be_read() {
    let Some(model) = smollm2() else { return };
    let out = tempdir().unwrap();
    let folder = out.path().join("results");
    let scan = ["scan", arg(&model), "--prompt", "Hello there", "--out", arg(&folder), "--dry-run"];
    for (limit, how) in [(LIMIT, "read layer by layer"), ("8GiB", "all in memory")] {
        let printed = succeed([&scan[..], &["--memory-limit", limit]].concat());
        assert!(printed.starts_with("2 tokens to read, once\nmemory: "), "{printed}");
        assert!(printed.contains(&format!("538.1 MB of weights, {how}")), "{printed}");
        assert!(printed.contains("\ndisk: 96.6 MB of checkpoint"), "{printed}");
        assert!(printed.contains("\ntime: about "), "{printed}");
        let limited = [&scan[..], &["--memory-limit", limit, "--json"]].concat();
        let plan: Value = serde_json::from_str(&succeed(limited)).unwrap();
        assert_eq!(plan["streamed"], how != "all in memory");
        assert_eq!(plan["weights"], 538_060_032);
    }
    assert!(!folder.exists(), "nothing is written");
}

#[test]
fn limits_that_cannot_be_kept() {
    let model = fixture("gguf-llama/f32.gguf");
    let out = tempdir().unwrap();
    let scan = ["scan", arg(&model), "--tokens", "3,4", "--out", arg(out.path())];
    let small = [&scan[..], &["--memory-limit", "1MiB"]].concat();
    refused(&small, &["f32.gguf", "layer by layer", "GiB"]);
    let plan = [&small[..], &["--dry-run"]].concat();
    refused(&plan, &["f32.gguf", "layer by layer"]);
    let wrong = run([&scan[..], &["--memory-limit", "plenty"]].concat());
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("4GiB"), "{}", wrong.stderr);
}

/// `stored` is the type that most tensors have; a result names the one that was computed in.
#[test]
fn numbers_may_stay_as_they_are_stored() {
    for (model, dtype) in [("qwen2", "bf16"), ("llama3-rope-mqa", "f16"), ("gpt2", "f32")] {
        let (out, model) = (tempdir().unwrap(), fixture(&format!("models/{model}")));
        let scan = ["scan", arg(&model), "--tokens", "3,4,5", "--out", arg(out.path())];
        succeed([&scan[..], &["--dtype", "stored"]].concat());
        assert_eq!(json(out.path().join("scan.json"))["provenance"]["dtype"], dtype);
    }
}
