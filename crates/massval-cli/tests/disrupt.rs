//! `massval disrupt`: tables, the result file, runs that go on, and what is refused.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{arg, fixture, json, listing, massval, misused, refused, succeed, succeed_json};
use massval::disruption::{Intervention, Operator, Selection};
use massval::report::schema::DisruptResult;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

/// A small model with a tokenizer: 2 layers, 2 heads and 1 KV head of 16 channels, 64 positions.
fn small() -> String {
    arg(&fixture("gguf-llama/f32.gguf")).to_owned()
}

/// A folder with two word problems in `gsm8k.jsonl`, short enough for the small model.
fn problems() -> (TempDir, String) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("gsm8k.jsonl");
    let lines = [("A hen?", 3), ("Eggs?", 18)].map(|(question, number)| {
        format!("{{\"question\":\"{question}\",\"answer\":\"#### {number}\"}}\n")
    });
    fs::write(&path, lines.concat()).unwrap();
    let spec = format!("gsm8k:{}", path.display());
    (folder, spec)
}

/// What a run prints on two word problems and two capitals, in the folder of the small model.
#[track_caller]
fn printed(more: &[&str]) -> String {
    let (_folder, spec) = problems();
    let asked = ["--task", &spec, "--task", "capitals", "--limit", "2", "--max-new-tokens", "4"];
    let arms = ["--select", "top-k:1", "--select", "bottom-k:1", "--seed", "7"];
    let mut command = massval();
    command.current_dir(fixture("gguf-llama")).args(["disrupt", "f32.gguf"]);
    let done = command.args(asked).args(arms).args(more).assert().success().stderr("");
    String::from_utf8(done.get_output().stdout.clone()).expect("UTF-8")
}

/// CSV with its fractions rounded: the last digits are the machine's.
fn rounded(csv: &str) -> String {
    let field = |field: &str| match field.parse::<f64>() {
        Ok(number) if field.contains('.') => format!("{number:.2}"),
        _ => field.to_owned(),
    };
    let line = |line: &str| line.split(',').map(field).collect::<Vec<_>>().join(",");
    csv.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn tables() {
    let table = printed(&[]);
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    insta::assert_snapshot!("table", table);
    insta::assert_snapshot!("markdown", printed(&["--format", "markdown"]));
    insta::assert_snapshot!("csv", rounded(&printed(&["--format", "csv"])));
}

#[test]
fn a_dry_run_says_what_would_be_run() {
    let plan = printed(&["--dry-run"]);
    let time = plan.lines().find(|line| line.starts_with("time: ")).expect("a time");
    assert!(time.contains("an estimate"), "{time}");
    // The machine's.
    let seconds = |word: &str| if word.parse::<u64>().is_ok() { "N" } else { word }.to_owned();
    let masked: Vec<String> = time.split(' ').map(seconds).collect();
    insta::assert_snapshot!("dry_run", plan.replace(time, &masked.join(" ")));
    let (folder, model) = (tempdir().unwrap(), small());
    let out = folder.path().join("run");
    let args = ["disrupt", &model, "--task", "capitals", "--preset", "qwen2", "--dry-run"];
    let plan = succeed(args.iter().copied().chain(["--out", arg(&out)]));
    assert!(plan.starts_with("4 arms on 136 items in 1 task: "), "{plan}");
    assert!(plan.contains("  massive (qwen2): joint-mean into top-k:3 of "), "{plan}");
    assert!(!out.exists(), "a dry run made a folder");
    // What cannot be run is refused before a plan is told.
    let args = ["disrupt", &model, "--task", "capitals", "--dry-run", "--layers", "2"];
    refused(&args, &["layer 2", "has 2"]);
}

#[test]
fn a_dry_run_checks_the_folder_as_a_run_does() {
    let (folder, model) = (tempdir().unwrap(), small());
    let out = folder.path().join("run");
    let run = |more: &[&'static str]| {
        let run = ["disrupt", &model, "--task", "capitals", "--limit", "2", "--out", arg(&out)];
        run.iter().chain(more).map(|arg| (*arg).to_owned()).collect::<Vec<_>>()
    };
    let refused = |more: &[&'static str], said: &[&str]| {
        let args = [&run(more)[..], &["--dry-run".to_owned()]].concat();
        refused(&args.iter().map(String::as_str).collect::<Vec<_>>(), said);
    };
    refused(&["--resume"], &[arg(&out), "is not there"]);
    assert_eq!(listing(folder.path()), [""; 0]);
    succeed(run(&[]));
    let before = contents(&out);
    refused(&[], &[arg(&out), "--resume"]);
    refused(&["--k", "2"], &["run.json", "another run"]);
    refused(&["--resume", "--seed", "1"], &["run.json", "another run"]);
    succeed(run(&["--resume", "--dry-run"]));
    let items = fs::File::open(out.join("items.jsonl")).unwrap();
    items.lock().unwrap();
    refused(&["--resume"], &[arg(&out), "another process"]);
    assert_eq!(contents(&out), before);
}

/// Were all items prepared, this would take days.
#[test]
fn a_dry_run_of_many_items_looks_at_some() {
    // The small model with more positions: it has no table that would end at 64.
    let folder = tempdir().unwrap();
    let mut model = fs::read(small()).unwrap();
    let key = b"llama.context_length";
    let at = model.windows(key.len()).position(|bytes| bytes == key).expect("the key");
    // The key, its value's type in four bytes, the value.
    let at = at + key.len() + 4;
    assert_eq!(model[at..at + 4], 64u32.to_le_bytes());
    model[at..at + 4].copy_from_slice(&4096u32.to_le_bytes());
    let path = folder.path().join("roomy.gguf");
    fs::write(&path, model).unwrap();
    let args = ["disrupt", arg(&path), "--task", "key_value:pairs=1", "--limit", "4000000000"];
    let plan = succeed(args.iter().copied().chain(["--dry-run"]));
    assert!(plan.starts_with("4 arms on 4000000000 items in 1 task: about "), "{plan}");
}

#[test]
fn the_result_holds_all_that_made_it() {
    let (folder, model) = (tempdir().unwrap(), small());
    let out = folder.path().join("run");
    let args = ["disrupt", &model, "--task", "capitals", "--limit", "3", "--seed", "7", "--json"];
    let arms = ["--k", "2", "--op", "zero", "--sites", "rot_k", "--layers", "-1", "--keep-cache"];
    let printed = succeed_json(args.iter().chain(&arms).copied().chain(["--out", arg(&out)]));
    assert_eq!(listing(&out), ["disrupt.html", "disrupt.json", "items.jsonl", "run.json"]);
    assert_eq!(printed, json(out.join("disrupt.json")));
    let result = DisruptResult::read(out.join("disrupt.json")).expect("a result that validates");
    assert!(result.complete);

    let run = &printed["provenance"];
    assert_eq!(run["seed"], 7);
    assert_eq!(run["dtype"], "f32");
    assert_eq!(run["input"]["source"], "tasks");
    for hash in [&run["model"]["files"][0]["blake3"], &run["input"]["sha256"]] {
        assert_eq!(hash.as_str().map(str::len), Some(64), "{hash}");
    }
    assert_eq!(printed["tasks"][0]["identity"]["items"], 3);
    assert_eq!(printed["tasks"][0]["identity"]["set"]["options"]["seed"], 7, "{printed}");

    let names: Vec<&str> = result.arms.iter().map(|arm| arm.name.as_str()).collect();
    assert_eq!(names, ["none", "bottom-k:2", "random-k:2", "top-k:2"]);
    let selections = [Selection::BottomK { k: 2 }, Selection::RandomK { k: 2 }, Selection::top(2)];
    assert_eq!(result.arms[0].intervention, None);
    for (arm, selection) in result.arms[1..].iter().zip(selections) {
        let stored = arm.intervention.clone().expect("an intervention");
        let stored: Intervention = serde_json::from_value(stored).expect("one that is read back");
        let sites = ["rot_k".parse().unwrap()];
        let mut asked = Intervention::new(Operator::Zero, selection).at(&sites).seeded(7);
        asked.layers = "-1".parse().unwrap();
        asked.cached = false;
        assert_eq!(stored, asked, "{}", arm.name);
        assert_eq!(arm.selected[0].channels_per_head, 2.0, "{}", arm.name);
    }
}

/// Arguments of a run of two batches: 20 items, 3 arms.
fn two_batches<'a>(model: &'a str, out: &'a Path) -> Vec<&'a str> {
    let task = ["--task", "capitals", "--limit", "20", "--select", "top-k:1", "--op", "mean,zero"];
    [&["disrupt", model, "--format", "csv", "--out", arg(out)][..], &task].concat()
}

/// Records of a batch.
const BATCH: usize = 16 * 3;

fn records(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("items.jsonl")).expect("records");
    text.lines().map(str::to_owned).collect()
}

/// A copy of a run as a kill would have left it: its first records, and a piece of the next.
fn cut(whole: &Path, records_kept: &[String], piece: &str, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::copy(whole.join("run.json"), to.join("run.json")).unwrap();
    let kept: String = records_kept.iter().map(|line| format!("{line}\n")).collect();
    fs::write(to.join("items.jsonl"), kept + piece).unwrap();
}

#[test]
fn a_run_that_was_cut_off_goes_on() {
    let (folder, model) = (tempdir().unwrap(), small());
    let place = |name: &str| folder.path().join(name);
    let whole = place("whole");
    let table = succeed(two_batches(&model, &whole));
    let all = records(&whole);
    assert_eq!(all.len(), 20 * 3);
    let go_on = |out: &Path| succeed(two_batches(&model, out).into_iter().chain(["--resume"]));

    for (name, kept, piece) in [
        ("nothing", 0, ""),
        ("a piece of the first", 0, &all[0][..40]),
        ("a batch", BATCH, ""),
        ("a batch and a piece", BATCH, &all[BATCH][..40]),
        ("all but the table", all.len(), ""),
    ] {
        let out = place(name);
        cut(&whole, &all[..kept], piece, &out);
        assert_eq!(go_on(&out), table, "{name}");
        assert_eq!(records(&out), all, "{name}");
    }
    // Cut within a batch, its rest is another batch, so that last digits may differ.
    let out = place("within");
    cut(&whole, &all[..7], "", &out);
    assert_eq!(rounded(&go_on(&out)), rounded(&table));
    assert_eq!(records(&out)[..6], all[..6]);
    assert_eq!(records(&out).len(), all.len());
    // A run that is complete is told again.
    assert_eq!(go_on(&whole), table);
    assert_eq!(records(&whole), all);
}

#[test]
fn no_item_is_computed_twice() {
    let (folder, model) = (tempdir().unwrap(), small());
    let (whole, out) = (folder.path().join("whole"), folder.path().join("cut"));
    succeed(two_batches(&model, &whole));
    let mut all = records(&whole);
    // A record that no model gives: whoever computes it again loses it.
    let mut marked: Value = serde_json::from_str(&all[1]).unwrap();
    marked["kl"] = Value::from(1e6);
    all[1] = marked.to_string();
    cut(&whole, &all[..BATCH], "", &out);
    succeed(two_batches(&model, &out).into_iter().chain(["--resume"]));
    assert_eq!(records(&out), all);
    let result = DisruptResult::read(out.join("disrupt.json")).unwrap();
    let kl = result.cell("top-k:1 mean", "capitals").expect("the cell").metrics.kl_nats;
    assert!(kl > Some(1e6 / 20.0), "{kl:?}");
}

#[test]
fn a_run_that_was_killed_goes_on() {
    let (folder, model) = (tempdir().unwrap(), small());
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let args = |out| {
        let mut args = two_batches(&model, out);
        *args.iter_mut().find(|arg| **arg == "20").unwrap() = "80";
        args
    };
    let table = succeed(args(&whole));
    let program = massval().get_program().to_owned();
    let mut run = Command::new(program).args(args(&killed)).stdout(Stdio::null()).spawn().unwrap();
    let file = killed.join("items.jsonl");
    let begun = || fs::metadata(&file).is_ok_and(|file| file.len() > 0);
    while !begun() && run.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    run.kill().unwrap();
    run.wait().unwrap();
    let kept = fs::read_to_string(&file).unwrap();
    let again = succeed(args(&killed).into_iter().chain(["--resume"]));
    assert_eq!(rounded(&again), rounded(&table));
    let end = kept.rfind('\n').map_or(0, |at| at + 1);
    let groups = kept[..end].lines().count() / 3 * 3;
    let kept: Vec<&str> = kept.lines().take(groups).collect();
    assert_eq!(records(&killed)[..groups], kept);
    assert_eq!(records(&killed).len(), 80 * 3);
}

#[test]
fn nothing_is_computed_after_a_first_batch_without_a_selected_channel() {
    let (folder, model) = (tempdir().unwrap(), small());
    let out = folder.path().join("run");
    let asked = |rule| {
        let task = ["disrupt", &model, "--task", "capitals", "--limit", "20", "--out", arg(&out)];
        [&task[..], &["--select", rule]].concat()
    };
    let said = ["head-mean:1000", "selects nothing", "lower its threshold"];
    refused(&asked("head-mean:1000"), &said);
    assert_eq!(records(&out), [""; 0], "more than a batch of one arm was computed");
    // The same mistake again, then without it.
    refused(&asked("random-like:head-mean:1000"), &said);
    succeed(asked("top-k:1"));
    assert_eq!(records(&out).len(), 20 * 2);
}

#[test]
fn there_must_be_a_run_to_go_on_with() {
    let (folder, model) = (tempdir().unwrap(), small());
    let out = folder.path().join("run");
    let go_on = |out: &Path, said: &[&str]| {
        let task = ["disrupt", &model, "--task", "capitals", "--limit", "2", "--out", arg(out)];
        refused(&[&task[..], &["--resume"]].concat(), said);
    };
    go_on(&out, &[arg(&out), "is not there", "leave out --resume"]);
    go_on(folder.path(), &[arg(folder.path()), "is empty", "leave out --resume"]);
    assert_eq!(listing(folder.path()), [""; 0]);
}

/// Names and bytes of the files in a folder.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| (name.clone(), fs::read(folder.join(name)).expect("a file"));
    listing(folder).into_iter().map(read).collect()
}

#[test]
fn folders_that_are_not_of_this_run() {
    let (folder, model) = (tempdir().unwrap(), small());
    let out = folder.path().join("run");
    let run = |model: &str, task: &str, limit: &str, more: &[&str], said: &[&str]| {
        let args = ["disrupt", model, "--task", task, "--limit", limit, "--out", arg(&out)];
        refused(&[&args[..], more].concat(), said);
    };
    succeed(["disrupt", &model, "--task", "capitals", "--limit", "2", "--out", arg(&out)]);
    let before = contents(&out);
    run(&model, "capitals", "2", &[], &[arg(&out), "--resume"]);
    let other = ["run.json", "another run"];
    run(&model, "capitals", "2", &["--resume", "--k", "2"], &other);
    run(&model, "capitals", "2", &["--resume", "--k", "1,2"], &other);
    run(&model, "capitals", "2", &["--resume", "--when", "both"], &other);
    run(&model, "capitals", "2", &["--resume", "--seed", "1"], &other);
    run(&model, "capitals", "2", &["--resume", "--dtype", "bf16"], &other);
    run(&model, "capitals", "3", &["--resume"], &other);
    run(&model, "cities", "2", &["--resume"], &other);
    run(&model, "capitals", "3", &[], &other);
    let another = fixture("gguf-llama/mixed.gguf");
    run(arg(&another), "capitals", "2", &["--resume"], &other);
    assert_eq!(contents(&out), before, "another run's folder was changed");

    // Another process is at it.
    let items = fs::File::open(out.join("items.jsonl")).unwrap();
    items.lock().unwrap();
    run(&model, "capitals", "2", &["--resume"], &[arg(&out), "another process"]);
    drop(items);
    assert_eq!(contents(&out), before);

    // Records that are none.
    fs::write(out.join("items.jsonl"), "{\"task\":\"capitals\"}\n").unwrap();
    let before = contents(&out);
    run(&model, "capitals", "2", &["--resume"], &["items.jsonl", "line 1", "another folder"]);
    fs::write(out.join("run.json"), "{").unwrap();
    run(&model, "capitals", "2", &["--resume"], &["run.json", "another folder"]);
    assert_eq!(contents(&out)[..3], before[..3]);
}

#[test]
fn places_where_no_run_can_be() {
    let (folder, model) = (tempdir().unwrap(), small());
    let file = folder.path().join("letter.txt");
    fs::write(&file, "dear").unwrap();
    let below = file.join("run");
    for more in [&[][..], &["--resume"]] {
        let run = |out: &Path, said: &[&str]| {
            let args = ["disrupt", &model, "--task", "capitals", "--limit", "2", "--out", arg(out)];
            refused(&[&args[..], more].concat(), said);
        };
        run(folder.path(), &[arg(folder.path()), "another folder"]);
        run(&file, &[arg(&file), "not a folder"]);
        run(&below, &[arg(&below), "not a folder"]);
        // Nothing can be made there, whoever asks.
        run(Path::new("/proc/run"), &["/proc/run"]);
    }
    assert_eq!(contents(folder.path()), [("letter.txt".to_owned(), b"dear".to_vec())]);
}

/// Arguments after the model that are refused, and what is said.
type Refused<'a> = (&'a [&'a str], &'a [&'a str]);

#[test]
fn interventions_that_do_not_fit() {
    let (folder, model) = (tempdir().unwrap(), small());
    let out = folder.path().join("run");
    let cases: &[Refused<'_>] = &[
        (&["--select", "top-k:17"], &["k = 17", "at most 16"]),
        (&["--k", "9"], &["k = 9", "at most 8", "16 channels"]),
        (&["--preset", "gemma2"], &["k = 22", "at most 16"]),
        (&["--layers", "2"], &["layer 2", "the model has 2"]),
        (&["--layers", "-3"], &["layer -3", "the model has 2"]),
        (&["--layers", "0-9223372036854775807"], &["layer 9223372036854775807"]),
        (&["--heads", "1"], &["head 1", "rot_k", "the model has 1"]),
        (&["--select", "channels:9.0.1"], &["layer 9"]),
        (&["--select", "channels:0.9.1"], &["head 9"]),
        (&["--select", "channels:0.0.16"], &["channel 16"]),
        (&["--select", "channels:0.0.1", "--layers", "1"], &["selects nothing", "layers"]),
        (&["--sites", "resid_post"], &["resid_post", "choose among q, k, v"]),
        (&["--sites", "rot_q,rot_q"], &["rot_q is asked for twice"]),
        (&["--sites", "rot_q", "--keep-cache"], &["only queries"]),
        (&["--sites", "v", "--partner"], &["V has no partner"]),
        (&["--positions", "first", "--when", "both"], &["`first`", "both"]),
        (&["--select", "per-position:2"], &["joint-mean", "per-position:2"]),
        (&["--k", "1,1"], &["bottom-k:1 is asked for twice"]),
        (&["--k", "1", "--select", "top-k:1"], &["top-k:1 is asked for twice"]),
        (&["--op", "zero,zero"], &["zero is asked for twice"]),
    ];
    let task = ["disrupt", &model, "--task", "capitals", "--limit", "2", "--out", arg(&out)];
    for (more, said) in cases {
        refused(&[&task[..], more].concat(), said);
        assert_eq!(listing(folder.path()), [""; 0], "{more:?} left something behind");
    }
    // What is known only once prompts were read.
    let task = &task[..task.len() - 2];
    let cases: &[Refused<'_>] = &[
        (&["--select", "head-mean:100"], &["head-mean:100", "selects nothing", "threshold"]),
        (&["--positions", "900..1000"], &["selects nothing", "positions"]),
        (&["--positions", "evidence"], &["evidence"]),
        (&["--op", "scale:1e300"], &["not finite"]),
    ];
    for (more, said) in cases {
        refused(&[task, more].concat(), said);
    }
}

#[test]
fn tasks_that_cannot_be_run() {
    let (folder, model) = (tempdir().unwrap(), small());
    let out = folder.path().join("run");
    let (_problems, gsm8k) = problems();
    let files = tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        fs::write(files.path().join(name), text).unwrap();
        format!("gsm8k:{}", files.path().join(name).display())
    };
    let empty = file("empty.jsonl", b"");
    let latin = file("latin.jsonl", b"\xff\xfe\n");
    let wrong = file("wrong.jsonl", b"{\"question\":\"a\"}\n");
    let cases: &[Refused<'_>] = &[
        (&["--task", &empty], &["empty.jsonl", "no items"]),
        (&["--task", &latin], &["latin.jsonl", "line 1", "UTF-8"]),
        (&["--task", &wrong], &["wrong.jsonl", "line 1", "`answer`"]),
        (&["--task", "gsm8k:no/such.jsonl"], &["no/such.jsonl"]),
        (&["--task", &gsm8k], &["task gsm8k", "505", "positions for 64"]),
        (&["--task", "coin_flip"], &["task coin_flip", "positions for 64", "shorter"]),
        (&["--task", "passkey"], &["passkey", "256 tokens"]),
        (&["--task", "list_recall:words=1000000000"], &["list_recall", "1000000000 words"]),
        (&["--task", "passkey:tokens=1000000000000"], &["passkey", "1000000000000 tokens"]),
        (&["--task", "capitals", "--task", "capitals"], &["two tasks", "`capitals`"]),
        (&["--task", "capitals", "--chat"], &["chat template"]),
        (&["--task", "capitals", "--full-answers"], &["--full-answers", "written answers"]),
        (&["--task", "capitals", "--max-new-tokens", "9"], &["--max-new-tokens"]),
    ];
    for (more, said) in cases {
        let args = ["disrupt", &model, "--limit", "2", "--out", arg(&out)];
        refused(&[&args[..], more].concat(), said);
        assert_eq!(listing(folder.path()), [""; 0], "{more:?} left something behind");
    }
    let model = fixture("models/llama-gqa-tied");
    refused(&["disrupt", arg(&model), "--task", "capitals"], &[arg(&model), "tokenizer"]);
    refused(&["disrupt", "no/such.gguf"], &["no/such.gguf"]);
}

#[test]
fn findings_are_of_the_model() {
    let (folder, model) = (tempdir().unwrap(), small());
    let scan = |name: &str, model: &str, rule: &str| {
        let out = folder.path().join(name);
        let args = ["scan", model, "--tokens", "1,2,3", "--criterion", rule, "--out", arg(&out)];
        succeed(args);
        out.join("scan.json")
    };
    let own = scan("own", &model, "head-mean:1.5");
    let none = scan("none", &model, "head-mean:100");
    let more_heads = scan("heads", arg(&fixture("models/llama-mha-untied")), "head-mean:1.5");
    let gpt2 = scan("gpt2", arg(&fixture("models/gpt2")), "head-mean:1.5");
    let file = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut value = json(&own);
        change(&mut value);
        let path = folder.path().join(name);
        fs::write(&path, value.to_string()).unwrap();
        path
    };
    let later = file("later.json", &|value| value["schema_version"] = 99.into());
    let absurd = file("absurd.json", &|value| value["findings"][0]["channel"] = 999.into());
    let page = folder.path().join("own/scan.html");
    let missing = folder.path().join("missing.json");

    let out = folder.path().join("run");
    let cases: &[(&Path, &[&str])] = &[
        (&more_heads, &["another model", "2 and 2 heads", "2 and 1"]),
        (&gpt2, &["another model", "gpt2", "llama"]),
        (&none, &["no findings at rot_q, rot_k"]),
        (&later, &["later.json", "99"]),
        (&absurd, &["channel 999"]),
        (&page, &["scan.html", "not a massval result"]),
        (&missing, &["missing.json"]),
        (folder.path(), &[arg(folder.path())]),
    ];
    let task = ["disrupt", &model, "--task", "capitals", "--limit", "2"];
    for (findings, said) in cases {
        let more = ["--out", arg(&out), "--findings", arg(findings)];
        refused(&[&task[..], &more].concat(), said);
        assert!(!out.exists(), "{findings:?} left something behind");
    }
    // The arm says where its channels are from.
    let result = succeed_json([&task[..], &["--json", "--findings", arg(&own)]].concat());
    let arm = &result["arms"][1];
    assert_eq!(arm["role"], "massive");
    assert!(arm["name"].as_str().unwrap().contains("channels of scan.json ("), "{arm}");
}

#[test]
fn wrong_usage() {
    let model = small();
    let cases: &[Refused<'_>] = &[
        (&["--task", "capital"], &["capital", "did you mean `capitals`?"]),
        (&["--task", "passkey:tokns=3"], &["tokns", "did you mean `tokens`?"]),
        (&["--task", "gsm8k"], &["gsm8k:FILE"]),
        (&["--task", ""], &["passkey"]),
        (&["--op", "zeero"], &["zeero", "zero"]),
        (&["--op", "scale:1"], &["scale = 1"]),
        (&["--op", "scale:inf"], &["scale = inf"]),
        (&["--op", "scale:nan"], &["scale = NaN"]),
        (&["--select", "topk:2"], &["topk:2", "top-k:2"]),
        (&["--select", "top-k:0"], &["top-k:0"]),
        (&["--select", "head-mean:inf"], &["head-mean:inf"]),
        (&["--select", "channels:0.0"], &["channels:0.0"]),
        (&["--preset", "lama"], &["lama", "llama"]),
        (&["--sites", "rot_z"], &["rot_z", "did you mean `rot_q`?"]),
        (&["--layers", "1-0"], &["1-0"]),
        (&["--positions", "5..5"], &["5..5"]),
        (&["--when", "later"], &["later", "prefill, decode, both"]),
        (&["--k", "0"], &["--k"]),
        (&["--limit", "0"], &["--limit"]),
        (&["--max-new-tokens", "0"], &["--max-new-tokens"]),
        (&["--confidence", "1"], &["--confidence"]),
        (&["--confidence", "nan"], &["--confidence"]),
        (&["--seed", "18446744073709551616"], &["--seed"]),
        (&["--preset", "llama", "--k", "2"], &["--preset", "--k"]),
        (&["--preset", "llama", "--when", "both"], &["--preset", "--when"]),
        (&["--system", "Be brief."], &["--chat"]),
        (&["--resume"], &["--out"]),
        (&["--json", "--format", "csv"], &["--json", "--format"]),
    ];
    for (more, said) in cases {
        misused(&[&["disrupt", &model][..], more].concat(), said);
    }
}
