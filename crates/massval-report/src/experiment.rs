//! The disruption experiment in words, the same in tables and pages: accuracies, comparisons, and
//! what a reader must know before believing them.

use std::collections::BTreeSet;

use crate::schema::{
    Arm, CellMetrics, Comparison, DisruptResult, EffectSize, Interval, PerplexityArm,
    PerplexityResult, Score, TaskInfo,
};
use crate::words::{NONE, plain, plural, short, short_or_none};

/// Most cells that are listed as unfinished one by one.
const MOST_UNFINISHED: usize = 8;

/// A share in percent, without its sign.
pub(crate) fn percent(share: f64) -> String {
    // Adding 0 turns a negative zero into zero.
    format!("{:.1}", (share * 1000.0).round() / 10.0 + 0.0)
}

/// Accuracy and its interval in percent: `92.0 [75.0–97.8]`.
pub(crate) fn accuracy(score: &Score) -> String {
    let Interval { low, high } = score.interval;
    format!("{} [{}–{}]", percent(score.accuracy), percent(low), percent(high))
}

/// A value and its interval: `57.6 [54.1–61.6]`.
pub(crate) fn with_interval(value: f64, interval: Option<Interval>) -> String {
    let ends = interval.map(|ends| format!(" [{}–{}]", short(ends.low), short(ends.high)));
    short(value) + &ends.unwrap_or_default()
}

/// What was run, and how to read the accuracies.
pub(crate) fn summary(result: &DisruptResult) -> String {
    let progress = result.progress;
    format!(
        "{} on {}, {} of {} scored. Accuracy in %, in brackets its Wilson interval of level {} %.",
        plural(progress.arms, "arm"),
        plural(progress.tasks, "task"),
        progress.items_done,
        plural(progress.items_asked, "item"),
        percent_level(result.confidence)
    )
}

/// A confidence level in percent: `95`, `99.9`.
pub(crate) fn percent_level(level: f64) -> String {
    let text = format!("{:.2}", 100.0 * level);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What an arm does, as `name: sentence`.
pub(crate) fn arm_line(arm: &Arm) -> String {
    let rounded = arm.rounded.iter().map(|rounded| {
        let exact = match rounded.exact > 0.0 {
            true => format!(", {} % exact", percent(rounded.exact)),
            false => String::new(),
        };
        let error = short(100.0 * rounded.relative_error);
        format!("; squared error of {} {error} %{exact}", plain(&rounded.what))
    });
    let rounded: String = rounded.collect();
    let left = arm
        .massive_norm
        .map(|left| format!("; {} % of the massive values' norm is left", percent(left)));
    let left = left.unwrap_or_default();
    format!("{}: {}{rounded}{left}", plain(&arm.name), plain(&arm.sentence))
}

/// A task as `name (side): what an item is, how it is scored`.
pub(crate) fn task_line(task: &TaskInfo) -> String {
    format!("{} ({}): {}", plain(&task.name), task.side.as_str(), task_words(task))
}

/// What an item of a task is and how it is scored.
pub(crate) fn task_words(task: &TaskInfo) -> String {
    let chance = task.chance.map(|chance| format!("; chance {} %", percent(chance)));
    let (item, metric) = (as_sentence(&task.item), plain(&task.metric));
    format!("{item} Metric: {metric}{}.", chance.unwrap_or_default())
}

/// The comparisons that earn the name of an effect, and those that do not.
pub(crate) fn split(result: &DisruptResult) -> (Vec<&Comparison>, Vec<&Comparison>) {
    result.comparisons.iter().partition(|comparison| comparison.effect)
}

/// Difference, interval and test of a comparison: `-8.0 points (-20.0 to 0.0), 2 lost and 0 won of
/// 25, McNemar's p = 0.500`.
pub(crate) fn comparison_numbers(comparison: &Comparison) -> String {
    let Interval { low, high } = comparison.interval;
    let adjusted = comparison.p_adjusted.map(|p| format!(" ({} corrected)", p_value(p)));
    let size = comparison.effect_size.as_ref();
    let size = size.map(|size| format!(", {}", effect_size(size)));
    format!(
        "{} points ({} to {}), {} lost and {} won of {}, McNemar's p = {}{}{}",
        percent(comparison.difference),
        percent(low),
        percent(high),
        comparison.only_against,
        comparison.only_arm,
        comparison.n,
        p_value(comparison.p),
        adjusted.unwrap_or_default(),
        size.unwrap_or_default()
    )
}

/// An effect size with its name: `Cohen's h -0.57`.
pub(crate) fn effect_size(size: &EffectSize) -> String {
    format!("{} {}", plain(&size.name), short(size.value))
}

/// A comparison as a sentence or two.
pub(crate) fn comparison_line(comparison: &Comparison) -> String {
    format!(
        "{}: \"{}\" against \"{}\": {}. {}",
        plain(&comparison.task),
        plain(&comparison.arm),
        plain(&comparison.against),
        comparison_numbers(comparison),
        as_sentence(&comparison.verdict)
    )
}

/// `text` with a capital at its start and a stop at its end.
pub(crate) fn as_sentence(text: &str) -> String {
    let text = plain(text.trim());
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let stop = if text.is_empty() || text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}

/// What limits the result: what was not run, and tasks at which the model only guesses.
pub(crate) fn notes(result: &DisruptResult) -> Vec<String> {
    let mut notes = Vec::new();
    if !result.complete {
        notes.push(unfinished(result));
    }
    let Some(baseline) = result.baseline() else {
        notes.push("No arm is the undisturbed model: there is nothing to compare with.".to_owned());
        return notes;
    };
    for task in result.tasks_by_side() {
        let Some(ends) = result.at_chance(task) else { continue };
        notes.push(format!(
            "At chance: on {} the interval of \"{}\", {} to {} %, holds the chance level of {} %. What \
             an arm loses there cannot be told from guessing.",
            plain(&task.name),
            plain(&baseline.name),
            percent(ends.low),
            percent(ends.high),
            percent(task.chance.unwrap_or_default())
        ));
    }
    notes
}

fn unfinished(result: &DisruptResult) -> String {
    let pairs = result.arms.iter().flat_map(|arm| result.tasks.iter().map(move |task| (arm, task)));
    let short_of: Vec<String> = pairs
        .filter_map(|(arm, task)| {
            let done = result.cell(&arm.name, &task.name).map_or(0, |cell| cell.score.n);
            let missing = done < task.items;
            let (arm, task_name) = (plain(&arm.name), plain(&task.name));
            missing.then(|| format!("\"{arm}\" has {done} of {} items of {task_name}", task.items))
        })
        .collect();
    let listed = short_of.len().min(MOST_UNFINISHED);
    let more = match short_of.len() - listed {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let list = short_of.into_iter().take(listed).collect::<Vec<_>>().join(", ");
    format!("Incomplete: {list}{more}. A dash stands for what was not run.")
}

/// p as text: `0.019`, `6.0e-8`.
pub(crate) fn p_value(p: f64) -> String {
    if p == 0.0 || p >= 0.001 { format!("{p:.3}") } else { format!("{p:.1e}") }
}

/// The measures beside the accuracy on one task: a column for each that some arm has.
pub(crate) struct Measures {
    /// Short titles of the columns.
    pub(crate) columns: Vec<&'static str>,
    /// Name and values of each arm that has any.
    pub(crate) rows: Vec<(String, Vec<String>)>,
    /// What the columns mean.
    pub(crate) legend: String,
}

/// A column of [`Measures`]: title, meaning, value.
type Measure = (&'static str, &'static str, fn(&CellMetrics) -> Option<String>);

const MEASURES: [Measure; 6] = [
    ("reference", "accuracy in % by the reference's scorer", |m| {
        m.reference.map(|score| percent(score.accuracy))
    }),
    ("margin", "right answer over the best wrong one, nats", |m| m.margin_nats.map(short)),
    ("perplexity", "", |m| m.perplexity.as_ref().map(|p| with_interval(p.value, p.interval))),
    ("diversity", "", |m| m.diversity.map(|d| with_interval(d.value, d.interval))),
    ("KL", "from the undisturbed model, nats", |m| m.kl_nats.map(short)),
    ("top-1", "agreement with the undisturbed model, %", |m| m.top1_agreement.map(percent)),
];

/// The measures beside the accuracy on `task`; `None` when there are none.
pub(crate) fn measures(result: &DisruptResult, task: &TaskInfo) -> Option<Measures> {
    let cells: Vec<_> = result
        .arms
        .iter()
        .filter_map(|arm| result.cell(&arm.name, &task.name).map(|cell| (arm, &cell.metrics)))
        .filter(|(_, metrics)| !metrics.is_empty())
        .collect();
    let used: Vec<&Measure> = MEASURES
        .iter()
        .filter(|(_, _, value)| cells.iter().any(|(_, metrics)| value(metrics).is_some()))
        .collect();
    if used.is_empty() {
        return None;
    }
    let row = |metrics: &CellMetrics| {
        used.iter().map(|(_, _, value)| value(metrics).unwrap_or_else(|| NONE.to_owned())).collect()
    };
    let perplexities: BTreeSet<String> = cells
        .iter()
        .filter_map(|(_, metrics)| Some(plain(metrics.perplexity.as_ref()?.definition.trim())))
        .collect();
    let lengths: BTreeSet<usize> =
        cells.iter().filter_map(|(_, metrics)| Some(metrics.diversity?.n_gram)).collect();
    let lengths: Vec<String> = lengths.iter().map(|n| format!("{n}-grams")).collect();
    let meaning = |(title, meaning, _): &&Measure| match *title {
        "perplexity" => {
            let all: Vec<_> = perplexities.iter().map(|d| d.trim_end_matches('.')).collect();
            format!("perplexity: {}", all.join(", or "))
        }
        "diversity" => format!("diversity: share of distinct {}", lengths.join(", or ")),
        title => format!("{title}: {meaning}"),
    };
    let bracketed = cells.iter().any(|(_, metrics)| {
        let perplexity = metrics.perplexity.as_ref().and_then(|perplexity| perplexity.interval);
        perplexity.or(metrics.diversity.and_then(|diversity| diversity.interval)).is_some()
    });
    let level = percent_level(result.confidence);
    let brackets = match bracketed {
        true => format!("; in brackets: bootstrap interval of level {level} %."),
        false => ".".to_owned(),
    };
    Some(Measures {
        columns: used.iter().map(|(title, _, _)| *title).collect(),
        rows: cells.iter().map(|(arm, metrics)| (plain(&arm.name), row(metrics))).collect(),
        legend: used.iter().map(meaning).collect::<Vec<_>>().join("; ") + &brackets,
    })
}

/// The titles of [`perplexity_cells`].
pub(crate) const PERPLEXITY_COLUMNS: [&str; 5] = ["perplexity", "ratio", "nll", "KL", "top-1"];

/// What [`PERPLEXITY_COLUMNS`] mean.
pub(crate) const PERPLEXITY_LEGEND: &str = "ratio: to the baseline's perplexity; nll: mean negative log-likelihood, nats; KL: from the \
     undisturbed model, nats; top-1: agreement with the undisturbed model, %.";

/// Perplexity with its interval, its ratio to the baseline's, mean nll, KL and top-1 agreement
/// of each arm.
pub(crate) fn perplexity_cells(result: &PerplexityResult) -> Vec<(String, [String; 5])> {
    let baseline = result.baseline().map(|arm| arm.perplexity);
    let row = |arm: &PerplexityArm| {
        let ratio = baseline.map(|baseline| arm.perplexity / baseline);
        let cells = [
            with_interval(arm.perplexity, arm.interval),
            short_or_none(ratio),
            format!("{:.4}", arm.mean_nll),
            short_or_none(arm.kl_nats),
            arm.top1_agreement.map_or_else(|| NONE.to_owned(), percent),
        ];
        (plain(&arm.arm.name), cells)
    };
    result.arms.iter().map(row).collect()
}

/// Which text, how much of it, and what its perplexity is.
pub(crate) fn perplexity_summary(result: &PerplexityResult) -> String {
    let windows = result.arms.iter().map(|arm| arm.windows.len()).max().unwrap_or(0);
    let tokens = result.arms.iter().map(|arm| arm.tokens).max().unwrap_or(0);
    let interval = match result.arms.iter().any(|arm| arm.interval.is_some()) {
        true => format!(" In brackets: interval of level {} %.", percent_level(result.confidence)),
        false => String::new(),
    };
    format!(
        "Perplexity of {}: {} in {}. {}{interval}",
        plain(&result.text),
        plural(tokens, "scored token"),
        plural(windows, "window"),
        as_sentence(&result.definition)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::disrupt;

    #[test]
    fn percentages_have_one_decimal_and_no_negative_zero() {
        let cases = [(0.92, "92.0"), (1.0, "100.0"), (-0.0001, "0.0"), (-0.08, "-8.0")];
        for (share, expected) in cases {
            assert_eq!(percent(share), expected);
        }
        assert_eq!((percent_level(0.95), percent_level(0.999)), ("95".into(), "99.9".into()));
    }

    #[test]
    fn small_p_values_keep_their_size() {
        assert_eq!((p_value(0.0192), p_value(6e-8)), ("0.019".into(), "6.0e-8".into()));
    }

    #[test]
    fn what_was_not_run_is_named() {
        let mut result = disrupt();
        result.complete = false;
        result.cells.retain(|cell| cell.arm != "massive, k=8");
        let notes = notes(&result);
        assert!(notes[0].contains("\"massive, k=8\" has 0 of 25 items of passkey"), "{notes:?}");
        assert!(notes[1].starts_with("At chance: on cities"), "{notes:?}");
    }

    #[test]
    fn without_a_baseline_the_reader_is_told() {
        let mut result = disrupt();
        result.arms.remove(0);
        assert!(notes(&result)[0].contains("undisturbed"));
    }

    #[test]
    fn sentences_start_and_end_as_sentences() {
        assert_eq!(as_sentence("the interval holds 0"), "The interval holds 0.");
        assert_eq!(as_sentence(" Done. "), "Done.");
        assert_eq!(as_sentence(""), "");
    }
}
