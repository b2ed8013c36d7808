//! Rank before against rank after, a small picture for each prediction.

use crate::html::elements::push;
use crate::html::escape::html;
use crate::schema::{Agreement, SensitivityResult, SensitivityUnit};
use crate::sensitivity;
use crate::words::short;

/// Side of the field that the points stand in.
const SIDE: f64 = 200.0;
/// Left and upper edge of the field.
const EDGE: [f64; 2] = [24.0, 6.0];
/// From so many points on they are small.
const MANY: usize = 60;

/// The section; empty where nothing has a rank correlation.
pub(super) fn section(result: &SensitivityResult) -> String {
    let agreements = sensitivity::agreements(result);
    if agreements.is_empty() {
        return String::new();
    }
    let thing = sensitivity::thing(result);
    let mut out = format!(
        "<section aria-labelledby=\"h-ranks\">\n<h2 id=\"h-ranks\">Rank before against rank after</h2>\n\
         <p class=\"soft\">A dot is a {thing}. On the dashed line are those whose damage has the rank that was told.</p>\n\
         <div class=\"scatters\">\n"
    );
    for agreement in agreements {
        out += &panel(result, agreement, thing);
    }
    out + "</div>\n</section>\n\n"
}

fn panel<'a>(result: &'a SensitivityResult, agreement: &Agreement, thing: &str) -> String {
    let name = html(&sensitivity::predictor(&agreement.predictor));
    let rho = short(agreement.spearman);
    let both = |unit: &'a SensitivityUnit| {
        Some((unit, unit.before.get(&agreement.predictor)?, unit.after?.kl_nats))
    };
    let units: Vec<_> = result.units.iter().filter_map(both).collect();
    let told = sensitivity::ranks(&units.iter().map(|unit| unit.1).collect::<Vec<_>>());
    let done = sensitivity::ranks(&units.iter().map(|unit| unit.2).collect::<Vec<_>>());
    let [left, top] = EDGE;
    let (right, bottom) = (left + SIDE, top + SIDE);
    let mut out = format!(
        "<figure><figcaption><b>{name}</b> <span class=\"soft\">rho = {rho}</span></figcaption>\n\
         <svg role=\"img\" viewBox=\"0 0 230 226\" aria-label=\"{name} against KL, ranks of {} {thing}s, rho {rho}\">\
         <rect x=\"{left}\" y=\"{top}\" width=\"{SIDE}\" height=\"{SIDE}\"/>\
         <line x1=\"{left}\" y1=\"{bottom}\" x2=\"{right}\" y2=\"{top}\"/>",
        units.len()
    );
    let radius = if units.len() < MANY { 5 } else { 3 };
    let along = |rank: f64| SIDE * (rank - 0.5) / units.len().max(1) as f64;
    for ((unit, ..), (told, done)) in units.iter().zip(told.iter().zip(&done)) {
        push(
            &mut out,
            format_args!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\"><title>{}</title></circle>",
                left + along(*told),
                bottom - along(*done),
                html(&unit.name)
            ),
        );
    }
    let (middle, under) = (left + SIDE / 2.0, bottom + 14.0);
    for (at, anchor, text) in
        [(left, "start", "lowest"), (middle, "middle", name.as_str()), (right, "end", "highest")]
    {
        push(
            &mut out,
            format_args!("<text x=\"{at}\" y=\"{under}\" text-anchor=\"{anchor}\">{text}</text>"),
        );
    }
    for (at, anchor, text) in
        [(bottom, "start", "least"), (top + SIDE / 2.0, "middle", "KL"), (top, "end", "most")]
    {
        push(
            &mut out,
            format_args!(
                "<text transform=\"translate({} {at}) rotate(-90)\" text-anchor=\"{anchor}\">{text}</text>",
                left - 8.0
            ),
        );
    }
    out + "</svg></figure>\n"
}
