//! `massval sensitivity`: ranks, damage, recipes, and what is refused.

mod common;

use std::fs;

use common::{arg, fixture, json, listing, misused, refused, succeed, succeed_json};
use massval::quant::recipe::Recipe;
use massval::report::schema::SensitivityResult;
use tempfile::tempdir;

/// A small model with a tokenizer: 2 layers, 2 heads and 1 KV head of 16 channels, 64 positions.
fn small() -> String {
    arg(&fixture("gguf-llama/f32.gguf")).to_owned()
}

fn natural() -> String {
    arg(&fixture("text/natural.txt")).to_owned()
}

fn args<'a>(model: &'a str, text: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let base = ["sensitivity", model, "--text", text, "--group-size", "16", "--windows", "2"];
    [&base[..], more].concat()
}

#[test]
fn linears_are_ranked_measured_and_written_as_recipes() {
    let (folder, model, text) = (tempdir().unwrap(), small(), natural());
    let out = folder.path().join("found");
    let asked =
        ["--linears", "--bits", "3", "--measure", "--keep", "2", "--out", arg(&out), "--json"];
    let printed = succeed_json(args(&model, &text, &asked));
    let recipes = ["gptqmodel.json", "llm-compressor.yaml", "recipe.json"];
    assert_eq!(listing(&out), [&recipes[..], &["sensitivity.html", "sensitivity.json"]].concat());
    assert_eq!(printed, json(out.join("sensitivity.json")));
    let result = SensitivityResult::read(out.join("sensitivity.json")).expect("a valid result");
    assert_eq!((result.units.len(), result.windows), (14, 2));
    for unit in &result.units {
        let after = unit.after.expect("damage");
        let attends = unit.name.ends_with(".q") || unit.name.ends_with(".k");
        assert_eq!(unit.before.massive_values.is_some(), attends, "{}", unit.name);
        assert_eq!(after.score_correlation.is_some(), attends, "{}", unit.name);
        assert!(after.kl_nats >= 0.0 && unit.before.output_error > 0.0, "{}", unit.name);
        assert!(unit.linears[0].starts_with("model.layers."), "{:?}", unit.linears);
    }
    let predictors: Vec<&str> = result.agreement.iter().map(|a| a.predictor.as_str()).collect();
    assert!(
        predictors.contains(&"output_error") && predictors.contains(&"kurtosis"),
        "{predictors:?}"
    );

    // The recipe keeps the two that lost most.
    let mut ranked: Vec<_> = result.units.iter().collect();
    ranked.sort_by(|a, b| b.after.unwrap().kl_nats.total_cmp(&a.after.unwrap().kl_nats));
    let names: Vec<String> = result.units.iter().flat_map(|unit| unit.linears.clone()).collect();
    let text = fs::read_to_string(out.join("recipe.json")).unwrap();
    let recipe = Recipe::read(&text, &names).expect("a recipe for this model");
    let kept: Vec<&str> = recipe.except.iter().map(|e| e.linear.as_str()).collect();
    assert_eq!(kept, [ranked[0].linears[0].as_str(), ranked[1].linears[0].as_str()]);
    let yaml = fs::read_to_string(out.join("llm-compressor.yaml")).unwrap();
    assert!(yaml.contains("num_bits: 3") && yaml.contains(&kept[0].replace('.', "\\.")), "{yaml}");
    let dynamic = &json(out.join("gptqmodel.json"))["dynamic"];
    assert_eq!(dynamic.as_object().map(|rules| rules.len()), Some(2));
}

#[test]
fn layers_are_ranked_without_quantizing_anything() {
    let (model, text) = (small(), natural());
    let table = succeed(args(&model, &text, &[]));
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(table.contains("layer 0") && table.contains("layer 1"), "{table}");
    assert!(!table.contains("ppl  "), "{table}");
    let csv = succeed(args(&model, &text, &["--format", "csv"]));
    assert_eq!(csv.lines().count(), 3);
    assert!(csv.starts_with("name,layer,massive_values,massive_share,kurtosis,weight_range,"));
    let folder = tempdir().unwrap();
    succeed(args(&model, &text, &["--out", arg(folder.path())]));
    assert_eq!(listing(folder.path()), ["sensitivity.html", "sensitivity.json"]);
    let page = fs::read_to_string(folder.path().join("sensitivity.html")).unwrap();
    assert!(page.contains("Told, not measured: no layer was rounded"), "{page}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (folder, model, text) = (tempdir().unwrap(), small(), natural());
    let out = arg(folder.path());
    refused(&args(&model, &text, &["--keep", "3", "--out", out]), &["3 layers", "2 have"]);
    refused(&args(&model, &text, &["--keep", "1", "--by", "kl", "--out", out]), &["--measure"]);
    refused(&args(&model, &text, &["--keep", "1", "--keep-bits", "5", "--out", out]), &["bits"]);
    misused(&args(&model, &text, &["--keep", "1"]), &["--out"]);
    misused(&args(&model, &text, &["--bits", "5"]), &["2, 3, 4, 8"]);
    let groups = ["sensitivity", &model, "--text", &text, "--group-size", "7"];
    refused(&groups, &["groups of 7"]);
    refused(&args(&model, &text, &["--measure", "--memory-limit", "1"]), &["memory"]);
    assert_eq!(listing(folder.path()), [""; 0]);
}
