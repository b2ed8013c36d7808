//! Layers by their sensitivity to quantization, as a terminal table and CSV.

use std::fmt::Write;

use super::disrupt::list;
use super::formats::{csv, or_empty};
use super::{TableStyle, cut, finish, lines, wrap};
use crate::experiment::with_interval;
use crate::schema::{Agreement, Predictors, SensitivityResult, SensitivityUnit};
use crate::sensitivity;
use crate::words::plain;

/// The result as text of at most `width` columns (80 is the least that is aimed at), the most damaged or else the most
/// suspect first.
pub fn sensitivity_table(result: &SensitivityResult, width: usize, style: TableStyle) -> String {
    let mut out = vec![cut(&plain(&result.provenance.model.path_or_name), width)];
    out.extend(wrap(&sensitivity::summary(result), width));
    out.push(String::new());
    let mut header = vec![String::new()];
    header.extend(sensitivity::columns(result).map(|column| column.short.to_owned()));
    let measured = sensitivity::measured(result);
    let units = sensitivity::ranked(result).into_iter();
    let rows = units.map(|unit| row(unit, measured)).collect();
    out.extend(lines(style, header, rows, &[0], false));
    out.extend(wrap(&sensitivity::legend(result, |column| column.short), width));
    let title = "How well each foretold the KL: rank correlations, with intervals";
    let agreements = sensitivity::agreements(result).into_iter();
    out.extend(list(title, agreements.map(agreement_line), width));
    finish(out, style)
}

fn row(unit: &SensitivityUnit, measured: bool) -> Vec<String> {
    let mut cells = vec![plain(&unit.name)];
    cells.extend(sensitivity::predictor_cells(&unit.before));
    if measured {
        cells.extend(sensitivity::damage_cells(unit.after.as_ref()));
    }
    cells
}

fn agreement_line(agreement: &Agreement) -> String {
    format!(
        "{}: Spearman {}, Kendall {}, n={}",
        sensitivity::predictor(&agreement.predictor),
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
