//! `massval quantize` and `convert`: what they write, and what bad input gets.

mod common;

use std::fs;
use std::path::Path;

use common::checkpoint::{Safetensors, edit_json, small_model};
use common::{arg, fixture, json, listing, misused, refused, run, succeed, succeed_json};
use serde_json::json;
use tempfile::tempdir;

/// Ids that the small model knows, enough for some sequences.
fn tokens() -> String {
    let ids: Vec<String> = (0..60).map(|i| (3 + (i * 7 + i * i) % 50).to_string()).collect();
    ids.join(",")
}

const SMALL: [&str; 6] = ["--group-size", "8", "--samples", "4", "--length", "10"];

#[test]
fn a_checkpoint_is_written_shown_and_converted() {
    let (model, place) = (small_model(), tempdir().unwrap());
    let (out, again) = (place.path().join("out"), place.path().join("again"));
    let tokens = tokens();
    fs::write(model.path().join("tokenizer_config.json"), "{}").unwrap();
    fs::write(model.path().join("chat_template.jinja"), "{{ messages }}").unwrap();
    let common = [&["quantize", arg(model.path()), "--tokens", &tokens][..], &SMALL].concat();
    let awq = [&common[..], &["--method", "awq", "--format", "awq", "--out", arg(&out), "--json"]];
    let result = succeed_json(awq.concat());
    assert_eq!(result["linears"].as_array().unwrap().len(), 21);
    assert!(result["linears"][0]["output_error"].as_f64().unwrap() < 0.1);
    let files = ["README.md", "chat_template.jinja", "config.json", "generation_config.json"];
    let rest = ["massval.json", "model.safetensors", "tokenizer_config.json"];
    assert_eq!(listing(&out), [&files[..], &rest].concat());
    assert_eq!(json(out.join("config.json"))["quantization_config"]["quant_method"], "awq");
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    for part in [
        "base_model:",
        "| method | awq |",
        "4 bits, symmetric, groups of 8",
        "4 sequences, 40 tokens",
    ] {
        assert!(card.contains(part), "{card}");
    }
    assert!(succeed(["inspect", arg(&out)]).contains("4 bits"));
    succeed(["convert", arg(&out), "--format", "gptq", "--out", arg(&again)]);
    let logits = |folder: &Path| {
        let file = place.path().join("logits.safetensors");
        succeed(["logits", arg(folder), "--tokens", "3,4,5", "--out", arg(&file)]);
        fs::read(file).unwrap()
    };
    let (first, second) = (logits(&out), logits(&again));
    assert_eq!(first[first.len() - 64..], second[second.len() - 64..]);
    refused(&["convert", arg(&out), "--format", "gptq", "--out", arg(&again)], &["not empty"]);
    let never = place.path().join("never");
    let plan = [&common[..], &["--method", "gptq", "--out", arg(&never), "--dry-run"]];
    let plan = succeed(plan.concat());
    for part in ["21 linears", "40 tokens", "memory:", "disk:", "time:"] {
        assert!(plan.contains(part), "{plan}");
    }
    assert!(!never.exists());
}

#[test]
fn a_recipe_of_sensitivity_is_followed() {
    let (model, place) = ("rope-small", tempdir().unwrap());
    let (ranked, out) = (place.path().join("ranked"), place.path().join("out"));
    let text = fixture("text/natural.txt");
    let mut sensitivity = vec!["sensitivity", model, "--text", arg(&text), "--group-size", "32"];
    sensitivity.extend(["--windows", "1", "--window", "32", "--linears", "--out", arg(&ranked)]);
    sensitivity.extend(["--keep", "2", "--keep-bits", "8"]);
    succeed(&sensitivity);
    let recipe = ranked.join("recipe.json");
    let base = ["quantize", model, "--method", "rtn", "--recipe", arg(&recipe)];
    let result = succeed(base.iter().chain(&["--out", arg(&out)]));
    assert!(result.starts_with("14 linears of 4 bits, 2 of 8 bits by rtn"), "{result}");
    let config = &json(out.join("config.json"))["quantization_config"];
    let kept = json(&recipe)["except"].clone();
    let mut named: Vec<_> = kept.as_array().unwrap().iter().map(|e| &e["linear"]).collect();
    named.sort_by_key(|name| name.as_str());
    let group = &config["config_groups"]["group_1"];
    let mut targets: Vec<_> = group["targets"].as_array().unwrap().iter().collect();
    targets.sort_by_key(|name| name.as_str());
    assert_eq!((targets, &group["weights"]["num_bits"]), (named, &json!(8)));
    assert_eq!(json(out.join("massval.json"))["options"]["except"], kept);
    succeed(["logits", arg(&out), "--tokens", "3,4,5", "--out", arg(&place.path().join("l"))]);

    let bad = place.path().join("bad.json");
    let never = place.path().join("never");
    let with = |recipe: &Path, rest: &[&str], said: &[&str]| {
        let base = ["quantize", model, "--method", "rtn", "--recipe", arg(recipe)];
        refused(&[&base[..], &["--out", arg(&never)], rest].concat(), said);
        assert!(!never.exists() && !place.path().join("never.partial").exists());
    };
    with(&recipe, &["--format", "awq"], &["awq-gemm", "some linears"]);
    with(&bad, &[], &["bad.json"]);
    fs::write(&bad, "{").unwrap();
    with(&bad, &[], &["bad.json", "recipe", "line 1"]);
    let mut unknown = json(&recipe);
    unknown["except"][1]["linear"] = json!("gpt_neox.layers.9.mlp.dense");
    fs::write(&bad, unknown.to_string()).unwrap();
    with(&bad, &[], &["bad.json", "gpt_neox.layers.9.mlp.dense", "query_key_value"]);
    for other in [&["--bits", "4"][..], &["--group-size", "8"], &["--asymmetric"]] {
        misused(&[&base[..], &["--out", arg(&never)], other].concat(), &["--recipe", other[0]]);
    }
}

#[test]
fn bad_input_gets_one_line_and_leaves_nothing() {
    let (model, place) = (small_model(), tempdir().unwrap());
    let out = place.path().join("out");
    let tokens = tokens();
    let with = |rest: &[&str], said: &[&str]| {
        let base = ["quantize", arg(model.path()), "--out", arg(&out)];
        refused(&[&base[..], rest].concat(), said);
        assert_eq!(listing(place.path()), [""; 0], "{rest:?} left something behind");
    };
    with(&["--method", "gptq"], &["gptq", "--text"]);
    with(&["--method", "rtn", "--group-size", "8", "--tokens", "1,2"], &["rtn reads no text"]);
    with(&["--method", "rtn"], &["groups of 128", "divisor of 32"]);
    with(&["--method", "gptq", "--tokens", "1", "--group-size", "8"], &["two tokens"]);
    with(&["--method", "gptq", "--tokens", "1,99", "--group-size", "8"], &["99"]);
    with(&["--method", "rtn", "--bits", "3", "--group-size", "8"], &["pack-quantized", "3 bits"]);
    with(&["--method", "rtn", "--group-size", "8", "--ignore", "*.q_prj"], &["*.q_prj", "q_proj"]);
    let smooth = ["--method", "smoothquant", "--activations", "none", "--tokens", &tokens];
    with(&smooth, &["smoothquant", "--activations"]);
    let missing = place.path().join("none.txt");
    with(&["--method", "awq", "--group-size", "8", "--text", arg(&missing)], &["none.txt"]);
    with(&["--method", "rtn", "--group-size", "8", "--protect", arg(&missing)], &["none.txt"]);
    with(&["--method", "rtn", "--group-size", "8", "--resume"], &["no unfinished run"]);
    misused(&["quantize", arg(model.path()), "--method", "magic", "--out", "x"], &["magic"]);
    misused(
        &["quantize", arg(model.path()), "--method", "rtn", "--bits", "5", "--out", "x"],
        &["bits"],
    );

    // A weight that is not finite is named, and so is a model that is quantized.
    let broken = small_model();
    let name = "model.layers.1.mlp.up_proj.weight";
    let nan = |w: &mut Safetensors| w.fill(name, 0xff);
    Safetensors::edit(&broken.path().join("model.safetensors"), nan);
    let base = [
        "quantize",
        arg(broken.path()),
        "--method",
        "rtn",
        "--group-size",
        "8",
        "--out",
        arg(&out),
    ];
    refused(&base, &[name, "finite"]);
    let quantized = json!({"quant_method": "fp8"});
    edit_json(&broken.path().join("config.json"), |c| c["quantization_config"] = quantized);
    refused(&base, &["config.json", "FP8"]);
    refused(
        &["convert", arg(model.path()), "--format", "awq", "--out", arg(&out)],
        &["is not quantized"],
    );
    assert_eq!(listing(place.path()), [""; 0]);

    fs::create_dir(&out).unwrap();
    fs::write(out.join("mine"), "").unwrap();
    let full =
        ["quantize", arg(model.path()), "--method", "rtn", "--group-size", "8", "--out", arg(&out)];
    refused(&full, &["out", "not empty"]);
    assert_eq!(listing(&out), ["mine"]);
    assert!(run(["quantize", "--help"]).stdout.contains("--protect"));
}
