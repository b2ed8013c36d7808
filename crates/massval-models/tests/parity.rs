//! Equal to transformers, on every case of the corpus: logits and every site, batches with padding,
//! cached decoding, generation, continuation scores.

mod common;

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use common::{Expected, cases, difference, model};
use massval_hooks::{Activation, At, HookPoint, HookSet, Observe, SiteDims};
use massval_models::weights::Weights;
use massval_models::{Batch, Checkpoint, GenerateOptions, KvCache, LogitsAt, Model};

/// Of logits and sites in f32.
const TOLERANCE: f64 = 5e-5;

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().convert::<f32>().try_into_vec().expect("f32")
}

fn logits(model: &Model, batch: &Batch, cache: Option<&mut KvCache>, at: LogitsAt) -> Vec<f32> {
    let logits = model.decoder().forward(batch, cache, &mut HookSet::none(), at);
    values(logits.expect("a pass").expect("logits"))
}

fn rows(ids: &[Vec<u32>]) -> Vec<&[u32]> {
    ids.iter().map(Vec::as_slice).collect()
}

#[test]
fn logits_and_every_site_equal_transformers() {
    let mut failures: Vec<String> = Vec::new();
    for case in &cases() {
        let (model, expected) = (model(case), Expected::of(case));
        let ids = expected.ids("token_ids");
        let batch = Batch::left_padded(&rows(&ids)).unwrap();

        let mut seen: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        let mut keep = Observe::new("keep", |at: &At<'_>, x: &Activation| {
            let kept = match x {
                Activation::Heads(x) if matches!(at.point.site.dims(), SiteDims::Heads { .. }) => {
                    values(x.clone().swap_dims(1, 2))
                }
                Activation::Heads(x) => values(x.clone()),
                Activation::Hidden(x) => values(x.clone()),
            };
            seen.insert(at.point.to_string(), kept);
            Ok(())
        });
        let mut hooks = HookSet::new(model.decoder().hook_points());
        hooks.add(&["*"], &mut keep).unwrap();
        let out = model.decoder().forward(&batch, None, &mut hooks, LogitsAt::All).unwrap();
        hooks.finish().unwrap();

        let (_, theirs) = expected.get("logits_f64");
        let apart = difference(&values(out.unwrap()), theirs);
        let mut worst: BTreeMap<&str, f64> = BTreeMap::from([("logits", apart)]);
        let mut sites: Vec<HookPoint> = expected.names().filter_map(|n| n.parse().ok()).collect();
        sites.sort();
        assert!(sites.len() > 15, "{case}: {} sites", sites.len());
        let mut first = None;
        for point in &sites {
            let name = point.to_string();
            let ours = seen.remove(&name).unwrap_or_else(|| panic!("{case}: {name} did not fire"));
            let apart = difference(&ours, expected.get(&name).1);
            if apart.is_nan() || apart >= TOLERANCE {
                first.get_or_insert(format!("{name} differs by {apart:e}"));
            }
            let worst = worst.entry(point.site.name()).or_default();
            *worst = worst.max(apart);
        }
        // What transformers does not give under a name of its own: our logits.
        let left: Vec<String> = seen.into_keys().collect();
        assert_eq!(left, ["hook_logits"], "{case}: sites without a reference");
        // What scripts/parity_table.py reads.
        let config = model.decoder().config();
        let record = serde_json::json!({
            "case": case, "architecture": config.architecture, "traits": config.traits(),
            "differences": worst,
        });
        println!("parity {record}");
        for (site, apart) in worst {
            if apart.is_nan() || apart >= TOLERANCE {
                let first = first.clone().unwrap_or_default();
                failures.push(format!("{case}: {site} differs by {apart:e}; first {first}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// With no hooks the fused attention runs; with hooks on the scores, the explicit one.
#[test]
fn without_hooks_the_logits_are_the_same() {
    for case in &cases() {
        let (model, expected) = (model(case), Expected::of(case));
        let ids = expected.ids("token_ids");
        let batch = Batch::left_padded(&rows(&ids)).unwrap();
        let (shape, theirs) = expected.get("logits_f64");
        let all = logits(&model, &batch, None, LogitsAt::All);
        assert!(difference(&all, theirs) < TOLERANCE, "{case}");

        let (seq, vocab) = (shape[1], shape[2]);
        let row =
            |row: usize, from: usize| &theirs[(row * seq + from) * vocab..(row + 1) * seq * vocab];
        for (at, from) in [(LogitsAt::Last, seq - 1), (LogitsAt::From(2), 2)] {
            let ours = logits(&model, &batch, None, at);
            let theirs = [row(0, from), row(1, from)].concat();
            assert!(difference(&ours, &theirs) < TOLERANCE, "{case} {at:?}");
        }
    }
}

#[test]
fn left_padded_batches_equal_transformers() {
    let mut failures: Vec<String> = Vec::new();
    for case in &cases() {
        let (model, expected) = (model(case), Expected::of(case));
        let (ids, mask) = (expected.ids("padded_token_ids"), expected.ids("attention_mask"));
        let real: Vec<Vec<u32>> = ids
            .iter()
            .zip(&mask)
            .map(|(ids, mask)| {
                ids.iter().zip(mask).filter(|(_, m)| **m == 1).map(|(id, _)| *id).collect()
            })
            .collect();
        let batch = Batch::left_padded(&rows(&real)).unwrap();
        let ours = logits(&model, &batch, None, LogitsAt::All);
        let (shape, theirs) = expected.get("padded_logits");
        let vocab = shape[2];
        for (at, real) in mask.concat().iter().enumerate() {
            let span = at * vocab..(at + 1) * vocab;
            let apart = difference(&ours[span.clone()], &theirs[span]);
            if *real == 1 && (apart.is_nan() || apart >= TOLERANCE) {
                failures.push(format!("{case}: column {at} differs by {apart:e}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// One pass, token by token, in two chunks, and in a padded batch: the same logits within 1e-4. Not where
/// the rotation changes with the length: there keys keep the angles of the pass that cached them, in
/// transformers, too.
#[test]
fn cached_decoding_equals_one_pass() {
    let mut skipped = 0;
    for case in &cases() {
        let (model, expected) = (model(case), Expected::of(case));
        let ids = expected.ids("token_ids");
        let (shape, theirs) = expected.get("logits_f64");
        let (seq, vocab) = (shape[1], shape[2]);
        let scaling = model.decoder().config().rope().and_then(|rope| rope.scaling());
        if scaling.and_then(|scaling| scaling.changes_beyond()).is_some_and(|limit| seq > limit) {
            skipped += 1;
            continue;
        }
        let last: Vec<f64> = (0..2)
            .flat_map(|row| theirs[((row + 1) * seq - 1) * vocab..(row + 1) * seq * vocab].to_vec())
            .collect();
        for chunks in [vec![1; seq], vec![seq - 3, 3], vec![2, seq - 2]] {
            let mut cache = KvCache::new();
            let mut from = 0;
            let mut ours = Vec::new();
            for length in &chunks {
                let part: Vec<&[u32]> = ids.iter().map(|row| &row[from..from + length]).collect();
                let batch = Batch::left_padded(&part).unwrap();
                ours = logits(&model, &batch, Some(&mut cache), LogitsAt::Last);
                from += length;
            }
            assert_eq!(cache.len(), seq);
            let apart = difference(&ours, &last);
            assert!(apart < 1e-4, "{case} in chunks of {chunks:?}: {apart:e}");
        }
        // A shorter neighbour, padded, must not change the first row.
        let mut cache = KvCache::new();
        let prefix = Batch::left_padded(&[&ids[0][..seq - 2], &ids[1][..2]]).unwrap();
        logits(&model, &prefix, Some(&mut cache), LogitsAt::Last);
        let rest = Batch::left_padded(&[&ids[0][seq - 2..], &ids[1][2..4]]).unwrap();
        let ours = logits(&model, &rest, Some(&mut cache), LogitsAt::Last);
        assert!(difference(&ours[..vocab], &last[..vocab]) < 1e-4, "{case}, padded and cached");
    }
    assert_eq!(skipped, 2);
}

#[test]
fn greedy_text_and_continuation_scores_equal_transformers() {
    for case in &cases() {
        let (model, expected) = (model(case), Expected::of(case));
        let prompt = &expected.ids("greedy_prompt_ids")[0];
        let theirs = &expected.ids("greedy_ids")[0];
        let margins = expected.get("greedy_margins").1;
        let certain = margins.iter().position(|&m| m < 1e-3).unwrap_or(margins.len());
        let options = GenerateOptions::greedy(theirs.len());
        let mut told = Vec::new();
        let ours = model
            .decoder()
            .generate(&[prompt], &options, &mut HookSet::none(), &mut |_, id| told.push(id))
            .unwrap();
        assert_eq!(ours[0].tokens, told);
        assert_eq!(ours[0].tokens[..certain], theirs[..certain], "{case}");
        assert!(certain > 4, "{case}: only {certain} tokens are certain");

        let continuation = &expected.ids("continuation_ids")[0];
        let scores =
            model.decoder().continuation_log_probs(prompt, continuation, &mut HookSet::none());
        let apart = difference(&scores.unwrap(), expected.get("continuation_logprobs").1);
        assert!(apart < TOLERANCE, "{case}: log-probabilities differ by {apart:e}");
    }
}

#[test]
fn gguf_files_equal_transformers_on_their_dequantised_weights() {
    for kind in ["f32", "mixed"] {
        let path = common::fixture("gguf-llama").join(format!("{kind}.gguf"));
        let dtype = burn::tensor::DType::F32;
        let model = Model::load(&path, &common::device(), dtype, &mut |_, _| {}).unwrap();
        let expected = Expected::new(&format!("gguf-llama/{kind}.expected.safetensors"));
        let ids = expected.ids("token_ids");
        let batch = Batch::left_padded(&rows(&ids)).unwrap();
        let ours = logits(&model, &batch, None, LogitsAt::All);
        let apart = difference(&ours, expected.get("logits").1);
        let record = serde_json::json!({
            "case": format!("gguf {kind}"), "architecture": "llama",
            "traits": model.decoder().config().traits(), "differences": {"logits": apart},
        });
        println!("parity {record}");
        assert!(apart < TOLERANCE, "{kind}: {apart:e}");
    }
}

/// The config's count of parameters is what the checkpoint holds, and nothing is left over but what
/// belongs to an image encoder.
#[test]
fn every_parameter_is_counted() {
    for case in &cases() {
        let path = common::fixture("models").join(case);
        let checkpoint = Checkpoint::inspect(&path).unwrap_or_else(|e| panic!("{case}: {e}"));
        let weights = Weights::open(&path).unwrap();
        let size = |name: &String| {
            let info = weights.info(name).expect("a tensor");
            info.shape.iter().map(|&extent| extent as u64).product::<u64>()
        };
        let report = &checkpoint.report;
        assert!(report.is_clean(), "{case}: {report}");
        let stored: u64 = report.applied.iter().map(size).sum();
        assert_eq!(checkpoint.config.parameters(), stored, "{case}");
        let images = ["llava", "qwen2-vl"].contains(&case.as_str());
        assert!(report.ignored.is_empty() || images || case == "gpt2-untied", "{case}: {report}");
        assert!(!images || !report.ignored.is_empty(), "{case}: {report}");
    }
}
