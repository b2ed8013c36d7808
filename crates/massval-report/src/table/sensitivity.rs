//! Layers by their sensitivity to quantization, as a terminal table and CSV.

use std::fmt::Write;

use serde_json::Value;

use super::disrupt::list;
use super::formats::{csv, or_empty};
use super::{TableStyle, cut, finish, lines, wrap};
use crate::experiment::{percent, with_interval};
use crate::schema::{Agreement, Predictors, SensitivityResult, SensitivityUnit};
use crate::words::{NONE, plain, plural, short, short_or_none};

const LEGEND: &str = "massive: massive values in Q and K, and their share of the squared norm in %; kurtosis: of the \
     inputs, 3 for a Gaussian; range: of weights, largest over root mean square; error: relative squared error of \
     outputs in %, told from weights and channel statistics; KL: from the model left alone, nats, with this one \
     rounded; ppl: perplexity; logits: correlation of attention logits with those before.";

/// The result as text of at most `width` columns (80 is the least that is aimed at), the most damaged or else the most
/// suspect first.
pub fn sensitivity_table(result: &SensitivityResult, width: usize, style: TableStyle) -> String {
    let mut out = vec![cut(&plain(&result.provenance.model.path_or_name), width)];
    out.extend(wrap(&summary(result), width));
    out.push(String::new());
    let measured = result.perplexity.is_some();
    let mut header: Vec<&str> = vec!["", "massive", "share", "kurtosis", "range", "error"];
    if measured {
        header.extend(["KL", "ppl", "logits"]);
    }
    let mut units: Vec<&SensitivityUnit> = result.units.iter().collect();
    let rank =
        |unit: &SensitivityUnit| unit.after.map_or(unit.before.output_error, |after| after.kl_nats);
    units.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    let rows = units.into_iter().map(|unit| row(unit, measured)).collect();
    let header = header.into_iter().map(str::to_owned).collect();
    out.extend(lines(style, header, rows, &[0], false));
    out.extend(wrap(LEGEND, width));
    let title = "How well each foretold the KL: rank correlations, with intervals";
    out.extend(list(title, result.agreement.iter().map(agreement_line), width));
    finish(out, style)
}

fn summary(result: &SensitivityResult) -> String {
    let rounded = match result.perplexity {
        Some(perplexity) => format!(
            " Each was rounded by itself{}; left alone, the perplexity is {}.",
            scheme(&result.scheme),
            short(perplexity)
        ),
        None => String::new(),
    };
    format!(
        "{} of {} by {}.{rounded}",
        plural(result.windows, "window"),
        plain(&result.text),
        plural(result.window.tokens, "token")
    )
}

/// Bits and groups, as far as the value says them.
fn scheme(scheme: &Value) -> String {
    let bits = scheme.get("bits").and_then(Value::as_u64);
    let group = scheme.pointer("/granularity/group").and_then(Value::as_u64);
    let bits = bits.map_or_else(String::new, |bits| format!(" to {bits} bits"));
    let group = group.map_or_else(String::new, |size| format!(" in groups of {size}"));
    bits + &group
}

fn row(unit: &SensitivityUnit, measured: bool) -> Vec<String> {
    let Predictors { massive_values, massive_share, kurtosis, weight_range, output_error } =
        unit.before;
    let mut cells = vec![
        plain(&unit.name),
        massive_values.map_or_else(|| NONE.to_owned(), |count| format!("{count:.0}")),
        massive_share.map_or_else(|| NONE.to_owned(), percent),
        short(kurtosis),
        short(weight_range),
        short(100.0 * output_error),
    ];
    if measured {
        let after = unit.after;
        cells.extend([
            after.map_or_else(|| NONE.to_owned(), |after| format!("{:.4}", after.kl_nats)),
            short_or_none(after.map(|after| after.perplexity)),
            after
                .and_then(|after| after.score_correlation)
                .map_or_else(|| NONE.to_owned(), |r| format!("{r:.5}")),
        ]);
    }
    cells
}

fn agreement_line(agreement: &Agreement) -> String {
    format!(
        "{}: Spearman {}, Kendall {}, n={}",
        plain(&agreement.predictor),
        with_interval(agreement.spearman, Some(agreement.spearman_interval)),
        with_interval(agreement.kendall, Some(agreement.kendall_interval)),
        agreement.n
    )
}

/// One line for each layer or linear: `name,layer,massive_values,massive_share,kurtosis,weight_range,output_error,
/// kl_nats,perplexity,score_correlation`.
pub fn sensitivity_csv(result: &SensitivityResult) -> String {
    let mut out = format!(
        "name,layer,{},kl_nats,perplexity,score_correlation\n",
        Predictors::NAMES.join(",")
    );
    for unit in &result.units {
        let before: Vec<String> =
            Predictors::NAMES.iter().map(|name| or_empty(unit.before.get(name))).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{},{},{},{},{},{}",
            csv(&unit.name),
            unit.layer,
            before.join(","),
            or_empty(unit.after.map(|after| after.kl_nats)),
            or_empty(unit.after.map(|after| after.perplexity)),
            or_empty(unit.after.and_then(|after| after.score_correlation)),
        );
    }
    out
}
