//! The page holds what it should, runs no script, and nothing that a file says becomes markup.

use super::*;
use crate::testing::disrupt;

fn page() -> String {
    disrupt_page(&disrupt()).unwrap()
}

#[test]
fn the_page_is_whole_and_needs_nothing_else() {
    let page = page();
    assert!(!page.contains("{{") && !page.contains("}}\n"));
    assert!(page.ends_with("</html>\n") && page.contains("default-src 'none'"));
    for reference in ["http:", "https:", "src=", "@import", "url(", "<script"] {
        assert!(!page.contains(reference), "{reference}");
    }
}

#[test]
fn every_tag_is_closed() {
    let page = page();
    for tag in ["table", "tr", "td", "svg", "figure", "section", "details", "dl", "dd", "small"] {
        let open =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(open, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn each_arm_has_a_bar_on_each_task() {
    let (page, result) = (page(), disrupt());
    assert_eq!(page.matches("role=\"img\"").count(), result.arms.len() * result.tasks.len());
    assert!(page.contains("<rect class=\"massive\" x=\"0\" y=\"3\" width=\"92.00%\""));
    assert!(page.contains("aria-label=\"massive, k=1: 92.0 [75.0–97.8]\""));
    assert_eq!(page.matches("class=\"mark\"").count(), 3 * result.arms.len());
}

#[test]
fn effects_stand_apart_from_the_rest() {
    let page = page();
    let (_, comparisons) = page.split_once("<h3>Effects</h3>").unwrap();
    let (effects, others) = comparisons.split_once("<h3>No effect shown</h3>").unwrap();
    assert!(effects.contains("-100.0<small>"), "{effects}");
    assert!(others.contains("The interval holds 0."));
    let mut result = disrupt();
    result.comparisons.retain(|comparison| !comparison.effect);
    assert!(disrupt_page(&result).unwrap().contains("No comparison earns"));
}

#[test]
fn what_was_disrupted_is_a_table() {
    let page = page();
    let (_, arms) = page.split_once("<h2 id=\"h-arms\">").unwrap();
    assert!(arms.contains("<th scope=\"col\">rot_k</th>"), "{arms}");
    assert!(arms.contains("<td>2.00 (52.4)</td><td>2.00 (66.4)</td>"), "{arms}");
}

#[test]
fn limits_stand_at_the_top() {
    let page = page();
    let (header, _) = page.split_once("</header>").unwrap();
    assert!(header.contains("<p class=\"alert\">At chance: on cities"), "{header}");
}

#[test]
fn what_was_not_run_is_a_dash() {
    let mut result = disrupt();
    result.cells.retain(|cell| cell.arm != "massive, k=8");
    result.complete = false;
    result.progress = crate::schema::Progress::of(&result.arms, &result.tasks, &result.cells);
    let page = disrupt_page(&result).unwrap();
    assert!(page.contains("aria-label=\"massive, k=8: not run\"") && page.contains("Incomplete:"));
}

#[test]
fn hostile_text_stays_text() {
    let mut result = disrupt();
    let bait = "</style><script>alert(1)</script><img src=x onerror=\"alert(2)\">{{style}}";
    result.provenance.model.path_or_name = bait.into();
    result.arms[1].sentence = bait.into();
    result.arms[1].intervention = Some(serde_json::json!({ bait: [bait, "a\nb"] }));
    result.tasks[0].identity = bait.into();
    result.tasks[0].item = bait.into();
    result.comparisons[0].verdict = bait.into();
    for cell in result.cells.iter_mut().filter(|cell| cell.arm == "bottom, k=1") {
        cell.arm = bait.into();
    }
    result.arms[1].name = bait.into();
    let page = disrupt_page(&result).unwrap();
    assert!(!page.contains("<img") && !page.contains("<script") && !page.contains("onerror=\""));
    assert_eq!(page.matches("</style>").count(), 1);
}

#[test]
fn a_contradictory_result_gives_no_page() {
    let mut result = disrupt();
    result.cells[0].score.accuracy = 0.1;
    assert!(disrupt_page(&result).is_err());
}
