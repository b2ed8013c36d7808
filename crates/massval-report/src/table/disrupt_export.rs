//! The disruption experiment for other readers: Markdown, and CSV in long form.

use std::fmt::Write;

use super::formats::{csv, escape, or_empty, row, rule};
use super::selected::{selected_fields, selected_markdown, selected_titles};
use crate::experiment;
use crate::schema::{Cell, Comparison, DisruptResult, Score, TaskInfo};
use crate::words::{self, NONE};

/// The result as Markdown: the table of arms by tasks, what limits it, the comparisons.
pub fn disrupt_markdown(result: &DisruptResult) -> String {
    let mut out = format!(
        "# Disruption of {}\n\n{}\n\n",
        escape(&words::model_name(&result.provenance.model)),
        experiment::summary(result)
    );
    let tasks = result.tasks_by_side();
    let mut header = vec!["arm".to_owned()];
    header.extend(tasks.iter().map(|task| {
        let (side, name) = (task.side.as_str(), &task.name);
        format!("{side}: {name} ({}, n={})", task.metric, task.items)
    }));
    row(&mut out, &header);
    rule(&mut out, 1, header.len() - 1);
    for arm in &result.arms {
        let mut line = vec![arm.name.clone()];
        line.extend(tasks.iter().map(|task| {
            let cell = result.cell(&arm.name, &task.name);
            cell.map_or_else(|| NONE.to_owned(), |cell| experiment::accuracy(&cell.score))
        }));
        row(&mut out, &line);
    }
    if tasks.iter().any(|task| task.chance.is_some()) {
        let mut line = vec!["chance".to_owned()];
        line.extend(
            tasks
                .iter()
                .map(|task| task.chance.map_or_else(|| NONE.to_owned(), experiment::percent)),
        );
        row(&mut out, &line);
    }
    for note in experiment::notes(result) {
        out += &format!("\n{}\n", escape(&note));
    }
    let (effects, others) = experiment::split(result);
    list(&mut out, "Effects", effects.into_iter().map(experiment::comparison_line));
    list(&mut out, "No effect shown", others.into_iter().map(experiment::comparison_line));
    for task in &tasks {
        measures(&mut out, result, task);
    }
    selected_markdown(&mut out, result.arms.iter());
    list(&mut out, "Arms", result.arms.iter().map(experiment::arm_line));
    list(&mut out, "Tasks", tasks.into_iter().map(experiment::task_line));
    out
}

fn measures(out: &mut String, result: &DisruptResult, task: &TaskInfo) {
    let Some(measures) = experiment::measures(result, task) else { return };
    *out += &format!("\n## Further measures on {}\n\n", escape(&task.name));
    let mut header = vec!["arm".to_owned()];
    header.extend(measures.columns.iter().map(|title| (*title).to_owned()));
    row(out, &header);
    rule(out, 1, header.len() - 1);
    for (name, cells) in measures.rows {
        let mut line = vec![name];
        line.extend(cells);
        row(out, &line);
    }
    *out += &format!("\n{}\n", escape(&measures.legend));
}

fn list(out: &mut String, title: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.map(|item| format!("- {}\n", escape(&item))).collect();
    if !items.is_empty() {
        *out += &format!("\n## {title}\n\n{}", items.concat());
    }
}

/// A line for each arm, task and metric: `arm,role,series,channels_per_head,task,side,metric,n,
/// correct,accuracy,low,high,chance,margin_nats,perplexity,perplexity_low,perplexity_high,diversity,
/// diversity_low,diversity_high,kl_nats,top1_agreement`.
///
/// The reference's scorer has a line of its own, with the metric `reference`; measures that belong
/// to no scorer stand in the line of the task's own metric. What the arm disrupted follows, two
/// columns for each site: `rot_q_channels,rot_q_share`, channels of a head and the share of its
/// squared norm.
pub fn disrupt_csv(result: &DisruptResult) -> String {
    let mut out = "arm,role,series,channels_per_head,task,side,metric,n,correct,accuracy,low,high,\
                   chance,margin_nats,perplexity,perplexity_low,perplexity_high,diversity,\
                   diversity_low,diversity_high,kl_nats,top1_agreement"
        .to_owned();
    out += &selected_titles(result.arms.iter());
    out.push('\n');
    for arm in &result.arms {
        let sweep = arm.sweep.as_ref();
        let series = or_empty(sweep.map(|point| csv(&point.series)));
        let channels = or_empty(sweep.map(|point| point.channels_per_head));
        let start = format!("{},{},{series},{channels}", csv(&arm.name), arm.role.as_str());
        let selected = selected_fields(arm, result.arms.iter());
        for task in result.tasks_by_side() {
            let Some(cell) = result.cell(&arm.name, &task.name) else { continue };
            out += &format!("{start},{}", scored(task, &csv(&task.metric), &cell.score));
            out += &format!("{}{selected}\n", beside(cell));
            if let Some(reference) = &cell.metrics.reference {
                let scored = scored(task, "reference", reference);
                out += &format!("{start},{scored},,,,,,,,,{selected}\n");
            }
        }
    }
    out
}

fn scored(task: &TaskInfo, metric: &str, score: &Score) -> String {
    let (name, side) = (csv(&task.name), task.side.as_str());
    let Score { n, correct, accuracy, interval } = score;
    let chance = or_empty(task.chance);
    format!(
        "{name},{side},{metric},{n},{correct},{accuracy},{},{},{chance}",
        interval.low, interval.high
    )
}

fn beside(cell: &Cell) -> String {
    let metrics = &cell.metrics;
    let (perplexity, diversity) = (metrics.perplexity.as_ref(), metrics.diversity);
    format!(
        ",{},{},{},{},{},{},{},{},{}",
        or_empty(metrics.margin_nats),
        or_empty(perplexity.map(|perplexity| perplexity.value)),
        or_empty(perplexity.and_then(|perplexity| perplexity.interval).map(|ends| ends.low)),
        or_empty(perplexity.and_then(|perplexity| perplexity.interval).map(|ends| ends.high)),
        or_empty(diversity.map(|diversity| diversity.value)),
        or_empty(diversity.and_then(|diversity| diversity.interval).map(|ends| ends.low)),
        or_empty(diversity.and_then(|diversity| diversity.interval).map(|ends| ends.high)),
        or_empty(metrics.kl_nats),
        or_empty(metrics.top1_agreement),
    )
}

/// A line for each comparison: `task,arm,against,n,difference,low,high,only_arm,only_against,p,
/// p_adjusted,effect_size,effect_size_value,effect,verdict`.
pub fn comparisons_csv(result: &DisruptResult) -> String {
    let mut out = "task,arm,against,n,difference,low,high,only_arm,only_against,p,p_adjusted,\
                   effect_size,effect_size_value,effect,verdict\n"
        .to_owned();
    for comparison in &result.comparisons {
        let Comparison { n, difference, interval, only_arm, only_against, p, effect, .. } =
            comparison;
        let size = comparison.effect_size.as_ref();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{},{},{},{n},{difference},{},{},{only_arm},{only_against},{p},{},{},{},{effect},{}",
            csv(&comparison.task),
            csv(&comparison.arm),
            csv(&comparison.against),
            interval.low,
            interval.high,
            or_empty(comparison.p_adjusted),
            or_empty(size.map(|size| csv(&size.name))),
            or_empty(size.map(|size| size.value)),
            csv(&comparison.verdict),
        );
    }
    out
}
