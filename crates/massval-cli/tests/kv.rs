//! `--kv-bits`: the cache in few bits, in texts and tasks, with channels kept and without, and what is refused.

mod common;

use common::{arg, fixture, misused, refused, smollm2, succeed, succeed_json};
use massval::eval::KvRounding;
use massval::quant::{Bits, KvAxis};
use serde_json::Value;
use tempfile::tempdir;

/// A small model with a tokenizer: 2 layers, 2 heads and 1 KV head of 16 channels, 64 positions.
fn small() -> String {
    arg(&fixture("gguf-llama/f32.gguf")).to_owned()
}

fn natural() -> String {
    arg(&fixture("text/natural.txt")).to_owned()
}

fn perplexity(model: &str, more: &[&str]) -> Vec<Value> {
    let text = natural();
    let args = ["perplexity", model, "--text", &text, "--windows", "2", "--json"];
    let result = succeed_json(args.iter().chain(more).copied());
    result["arms"].as_array().expect("arms").clone()
}

fn names(arms: &[Value]) -> Vec<&str> {
    arms.iter().map(|arm| arm["arm"]["name"].as_str().expect("a name")).collect()
}

fn kl(arm: &Value) -> f64 {
    arm["kl_nats"].as_f64().expect("a KL")
}

#[test]
fn fewer_bits_are_further_from_the_model() {
    let arms = perplexity(&small(), &["--kv-bits", "8,4,2", "--kv-group", "8"]);
    assert_eq!(names(&arms), ["none", "kv:8", "kv:4", "kv:2"]);
    assert!(kl(&arms[1]) < kl(&arms[2]) && kl(&arms[2]) < kl(&arms[3]), "{arms:?}");
    let stored = arms[3]["arm"]["intervention"]["kv"].clone();
    let stored: KvRounding = serde_json::from_value(stored).expect("a rounding that is read back");
    let (keys, values) = (stored.keys.expect("keys"), stored.values.expect("values"));
    assert_eq!((keys.bits, keys.axis), (Bits::Two, KvAxis::PerChannel));
    assert_eq!((values.axis, values.group.map(|g| g.get())), (KvAxis::PerToken, Some(8)));
    for rounded in arms[3]["arm"]["rounded"].as_array().expect("what was rounded") {
        let error = rounded["relative_error"].as_f64().expect("an error");
        assert!(error > 0.001 && error < 0.5, "{rounded}");
    }
}

#[test]
fn what_is_kept_exact_lowers_the_error() {
    let error = |more: &[&str]| {
        let arms = perplexity(&small(), &[&["--kv-bits", "k2", "--kv-group", "4"], more].concat());
        arms[1]["arm"]["rounded"][0]["relative_error"].as_f64().expect("an error")
    };
    let plain = error(&[]);
    assert!(error(&["--kv-outliers", "0.1"]) < plain);
    assert_ne!(error(&["--kv-before-rope"]), plain);
    assert_ne!(error(&["--kv-keys", "per-token"]), plain);
    assert_ne!(error(&["--kv-first", "4", "--kv-residual", "16"]), plain);
}

#[test]
fn massive_channels_and_as_many_random_ones_are_kept() {
    let folder = tempdir().unwrap();
    let (model, text) = (small(), natural());
    let out = arg(folder.path());
    let scan = ["scan", &model, "--text", &text, "--max-tokens", "60", "--criterion", "top-k:1"];
    succeed(scan.iter().copied().chain(["--out", out]));
    let findings = folder.path().join("scan.json");
    let asked = ["--kv-bits", "k2", "--kv-group", "8", "--kv-protect", arg(&findings)];
    let arms = perplexity(&model, &asked);
    assert_eq!(names(&arms), ["none", "kv:k2", "kv:k2 massive", "kv:k2 random"]);
    let exact = |arm: usize| arms[arm]["arm"]["rounded"][0]["exact"].as_f64().expect("a share");
    // Of 16 channels one in K before RoPE and one after, each with its partner.
    assert!(exact(1) == 0.0 && exact(2) >= 2.0 / 16.0 && exact(2) == exact(3), "{}", exact(2));
    let kept = |arm: usize| arms[arm]["arm"]["intervention"]["kv"]["kept"].clone();
    assert_eq!(
        (kept(2)["what"].as_str(), kept(3)["what"].as_str()),
        (Some("massive"), Some("random"))
    );
    assert!(
        kept(2)["source"].as_str().is_some_and(|s| s.starts_with("scan.json (")),
        "{}",
        kept(2)
    );

    // The same in tasks, where the massive arm is compared with its controls.
    let task = ["disrupt", &model, "--task", "capitals", "--limit", "2", "--json"];
    let result = succeed_json(task.iter().chain(&asked).copied());
    let arms: Vec<&str> = result["arms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arm| arm["name"].as_str().unwrap())
        .collect();
    assert_eq!(arms, ["none", "kv:k2", "kv:k2 massive", "kv:k2 random"]);
    let against: Vec<(&str, &str)> = result["comparisons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["arm"].as_str().unwrap(), c["against"].as_str().unwrap()))
        .collect();
    for control in ["none", "kv:k2", "kv:k2 random"] {
        assert!(against.contains(&("kv:k2 massive", control)), "{against:?}");
    }
}

#[test]
fn answers_are_written_with_a_rounded_cache() {
    let (folder, model) = (tempdir().unwrap(), small());
    let path = folder.path().join("gsm8k.jsonl");
    let problem =
        |question: &str| format!("{{\"question\":\"{question}\",\"answer\":\"#### 3\"}}\n");
    std::fs::write(&path, [problem("A hen?"), problem("Eggs?")].concat()).unwrap();
    let spec = format!("gsm8k:{}", path.display());
    let task = ["disrupt", &model, "--task", &spec, "--limit", "2", "--max-new-tokens", "6"];
    let arms = ["--kv-bits", "2", "--kv-group", "4", "--select", "top-k:1", "--json"];
    let result = succeed_json(task.iter().chain(&arms).copied());
    let arms = result["arms"].as_array().unwrap();
    assert_eq!(arms[2]["name"], "kv:2");
    assert_eq!(arms[2]["rounded"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        (arms[1]["role"].as_str(), arms[2]["role"].as_str()),
        (Some("massive"), Some("other"))
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (model, text) = (small(), natural());
    let base = ["perplexity", &model, "--text", &text];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    misused(&with(&["--kv-bits", "5"]), &["--kv-bits", "2, 3, 4 or 8"]);
    misused(&with(&["--kv-residual", "4"]), &["--kv-bits"]);
    misused(&with(&["--kv-bits", "4", "--kv-outliers", "0.7"]), &["0 to 0.5"]);
    misused(&with(&["--kv-bits", "4", "--kv-keys", "both"]), &["per-channel, per-token"]);
    refused(&with(&["--kv-bits", "4", "--kv-group", "5"]), &["groups of 5", "divisor of 16"]);
    refused(&with(&["--kv-bits", "4,4"]), &["--kv-bits 4", "twice"]);
    refused(&with(&["--kv-bits", "4", "--kv-residual", "1000"]), &["no token of K", "keep fewer"]);
    refused(&with(&["--kv-bits", "v4", "--kv-protect", "scan.json"]), &["scan.json"]);
    let gpt2 = arg(&fixture("models/gpt2")).to_owned();
    let args = ["perplexity", &gpt2, "--text", &text, "--kv-bits", "4", "--kv-before-rope"];
    assert_ne!(common::run(args).code, Some(0));
}

/// 8 bits are as good as none, 2 bits are not; and what K loses per channel is less than per token.
#[test]
fn on_a_real_model() {
    let Some(model) = smollm2() else { return };
    let model = arg(&model);
    let window = ["--window", "128"];
    let channels = perplexity(model, &[&window[..], &["--kv-bits", "8,2"]].concat());
    assert!(kl(&channels[1]) < 0.01 && kl(&channels[2]) > 0.1, "{channels:?}");
    let tokens =
        perplexity(model, &[&window[..], &["--kv-bits", "2", "--kv-keys", "per-token"]].concat());
    assert!(kl(&tokens[1]) > kl(&channels[2]), "{} {}", kl(&tokens[1]), kl(&channels[2]));
}
