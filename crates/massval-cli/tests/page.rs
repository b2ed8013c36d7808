//! The pages that a scan, an experiment and a ranking of layers write, in a real browser: controls work, and
//! they fit narrow and wide windows.

mod common;

use std::path::Path;
use std::process::Command;

use common::{fixture, repository, smollm2, succeed};
use tempfile::tempdir;

/// The environment variable that makes a missing browser a failure.
const REQUIRE_CHROMIUM: &str = "MASSVAL_REQUIRE_CHROMIUM";

/// Whether there is a browser; where there is none, a note says so.
///
/// # Panics
/// If there is none and `MASSVAL_REQUIRE_CHROMIUM` is set.
fn browser() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path)
        .any(|folder| ["chromium", "google-chrome"].iter().any(|name| folder.join(name).is_file()));
    if there || std::env::var_os("CHROMIUM").is_some() {
        return true;
    }
    let note = "no chromium on the path; CHROMIUM names another";
    assert!(std::env::var_os(REQUIRE_CHROMIUM).is_none(), "{note}");
    eprintln!("skipped: {note}");
    false
}

/// Scans a model and lets the page test itself.
fn check(model: &Path, text: &str) {
    let out = tempdir().unwrap();
    let (model, folder) = (model.to_str().unwrap(), out.path().to_str().unwrap());
    succeed(["scan", model, "--prompt", text, "--out", folder]);
    fits(&out.path().join("scan.html"));
}

/// Opens a page.
fn fits(page: &Path) {
    let html = std::fs::read_to_string(page).unwrap();
    for outside in ["src=\"http", "href=\"http", "url(http", "@import"] {
        assert!(!html.contains(outside), "the page needs {outside}");
    }
    let output = Command::new("bash")
        .arg(repository("scripts/check-page.sh"))
        .arg(page)
        .output()
        .expect("bash runs");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_page_of_an_experiment() {
    if browser() {
        let out = tempdir().unwrap();
        let (model, folder) = (fixture("gguf-llama/f32.gguf"), out.path().to_str().unwrap());
        let model = model.to_str().unwrap();
        let asked = ["--task", "capitals", "--task", "cities", "--limit", "6", "--k", "1,2"];
        let how = ["--op", "joint-mean,zero", "--sites", "q,k,v,rot_q,rot_k"];
        succeed([&["disrupt", model, "--out", folder][..], &asked, &how].concat());
        let page = out.path().join("disrupt.html");
        fits(&page);
        // The check can fail.
        let html = std::fs::read_to_string(&page).unwrap();
        let wide = html.replace("</main>", "<p style=\"width:900px\">wide</p></main>");
        std::fs::write(&page, wide).unwrap();
        let check = repository("scripts/check-page.sh");
        let failed = Command::new("bash").arg(check).arg(&page).output().expect("bash runs");
        let said = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert_eq!(failed.status.code(), Some(1), "{said}");
        assert!(
            said.contains("width 400: FAILED") && !said.contains("width 1400: FAILED"),
            "{said}"
        );
    }
}

#[test]
fn the_pages_of_layers_ranked_before_and_after() {
    if browser() {
        let (text, out) = (fixture("text/natural.txt"), tempdir().unwrap());
        let asked =
            ["sensitivity", "rope-small", "--text", text.to_str().unwrap(), "--windows", "1"];
        let folder = out.path().to_str().unwrap();
        for how in [&["--linears", "--measure"][..], &[]] {
            succeed([&asked[..], how, &["--out", folder]].concat());
            fits(&out.path().join("sensitivity.html"));
        }
    }
}

#[test]
fn the_page_of_a_small_model() {
    if browser() {
        check(&fixture("gguf-llama/f32.gguf"), "the hen, the 3 eggs; 1024 hellos");
        check(&fixture("gguf-llama/mixed.gguf"), "the hens");
    }
}

#[test]
fn the_page_of_a_real_model() {
    if let (true, Some(model)) = (browser(), smollm2()) {
        check(&model, "The old lighthouse at the edge of the village had been dark for years.");
    }
}
