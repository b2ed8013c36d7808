//! Perplexity by arm as a terminal table, Markdown and CSV.

use std::fmt::Write;

use super::disrupt::list;
use super::formats::{csv, escape, or_empty, row, rule};
use super::selected::{selected_fields, selected_lines, selected_markdown, selected_titles};
use super::{NAME, TableStyle, cut, finish, lines, wrap};
use crate::experiment::{self, PERPLEXITY_COLUMNS, PERPLEXITY_LEGEND};
use crate::schema::{ArmRole, PerplexityResult};
use crate::words;

/// The result as text of at most `width` columns (80 is the least that is aimed at): a row for each
/// arm, and what the perplexity is of.
pub fn perplexity_table(result: &PerplexityResult, width: usize, style: TableStyle) -> String {
    let mut out = vec![cut(&words::plain(&result.provenance.model.path_or_name), width)];
    out.extend(wrap(&experiment::perplexity_summary(result), width));
    out.push(String::new());
    let mut header = vec!["arm".to_owned()];
    header.extend(PERPLEXITY_COLUMNS.map(str::to_owned));
    let rows = experiment::perplexity_cells(result).into_iter().map(|(name, cells)| {
        let mut row = vec![cut(&name, NAME)];
        row.extend(cells);
        row
    });
    out.extend(lines(style, header, rows.collect(), &[0], false));
    out.extend(wrap(PERPLEXITY_LEGEND, width));
    let disturbed = result.arms.iter().map(|arm| &arm.arm);
    let disturbed = disturbed.filter(|arm| arm.role != ArmRole::None).map(experiment::arm_line);
    out.extend(selected_lines(result.arms.iter().map(|arm| &arm.arm), width, style));
    out.extend(list("Arms", disturbed, width));
    finish(out, style)
}

/// The result as Markdown.
pub fn perplexity_markdown(result: &PerplexityResult) -> String {
    let mut out = format!(
        "# Perplexity of {} under {}\n\n{}\n\n",
        escape(&words::plain(&result.text)),
        escape(&words::model_name(&result.provenance.model)),
        escape(&experiment::perplexity_summary(result)),
    );
    let mut header = vec!["arm".to_owned()];
    header.extend(PERPLEXITY_COLUMNS.map(str::to_owned));
    row(&mut out, &header);
    rule(&mut out, 1, header.len() - 1);
    for (name, cells) in experiment::perplexity_cells(result) {
        let mut line = vec![name];
        line.extend(cells);
        row(&mut out, &line);
    }
    out += &format!("\n{}\n", escape(PERPLEXITY_LEGEND));
    selected_markdown(&mut out, result.arms.iter().map(|arm| &arm.arm));
    out
}

/// One line for each arm: `arm,role,series,channels_per_head,tokens,mean_nll,perplexity,low,high,
/// kl_nats,top1_agreement`, and what the arm disrupted as in [`disrupt_csv`](super::disrupt_csv).
pub fn perplexity_csv(result: &PerplexityResult) -> String {
    let mut out = "arm,role,series,channels_per_head,tokens,mean_nll,perplexity,low,high,kl_nats,\
                   top1_agreement"
        .to_owned();
    let arms = || result.arms.iter().map(|arm| &arm.arm);
    out += &selected_titles(arms());
    out.push('\n');
    for entry in &result.arms {
        let (arm, sweep) = (&entry.arm, entry.arm.sweep.as_ref());
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{}{}",
            csv(&arm.name),
            arm.role.as_str(),
            or_empty(sweep.map(|point| csv(&point.series))),
            or_empty(sweep.map(|point| point.channels_per_head)),
            entry.tokens,
            entry.mean_nll,
            entry.perplexity,
            or_empty(entry.interval.map(|ends| ends.low)),
            or_empty(entry.interval.map(|ends| ends.high)),
            or_empty(entry.kl_nats),
            or_empty(entry.top1_agreement),
            selected_fields(arm, arms()),
        );
    }
    out
}
