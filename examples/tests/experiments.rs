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

/// Runs an example in the folder, on its model.
fn run(example: &str, folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(example);
    command.current_dir(folder).arg("small.gguf").args(args);
    command.output().unwrap()
}

/// What it prints; it must succeed.
fn succeed(example: &str, folder: &Path, args: &[&str]) -> String {
    let Output { status, stdout, stderr } = run(example, folder, args);
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// The exit code, and what it says on standard error.
fn fail(example: &str, folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = run(example, folder, args);
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
