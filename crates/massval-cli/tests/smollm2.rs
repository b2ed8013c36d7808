//! The whole path on a real model, through the binary: the numbers are those that PyTorch gives on
//! the same weights.

mod common;

use std::path::Path;

use common::{fixture, ids, json, numbers, run, smollm2, succeed, succeed_json, tensors};
use serde_json::Value;
use tempfile::tempdir;

/// The folder of the reference numbers.
const GOLDEN: &str = "smollm2-135m-instruct";

/// Where the best and the second logit are closer than this, a flip is rounding.
const MARGIN: f64 = 0.05;

fn golden(name: &str) -> std::path::PathBuf {
    fixture(GOLDEN).join(name)
}

fn arg(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Scans a golden text; the table and `scan.json`.
fn scan(model: &Path, text: &str, out: &Path) -> (String, Value) {
    let text = golden(text);
    let table = succeed(["scan", arg(model), "--text", arg(&text), "--out", arg(out)]);
    assert_eq!(common::listing(out), ["scan.html", "scan.json"]);
    (table, json(out.join("scan.json")))
}

/// The largest relative difference between the norms of a scan and PyTorch's.
fn norms_apart(scan: &Value, site: &str, file: &str) -> f64 {
    let expected = tensors(golden(file));
    let (shape, expected) = expected.values().next().expect("an array");
    let [layers, heads, head_dim] = shape[..] else { panic!("{file}: {shape:?}") };
    let sites = scan["sites"].as_array().expect("sites");
    let mut worst = 0f64;
    for (layer, expected) in expected.chunks(heads * head_dim).enumerate() {
        let found = sites.iter().find(|s| s["layer"] == layer && s["site"] == site);
        let norms = numbers(&found.expect("the layer's site")["norms"]);
        assert_eq!(norms.len(), expected.len());
        for (ours, theirs) in norms.iter().zip(expected) {
            worst = worst.max((ours - theirs).abs() / theirs.abs());
        }
    }
    assert_eq!(layers, 30);
    worst
}

fn total(scan: &Value, site: &str) -> u64 {
    let totals = scan["totals"].as_array().expect("totals");
    let total = totals.iter().find(|total| total["site"] == site).expect("the site's total");
    total["count"].as_u64().expect("a count")
}

#[test]
fn scan_finds_what_pytorch_finds() {
    let Some(model) = smollm2() else { return };
    let out = tempdir().unwrap();
    for text in ["natural", "short"] {
        let folder = out.path().join(text);
        let (table, scan) = scan(&model, &format!("{text}.txt"), &folder);
        let sites = [("rot_q", "q"), ("rot_k", "k"), ("v", "v"), ("q", "q_pre"), ("k", "k_pre")];
        for (site, name) in sites {
            let worst = norms_apart(&scan, site, &format!("M_{name}.{text}.npy"));
            assert!(worst < 1e-3, "{text} {site}: norms apart by {worst:e}");
        }
        if text == "natural" {
            let found = ["rot_q", "rot_k", "v", "q", "k"].map(|site| total(&scan, site));
            assert_eq!(found, [274, 70, 2, 278, 70]);
            let all =
                table.lines().find(|line| line.trim_start().starts_with("all")).expect("totals");
            let cells: Vec<&str> = all.split_whitespace().take(6).collect();
            assert_eq!(cells, ["all", "274", "70", "2", "278", "70"]);
            assert_eq!(scan["provenance"]["input"]["tokens"].as_array().map(Vec::len), Some(200));
        }
    }
}

#[test]
fn scan_json_on_standard_output_is_the_file() {
    let Some(model) = smollm2() else { return };
    let out = tempdir().unwrap();
    let args = ["scan", arg(&model), "--prompt", "Summer is warm.", "--json", "--threads", "1"];
    let mut printed = succeed_json(args.iter().copied().chain(["--out", arg(out.path())]));
    assert_eq!(printed, json(out.path().join("scan.json")));
    assert_eq!(printed["provenance"]["threads"], 1);
    // The number of threads does not change what is found.
    let again = tempdir().unwrap();
    let args = ["scan", arg(&model), "--prompt", "Summer is warm.", "--json", "--threads", "2"];
    let mut more = succeed_json(args.iter().copied().chain(["--out", arg(again.path())]));
    assert_eq!(printed["findings"].take(), more["findings"].take());
}

/// `log softmax(logits)[id]`.
fn log_probability(logits: &[f64], id: usize) -> f64 {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|x| (x - top).exp()).sum();
    logits[id] - top - sum.ln()
}

#[test]
fn logits_are_those_of_pytorch() {
    let Some(model) = smollm2() else { return };
    let texts = json(golden("logits_meta.json"));
    let expected = tensors(golden("logits.safetensors"));
    let out = tempdir().unwrap();
    for name in ["a", "b", "c"] {
        let text = texts[name]["text"].as_str().expect("a text");
        let file = out.path().join(format!("{name}.safetensors"));
        let args = ["logits", arg(&model), "--prompt", text, "--out", arg(&file)];
        let report = succeed_json(args.iter().copied().chain(["--all-positions", "--json"]));
        let written = tensors(&file);
        assert_eq!(written["token_ids"].1, expected[&format!("ids.{name}")].1, "{name}: ids");

        let (shape, logits) = &written["logits"];
        let [positions, vocab] = shape[..] else { panic!("{name}: {shape:?}") };
        assert_eq!([positions, vocab], [written["token_ids"].1.len(), 49152]);
        let rows: Vec<&[f64]> = logits.chunks(vocab).collect();

        let last = &expected[&format!("logits_last.{name}")].1;
        let apart = rows[positions - 1].iter().zip(last).map(|(a, b)| (a - b).abs());
        let worst = apart.fold(0.0, f64::max);
        assert!(worst < 2e-3, "{name}: logits apart by {worst:e}");
        assert_eq!(report["next"][0]["token"], texts[name]["top5"][0][0], "{name}");

        let mut ties = 0;
        for (row, &theirs) in rows.iter().zip(&expected[&format!("argmax.{name}")].1) {
            let theirs = theirs as usize;
            let best = (0..vocab).max_by(|&a, &b| row[a].total_cmp(&row[b])).expect("a token");
            if best != theirs {
                // Both ways round are right where two logits are closer than what is promised.
                assert!(row[best] - row[theirs] < 4e-3, "{name}: {best} is not {theirs}");
                ties += 1;
            }
        }
        assert!(ties <= positions / 50, "{name}: {ties} flips among {positions}");

        let ids = &written["token_ids"].1;
        let scores = &expected[&format!("logprobs.{name}")].1;
        assert_eq!(scores.len(), positions - 1);
        for (at, theirs) in scores.iter().enumerate() {
            let ours = log_probability(rows[at], ids[at + 1] as usize);
            assert!((ours - theirs).abs() < 2e-3, "{name} {at}: {ours} is not {theirs}");
        }
    }
}

#[test]
fn last_logits_are_the_last_of_all_positions() {
    let Some(model) = smollm2() else { return };
    let out = tempdir().unwrap();
    let (last, all) = (out.path().join("last.safetensors"), out.path().join("all.safetensors"));
    let args = ["logits", arg(&model), "--prompt", "The capital of France is", "--out"];
    let shown = succeed(args.iter().copied().chain([arg(&last)]));
    assert!(shown.contains("\" Paris\""), "{shown}");
    succeed(args.iter().copied().chain([arg(&all), "--all-positions"]));
    let (last, all) = (tensors(&last), tensors(&all));
    assert_eq!(last["logits"].0, [49152]);
    assert_eq!(all["logits"].0, [5, 49152]);
    let apart = last["logits"].1.iter().zip(&all["logits"].1[4 * 49152..]);
    assert!(apart.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) < 1e-3);
}

/// Compares a greedy continuation with PyTorch's up to the first flip that rounding explains; the
/// number of tokens compared.
fn compare(case: &Value, generated: &Value) -> usize {
    let name = &case["name"];
    let prompt = ids(&generated["provenance"]["input"]["tokens"]);
    assert_eq!(prompt, ids(&case["prompt_ids"]), "{name}: prompt");
    let (ours, theirs) = (ids(&generated["tokens"]), ids(&case["output_ids"]));
    let margins = numbers(&case["margins"]);
    for (at, (our, their)) in ours.iter().zip(&theirs).enumerate() {
        if our != their {
            assert!(margins[at] <= MARGIN, "{name}: token {at} of {ours:?} is not {theirs:?}");
            return at;
        }
    }
    assert_eq!(ours.len(), theirs.len(), "{name}");
    if generated["finish"] == "stop" {
        assert_eq!(ours.last(), Some(&2), "{name}");
    }
    ours.len()
}

#[test]
fn greedy_text_is_that_of_pytorch() {
    let Some(model) = smollm2() else { return };
    let goldens = json(golden("generation.json"));
    let cases = goldens["cases"].as_array().expect("cases");
    let mut compared = 0;
    let mut all = 0;
    for case in cases {
        let (name, prompt) = (&case["name"], case["prompt"].as_str().expect("a prompt"));
        let most = ids(&case["output_ids"]).len().to_string();
        let args = ["generate", arg(&model), "--prompt", prompt, "--json", "--max-new-tokens"];
        let generated = succeed_json(args.iter().copied().chain([most.as_str()]));
        let equal = compare(case, &generated);
        if equal == ids(&case["output_ids"]).len() {
            let text = case["text"].as_str().expect("a text").trim_end_matches("<|im_end|>");
            assert_eq!(generated["text"], text, "{name}");
        }
        compared += equal;
        all += ids(&case["output_ids"]).len();
    }
    println!("{compared} of {all} tokens compared");
    assert!(compared >= all * 3 / 4, "only {compared} of {all} tokens were compared");
}

#[test]
fn chat_wraps_the_question_up_to_the_answer() {
    let Some(model) = smollm2() else { return };
    let goldens = json(golden("generation.json"));
    let cases = goldens["cases"].as_array().expect("cases");
    let case = cases.iter().find(|case| case["name"] == "chat_capital").expect("the case");
    let args = ["generate", arg(&model), "--chat", "--prompt", "What is the capital of Japan?"];
    let generated = succeed_json(args.iter().copied().chain(["--json"]));
    assert_eq!(compare(case, &generated), 8);
    assert_eq!(generated["text"], "The capital of Japan is Tokyo.");
    assert_eq!(succeed(args), "The capital of Japan is Tokyo.\n");
}

#[test]
fn sampling_repeats_with_its_seed() {
    let Some(model) = smollm2() else { return };
    let text = |seed: &str, more: &[&str]| {
        let args = ["generate", arg(&model), "--prompt", "Once upon a time", "--seed", seed];
        let sampling = ["--temperature", "1.0", "--max-new-tokens", "12"];
        succeed(args.iter().chain(&sampling).chain(more))
    };
    let first = text("7", &["--top-p", "0.9"]);
    assert_eq!(first, text("7", &["--top-p", "0.9"]));
    assert_ne!(first, text("8", &["--top-p", "0.9"]));
    // Of one token only, the best is left, whatever the seed.
    assert_eq!(text("1", &["--top-k", "1"]), text("2", &["--top-k", "1"]));
}

/// `[layer, head, channel]` of findings, in their order, and the ratios.
fn found(findings: &Value, site: &str) -> Vec<([u64; 3], f64)> {
    let findings = findings.as_array().expect("findings").iter().filter(|f| f["site"] == site);
    let place = |f: &Value| ["layer", "head", "channel"].map(|k| f[k].as_u64().expect("a number"));
    let mut found: Vec<_> = findings.map(|f| (place(f), f["ratio"].as_f64().unwrap())).collect();
    found.sort_by_key(|(place, _)| *place);
    found
}

#[test]
fn a_capture_holds_what_the_scan_saw() {
    let Some(model) = smollm2() else { return };
    let out = tempdir().unwrap();
    let (_, scan) = scan(&model, "natural.txt", &out.path().join("scan"));
    let (file, text) = (out.path().join("rot_k.safetensors"), golden("natural.txt"));
    let args = ["capture", arg(&model), "--hooks", "rot_k", "--text", arg(&text), "--out"];
    let plan = succeed_json(args.iter().copied().chain([arg(&file), "--dry-run", "--json"]));
    assert!(!file.exists(), "a dry run wrote a file");
    assert_eq!(plan["bytes"], 30 * 200 * 3 * 64 * 4);
    succeed(args.iter().copied().chain([arg(&file)]));

    let captured = tensors(&file);
    assert_eq!(captured.len(), 31);
    assert_eq!(captured["token_ids"].0, [200]);
    for layer in 0..30 {
        let (shape, values) = &captured[&format!("blocks.{layer}.attn.hook_rot_k")];
        assert_eq!(shape[..], [1, 200, 3, 64]);
        let mut squares = vec![0f64; 3 * 64];
        for token in values.chunks(3 * 64) {
            for (sum, x) in squares.iter_mut().zip(token) {
                *sum += x * x;
            }
        }
        let sites = scan["sites"].as_array().expect("sites");
        let site = sites.iter().find(|s| s["layer"] == layer && s["site"] == "rot_k").unwrap();
        for (square, norm) in squares.iter().zip(numbers(&site["norms"])) {
            assert!((square.sqrt() - norm).abs() <= 1e-5 * norm, "layer {layer}");
        }
    }

    let args = ["detect", arg(&file), "--layout", "bshd", "--rope-theta", "100000", "--json"];
    let verdict = succeed_json(args);
    let verdicts = verdict["tensors"].as_array().expect("tensors");
    assert_eq!(verdicts.len(), 30);
    let mut detected = Vec::new();
    for (layer, verdict) in verdicts.iter().enumerate() {
        assert_eq!(verdict["source"]["tensor"], format!("blocks.{layer}.attn.hook_rot_k"));
        detected.extend(found(&verdict["findings"], "rot_k"));
    }
    let scanned = found(&scan["findings"], "rot_k");
    assert_eq!(scanned.len(), 70);
    assert_eq!(detected.len(), scanned.len());
    for ((at, ratio), (place, theirs)) in detected.iter().zip(&scanned) {
        assert_eq!(at, place);
        assert!((ratio - theirs).abs() < 1e-4 * theirs, "{at:?}: {ratio} is not {theirs}");
    }
}

#[test]
fn inspect_says_what_the_checkpoint_is() {
    let Some(model) = smollm2() else { return };
    let text = succeed(["inspect", arg(&model)]);
    for expected in [
        "llama",
        "134.5 M",
        "9 of queries, 3 of keys and values, 64 channels",
        "theta 100000",
        "8192 tokens",
        "49152, head tied",
        "GGUF",
        "210 Q4_1",
        "all 272 tensors applied",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    let checkpoint = succeed_json(["inspect", arg(&model), "--json"]);
    assert_eq!(checkpoint["config"]["layers"], 30);
    assert_eq!(checkpoint["config"]["kv_heads"], 3);
}

#[test]
fn hooks_lists_and_explains() {
    let Some(model) = smollm2() else { return };
    let listing = succeed(["hooks", arg(&model)]);
    assert!(listing.contains("blocks.{l}.attn.hook_rot_k"), "{listing}");
    assert!(listing.contains("layers l: 0 to 29"), "{listing}");
    let all = succeed_json(["hooks", arg(&model), "--json"]);
    assert_eq!(all.as_array().map(Vec::len), Some(15 * 30 + 3));

    let last = succeed_json(["hooks", arg(&model), "blocks.-1.attn.hook_rot_*", "--json"]);
    let points: Vec<&str> =
        last.as_array().unwrap().iter().map(|e| e["point"].as_str().unwrap()).collect();
    assert_eq!(points, ["blocks.29.attn.hook_rot_q", "blocks.29.attn.hook_rot_k"]);
    let explained = succeed(["hooks", arg(&model), "model.layers.3.self_attn.v_proj"]);
    assert!(explained.starts_with("blocks.3.attn.hook_v "), "{explained}");
    let unknown = run(["hooks", arg(&model), "blocks.0.attn.hook_rot_g"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("hook_rot_q"), "{}", unknown.stderr);
}

/// What PyTorch gives on `natural.txt`, by the name of the arm.
#[track_caller]
fn perplexities(model: &Path, options: &[&str], expected: &[(&str, f64)]) {
    let text = golden("natural.txt");
    let args = ["perplexity", arg(model), "--text", arg(&text), "--json"];
    let result = succeed_json(args.iter().chain(options));
    let arms = result["arms"].as_array().expect("arms");
    for (name, theirs) in expected {
        let arm = arms.iter().find(|arm| arm["arm"]["name"] == *name);
        let arm = arm.unwrap_or_else(|| panic!("no arm {name} in {result}"));
        assert_eq!(arm["tokens"], 199);
        let ours = arm["perplexity"].as_f64().expect("a perplexity");
        assert!((ours / theirs - 1.0).abs() < 0.01, "{options:?} {name}: {ours} is not {theirs}");
    }
}

#[test]
fn disrupted_perplexities_are_those_of_pytorch() {
    let Some(model) = smollm2() else { return };
    let select = |rule| ["--select", rule];
    let rules = ["top-k:1", "top-k:2", "bottom-k:1", "bottom-k:8"].map(select).concat();
    let expected = [
        ("none", 27.37),
        ("top-k:1 joint-mean", 57.6),
        ("top-k:2 joint-mean", 1552.0),
        ("bottom-k:1 joint-mean", 28.6),
        ("bottom-k:8 joint-mean", 31.4),
        ("top-k:1 zero", 1466.0),
    ];
    perplexities(&model, &[&rules[..], &["--op", "joint-mean,zero"]].concat(), &expected);
    let massive = |site| ["--select", "top-k:1", "--sites", site];
    perplexities(&model, &massive("rot_q"), &[("none", 27.37), ("top-k:1", 27.8)]);
    perplexities(&model, &massive("rot_k"), &[("none", 27.37), ("top-k:1", 51.7)]);
}

#[test]
fn two_channels_of_each_head_hold_the_pass_key() {
    let Some(model) = smollm2() else { return };
    let task = ["--task", "passkey_reference:preset=wrapped", "--limit", "4"];
    let args = ["disrupt", arg(&model), "--select", "top-k:2", "--json"];
    let result = succeed_json(args.iter().chain(&task));
    let cells = result["cells"].as_array().expect("cells");
    let right = |arm: &str| {
        let cell = cells.iter().find(|cell| cell["arm"] == arm).expect("the arm");
        (cell["score"]["correct"].as_u64(), cell["metrics"]["reference"]["correct"].as_u64())
    };
    assert_eq!(right("none"), (Some(4), Some(4)), "{result}");
    assert_eq!(right("top-k:2"), (Some(0), Some(0)), "{result}");
}
