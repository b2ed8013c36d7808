//! `massval train`, and what runs on the models that massval carries.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::tempdir;

fn massval(args: &[&str]) -> std::process::Output {
    Command::cargo_bin("massval").unwrap().args(args).output().unwrap()
}

fn done(args: &[&str]) -> String {
    let output = massval(args);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// One line on standard error, and the exit code.
fn refused(args: &[&str], code: i32) -> String {
    let output = massval(args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
    stderr
}

/// A change of a config, and what is said of it.
type Case<'a> = (&'a dyn Fn(&mut Value), &'a str);

/// A config of a few seconds.
fn config(folder: &Path, change: impl Fn(&mut Value)) -> String {
    let mut config = serde_json::json!({
        "steps": 6, "batch": 2, "measure_every": 3, "measure_items": 2, "checkpoint_every": 2,
        "model": {"layers": 1, "d_model": 16, "heads": 2, "kv_heads": 2, "d_mlp": 32},
        "optimizer": {"warmup": 2},
        "language": {"countries": 8, "cities": 16, "sequence": 40},
    });
    change(&mut config);
    let path = folder.join("config.json");
    fs::write(&path, config.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_training_leaves_a_model_that_scans_and_disrupts() {
    let folder = tempdir().unwrap();
    let config = config(folder.path(), |_| {});
    let run = folder.path().join("run");
    let out = run.to_str().unwrap();
    let table = done(&["train", "--config", &config, "--position", "learned", "--out", out]);
    for text in ["learned positions", "passkey", "weights", "top ratio"] {
        assert!(table.contains(text), "{text}: {table}");
    }
    for file in ["train.json", "log.jsonl", "training.json", "training.svg", "model/config.json"] {
        assert!(run.join(file).is_file(), "{file}");
    }
    let record: Value =
        serde_json::from_slice(&fs::read(run.join("training.json")).unwrap()).unwrap();
    assert_eq!(record["config"]["model"]["position"]["kind"], "learned");
    assert_eq!(record["last"]["step"], 6);

    let model = run.join("model");
    let (model, scan) = (model.to_str().unwrap(), folder.path().join("scan"));
    let prompt = "the pass key is 4 7 1 .";
    let table = done(&["scan", model, "--prompt", prompt, "--out", scan.to_str().unwrap()]);
    assert!(table.contains("8 tokens, all counted") || table.contains("9 tokens"), "{table}");
    let table = done(&["disrupt", model, "--limit", "2", "--k", "2", "--task", "small_facts"]);
    assert!(table.contains("top-k:2"), "{table}");

    let line = refused(&["train", "--config", &config, "--position", "learned", "--out", out], 1);
    assert!(line.contains("holds a run; --resume goes on with it"), "{line}");
    let again = done(&["train", "--resume", "--out", out]);
    assert_eq!(again.lines().next(), table_of(out).as_deref());
    let line = refused(&["train", "--resume", "--seed", "5", "--out", out], 1);
    assert!(line.contains("the run has seed = 0, and 5 is asked for"), "{line}");
}

/// The first line of the table of a run that is over.
fn table_of(out: &str) -> Option<String> {
    done(&["train", "--resume", "--out", out]).lines().next().map(str::to_owned)
}

#[test]
fn what_cannot_be_trained_is_one_clear_line() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("run");
    let out = run.to_str().unwrap();
    let cases: [Case<'_>; 5] = [
        (&|c| c["model"]["heads"] = 3.into(), "model.heads: 3 does not divide model.d_model 16"),
        (&|c| c["model"]["width"] = 3.into(), "config.json: unknown field `width`"),
        (&|c| c["language"]["cities"] = 2.into(), "`cities` is 2"),
        (&|c| c["optimizer"]["warmup"] = 9.into(), "optimizer.warmup: 9 steps of 6"),
        (
            &|c| {
                c["model"]["position"] =
                    serde_json::json!({"kind": "rope", "theta": 1e4, "fraction": 0.4});
            },
            "model.position.fraction: 0.4 of a head of 8 channels is 3",
        ),
    ];
    for (change, expected) in cases {
        let config = config(folder.path(), change);
        let line = refused(&["train", "--config", &config, "--out", out], 1);
        assert!(line.contains(expected) && line.lines().count() == 1, "{line}");
        assert!(!run.exists(), "{expected}: nothing is left behind");
    }
    let line = refused(&["train", "--resume", "--out", out], 1);
    assert!(line.contains("has no checkpoints to go on from"), "{line}");
    let args = ["train", "--position", "learned", "--theta", "500", "--out", out];
    assert!(refused(&args, 1).contains("--theta: learned positions have no base"));
    refused(&["train"], 2);
    refused(&["train", "--out", out, "--preset", "huge"], 2);
    refused(&["train", "--out", out, "--mitigate", "prayer"], 2);
}

#[test]
fn a_plan_trains_nothing() {
    let folder = tempdir().unwrap();
    let config = config(folder.path(), |_| {});
    let run = folder.path().join("run");
    let plan = done(&["train", "--config", &config, "--out", run.to_str().unwrap(), "--dry-run"]);
    for text in ["6 steps of 2 rows of 40 tokens", "memory:", "disk:", "time: about"] {
        assert!(plan.contains(text), "{text}: {plan}");
    }
    assert!(!run.exists());
}

#[test]
fn without_a_model_the_carried_one_is_scanned() {
    let folder = tempdir().unwrap();
    let table = done(&["scan", "--out", folder.path().to_str().unwrap()]);
    assert!(table.starts_with("rope-small\n") && table.contains("64 tokens"), "{table}");
    let result: Value =
        serde_json::from_slice(&fs::read(folder.path().join("scan.json")).unwrap()).unwrap();
    assert_eq!(result["provenance"]["model"]["path_or_name"], "rope-small");
    let table = done(&["inspect", "learned-small"]);
    assert!(table.contains("gpt2"), "{table}");
    // Of another model something must be said.
    let line = refused(&["scan", "learned-small", "--chat", "--out", "."], 2);
    assert!(line.contains("nothing to read"), "{line}");
    let line = refused(&["scan", "rope-small", "--revision", "v1"], 1);
    assert!(line.contains("--revision"), "{line}");
}

/// The command of the README: facts stay, pass keys do not, and only where the massive channels go.
#[test]
fn without_a_model_the_carried_one_is_disrupted() {
    let folder = tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let json = done(&["disrupt", "--limit", "40", "--k", "8", "--json", "--out", out]);
    let result: Value = serde_json::from_str(&json).unwrap();
    let accuracy = |arm: &str, task: &str| {
        let cells = result["cells"].as_array().unwrap();
        let cell = cells
            .iter()
            .find(|cell| cell["arm"] == arm && cell["task"].as_str().unwrap().starts_with(task));
        cell.unwrap_or_else(|| panic!("no {arm} {task}"))["score"]["accuracy"].as_f64().unwrap()
    };
    assert!(accuracy("none", "small_passkey") > 0.95);
    assert!(accuracy("bottom-k:8", "small_passkey") > 0.9);
    assert!(accuracy("random-k:8", "small_passkey") > 0.9);
    assert!(accuracy("top-k:8", "small_passkey") < 0.8);
    assert!(accuracy("none", "small_facts") > 0.95);
    assert!(accuracy("top-k:8", "small_facts") > 0.9);
    assert!(folder.path().join("disrupt.html").is_file());
}
