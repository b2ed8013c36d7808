//! The tables and lists of the page.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::experiment;
use crate::html::elements::{body_cells, opening_row, push, scroll};
use crate::html::escape::html;
use crate::schema::{Comparison, DisruptResult, Score, TaskInfo};
use crate::selected;
use crate::words::NONE;

/// What limits the result, each in a box.
pub(super) fn notes(result: &DisruptResult) -> String {
    let note = |text: &String| format!("<p class=\"alert\">{}</p>\n", html(text));
    experiment::notes(result).iter().map(note).collect()
}

/// The table of arms by tasks, contextual ones first.
pub(super) fn accuracy(result: &DisruptResult) -> String {
    let tasks = result.tasks_by_side();
    let mut out = scroll("Accuracy by arm and task");
    out += "<table><thead><tr><th rowspan=\"2\" scope=\"col\" class=\"text\">arm</th>";
    for side in tasks.chunk_by(|a, b| a.side == b.side) {
        let name = side.first().map_or("", |task| task.side.as_str());
        push(
            &mut out,
            format_args!(
                "<th colspan=\"{}\" scope=\"colgroup\" class=\"side\">{name}</th>",
                side.len()
            ),
        );
    }
    out += "</tr><tr>";
    for task in &tasks {
        let (name, metric) = (html(&task.name), html(&task.metric));
        push(
            &mut out,
            format_args!(
                "<th scope=\"col\">{name}<br><span class=\"soft\">{metric}, n = {}</span></th>",
                task.items
            ),
        );
    }
    out += "</tr></thead>\n<tbody>\n";
    for arm in &result.arms {
        push(
            &mut out,
            format_args!("<tr><th scope=\"row\" class=\"text\">{}</th>", html(&arm.name)),
        );
        let cells: Vec<String> = tasks.iter().map(|task| cell(result, &arm.name, task)).collect();
        body_cells(&mut out, &cells, &[]);
    }
    out += "</tbody>\n";
    if tasks.iter().any(|task| task.chance.is_some()) {
        out += "<tfoot><tr><th scope=\"row\" class=\"text\">chance</th>";
        let chance =
            |task: &&TaskInfo| task.chance.map_or_else(|| NONE.to_owned(), experiment::percent);
        body_cells(&mut out, &tasks.iter().map(chance).collect::<Vec<_>>(), &[]);
        out += "</tfoot>";
    }
    out + "</table></div>\n"
}

fn cell(result: &DisruptResult, arm: &str, task: &TaskInfo) -> String {
    let Some(cell) = result.cell(arm, &task.name) else { return NONE.to_owned() };
    let Score { accuracy, interval, .. } = cell.score;
    let (low, high) = (experiment::percent(interval.low), experiment::percent(interval.high));
    format!("{}<small>{low}–{high}</small>", experiment::percent(accuracy))
}

/// The comparisons that earn the name of an effect, and those that do not.
pub(super) fn comparisons(result: &DisruptResult) -> String {
    if result.comparisons.is_empty() {
        return "<p>No arms were compared: no difference here may be called an effect.</p>\n"
            .to_owned();
    }
    let (effects, others) = experiment::split(result);
    let none = "<p>No comparison earns the name of an effect.</p>\n";
    let first = if effects.is_empty() { none.to_owned() } else { table("Effects", &effects) };
    first + &table("No effect shown", &others)
}

fn table(title: &str, comparisons: &[&Comparison]) -> String {
    if comparisons.is_empty() {
        return String::new();
    }
    let head = [
        "task",
        "arm",
        "against",
        "difference (points)",
        "lost",
        "won",
        "of",
        "p",
        "p corrected",
        "effect size",
        "verdict",
    ];
    let text = [0, 1, 2, 10];
    let mut out = format!("<h3>{title}</h3>\n") + &scroll(title);
    out += &opening_row(&head.map(str::to_owned), &text);
    for comparison in comparisons {
        out += "<tr>";
        body_cells(&mut out, &comparison_cells(comparison), &text);
    }
    out + "</tbody></table></div>\n"
}

fn comparison_cells(comparison: &Comparison) -> [String; 11] {
    let size = comparison.effect_size.as_ref();
    let adjusted = comparison.p_adjusted;
    [
        html(&comparison.task),
        html(&comparison.arm),
        html(&comparison.against),
        format!(
            "{}<small>{} to {}</small>",
            experiment::percent(comparison.difference),
            experiment::percent(comparison.interval.low),
            experiment::percent(comparison.interval.high)
        ),
        comparison.only_against.to_string(),
        comparison.only_arm.to_string(),
        comparison.n.to_string(),
        experiment::p_value(comparison.p),
        adjusted.map_or_else(|| NONE.to_owned(), experiment::p_value),
        size.map_or_else(|| NONE.to_owned(), |size| html(&experiment::effect_size(size))),
        html(&experiment::as_sentence(&comparison.verdict)),
    ]
}

/// A table for each task that has measures beside the accuracy; empty when none has.
pub(super) fn measures(result: &DisruptResult) -> String {
    let mut tables = String::new();
    for task in result.tasks_by_side() {
        let Some(measures) = experiment::measures(result, task) else { continue };
        let name = html(&task.name);
        push(&mut tables, format_args!("<h3>{name}</h3>\n"));
        tables += &scroll(&name);
        let mut head = vec!["arm".to_owned()];
        head.extend(measures.columns.iter().map(|title| (*title).to_owned()));
        tables += &opening_row(&head, &[0]);
        for (arm, cells) in &measures.rows {
            let row = format_args!("<tr><th scope=\"row\" class=\"text\">{}</th>", html(arm));
            push(&mut tables, row);
            body_cells(&mut tables, cells, &[]);
        }
        tables += "</tbody></table></div>\n";
        push(&mut tables, format_args!("<p class=\"soft\">{}</p>\n", html(&measures.legend)));
    }
    if tables.is_empty() {
        return tables;
    }
    format!(
        "<section aria-labelledby=\"h-measures\">\n<h2 id=\"h-measures\">Further measures</h2>\n\
         {tables}</section>\n\n"
    )
}

/// What each arm disrupted; empty where nothing is known.
pub(super) fn selected(result: &DisruptResult) -> String {
    let Some(selected) = selected::selected(result.arms.iter()) else { return String::new() };
    let mut out = scroll("Disrupted channels");
    let head = std::iter::once("disrupted".to_owned());
    let head = head.chain(selected.sites.iter().map(|site| html(site)));
    out += &opening_row(&head.collect::<Vec<_>>(), &[0]);
    for (arm, cells) in &selected.rows {
        let row = format_args!("<tr><th scope=\"row\" class=\"text\">{}</th>", html(arm));
        push(&mut out, row);
        body_cells(&mut out, cells, &[]);
    }
    out += "</tbody></table></div>\n";
    push(&mut out, format_args!("<p class=\"soft\">{}</p>\n", html(selected::LEGEND)));
    out
}

/// Every arm with its intervention, in a sentence and as the value that ran.
pub(super) fn arms(result: &DisruptResult) -> Result<String> {
    let mut out = "<dl class=\"described\">\n".to_owned();
    for arm in &result.arms {
        let (name, sentence) = (html(&arm.name), html(&experiment::as_sentence(&arm.sentence)));
        push(&mut out, format_args!("<dt>{name}</dt><dd>{sentence}"));
        if let Some(intervention) = &arm.intervention {
            out += &folded("Intervention", intervention)?;
        }
        out += "</dd>\n";
    }
    Ok(out + "</dl>\n")
}

/// Every task with what an item is and what fixes the items.
pub(super) fn tasks(result: &DisruptResult) -> Result<String> {
    let mut out = "<dl class=\"described\">\n".to_owned();
    for task in result.tasks_by_side() {
        let line = html(&experiment::task_words(task));
        push(&mut out, format_args!("<dt>{}</dt><dd>{line}", html(&task.name)));
        out += &folded("Identity", &task.identity)?;
        out += "</dd>\n";
    }
    Ok(out + "</dl>\n")
}

/// A value as JSON, folded away.
fn folded(title: &str, value: &Value) -> Result<String> {
    let json = serde_json::to_string_pretty(value).map_err(Error::Serialize)?;
    // Line by line: `html` would show the breaks themselves as signs.
    let lines: Vec<String> = json.lines().map(html).collect();
    Ok(format!(
        "<details><summary>{title}</summary><pre><code>{}</code></pre></details>",
        lines.join("\n")
    ))
}
