//! The whole path on the corpus of small models, on the default device of this build: the massive
//! values are those that PyTorch finds.

use std::path::PathBuf;

use burn::tensor::{DType, Device};
use massval::detect::Criterion;
use massval::hooks::HookSet;
use massval::models::{Batch, LogitsAt, Model, tensorfile};
use massval::{NormCollector, Prompt, PromptOptions, Run, ScanOptions};
use serde_json::Value;

fn folder(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models").join(case)
}

/// Every small model.
fn cases() -> Vec<String> {
    let entries = std::fs::read_dir(folder("")).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().join("about.json").exists());
    folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn load(case: &str) -> Model {
    Model::load(&folder(case), &Device::default(), DType::F32, &mut |_, _| {}).unwrap()
}

/// `[layer, head, channel, ratio]` of a site, as `about.json` has it.
fn expected(about: &Value, site: &str) -> Vec<[f64; 4]> {
    let Some(found) = about["massive_values"].get(site) else { return Vec::new() };
    let row = |row: &Value| [0, 1, 2, 3].map(|at| row[at].as_f64().expect("a number"));
    found.as_array().expect("a list").iter().map(row).collect()
}

#[test]
fn massive_values_are_those_of_pytorch() {
    let mut total = 0;
    for case in &cases() {
        let model = load(case);
        let tensors = tensorfile::read(&folder(case).join("expected.safetensors")).unwrap().tensors;
        let ids = tensors.iter().find(|t| t.name == "token_ids").expect("token_ids");
        let tensorfile::TensorData::I64(values) = &ids.data else { panic!("{case}: ids") };
        let values: Vec<u32> = values.iter().map(|&id| id as u32).collect();
        let rows: Vec<&[u32]> = values.chunks(ids.shape[1]).collect();

        let rotary = model.decoder().config().rope().is_some();
        let mut norms = NormCollector::new(0);
        let mut hooks = HookSet::new(model.decoder().hook_points());
        let sites: &[&str] =
            if rotary { &["q", "k", "v", "rot_q", "rot_k"] } else { &["q", "k", "v"] };
        hooks.add(sites, &mut norms).unwrap();
        let batch = Batch::left_padded(&rows).unwrap();
        model.decoder().forward(&batch, None, &mut hooks, LogitsAt::Nowhere).unwrap();
        hooks.finish().unwrap();

        let about = std::fs::read_to_string(folder(case).join("about.json")).unwrap();
        let about: Value = serde_json::from_str(&about).unwrap();
        let norms = norms.finish().unwrap();
        for site in about["massive_values"].as_object().expect("sites").keys() {
            let theirs = expected(&about, site);
            let ours: Vec<[f64; 4]> = norms
                .iter()
                .filter(|(point, _)| point.site.name() == site)
                .flat_map(|(point, norms)| {
                    let layer = point.layer.unwrap_or_default() as f64;
                    let found = Criterion::default().find(norms);
                    found
                        .into_iter()
                        .map(move |m| [layer, m.head as f64, m.channel as f64, f64::from(m.ratio)])
                })
                .collect();
            assert_eq!(ours.len(), theirs.len(), "{case} {site}: {ours:?} {theirs:?}");
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours[..3], theirs[..3], "{case} {site}");
                assert!((ours[3] - theirs[3]).abs() < 1e-3, "{case} {site}: {ours:?} {theirs:?}");
            }
            total += theirs.len();
        }
    }
    assert!(total > 100, "the fixtures have massive values: {total}");
}

#[test]
fn a_scan_is_complete_and_survives_its_own_file() {
    for (case, sites) in [("llama-gqa-tied", 5), ("gpt2", 3)] {
        let model = load(case);
        let prompt = Prompt::Tokens(vec![3, 1, 4, 1, 5, 9]);
        let input = massval::tokenize(&model, &prompt, &PromptOptions::default()).unwrap();
        let run = Run { dtype: "f32".into(), threads: 1, ..Run::default() };
        let provenance = massval::provenance(&run, model.checkpoint(), input).unwrap();
        let options = ScanOptions { skip_first: 1, ..ScanOptions::default() };
        let mut layers = Vec::new();
        let result =
            massval::scan(&model, provenance, &options, &mut |done, _| layers.push(done)).unwrap();

        let config = model.decoder().config();
        assert_eq!(layers, (0..config.layers).collect::<Vec<_>>());
        assert_eq!(result.sites.len(), sites * config.layers, "{case}");
        assert!(result.sites.iter().all(|site| site.summary.tokens == 5));
        let activations = result.massive_activations.as_ref().expect("asked for");
        assert_eq!(activations.layers.len(), config.layers);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.json");
        result.write(&path).unwrap();
        let read = massval::report::schema::ScanResult::read(&path).unwrap();
        assert!(read.provenance == result.provenance, "{case}");
        // f32 comes back exactly, f64 within a rounding of the last digit.
        assert!(read.sites.iter().zip(&result.sites).all(|(a, b)| a.norms == b.norms), "{case}");
        assert_eq!(read.totals, result.totals, "{case}");
    }
}

#[test]
fn a_scan_that_leaves_no_token_says_so() {
    let model = load("gpt2");
    let prompt = Prompt::Tokens(vec![3, 1]);
    let input = massval::tokenize(&model, &prompt, &PromptOptions::default()).unwrap();
    let provenance = massval::provenance(&Run::default(), model.checkpoint(), input).unwrap();
    let options = ScanOptions { skip_first: 2, ..ScanOptions::default() };
    let error = massval::scan(&model, provenance, &options, &mut |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("none is left to scan"), "{error}");
}
