//! Models by name: the whole way from a hub's name to a result, in an environment of its own.

mod common;
#[path = "../../massval-models/tests/hub_server/mod.rs"]
mod hub_server;

use std::fs;

use assert_cmd::Command;
use common::{Outcome, fixture, json, listing};
use hub_server::{COMMIT, Fault, HubServer, NAME, Repository, Served, TOKEN};
use tempfile::{TempDir, tempdir};

const SHARD: &str = "model-00002-of-00004.safetensors";

/// A hub with a model that has a tokenizer, and a home for the cache.
struct Case {
    server: HubServer,
    home: TempDir,
}

impl Case {
    fn new(change: impl FnOnce(&mut Repository)) -> Self {
        let mut repository = Repository::of(&fixture("models/llama-gqa-untied-sharded"));
        change(&mut repository);
        Self { server: HubServer::start(repository), home: tempdir().unwrap() }
    }

    /// The binary, which sees nothing of this machine's own hub.
    fn massval(&self, args: &[&str]) -> Command {
        let mut command = common::massval();
        let foreign = ["HF_", "HUGGING", "XDG_CACHE"];
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().to_uppercase();
            if text.ends_with("_PROXY") || foreign.iter().any(|start| text.starts_with(start)) {
                command.env_remove(name);
            }
        }
        command.env("HF_HOME", self.home.path()).env("HF_ENDPOINT", self.server.endpoint());
        command.args(args);
        command
    }

    fn run(&self, args: &[&str], variables: &[(&str, &str)]) -> Outcome {
        let output = self.massval(args).envs(variables.iter().copied()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        for output in [&stdout, &stderr] {
            assert!(!output.contains(TOKEN), "{output}");
        }
        Outcome { code: output.status.code(), stdout, stderr }
    }

    /// Checks that a run fails with one line that holds all of `said`.
    #[track_caller]
    fn refused(&self, args: &[&str], variables: &[(&str, &str)], said: &[&str]) {
        let outcome = self.run(args, variables);
        let line = outcome.stderr.trim_end_matches('\n');
        assert_eq!(outcome.code, Some(1), "{line}");
        assert!(line.starts_with("massval: ") && !line.contains('\n'), "{line}");
        for part in said {
            assert!(line.contains(part), "no {part:?} in: {line}");
        }
    }
}

#[test]
fn scan_by_name() {
    let case = Case::new(|repository| repository.token = Some(TOKEN.to_owned()));
    let (named, local) = (tempdir().unwrap(), tempdir().unwrap());
    let tokens = ["--tokens", "1,2,3,4", "--out"];
    let scan = |model: &str, out: &TempDir| {
        let args = [&["scan", model][..], &tokens, &[out.path().to_str().unwrap()]].concat();
        let outcome = case.run(&args, &[("HF_TOKEN", TOKEN)]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        json(out.path().join("scan.json"))
    };
    let folder = fixture("models/llama-gqa-untied-sharded");
    let (by_name, by_path) = (scan(NAME, &named), scan(folder.to_str().unwrap(), &local));
    assert_eq!(by_name["provenance"]["model"]["path_or_name"], NAME);
    assert_eq!(by_name["provenance"]["model"]["revision"], COMMIT);
    assert_eq!(by_path["provenance"]["model"].get("revision"), None);
    let files = |scan: &serde_json::Value| scan["provenance"]["model"]["files"].clone();
    assert_eq!(files(&by_name), files(&by_path));
    for part in ["findings", "sites", "activations"] {
        assert_eq!(by_name[part], by_path[part], "{part}");
    }
    for file in ["scan.json", "scan.html"] {
        let text = fs::read_to_string(named.path().join(file)).unwrap();
        assert!(text.contains(COMMIT) && !text.contains(TOKEN), "{file}");
    }
    let cache = case.home.path().join("hub/models--org--name");
    assert_eq!(listing(&cache), ["blobs", "refs", "snapshots"]);
}

#[test]
fn a_text_is_read_with_the_models_own_tokenizer() {
    let case = Case::new(|repository| {
        let words = ["<unk>", "the", "hens", "eggs"];
        let vocab: serde_json::Map<_, _> =
            words.iter().enumerate().map(|(id, word)| ((*word).to_owned(), id.into())).collect();
        let tokenizer = serde_json::json!({
            "version": "1.0", "added_tokens": [], "pre_tokenizer": { "type": "Whitespace" },
            "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "<unk>" },
        });
        let tokenizer = tokenizer.to_string();
        repository.files.insert("tokenizer.json".to_owned(), Served::new(tokenizer, false));
    });
    let text = case.home.path().join("text.txt");
    fs::write(&text, "the hens the eggs").unwrap();
    let text = ["--text", text.to_str().unwrap(), "--max-tokens", "4"];
    let out = case.home.path().join("out");
    let args = [&["scan", NAME][..], &text, &["--json", "--out", out.to_str().unwrap()]].concat();
    let outcome = case.run(&args, &[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stderr, "");
}

#[test]
fn every_command_takes_a_name_and_a_revision() {
    let case = Case::new(|repository| {
        repository.revisions = [("v1.0".to_owned(), COMMIT.to_owned())].into();
    });
    let out = case.home.path().join("out.safetensors");
    let out = out.to_str().unwrap();
    let text = case.home.path().join("ids");
    fs::write(&text, "x").unwrap();
    for args in [
        &["inspect", NAME][..],
        &["hooks", NAME],
        &["logits", NAME, "--tokens", "1,2", "--out", out],
        &["capture", NAME, "--tokens", "1,2", "--hooks", "q", "--out", out],
        &["generate", NAME, "--tokens", "1,2", "--max-new-tokens", "1", "--json"],
        &["disrupt", NAME, "--dry-run"],
        &["perplexity", NAME, "--text", text.to_str().unwrap()],
    ] {
        let tagged = [args, &["--revision", "v1.0"]].concat();
        let outcome = case.run(&tagged, &[]);
        // Without a tokenizer, the last two come as far as that.
        let far = outcome.code == Some(0) || outcome.stderr.contains("tokenizer");
        assert!(far, "{args:?}: {}", outcome.stderr);
        case.refused(args, &[], &["org/name at main: there is no such branch, tag or commit"]);
    }
    let inspect = case.run(&["inspect", NAME, "--revision", COMMIT, "--json"], &[]).stdout;
    let inspect: serde_json::Value = serde_json::from_str(&inspect).unwrap();
    assert_eq!(inspect["hub"], serde_json::json!({ "name": NAME, "commit": COMMIT }));
}

#[test]
fn faults_are_one_line() {
    let inspect = ["inspect", NAME];
    let token = [("HF_TOKEN", TOKEN)];
    let case = Case::new(|repository| repository.token = Some("hf_another".to_owned()));
    case.refused(&inspect, &[], &["private", "HF_TOKEN", "no file or folder org/name is here"]);
    case.refused(
        &inspect,
        &token,
        &["does not accept the token (\"Invalid credentials: Bearer ***\")"],
    );
    case.server.change(|repository| repository.gated = true);
    case.refused(&inspect, &[], &["it is gated", "then set HF_TOKEN"]);
    case.refused(&inspect, &[("HF_TOKEN", "hf_another")], &["gated", "has not been let in"]);
    case.server.change(|repository| (repository.token, repository.gated) = (None, false));
    case.refused(&["inspect", "org/other"], &[], &["org/other: there is no such model"]);
    case.refused(&["inspect", NAME, "--revision", "v9"], &[], &["org/name at v9"]);
    case.refused(&["inspect", NAME, "--revision", "../x"], &[], &["`../x` is no name of a branch"]);
    case.server.change(|repository| repository.file(SHARD).fault = Some((Fault::Flip, 1)));
    case.refused(&inspect, &[], &[SHARD, "SHA-256", "run again"]);
    case.server.change(|repository| repository.file(SHARD).fault = Some((Fault::Stall(9), 99)));
    let offline = [("HF_HUB_OFFLINE", "1")];
    case.refused(&inspect, &offline, &["org/name at main: the model is not in the cache"]);
    case.server.change(|repository| repository.file(SHARD).fault = None);
    assert_eq!(case.run(&inspect, &[]).code, Some(0));
    case.server.requests();
    assert_eq!(case.run(&inspect, &offline).code, Some(0));
    assert!(case.server.requests().is_empty());
    case.server.change(|repository| drop(repository.files.remove(SHARD)));
    fs::remove_dir_all(case.home.path().join("hub")).unwrap();
    case.refused(&inspect, &[], &["names the shard", SHARD, "upload is incomplete"]);
}

#[test]
fn the_environment() {
    let case = Case::new(|repository| repository.token = Some(TOKEN.to_owned()));
    let elsewhere = tempdir().unwrap();
    let cache = ("HF_HUB_CACHE", elsewhere.path().to_str().unwrap());
    fs::write(case.home.path().join("token"), format!("{TOKEN}\n")).unwrap();
    assert_eq!(case.run(&["inspect", NAME], &[cache]).code, Some(0));
    assert_eq!(listing(elsewhere.path()), [".locks", "models--org--name"]);
    assert_eq!(listing(case.home.path()), ["token"]);
    let bad = ("HF_TOKEN", "hf_TopSecretTopSecret hf_TopSecretTopSecret");
    case.refused(&["inspect", NAME], &[bad], &["token: it is empty, or has characters"]);
    case.refused(&["inspect", NAME], &[("HF_HUB_OFFLINE", "perhaps")], &["HF_HUB_OFFLINE"]);
    let endpoint = ("HF_ENDPOINT", "hub.example");
    case.refused(&["inspect", NAME], &[endpoint], &["HF_ENDPOINT", "https://host"]);
}

#[test]
fn paths_are_no_names() {
    let case = Case::new(|_| {});
    let folder = tempdir().unwrap();
    // A folder of that name wins, as everywhere.
    fs::create_dir_all(folder.path().join(NAME)).unwrap();
    let mut command = case.massval(&["inspect", NAME]);
    let output = command.current_dir(folder.path()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("none of `model.safetensors`"));
    let small = fixture("gguf-llama/f32.gguf");
    let small = small.to_str().unwrap();
    case.refused(&["inspect", small, "--revision", "main"], &[], &["leave --revision out"]);
    case.refused(&["inspect", "a/b/c", "--revision", "main"], &[], &["--revision means nothing"]);
    for path in ["a/b.gguf", "a/b.bin", "./a/b", "../a", "/a/b", "a.gguf", "a/b/c", "a/", "a//b"] {
        case.refused(&["inspect", path], &[], &["No such file"]);
    }
    case.refused(&["inspect", "gpt2"], &[], &["gpt2: no such file or folder", "`org/name`"]);
    case.refused(&["inspect", "a/b--c"], &[], &["is no name of a model on a hub", "`--`"]);
    assert!(case.server.requests().is_empty());
}
