//! The tables, strips and notes of the page.

use crate::experiment::percent_level;
use crate::html::elements::{body_cells, opening_row, push, scroll};
use crate::html::escape::html;
use crate::html::strips::{axis, interval, mark};
use crate::schema::{Agreement, Interval, Predictors, SensitivityResult, SensitivityUnit};
use crate::sensitivity::{self, AFTER, BEFORE, Foretold};
use crate::words::short;

/// Shades of a column, the first of which is none.
const SHADES: f64 = 5.0;

/// What the reader must know first, in boxes.
pub(super) fn notes(result: &SensitivityResult) -> String {
    if sensitivity::measured(result) {
        return String::new();
    }
    format!(
        "<p class=\"alert\">Told, not measured: no {} was rounded in the model. Whether these numbers foretell the \
         damage here is not known; <code>massval sensitivity --measure</code> rounds each and compares.</p>\n",
        sensitivity::thing(result)
    )
}

/// The title of the table.
pub(super) fn units_title(result: &SensitivityResult) -> String {
    let thing = sensitivity::thing(result);
    match sensitivity::measured(result) {
        true => format!("Told before, and done by rounding: the most damaged {thing}s first"),
        false => format!("Told before: the {thing}s of the largest output error first"),
    }
}

/// What the colours of the table's cells mean.
pub(super) fn shading(result: &SensitivityResult) -> &'static str {
    match sensitivity::measured(result) {
        true => {
            "A cell's colour is the stronger the higher it ranks in its column; of the correlation of \
             logits, the lower."
        }
        false => "A cell's colour is the stronger the higher it ranks in its column.",
    }
}

/// A row for each layer or linear, its cells shaded by their ranks in the columns.
pub(super) fn units(result: &SensitivityResult) -> String {
    let units = sensitivity::ranked(result);
    let measured = sensitivity::measured(result);
    let mut out = scroll("Layers or linears, what was told of them and what rounding them did");
    out += &heads(result, measured);
    let told: Vec<Vec<Option<usize>>> = (Predictors::NAMES.iter())
        .map(|name| shades(&units, |unit| unit.before.get(name)))
        .collect();
    let done = [
        shades(&units, |unit| Some(unit.after?.kl_nats)),
        shades(&units, |unit| Some(unit.after?.perplexity)),
        shades(&units, |unit| Some(-unit.after?.score_correlation?)),
    ];
    for (i, unit) in units.iter().enumerate() {
        let row = format_args!("<tr><th scope=\"row\" class=\"text\">{}</th>", html(&unit.name));
        push(&mut out, row);
        cells(&mut out, 't', &sensitivity::predictor_cells(&unit.before), &told, i);
        if measured {
            cells(&mut out, 'd', &sensitivity::damage_cells(unit.after.as_ref()), &done, i);
        }
        out += "</tr>\n";
    }
    out + "</tbody></table></div>\n"
}

fn heads(result: &SensitivityResult, measured: bool) -> String {
    let mut out = format!(
        "<table><thead><tr><th rowspan=\"2\" scope=\"col\" class=\"text\">{}</th>\
         <th colspan=\"{}\" scope=\"colgroup\" class=\"side\">told before</th>",
        sensitivity::thing(result),
        BEFORE.len()
    );
    if measured {
        let width = AFTER.len();
        push(
            &mut out,
            format_args!(
                "<th colspan=\"{width}\" scope=\"colgroup\" class=\"side\">damage after</th>"
            ),
        );
    }
    out += "</tr><tr>";
    for column in sensitivity::columns(result) {
        push(&mut out, format_args!("<th scope=\"col\">{}</th>", column.title));
    }
    out + "</tr></thead>\n<tbody>\n"
}

/// Cells of row `row`, each in its column's shade.
fn cells(
    out: &mut String,
    kind: char,
    texts: &[String],
    shades: &[Vec<Option<usize>>],
    row: usize,
) {
    for (text, column) in texts.iter().zip(shades) {
        match column.get(row).copied().flatten() {
            Some(shade) if shade > 0 => {
                push(out, format_args!("<td class=\"{kind}{shade}\">{text}</td>"));
            }
            _ => push(out, format_args!("<td>{text}</td>")),
        }
    }
}

/// For each unit, how high it ranks by `value`: 0 to 4; nothing for what has none, or where all are equal.
fn shades(
    units: &[&SensitivityUnit],
    value: impl Fn(&SensitivityUnit) -> Option<f64>,
) -> Vec<Option<usize>> {
    let values: Vec<Option<f64>> = units.iter().map(|unit| value(unit)).collect();
    let known: Vec<f64> = values.iter().copied().flatten().collect();
    let mut ranks = sensitivity::ranks(&known).into_iter();
    let differ = known.iter().any(|x| Some(x) != known.first());
    let shade = |value: Option<f64>| {
        let rank = value.and_then(|_| ranks.next())?;
        let height = (rank - 0.5) / known.len() as f64;
        differ.then_some((height * SHADES) as usize)
    };
    values.into_iter().map(shade).collect()
}

/// Which prediction foretold the damage; empty where none was measured.
pub(super) fn agreement(result: &SensitivityResult) -> String {
    if !sensitivity::measured(result) {
        return String::new();
    }
    let thing = sensitivity::thing(result);
    let mut out = "<section aria-labelledby=\"h-agreement\">\n\
        <h2 id=\"h-agreement\">Which prediction foretold the damage</h2>\n"
        .to_owned();
    let agreements = sensitivity::agreements(result);
    if !agreements.is_empty() {
        push(
            &mut out,
            format_args!(
                "<p class=\"soft\">Rank correlations of each with the KL: 1 if it puts all {thing}s in the order of their \
                 damage, 0 if it knows nothing of it. Intervals (level {} %) come from drawing {thing}s anew: they \
                 say how far so few {thing}s go, not what another text would show, and are not corrected for the \
                 number of predictions.</p>\n",
                percent_level(result.confidence)
            ),
        );
        out += "<figure class=\"strips\"><figcaption>Spearman's rho</figcaption>\n";
        out += &agreements.iter().map(|agreement| strip(agreement)).collect::<String>();
        out += &axis(&["−1", "−0.5", "0", "0.5", "1"], "");
        out += "</figure>\n";
        out += &table(&agreements, thing);
    }
    let unjudged = sensitivity::unjudged(result);
    if !unjudged.is_empty() {
        push(
            &mut out,
            format_args!(
                "<p>No rank correlation for {}: too few {thing}s have it, or it is the same for all.</p>\n",
                unjudged.join(", ")
            ),
        );
    }
    out + "</section>\n\n"
}

fn strip(agreement: &Agreement) -> String {
    let name = html(&sensitivity::predictor(&agreement.predictor));
    let Interval { low, high } = agreement.spearman_interval;
    let at = |rho: f64| 50.0 + 50.0 * rho.clamp(-1.0, 1.0);
    let class = match Foretold::of(agreement) {
        Foretold::Yes => "told",
        Foretold::Reversed => "reversed",
        Foretold::Unclear => "unclear",
    };
    let value = short(agreement.spearman);
    let mut out = format!(
        "<div class=\"bar\"><span class=\"name\">{name}</span><svg role=\"img\" aria-label=\"{name}: {value}, {} to \
         {}\"><rect class=\"ground\" x=\"0\" y=\"3\" width=\"100%\" height=\"16\"/>",
        short(low),
        short(high)
    );
    mark(&mut out, at(0.0));
    interval(&mut out, at(low), at(high));
    push(
        &mut out,
        format_args!(
            "<circle class=\"{class}\" cx=\"{:.2}%\" cy=\"11\" r=\"5\"/></svg><span class=\"value\">{value}</span></div>\n",
            at(agreement.spearman)
        ),
    );
    out
}

fn table(agreements: &[&Agreement], thing: &str) -> String {
    let things = format!("{thing}s");
    let head = ["prediction", "Spearman's rho", "Kendall's tau", things.as_str(), "verdict"];
    let mut out = scroll("Rank correlations") + &opening_row(&head.map(str::to_owned), &[0, 4]);
    let with_ends = |value: f64, ends: Interval| {
        format!("{}<small>{} to {}</small>", short(value), short(ends.low), short(ends.high))
    };
    for agreement in agreements {
        let name = html(&sensitivity::predictor(&agreement.predictor));
        push(&mut out, format_args!("<tr><th scope=\"row\" class=\"text\">{name}</th>"));
        let cells = [
            with_ends(agreement.spearman, agreement.spearman_interval),
            with_ends(agreement.kendall, agreement.kendall_interval),
            agreement.n.to_string(),
            Foretold::of(agreement).words().to_owned(),
        ];
        body_cells(&mut out, &cells, &[3]);
    }
    out + "</tbody></table></div>\n"
}
