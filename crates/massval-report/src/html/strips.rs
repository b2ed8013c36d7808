//! Values on horizontal strips. Lengths are in percent of the width, so a strip fits every screen
//! and its text keeps its size.

use super::elements::push;

/// An interval's line with its two ends.
pub(super) fn interval(out: &mut String, low: f64, high: f64) {
    // A halo in the paper's colour keeps the line visible on a dark bar.
    for class in ["halo", "interval"] {
        line(out, class, (low, high), (11, 11));
        line(out, class, (low, low), (7, 15));
        line(out, class, (high, high), (7, 15));
    }
}

/// A dashed line across the strip: what a value is to be compared with.
pub(super) fn mark(out: &mut String, at: f64) {
    line(out, "mark", (at, at), (0, 22));
}

fn line(out: &mut String, class: &str, (x1, x2): (f64, f64), (y1, y2): (u32, u32)) {
    push(
        out,
        format_args!(
            "<line class=\"{class}\" x1=\"{x1:.2}%\" x2=\"{x2:.2}%\" y1=\"{y1}\" y2=\"{y2}\"/>"
        ),
    );
}

/// The numbers under strips, at equal distances from the left end to the right; labels of the strips
/// hold the values for those who hear the page.
pub(super) fn axis(ticks: &[&str], unit: &str) -> String {
    let last = ticks.len().saturating_sub(1).max(1);
    let mut svg = String::new();
    for (i, tick) in ticks.iter().enumerate() {
        let at = 100 * i / last;
        push(
            &mut svg,
            format_args!("<text x=\"{at}%\" y=\"12\" text-anchor=\"middle\">{tick}</text>"),
        );
    }
    format!(
        "<div class=\"bar axis\" aria-hidden=\"true\"><span></span><svg>{svg}</svg><span class=\"value\">{unit}</span></div>\n"
    )
}
