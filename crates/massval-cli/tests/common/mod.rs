//! What the tests of the binary have in common: running it, the fixtures, and the files it writes.

#![allow(dead_code)] // each test uses its part

pub mod checkpoint;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use massval::models::tensorfile::{self, TensorData};
use serde_json::Value;

/// The environment variable that names another place of SmolLM2.
const SMOLLM2: &str = "MASSVAL_SMOLLM2";

/// The environment variable that makes its absence a failure.
const REQUIRE_SMOLLM2: &str = "MASSVAL_REQUIRE_SMOLLM2";

/// A path below the repository's root.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A path below `fixtures`.
pub fn fixture(path: &str) -> PathBuf {
    repository("fixtures").join(path)
}

/// The binary, in an environment that gives the same output everywhere.
pub fn massval() -> Command {
    let mut command = Command::cargo_bin("massval").expect("the binary");
    command.env("COLUMNS", "80").env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR");
    command
}

/// What a run left on standard output and standard error, and its exit code.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the binary.
pub fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Outcome {
    let output = massval().args(args).output().expect("the binary runs");
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8 on standard error"),
    }
}

/// A path as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Checks that a run fails as promised, and that its line holds all of `said`.
#[track_caller]
pub fn refused(args: &[&str], said: &[&str]) {
    let outcome = run(args);
    let line = outcome.stderr.trim_end_matches('\n');
    assert_eq!(outcome.code, Some(1), "{args:?}: {line}\n{}", outcome.stdout);
    assert!(line.starts_with("massval: "), "{args:?}: {line}");
    assert!(!line.contains('\n') && !line.contains("panicked"), "{args:?}: {line}");
    for part in said {
        assert!(line.contains(part), "{args:?}: no {part:?} in: {line}");
    }
}

/// Wrong usage: exit code 2, and what was wrong.
#[track_caller]
pub fn misused(args: &[&str], said: &[&str]) {
    let outcome = run(args);
    assert_eq!(outcome.code, Some(2), "{args:?}: {}", outcome.stderr);
    assert!(!outcome.stderr.contains("panicked"), "{args:?}: {}", outcome.stderr);
    for part in said {
        assert!(outcome.stderr.contains(part), "{args:?}: no {part:?} in: {}", outcome.stderr);
    }
}

/// Standard output of a run that must succeed.
pub fn succeed<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> String {
    let outcome = run(args);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome.stdout
}

/// Standard output of a run that must succeed, as JSON.
pub fn succeed_json<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Value {
    serde_json::from_str(&succeed(args)).expect("JSON on standard output")
}

/// The real model: none, with a note, where it was not fetched.
///
/// # Panics
/// If it was not fetched and `MASSVAL_REQUIRE_SMOLLM2` is set.
pub fn smollm2() -> Option<PathBuf> {
    let named = std::env::var_os(SMOLLM2).map(PathBuf::from);
    let path = named.unwrap_or_else(|| repository("models/SmolLM2-135M-Instruct.Q4_1.gguf"));
    if path.is_file() {
        return Some(path);
    }
    let note = format!("{} is not there; scripts/fetch-smollm2.sh brings it", path.display());
    assert!(std::env::var_os(REQUIRE_SMOLLM2).is_none(), "{note}");
    eprintln!("skipped: {note}");
    None
}

/// A file of JSON.
pub fn json(path: impl AsRef<Path>) -> Value {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The tensors of a file by name: shape and numbers. A bare array has the name "".
pub fn tensors(path: impl AsRef<Path>) -> BTreeMap<String, (Vec<usize>, Vec<f64>)> {
    let read = tensorfile::read(path.as_ref()).expect("a file of tensors");
    let numbers = |data: TensorData| match data {
        TensorData::F64(v) => v,
        TensorData::F32(v) => v.into_iter().map(f64::from).collect(),
        TensorData::I64(v) => v.into_iter().map(|x| x as f64).collect(),
        other => panic!("{}: {:?}", path.as_ref().display(), other.dtype()),
    };
    read.tensors.into_iter().map(|t| (t.name, (t.shape, numbers(t.data)))).collect()
}

/// A JSON list of numbers.
pub fn numbers(value: &Value) -> Vec<f64> {
    let number = |value: &Value| value.as_f64().expect("a number");
    value.as_array().expect("a list").iter().map(number).collect()
}

/// A JSON list of token ids.
pub fn ids(value: &Value) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().expect("an id") as u32;
    value.as_array().expect("a list").iter().map(id).collect()
}

/// The names in a folder, sorted.
pub fn listing(folder: impl AsRef<Path>) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("an entry").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}
