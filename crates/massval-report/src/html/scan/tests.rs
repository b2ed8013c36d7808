//! The page holds what it should, and nothing that a model says becomes markup.

use super::*;
use crate::testing::scan;

fn page() -> String {
    scan_page(&scan()).unwrap()
}

/// The data block as the script will read it.
fn embedded(page: &str) -> serde_json::Value {
    let start = "<script type=\"application/json\" id=\"scan-data\">";
    let (_, rest) = page.split_once(start).unwrap();
    let (json, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(json).unwrap()
}

#[test]
fn every_placeholder_is_filled() {
    let page = page();
    let markup = page.split_once("<script").unwrap().0;
    assert!(!markup.contains("{{") && !markup.contains("}}"));
    assert!(page.ends_with("</html>\n"));
}

#[test]
fn the_page_needs_no_network() {
    let page = page();
    for reference in ["http:", "https:", "src=", "@import", "url(", "fetch(", "import("] {
        assert!(!page.contains(reference), "{reference}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn the_data_block_holds_every_norm_and_finding() {
    use base64::Engine;
    let scan = scan();
    let data = embedded(&page());
    let sites = data["sites"].as_array().unwrap();
    assert_eq!(sites.len(), scan.sites.len());
    for (embedded, site) in sites.iter().zip(&scan.sites) {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(embedded["norms"].as_str().unwrap())
            .unwrap();
        let norms: Vec<f32> =
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(norms, site.norms);
    }
    assert_eq!(data["findings"].as_array().unwrap().len(), scan.findings.len());
    assert_eq!(data["families"].as_array().unwrap().len(), 3);
    assert_eq!(data["partner"][1], 33);
    assert_eq!(data["slow"][16], true);
}

#[test]
fn hostile_text_stays_text() {
    let mut scan = scan();
    let bait = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{data}}";
    scan.provenance.model.path_or_name = bait.into();
    scan.provenance.input.pieces.as_mut().unwrap()[0] = bait.into();
    scan.massive_activations.as_mut().unwrap().layers[2].hits[0].piece = Some(bait.into());
    for site in scan.sites.iter_mut().filter(|site| site.site == "v") {
        site.site = bait.into();
        site.summary.site = bait.into();
    }
    scan.findings.retain(|finding| finding.site != "v");
    scan.totals.iter_mut().filter(|t| t.site == "v").for_each(|t| t.site = bait.into());
    let page = scan_page(&scan).unwrap();
    assert!(!page.contains("<img") && !page.contains("<script>alert"));
    assert_eq!(page.matches("</script>").count(), 2, "one for the data, one for the code");
    assert!(embedded(&page)["siteNames"].as_array().unwrap().iter().any(|name| name == bait));
}

#[test]
fn the_tables_can_be_read_without_javascript() {
    let page = page();
    let markup = page.split_once("id=\"scan-data\"").unwrap().0;
    assert!(markup.contains("<noscript>"));
    assert!(markup.contains("Massive activations: 2 entries in 2 layers"));
    assert!(markup.contains("<tr><th scope=\"row\">3</th>"));
}

#[test]
fn sections_come_and_go_with_the_result() {
    let mut scan = scan();
    scan.massive_activations = None;
    scan.shape.rope = None;
    scan.findings.clear();
    let page = scan_page(&scan).unwrap();
    assert!(!page.contains("h-activations"));
    assert_eq!(embedded(&page)["families"][0]["rotary"], false);
}

#[test]
fn a_contradictory_result_gives_no_page() {
    let mut scan = scan();
    scan.sites[0].norms.clear();
    assert!(scan_page(&scan).is_err());
}
