//! The bars of the disruption experiment: accuracy, n-gram diversity and perplexity by arm.

use plotters::style::RGBColor;

use super::bars::{Axis, Bar, Bars, Group};
use super::{Figure, hues};
use crate::error::Result;
use crate::experiment::percent_level;
use crate::schema::{
    Arm, ArmRole, Cell, CellMetrics, DisruptResult, Interval, ModelIdentity, PerplexityArm,
    PerplexityResult, TaskInfo,
};
use crate::words;

/// Accuracy of every arm on every task, contextual tasks first, with Wilson intervals and the chance
/// level where it is known.
///
/// # Errors
/// The result holds no cell, or more than can be drawn.
pub fn accuracy_bars(result: &DisruptResult) -> Result<Figure> {
    let value = |cell: &Cell| {
        let ends = cell.score.interval;
        let ends = (100.0 * ends.low, 100.0 * ends.high);
        Some(Bar { value: 100.0 * cell.score.accuracy, ends: Some(ends) })
    };
    let mut groups = groups(result, value);
    for (group, task) in groups.iter_mut().zip(result.tasks_by_side()) {
        group.mark = task.chance.map(|chance| 100.0 * chance);
    }
    let label = format!("accuracy (%), {} % interval", percent_level(result.confidence));
    bars("Accuracy by arm", label, Axis::Linear(100.0), groups, result)
}

/// Accuracy of every arm but the baseline over that of the best of them, task by task (*Massive Values in
/// Self-Attention Modules*, figure of the quantization methods). What the best one lost is not to be seen.
///
/// # Errors
/// There is no arm but the baseline, or more than can be drawn.
pub fn normalised_bars(result: &DisruptResult) -> Result<Figure> {
    let mut methods = result.clone();
    methods.arms.retain(|arm| arm.role != ArmRole::None);
    let value = |cell: &Cell| Some(Bar { value: cell.score.accuracy, ends: None });
    let mut groups = groups(&methods, value);
    for group in &mut groups {
        let best = group.bars.iter().flatten().map(|bar| bar.value).fold(0.0, f64::max);
        for bar in &mut group.bars {
            *bar = bar.take().filter(|_| best > 0.0);
            bar.iter_mut().for_each(|bar| bar.value /= best);
        }
    }
    let label = "accuracy over that of the best".to_owned();
    bars("Normalized accuracy", label, Axis::Linear(1.0), groups, &methods)
}

/// How much of the massive values' norm every arm with other weights leaves, in percent.
///
/// # Errors
/// No arm says so, or there are more than can be drawn.
pub fn massive_norm_bars(result: &PerplexityResult) -> Result<Figure> {
    let arms: Vec<&Arm> = result.arms.iter().map(|arm| &arm.arm).collect();
    let arms: Vec<&Arm> = arms.into_iter().filter(|arm| arm.massive_norm.is_some()).collect();
    let percent = |arm: &&Arm| arm.massive_norm.map(|left| 100.0 * left);
    let highest = arms.iter().filter_map(percent).fold(100.0, f64::max);
    let group = Group {
        name: words::plain(&result.text),
        remark: String::new(),
        section: "",
        mark: Some(100.0),
        bars: arms.iter().map(|arm| Some(Bar { value: percent(arm)?, ends: None })).collect(),
    };
    Bars {
        title: title("Norm of massive values", &result.provenance.model),
        label: "left of it (%)".to_owned(),
        axis: Axis::Linear(highest),
        groups: vec![group],
        arms: named_hues(&arms),
    }
    .figure()
}

/// Share of distinct n-grams in every arm's answers (*Massive Values in Self-Attention Modules*,
/// figure of the 2-gram diversity).
///
/// # Errors
/// No cell has a diversity, or there are more than can be drawn.
pub fn diversity_bars(result: &DisruptResult) -> Result<Figure> {
    let groups = measured(result, |metrics| {
        metrics.diversity.map(|diversity| (diversity.value, diversity.interval))
    });
    let mut cells = result.cells.iter();
    let n_gram = cells.find_map(|cell| Some(cell.metrics.diversity?.n_gram)).unwrap_or(0);
    let label = labelled(&format!("share of distinct {n_gram}-grams"), &groups, result.confidence);
    bars("Diversity of the answers", label, Axis::Linear(1.0), groups, result)
}

/// Perplexity on every task and arm (*Massive Values in Self-Attention Modules*, figure of the
/// perplexities), on a logarithmic axis where the arms differ by much.
///
/// # Errors
/// No cell has a perplexity, or there are more than can be drawn.
pub fn perplexity_bars(result: &DisruptResult) -> Result<Figure> {
    let groups =
        measured(result, |metrics| metrics.perplexity.as_ref().map(|p| (p.value, p.interval)));
    let axis = Axis::for_perplexities(&groups);
    let label = labelled("perplexity", &groups, result.confidence);
    bars("Perplexity by task", label, axis, groups, result)
}

/// Perplexity of a text under every arm, with intervals where there are any.
///
/// # Errors
/// There are more arms than can be drawn.
pub fn text_perplexity_bars(result: &PerplexityResult) -> Result<Figure> {
    let bar = |arm: &PerplexityArm| {
        let ends = arm.interval.map(|ends| (ends.low, ends.high));
        Some(Bar { value: arm.perplexity, ends })
    };
    let windows = result.arms.iter().map(|arm| arm.windows.len()).max().unwrap_or(0);
    let without =
        if result.arms.iter().any(|arm| arm.interval.is_some()) { "" } else { ": no interval" };
    let groups = vec![Group {
        name: words::plain(&result.text),
        remark: format!("{}{without}", words::plural(windows, "window")),
        section: "",
        mark: None,
        bars: result.arms.iter().map(bar).collect(),
    }];
    let arms: Vec<&Arm> = result.arms.iter().map(|arm| &arm.arm).collect();
    Bars {
        title: title("Perplexity of a text", &result.provenance.model),
        label: labelled("perplexity", &groups, result.confidence),
        axis: Axis::for_perplexities(&groups),
        groups,
        arms: named_hues(&arms),
    }
    .figure()
}

fn bars(
    name: &str,
    label: String,
    axis: Axis,
    groups: Vec<Group>,
    result: &DisruptResult,
) -> Result<Figure> {
    let title = title(name, &result.provenance.model);
    let arms = named_hues(&result.arms.iter().collect::<Vec<_>>());
    Bars { title, label, axis, groups, arms }.figure()
}

fn title(name: &str, model: &ModelIdentity) -> String {
    format!("{name}: {}", words::model_name(model))
}

/// A group for each task; a cell without a value has no bar.
fn groups(result: &DisruptResult, value: impl Fn(&Cell) -> Option<Bar>) -> Vec<Group> {
    let group = |task: &TaskInfo| Group {
        name: words::plain(&task.name),
        remark: format!("{}, n={}", words::plain(&task.metric), task.items),
        section: task.side.as_str(),
        mark: None,
        bars: (result.arms.iter())
            .map(|arm| result.cell(&arm.name, &task.name).and_then(&value))
            .collect(),
    };
    result.tasks_by_side().into_iter().map(group).collect()
}

/// A group for each task on which a value, and its interval, was measured under some arm.
fn measured(
    result: &DisruptResult,
    measure: impl Fn(&CellMetrics) -> Option<(f64, Option<Interval>)>,
) -> Vec<Group> {
    let bar = |cell: &Cell| {
        let (value, ends) = measure(&cell.metrics)?;
        Some(Bar { value, ends: ends.map(|ends| (ends.low, ends.high)) })
    };
    let mut groups = groups(result, bar);
    for (group, task) in groups.iter_mut().zip(result.tasks_by_side()) {
        // The metric is of the accuracy.
        group.remark = format!("n={}", task.items);
    }
    groups.retain(|group| group.bars.iter().any(Option::is_some));
    groups
}

/// The label of an axis, with the level of the intervals where there are any.
fn labelled(label: &str, groups: &[Group], level: f64) -> String {
    let mut bars = groups.iter().flat_map(|group| group.bars.iter().flatten());
    match bars.any(|bar| bar.ends.is_some()) {
        true => format!("{label}, {} % interval", percent_level(level)),
        false => label.to_owned(),
    }
}

/// Names and colours of arms: arms of one role share its hue, the later the darker.
fn named_hues(arms: &[&Arm]) -> Vec<(String, RGBColor)> {
    let hue = |(i, arm): (usize, &&Arm)| {
        let alike = |arms: &[&Arm]| arms.iter().filter(|a| a.role == arm.role).count();
        let earlier = alike(arms.get(..i).unwrap_or_default());
        (words::plain(&arm.name), hues::arm(arm.role, earlier, alike(arms)))
    };
    arms.iter().enumerate().map(hue).collect()
}
