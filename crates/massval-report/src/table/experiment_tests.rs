//! What the tables of the disruption experiment look like, and that they stay within their width.

use super::*;
use crate::schema::SiteSelected;
use crate::testing::{disrupt, only_told, perplexity, sensitivity};

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
fn what_was_disrupted_stands_in_every_table() {
    let result = disrupt();
    let row = |text: &str, name: &str| {
        let (_, below) = text.split_once("rot_k").expect("the site");
        let line = below.lines().find(|line| line.contains(name)).expect("the arm");
        line.to_owned()
    };
    for text in [disrupt_table(&result, 80, TableStyle::Unicode), disrupt_markdown(&result)] {
        let line = row(&text, "massive, k=2");
        assert!(line.contains("2.00 (52.4)") && line.contains("2.00 (66.4)"), "{line}");
    }
    let csv = disrupt_csv(&result);
    let (header, _) = csv.split_once('\n').unwrap();
    let end = ",rot_q_channels,rot_q_share,rot_k_channels,rot_k_share";
    assert!(header.ends_with(end), "{header}");
    assert!(csv.lines().any(|line| line.starts_with("none,") && line.ends_with(",,,,")), "{csv}");
    let line = csv.lines().find(|line| line.starts_with("\"massive, k=2\",")).unwrap();
    assert!(line.contains(",2,0.523"), "{line}");
}

#[test]
fn many_sites_stand_in_blocks() {
    let mut result = disrupt();
    let like = result.arms[3].selected[0].clone();
    let named = |site: &str| SiteSelected { site: site.to_owned(), ..like.clone() };
    let sites = ["q", "k", "v", "q_normed", "rot_q", "rot_k", "a\u{1b}[2J site, nobody knows"];
    result.arms[3].selected = sites.map(named).to_vec();
    for width in [40, 80, 120] {
        let text = disrupt_table(&result, width, TableStyle::Unicode);
        assert!(width < 80 || widest(&text) <= width, "{width}: {text}");
        assert!(!text.contains('\u{1b}') && text.contains("q_normed"), "{text}");
        assert_eq!(text.matches("1.00 (31.0)").count(), sites.len(), "{text}");
    }
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

#[test]
fn sensitivity_at_80_columns() {
    for (name, result) in [("measured", sensitivity()), ("told", only_told())] {
        let text = sensitivity_table(&result, 80, TableStyle::Unicode);
        assert!(widest(&text) <= 80, "{} columns:\n{text}", widest(&text));
        insta::assert_snapshot!(format!("sensitivity_{name}_at_80_columns"), text);
    }
}
