//! What the tables look like, and that no result makes them wider than asked or unsafe to print.

use super::*;
use crate::testing::{detect, scan};

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

#[test]
fn scan_at_80_columns() {
    let text = scan_table(&scan(), 80, TableStyle::Unicode).unwrap();
    assert!(widest(&text) <= 80, "{} columns", widest(&text));
    insta::assert_snapshot!(text);
}

#[test]
fn scan_at_120_columns() {
    let text = scan_table(&scan(), 120, TableStyle::Unicode).unwrap();
    assert!(widest(&text) <= 120, "{} columns", widest(&text));
    insta::assert_snapshot!(text);
}

#[test]
fn the_ascii_style_is_ascii() {
    let text = scan_table(&scan(), 80, TableStyle::Ascii).unwrap();
    assert!(text.is_ascii(), "{text}");
}

#[test]
fn large_counts_still_fit_into_80_columns() {
    let mut scan = scan();
    scan.shape.layers = 126;
    for site in &mut scan.sites {
        site.layer += 122;
        site.summary.layer += 122;
    }
    for finding in &mut scan.findings {
        finding.layer += 122;
    }
    let busiest = scan.findings[0].clone();
    scan.findings.extend(std::iter::repeat_n(busiest, 2000));
    let text = scan_table(&scan, 80, TableStyle::Unicode).unwrap();
    assert!(widest(&text) <= 80, "{text}");
}

#[test]
fn detect_at_80_columns() {
    let text = detect_table(&detect(), 80, TableStyle::Unicode);
    assert!(widest(&text) <= 80, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn markdown() {
    insta::assert_snapshot!(scan_markdown(&scan()).unwrap());
}

#[test]
fn csv_has_a_line_for_each_number() {
    let scan = scan();
    let findings = findings_csv(&scan);
    assert_eq!(findings.lines().count(), 1 + scan.findings.len());
    assert!(findings.starts_with("layer,site,head,channel,norm,ratio,pair,period\n"));
    let norms = norms_csv(&scan);
    let count: usize = scan.sites.iter().map(|site| site.norms.len()).sum();
    assert_eq!(norms.lines().count(), 1 + count);
    let (last, site) = (norms.lines().last().unwrap(), scan.sites.last().unwrap());
    let norm = site.norms.last().unwrap();
    assert_eq!(last, format!("3,rot_k,{},{},{norm}", site.heads - 1, site.head_dim - 1));
}

#[test]
fn hostile_names_cannot_move_the_cursor() {
    let mut scan = scan();
    scan.provenance.model.path_or_name = "\u{1b}[2J\u{1b}]0;owned\u{7}.gguf".into();
    let hit = &mut scan.massive_activations.as_mut().unwrap().layers[2].hits[0];
    hit.piece = Some("\u{1b}[31m\r\n| <b>".into());
    for text in [scan_table(&scan, 80, TableStyle::Unicode).unwrap(), scan_markdown(&scan).unwrap()]
    {
        assert!(!text.contains(['\u{1b}', '\u{7}', '\r']), "{text:?}");
    }
    assert!(!scan_markdown(&scan).unwrap().contains(" <b>"));
}

#[test]
fn a_scan_that_found_nothing_says_so() {
    let mut scan = scan();
    scan.findings.clear();
    scan.massive_activations = None;
    let text = scan_table(&scan, 80, TableStyle::Unicode).unwrap();
    assert!(text.contains("No massive values."), "{text}");
}
