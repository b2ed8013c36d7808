//! The examples that run experiments, from their arguments to their files, on a small model.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use massval::report::schema::{DisruptResult, PerplexityResult};

/// A folder of one test's own, empty but for a model in it, `small.gguf`.
///
/// The model is the fixture with more positions: it turns its queries and keys by their position,
/// so it has no table that would end at 64.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    let mut model = std::fs::read(fixture("gguf-llama/f32.gguf")).unwrap();
    let key = b"llama.context_length";
    let found = model.windows(key.len()).position(|bytes| bytes == key).unwrap();
    // The key, its value's type in four bytes, the value.
    let at = found + key.len() + 4;
    assert_eq!(model[at..at + 4], 64u32.to_le_bytes());
    model[at..at + 4].copy_from_slice(&4096u32.to_le_bytes());
    std::fs::write(folder.join("small.gguf"), model).unwrap();
    folder
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

/// Runs an example in the folder, on a model in it.
fn run(example: &str, folder: &Path, model: &str, args: &[&str]) -> Output {
    let mut command = Command::new(example);
    command.current_dir(folder).arg(model).args(args);
    command.output().unwrap()
}

/// What it prints on `small.gguf`; it must succeed.
fn succeed(example: &str, folder: &Path, args: &[&str]) -> String {
    printed(run(example, folder, "small.gguf", args)).0
}

/// What it printed and what it told; it must have succeeded.
fn printed(output: Output) -> (String, String) {
    let [out, told] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{told}");
    (out, told)
}

/// The exit code, and what it says on standard error, on `small.gguf`.
fn fail(example: &str, folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = run(example, folder, "small.gguf", args);
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// Checks that figure, tables and result are there, that their paths were printed, and that the
/// figure says `texts`; the path of the result.
fn check(folder: &Path, printed: &str, name: &str, texts: &[&str]) -> PathBuf {
    let path = |extension: &str| Path::new("figures").join(format!("{name}.{extension}"));
    for extension in ["svg", "png", "md", "csv", "json"] {
        let path = path(extension);
        assert!(folder.join(&path).metadata().unwrap().len() > 0);
        let line = path.display().to_string();
        assert!(printed.lines().any(|printed| printed == line), "{line}: {printed}");
    }
    let svg = std::fs::read_to_string(folder.join(path("svg"))).unwrap();
    for text in texts {
        assert!(svg.contains(&format!("\n{text}\n")), "{name}.svg does not say {text}");
    }
    let png = std::fs::read(folder.join(path("png"))).unwrap();
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    folder.join(path("json"))
}

fn arms(result: &DisruptResult) -> Vec<&str> {
    result.arms.iter().map(|arm| arm.name.as_str()).collect()
}

fn scores(result: &DisruptResult) -> Vec<(usize, usize)> {
    result.cells.iter().map(|cell| (cell.score.correct, cell.score.n)).collect()
}

const ARMS: [&str; 4] = ["none", "non-massive", "matched random", "massive"];

#[test]
fn table_1_has_a_row_for_each_arm_and_its_run_can_go_on() {
    let (example, folder) = (env!("CARGO_BIN_EXE_p1_table1"), folder("table1"));
    let asked = ["--task", "list_recall:words=2", "--task", "list_recall:words=3"];
    let asked = [&asked[..], &["--task", "capitals", "--limit", "3", "--k", "2"]].concat();
    let kept = [&asked[..], &["--run", "run"]].concat();
    let printed = succeed(example, &folder, &kept);
    assert!(ARMS.iter().all(|arm| printed.contains(arm)), "{printed}");
    let json =
        check(&folder, &printed, "p1_table1_small_accuracy", &[&ARMS[..], &["capitals"]].concat());
    let result = DisruptResult::read(&json).unwrap();
    assert_eq!(arms(&result), ARMS);
    assert_eq!(result.cells.len(), 3 * 4);
    let sizes: Vec<_> = result.arms.iter().filter_map(|arm| arm.sweep.as_ref()).collect();
    assert!(sizes.len() == 3 && sizes.iter().all(|point| point.channels_per_head == 2));

    let items = folder.join("run/items.jsonl");
    let records = std::fs::read(&items).unwrap();
    assert_eq!(records.iter().filter(|byte| **byte == b'\n').count(), 3 * 3 * 4);
    let (code, line) = fail(example, &folder, &kept);
    assert!(code == Some(1) && line.contains("--resume"), "{code:?} {line}");

    // Cut off in the middle of an item.
    std::fs::write(&items, &records[..records.len() / 2]).unwrap();
    succeed(example, &folder, &[&kept[..], &["--resume"]].concat());
    let again = DisruptResult::read(&json).unwrap();
    assert!(again.complete && scores(&again) == scores(&result));
    let (code, line) = fail(example, &folder, &[&asked[..], &["--resume"]].concat());
    assert!(code == Some(2) && line.contains("--run"), "{code:?} {line}");
}

#[test]
fn the_usual_tasks_must_fit_the_model() {
    let (example, folder) = (env!("CARGO_BIN_EXE_p1_table1"), folder("fit"));
    std::fs::copy(fixture("gguf-llama/f32.gguf"), folder.join("small.gguf")).unwrap();
    let (code, lines) = fail(example, &folder, &[]);
    assert_eq!(code, Some(1));
    assert!(lines.contains("passkey (256, 12) is left out"), "{lines}");
    assert!(!lines.contains("1024"), "{lines}");
    assert!(lines.contains("has positions for 64; choose shorter items"), "{lines}");
}

#[test]
fn diversity_is_of_whole_answers() {
    let (example, folder) = (env!("CARGO_BIN_EXE_p1_diversity"), folder("diversity"));
    let printed = succeed(example, &folder, &["--limit", "2", "--max-new-tokens", "6"]);
    let tasks = ["arithmetic", "list recall", "capitals"];
    let json =
        check(&folder, &printed, "p1_diversity_small_answers", &[&tasks[..], &ARMS].concat());
    let result = DisruptResult::read(json).unwrap();
    assert!(result.cells.iter().all(|cell| cell.metrics.diversity.is_some()));

    let compared = ["--task", "capitals", "--limit", "2"];
    let (code, line) = fail(example, &folder, &compared);
    assert_eq!(code, Some(1), "{line}");
}

#[test]
fn perplexity_is_of_the_text_and_of_the_answers() {
    let (example, folder) = (env!("CARGO_BIN_EXE_p1_perplexity"), folder("perplexity"));
    let text = fixture("text/natural.txt");
    let text = ["--text", text.to_str().unwrap(), "--window", "64"];
    let answers = ["--limit", "2", "--max-new-tokens", "6", "--task", "capitals:wrong=0"];
    let printed = succeed(example, &folder, &[&text[..], &answers].concat());
    let json = check(&folder, &printed, "p1_perplexity_small_text", &ARMS);
    let result = PerplexityResult::read(json).unwrap();
    assert_eq!((result.arms.len(), result.window.tokens), (4, 64));
    assert_ne!(result.arms[0].perplexity, result.arms[3].perplexity);
    let json = check(&folder, &printed, "p1_perplexity_small_answers", &ARMS);
    for cell in DisruptResult::read(json).unwrap().cells {
        let perplexity = cell.metrics.perplexity.unwrap();
        assert!(perplexity.definition.starts_with("of the model's own answer"));
    }
}

#[test]
fn the_sweep_has_a_line_for_each_kind_of_channel_and_task() {
    let (example, folder) = (env!("CARGO_BIN_EXE_p1_sweep"), folder("sweep"));
    let tasks = ["--task", "list_recall:words=2", "--task", "capitals", "--limit", "2"];
    let printed = succeed(example, &folder, &[&tasks[..], &["--k", "1,4"]].concat());
    let json = check(&folder, &printed, "p1_sweep_small_accuracy", &["capitals, n=2", "1", "4"]);
    let svg = std::fs::read_to_string(json.with_extension("svg")).unwrap();
    assert_eq!(svg.matches("<polygon").count(), 3 * 2);
    let found = DisruptResult::read(json).unwrap();
    let wanted =
        ["none", "bottom-k:1", "bottom-k:4", "random-k:1", "random-k:4", "top-k:1", "top-k:4"];
    assert_eq!(arms(&found), wanted);

    let (code, line) = fail(example, &folder, &[&tasks[..], &["--k", "17"]].concat());
    assert!(code == Some(1) && line.contains("16"), "{code:?} {line}");
    assert_eq!(fail(example, &folder, &["--k", "0"]).0, Some(2));
}

/// A folder of one test's own with a model that was trained, `rope-small`, as a Hugging Face folder.
/// The first key head of each layer gets a channel far above the others.
fn trained(test: &str) -> PathBuf {
    let folder = folder(test);
    let model = folder.join("rope-small");
    std::fs::create_dir(&model).unwrap();
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(fixture("rope-small").join(name), model.join(name)).unwrap();
    }
    let mut weights = std::fs::read(fixture("rope-small/model.safetensors")).unwrap();
    let start = 8 + u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&weights[8..start]).unwrap();
    for layer in 0..4 {
        let bias = &header[format!("gpt_neox.layers.{layer}.attention.query_key_value.bias")];
        assert_eq!((&bias["dtype"], &bias["shape"][0]), (&"F16".into(), &(2 * 3 * 64).into()));
        // A head's biases of Q, then those of K.
        let at = start + bias["data_offsets"][0].as_u64().unwrap() as usize + 2 * (64 + 5);
        // 200 as f16.
        weights[at..at + 2].copy_from_slice(&0x5a40u16.to_le_bytes());
    }
    std::fs::write(model.join("model.safetensors"), weights).unwrap();
    folder
}

#[test]
fn each_method_of_quantization_has_bars_and_leaves_no_checkpoint() {
    let (example, folder) = (env!("CARGO_BIN_EXE_p1_quantization"), trained("quantization"));
    let text = fixture("text/natural.txt");
    let text = text.to_str().unwrap();
    let tasks = ["--task", "small_key_value", "--task", "small_facts", "--limit", "3"];
    let how = ["--method", "rtn,gptq,smoothquant", "--bits", "3,8", "--group-size", "32"];
    let calibration = ["--calibration", text, "--samples", "2", "--length", "32"];
    let asked = [&tasks[..], &how, &calibration, &["--text", text]].concat();
    let names = ["rtn:3", "rtn:8", "gptq:3", "gptq:8", "smoothquant:8"];
    // Twice: nothing of the first run is in the way of the second.
    for _ in 0..2 {
        let (printed, _) = printed(run(example, &folder, "rope-small", &asked));
        let name = "p1_quantization_rope-small_accuracy";
        let json = check(&folder, &printed, name, &[&names[..], &["small_facts"]].concat());
        let answers = DisruptResult::read(json).unwrap();
        assert_eq!(arms(&answers), [&["none"], &names[..]].concat());
        assert_eq!(scores(&answers).len(), 2 * 6);
        assert!(scores(&answers).iter().all(|(_, n)| *n == 3));

        let name = "p1_quantization_rope-small_massive_values";
        let json = check(&folder, &printed, name, &names);
        let text = PerplexityResult::read(json).unwrap();
        let left: Vec<f64> = text.arms.iter().filter_map(|arm| arm.arm.massive_norm).collect();
        assert!(left.len() == 5 && left.iter().all(|share| (0.8..1.2).contains(share)), "{left:?}");
        let kl = |arm: &str| {
            text.arms.iter().find(|found| found.arm.name == arm).unwrap().kl_nats.unwrap()
        };
        assert!(kl("rtn:8") < kl("rtn:3") && kl("gptq:8") < kl("gptq:3"));
        let mut kept = std::fs::read_dir(folder.join("figures")).unwrap();
        assert!(kept.all(|entry| entry.unwrap().path().is_file()));
    }
}

#[test]
fn quantization_without_massive_values_or_right_answers_is_drawn_all_the_same() {
    let (example, folder) = (env!("CARGO_BIN_EXE_p1_quantization"), folder("quantization_rtn"));
    let text = fixture("text/natural.txt");
    let text = ["--text", text.to_str().unwrap(), "--bits", "8,2", "--group-size", "16"];
    let asked = [&text[..], &["--task", "capitals", "--limit", "2"]].concat();
    let (printed, told) = printed(run(example, &folder, "small.gguf", &asked));
    assert!(told.contains("no channel of Q and K is massive"), "{told}");
    assert!(told.contains("no method answers anything right"), "{told}");
    check(&folder, &printed, "p1_quantization_small_accuracy", &["rtn:8", "rtn:2"]);
    check(&folder, &printed, "p1_quantization_small_perplexity", &["none", "rtn:8", "rtn:2"]);
}

#[test]
fn methods_of_quantization_need_their_text_and_bits() {
    let (example, folder) = (env!("CARGO_BIN_EXE_p1_quantization"), folder("quantization_bad"));
    let text = fixture("text/natural.txt");
    let text = text.to_str().unwrap();
    let refused = |more: &[&str], said: &str| {
        let (code, line) = fail(example, &folder, &[&["--text", text][..], more].concat());
        assert!(code == Some(1) && line.contains(said) && line.lines().count() == 1, "{line}");
    };
    refused(&["--method", "rtn,gptq"], "add --calibration FILE");
    refused(&["--calibration", text], "rtn reads nothing");
    refused(&["--group-size", "7"], "groups of 7");
    let with = ["--calibration", text, "--samples", "1", "--length", "16", "--group-size", "16"];
    refused(&[&with[..], &["--method", "rtn,smoothquant"]].concat(), "8 bits");
    refused(&[&with[..], &["--method", "gptq"]].concat(), "Hugging Face folder");
    let left = std::fs::read_dir(folder.join("figures")).unwrap().count();
    assert_eq!(left, 0);
    assert_eq!(fail(example, &folder, &["--text", text, "--bits", "5"]).0, Some(2));
}
