//! What the tables of the disruption experiment look like, and that they stay within their width.

use super::*;
use crate::testing::{disrupt, perplexity};

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

#[test]
fn disrupt_at_80_columns() {
    let text = disrupt_table(&disrupt(), 80, TableStyle::Unicode);
    assert!(widest(&text) <= 80, "{} columns:\n{text}", widest(&text));
    insta::assert_snapshot!(text);
}

#[test]
fn wide_terminals_show_all_tasks_side_by_side() {
    let text = disrupt_table(&disrupt(), 120, TableStyle::Unicode);
    assert!(widest(&text) <= 120, "{text}");
    let head = text.lines().find(|line| line.contains("passkey")).unwrap();
    assert!(["conflict", "cities", "capitals"].iter().all(|task| head.contains(task)), "{head}");
}

#[test]
fn an_unfinished_run_has_dashes_and_says_so() {
    let mut result = disrupt();
    result.cells.retain(|cell| cell.arm != "massive, k=8" || cell.task == "cities");
    result.complete = false;
    let text = disrupt_table(&result, 80, TableStyle::Unicode);
    assert!(text.contains("Incomplete: \"massive, k=8\" has 0 of 25"), "{text}");
    let row = text.lines().find(|line| line.starts_with("massive, k=8")).unwrap();
    assert_eq!(row.split_whitespace().filter(|word| *word == "–").count(), 2, "{row}");
}

#[test]
fn perplexity_at_80_columns() {
    let text = perplexity_table(&perplexity(), 80, TableStyle::Unicode);
    assert!(widest(&text) <= 80, "{} columns:\n{text}", widest(&text));
    insta::assert_snapshot!(text);
}

#[test]
fn markdown_of_both() {
    let both = disrupt_markdown(&disrupt()) + "\n" + &perplexity_markdown(&perplexity());
    insta::assert_snapshot!(both);
}

#[test]
fn csv_of_all() {
    let all = [disrupt_csv(&disrupt()), comparisons_csv(&disrupt()), perplexity_csv(&perplexity())];
    for text in &all {
        let fields = |line: &str| {
            let mut quoted = false;
            let commas = line.chars().filter(|c| {
                quoted ^= *c == '"';
                *c == ',' && !quoted
            });
            commas.count()
        };
        let header = fields(text.lines().next().unwrap());
        assert!(text.lines().all(|line| fields(line) == header), "{text}");
    }
    // Not the perplexities: the last digits of a logarithm are the platform's.
    insta::assert_snapshot!(all[..2].join("\n"));
}

#[test]
fn the_ascii_style_is_ascii() {
    for text in [
        disrupt_table(&disrupt(), 80, TableStyle::Ascii),
        perplexity_table(&perplexity(), 80, TableStyle::Ascii),
    ] {
        assert!(text.is_ascii(), "{text}");
    }
}

#[test]
fn long_and_hostile_names_stay_within_the_width() {
    let mut result = disrupt();
    let bait = "\u{1b}[2J an arm | whose <b> name ".repeat(5);
    for cell in result.cells.iter_mut().filter(|cell| cell.arm == "massive, k=1") {
        cell.arm = bait.clone();
    }
    result.arms[3].name = bait;
    result.provenance.model.path_or_name = "m".repeat(500);
    for text in [disrupt_table(&result, 80, TableStyle::Unicode), disrupt_markdown(&result)] {
        assert!(!text.contains('\u{1b}'), "{text}");
    }
    assert!(!disrupt_markdown(&result).contains(" <b>"));
    let text = disrupt_table(&result, 80, TableStyle::Unicode);
    assert!(widest(&text) <= 80, "{text}");
}

#[test]
fn a_result_without_tasks_still_prints() {
    let mut result = disrupt();
    result.tasks.clear();
    result.cells.clear();
    result.comparisons.clear();
    assert!(disrupt_table(&result, 80, TableStyle::Unicode).contains("massive, k=8"));
    assert!(disrupt_markdown(&result).contains("massive, k=8"));
}
