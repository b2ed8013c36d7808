//! What the command says of itself and of a small model, at 80 columns, word for word.

mod common;

use common::{fixture, succeed};
use tempfile::tempdir;

const COMMANDS: &[&str] = &[
    "scan",
    "capture",
    "detect",
    "logits",
    "disrupt",
    "perplexity",
    "sensitivity",
    "train",
    "compare",
    "generate",
    "quantize",
    "convert",
    "hooks",
    "inspect",
    "models",
    "data",
    "completions",
];

/// The small model, by a path that is the same on every machine.
fn small() -> assert_cmd::Command {
    let mut command = common::massval();
    command.current_dir(fixture("gguf-llama"));
    command
}

#[track_caller]
fn text(args: &[&str]) -> String {
    let output = small().args(args).output().expect("the binary runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{args:?}: {widest:?} columns\n{text}");
    text
}

#[test]
fn help() {
    insta::assert_snapshot!("massval", text(&["--help"]));
    for command in COMMANDS {
        insta::assert_snapshot!(*command, text(&[command, "--help"]));
        assert_eq!(text(&[command, "--help"]), text(&[command, "-h"]));
    }
}

#[test]
fn version() {
    assert_eq!(text(&["--version"]), format!("massval {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = succeed(["completions", shell]);
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: no {command}");
        }
    }
}

#[test]
fn scan_table() {
    let out = tempdir().unwrap();
    let out = out.path().to_str().unwrap();
    let args = ["scan", "f32.gguf", "--prompt", "the hen, the 3 eggs; 1024 hellos", "--out", out];
    let massive = ["--criterion", "head-mean:1.5"];
    insta::assert_snapshot!("scan_table", text(&[&args[..], &massive].concat()));
    let without = ["--no-activations", "--skip-first", "1", "--max-tokens", "4"];
    insta::assert_snapshot!("scan_table_none", text(&[&args[..], &without].concat()));
}

#[test]
fn detect_table() {
    let out = tempdir().unwrap();
    let file = out.path().join("captured.safetensors");
    let file = file.to_str().unwrap();
    text(&["capture", "f32.gguf", "--prompt", "the hens", "--hooks", "rot_q", "v", "--out", file]);
    let args = ["detect", file, "--layout", "bshd", "--criterion", "head-mean:1.5"];
    insta::assert_snapshot!(
        "detect_table",
        text(&[&args[..], &["--rope-theta", "10000"]].concat())
    );
}

#[test]
fn inspect_text() {
    insta::assert_snapshot!("inspect_gguf", text(&["inspect", "f32.gguf"]));
    insta::assert_snapshot!("inspect_mixed", text(&["inspect", "mixed.gguf"]));
    for case in ["gpt2", "llama3-rope-mqa", "llama-gqa-untied-sharded"] {
        let name = format!("inspect_{case}");
        insta::assert_snapshot!(name, text(&["inspect", &format!("../models/{case}")]));
    }
}

#[test]
fn hooks_text() {
    insta::assert_snapshot!("hooks_all", text(&["hooks", "f32.gguf"]));
    insta::assert_snapshot!("hooks_glob", text(&["hooks", "f32.gguf", "blocks.-1.attn.*"]));
}

#[test]
fn capture_plan() {
    let args = ["capture", "f32.gguf", "--prompt", "the hens", "--dry-run", "--out", "unwritten"];
    let hooks = ["--hooks", "blocks.0.attn.*", "resid_post"];
    insta::assert_snapshot!("capture_plan", text(&[&args[..], &hooks].concat()));
    assert!(!fixture("gguf-llama/unwritten").exists());
}

/// Every architecture, with its traits; the numbers of the parity change with every record.
#[test]
fn models_name_every_architecture() {
    let listed = text(&["models"]);
    for part in ["llama\n", "gemma2\n", "soft cap", "ALiBi", "experts, SiLU", "parallel, one norm"]
    {
        assert!(listed.contains(part), "no {part}:\n{listed}");
    }
    let all: serde_json::Value = serde_json::from_str(&succeed(["models", "--json"])).unwrap();
    let all = all.as_array().expect("a list");
    assert_eq!(all.len(), listed.matches("  positions").count());
    assert!(all.iter().all(|record| record["parity"]["logits"].as_f64() < Some(5e-5)), "{all:?}");
}
