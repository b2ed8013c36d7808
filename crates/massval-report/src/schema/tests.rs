//! Result files are read back as they were written, and what is wrong with one is named.

use super::*;
use crate::testing::scan;

fn rejected(change: impl FnOnce(&mut ScanResult)) -> String {
    let mut scan = scan();
    change(&mut scan);
    scan.validate().unwrap_err().to_string()
}

#[test]
fn a_written_scan_reads_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.json");
    let scan = scan();
    scan.write(&path).unwrap();
    let read = ScanResult::read(&path).unwrap();
    for (a, b) in scan.sites.iter().zip(&read.sites) {
        assert_eq!(a.norms, b.norms, "norms survive bit by bit");
    }
    assert_eq!(scan.findings.len(), read.findings.len());
    assert_eq!(scan.provenance, read.provenance);
    assert_eq!(scan.totals, read.totals);
}

#[test]
fn a_result_has_a_line_for_each_field_and_site() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.json");
    let scan = scan();
    scan.write(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("{\n  \"schema_version\": 1,\n  \"kind\": \"scan\","));
    let sites =
        text.lines().filter(|line| line.starts_with("    {\"layer\":") && line.contains("norms"));
    assert_eq!(sites.count(), scan.sites.len());
}

#[test]
fn totals_are_the_sums_of_the_findings() {
    let scan = scan();
    assert_eq!(SiteTotal::of(&scan.sites, &scan.findings), scan.totals);
}

#[test]
fn other_versions_and_kinds_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scan.json");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        ScanResult::read(&path).unwrap_err().to_string()
    };
    let newer = read(r#"{"schema_version": 7, "kind": "scan"}"#);
    assert!(newer.contains("scan.json") && newer.contains("version 7"), "{newer}");
    let other = read(r#"{"schema_version": 1, "kind": "detect", "x": 1}"#);
    assert!(other.contains("`detect`") && other.contains("`scan`"), "{other}");
    assert!(read("[1, 2").contains("scan.json"));
    assert!(read(r#"{"schema_version": 1, "kind": "scan"}"#).contains("missing field"));
}

#[test]
fn contradictions_are_refused_by_field() {
    let cases = [
        rejected(|s| {
            s.sites[2].norms.pop();
        }),
        rejected(|s| s.sites[2].norms[3] = f32::NAN),
        rejected(|s| s.sites[2].norms[3] = -1.0),
        rejected(|s| s.sites[2].heads = usize::MAX),
        rejected(|s| s.sites[2].layer = 99),
        rejected(|s| s.sites[2] = s.sites[1].clone()),
        rejected(|s| s.sites[2].summary.top_channel = 64),
    ];
    for error in cases {
        assert!(error.contains("sites[2]"), "{error}");
    }
    let finding = rejected(|s| s.findings[1].head = 9);
    assert!(finding.contains("findings[1]") && finding.contains("head 9"), "{finding}");
    let nowhere = rejected(|s| s.findings[0].site = "z".to_owned());
    assert!(nowhere.contains("findings[0]") && nowhere.contains("`z`"), "{nowhere}");
    assert!(rejected(|s| s.counted.end = 201).contains("counted"));
    assert!(rejected(|s| s.schema_version = 2).contains("schema_version"));
    assert!(rejected(|s| s.shape.head_dim = 32).contains("shape.rope"));
    let hits = rejected(|s| s.massive_activations.as_mut().unwrap().layers[0].exists = true);
    assert!(hits.contains("massive_activations.layers[0]"), "{hits}");
}

#[test]
fn unknown_fields_are_not_ignored() {
    let text = serde_json::to_string(&scan()).unwrap().replacen("\"device\"", "\"devise\"", 1);
    let error = serde_json::from_str::<ScanResult>(&text).unwrap_err().to_string();
    assert!(error.contains("devise"), "{error}");
}
