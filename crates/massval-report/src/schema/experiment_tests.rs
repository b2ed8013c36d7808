//! Results of `disrupt` and `perplexity` are read back as they were written, and what is wrong with
//! one is named.

use super::*;
use crate::testing::{disrupt, perplexity, scan, wilson};

fn rejected(change: impl FnOnce(&mut DisruptResult)) -> String {
    let mut result = disrupt();
    change(&mut result);
    result.validate().unwrap_err().to_string()
}

fn rejected_perplexity(change: impl FnOnce(&mut PerplexityResult)) -> String {
    let mut result = perplexity();
    change(&mut result);
    result.validate().unwrap_err().to_string()
}

#[test]
fn written_results_read_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.json");
    let result = disrupt();
    result.write(&path).unwrap();
    assert_eq!(DisruptResult::read(&path).unwrap(), result);
    assert_eq!(AnyResult::read(&path).unwrap(), AnyResult::Disrupt(Box::new(result)));
    let result = perplexity();
    result.write(&path).unwrap();
    assert_eq!(PerplexityResult::read(&path).unwrap(), result);
    assert_eq!(AnyResult::read(&path).unwrap().kind(), ResultKind::Perplexity);
}

#[test]
fn a_wrong_result_leaves_the_older_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.json");
    disrupt().write(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let mut wrong = disrupt();
    wrong.cells[0].metrics.kl_nats = Some(f64::INFINITY);
    assert!(wrong.write(&path).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn other_kinds_and_versions_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.json");
    scan().write(&path).unwrap();
    assert_eq!(AnyResult::read(&path).unwrap().kind(), ResultKind::Scan);
    let error = DisruptResult::read(&path).unwrap_err().to_string();
    assert!(error.contains("name a file that `massval disrupt` wrote"), "{error}");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        AnyResult::read(&path).unwrap_err().to_string()
    };
    let newer = read(r#"{"schema_version": 2, "kind": "disrupt"}"#);
    assert!(newer.contains("with the massval that wrote it"), "{newer}");
    let unknown = read(r#"{"schema_version": 1, "kind": "layers"}"#);
    assert!(unknown.contains("`layers`") && unknown.contains("does not know"), "{unknown}");
}

#[test]
fn arms_must_make_sense() {
    let twice = rejected(|r| r.arms[1].name = "none".into());
    assert!(twice.contains("arms[1].name"), "{twice}");
    let silent = rejected(|r| r.arms[3].intervention = None);
    assert!(silent.contains("arms[3].intervention") && silent.contains("`massive`"), "{silent}");
    let two = rejected(|r| {
        r.arms[1].intervention = None;
        r.arms[1].role = ArmRole::None;
    });
    assert!(two.contains("arms[1].role"), "{two}");
    let more = rejected(|r| r.arms[3].selected[1].share = 1.5);
    assert!(more.contains("`arms[3].selected[1].share`: is 1.5"), "{more}");
    let busy = rejected(|r| r.arms[0].intervention = Some(serde_json::json!({})));
    assert!(busy.contains("arms[0].intervention"), "{busy}");
}

#[test]
fn cells_must_agree_with_arms_tasks_and_themselves() {
    let cases = [
        (rejected(|r| r.cells[2].arm = "nobody".into()), "`nobody`"),
        (rejected(|r| r.cells[2].task = "nothing".into()), "`nothing`"),
        (rejected(|r| r.cells[2] = r.cells[1].clone()), "twice"),
        (rejected(|r| r.cells[2].score.correct = 41), "cells[2].score.correct"),
        (rejected(|r| r.cells[2].score.accuracy = f64::NAN), "cells[2].score.accuracy"),
        (rejected(|r| r.cells[2].score.accuracy = 0.5), "cells[2].score.accuracy"),
        (rejected(|r| r.cells[2].score.interval.low = 0.99), "cells[2].score.interval"),
        (rejected(|r| r.cells[2].metrics.margin_nats = Some(f64::NAN)), "margin_nats"),
        (rejected(|r| r.cells[1].metrics.top1_agreement = Some(1.5)), "top1_agreement"),
        (rejected(|r| r.tasks[2].items = 39), "cells[2].score.n"),
        (rejected(|r| r.tasks[0].chance = Some(50.0)), "tasks[0].chance"),
        (rejected(|r| r.tasks[1].name = "cities".into()), "tasks[1].name"),
        (
            rejected(|r| {
                let reference = Score::new(3, 24, wilson(3, 24)).unwrap();
                r.cells[1].metrics.reference = Some(reference);
            }),
            "cells[1].metrics.reference.n",
        ),
        (
            rejected(|r| r.cells[1].metrics.perplexity.as_mut().unwrap().definition.clear()),
            "cells[1].metrics.perplexity",
        ),
        (
            rejected(|r| {
                let diversity = r.cells[1].metrics.diversity.as_mut().unwrap();
                diversity.interval = Some(Interval { low: 0.9, high: 0.1 });
            }),
            "cells[1].metrics.diversity.interval",
        ),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn comparisons_must_follow_from_their_counts() {
    let cases = [
        (rejected(|r| r.comparisons[1].against = "nobody".into()), "`nobody`"),
        (rejected(|r| r.comparisons[1].difference = 0.08), "comparisons[1].difference"),
        (rejected(|r| r.comparisons[1].only_arm = usize::MAX), "comparisons[1].n"),
        (rejected(|r| r.comparisons[1].p = -0.1), "comparisons[1].p"),
        (rejected(|r| r.comparisons[1].interval.low = f64::NAN), "comparisons[1].interval.low"),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn an_unfinished_run_must_say_so() {
    let claims = rejected(|r| {
        r.cells.pop();
        r.progress = Progress::of(&r.arms, &r.tasks, &r.cells);
    });
    assert!(claims.contains("`complete`") && claims.contains("1990 of 2070"), "{claims}");
    assert!(rejected(|r| r.progress.items_done -= 1).contains("progress"));
    let mut honest = disrupt();
    honest.cells.pop();
    honest.progress = Progress::of(&honest.arms, &honest.tasks, &honest.cells);
    honest.complete = false;
    honest.validate().unwrap();
}

#[test]
fn perplexities_must_follow_from_their_windows() {
    let cases = [
        (rejected_perplexity(|r| r.arms[3].perplexity = 57.0), "arms[3].perplexity"),
        (rejected_perplexity(|r| r.arms[3].mean_nll = f64::NAN), "arms[3].mean_nll"),
        (rejected_perplexity(|r| r.arms[3].mean_nll = 1e9), "arms[3].perplexity"),
        (rejected_perplexity(|r| r.arms[3].windows[1].tokens = usize::MAX), "arms[3].tokens"),
        (rejected_perplexity(|r| r.arms[3].windows.clear()), "arms[3].tokens"),
        (rejected_perplexity(|r| r.arms.clear()), "arms"),
        (rejected_perplexity(|r| r.definition = " ".into()), "definition"),
        (rejected_perplexity(|r| r.confidence = 95.0), "confidence"),
        (rejected_perplexity(|r| r.window.stride = 0), "window"),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn chance_is_judged_by_the_baseline() {
    let result = disrupt();
    let task = |name: &str| result.tasks.iter().find(|task| task.name == name).unwrap();
    assert!(result.at_chance(task("cities")).is_some(), "104 of 200");
    assert!(result.at_chance(task("conflict")).is_none(), "37 of 40");
    assert!(result.at_chance(task("passkey")).is_none(), "no chance level is known");
    let names: Vec<_> = result.tasks_by_side().iter().map(|task| task.name.as_str()).collect();
    assert_eq!(names, ["passkey", "conflict", "cities", "capitals"]);
}

#[test]
fn unknown_fields_are_not_ignored() {
    let text = serde_json::to_string(&disrupt()).unwrap().replacen("\"kl_nats\"", "\"kl\"", 1);
    let error = serde_json::from_str::<DisruptResult>(&text).unwrap_err().to_string();
    assert!(error.contains("`kl`"), "{error}");
}
