//! `massval detect` on files that hold more than tensors.

mod common;

use common::{arg, fixture, run, succeed_json};

#[test]
fn what_is_not_judged_is_told() {
    let file = fixture("tensor-files/dict-others.pt");
    let args = ["detect", arg(&file), "--layout", "hsd"];
    let outcome = run(args);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(
        outcome.stderr,
        "skipped 5 entries: dict-others.pt:empty (no tensor), dict-others.pt:list.0 (no tensor), \
         dict-others.pt:losses (no tensor), dict-others.pt:state.lr (no tensor), \
         dict-others.pt:step (no tensor)\n"
    );
    let result = succeed_json(args.iter().chain(&["--json"]));
    assert_eq!(result["skipped"].as_array().map(Vec::len), Some(5));
    assert_eq!(result["tensors"].as_array().map(Vec::len), Some(2));
}

#[test]
fn tensors_of_other_axes_are_told_and_names_leave_out_in_silence() {
    let file = fixture("tensor-files/two.npz");
    let outcome = run(["detect", arg(&file), "--layout", "hsd"]);
    assert_eq!(outcome.stderr, "skipped 1 entry: two.npz:ids (1 axis)\n");
    let outcome = run(["detect", arg(&file), "--layout", "hsd", "--name", "q"]);
    assert_eq!(outcome.stderr, "");
    assert_eq!(outcome.code, Some(0));
}
