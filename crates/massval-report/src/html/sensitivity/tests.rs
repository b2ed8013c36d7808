//! The page holds what it should, runs no script, and nothing that a file says becomes markup.

use super::*;
use crate::testing::{only_told, sensitivity};

fn page() -> String {
    sensitivity_page(&sensitivity()).unwrap()
}

/// What stands between the header and the run.
fn body(page: &str) -> &str {
    let (_, body) = page.split_once("<body>\n").unwrap();
    body.split_once("<section aria-labelledby=\"h-run\">").unwrap().0
}

#[test]
fn what_was_told_and_what_was_done() {
    insta::assert_snapshot!(body(&page()));
}

#[test]
fn what_was_told_alone() {
    insta::assert_snapshot!(body(&sensitivity_page(&only_told()).unwrap()));
}

#[test]
fn the_page_is_whole_and_needs_nothing_else() {
    for result in [sensitivity(), only_told()] {
        let page = sensitivity_page(&result).unwrap();
        assert!(!page.contains("{{") && !page.contains("}}\n"));
        assert!(page.ends_with("</html>\n") && page.contains("default-src 'none'"));
        for reference in ["http:", "https:", "src=", "@import", "url(", "<script"] {
            assert!(!page.contains(reference), "{reference}");
        }
        for tag in ["table", "tr", "th", "td", "svg", "figure", "section", "p", "div", "small"] {
            let open = page.matches(&format!("<{tag}>")).count()
                + page.matches(&format!("<{tag} ")).count();
            assert_eq!(open, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}

#[test]
fn every_prediction_that_is_judged_has_a_strip_and_a_picture() {
    let (page, result) = (page(), sensitivity());
    let judged = result.agreement.len();
    assert_eq!(page.matches("role=\"img\"").count(), 2 * judged);
    assert_eq!(page.matches("<title>layer 5</title>").count(), judged);
    assert!(page.contains("<circle class=\"told\" cx=\"97.00%\""));
    assert!(page.contains("<circle class=\"reversed\" cx=\"11.50%\""));
    assert!(page.contains("aria-label=\"massive values: -0.12, -0.91 to 0.84\""));
    // Layer 5 has the widest weights and the most damage: it stands in the upper right.
    assert!(page.contains("<circle cx=\"207.3\" cy=\"22.7\" r=\"5\"><title>layer 5</title>"));
}

#[test]
fn without_rank_correlations_the_page_says_why() {
    let mut result = sensitivity();
    result.agreement.clear();
    let page = sensitivity_page(&result).unwrap();
    assert!(page.contains("No rank correlation for massive values, massive share, kurtosis"));
    assert!(!page.contains("h-ranks") && !page.contains("class=\"bar\""));
}

#[test]
fn what_is_the_same_for_all_has_no_shade() {
    let mut result = sensitivity();
    result.units.iter_mut().for_each(|unit| unit.before.massive_values = Some(0.0));
    result.units[3].before.massive_share = None;
    let page = sensitivity_page(&result).unwrap();
    assert_eq!(page.matches("<td>0</td>").count(), 6);
    assert!(page.contains("<td>–</td>"));
}

#[test]
fn hostile_text_stays_text() {
    let mut result = sensitivity();
    let bait = "</style><script>alert(1)</script><img src=x onerror=\"alert(2)\">{{style}}";
    result.provenance.model.path_or_name = bait.into();
    result.text = bait.into();
    result.scheme = serde_json::json!({ bait: bait });
    result.units[0].name = bait.into();
    result.agreement[0].predictor = bait.into();
    let page = sensitivity_page(&result).unwrap();
    assert!(!page.contains("<img") && !page.contains("<script") && !page.contains("onerror=\""));
    assert_eq!(page.matches("</style>").count(), 1);
}

#[test]
fn a_contradictory_result_gives_no_page() {
    let mut result = sensitivity();
    result.perplexity = None;
    assert!(sensitivity_page(&result).is_err());
}
