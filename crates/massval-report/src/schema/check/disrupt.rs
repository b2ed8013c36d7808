//! Checks of a result of `massval disrupt`.

use std::collections::HashMap;

use super::{ROUNDING, arms, confidence, finite, header, interval, interval_of, provenance, share};
use crate::error::{Error, Result};
use crate::schema::{
    Cell, CellMetrics, Comparison, DisruptResult, Progress, ResultKind, Score, TaskInfo,
};

/// Checks the result; see [`DisruptResult::validate`].
pub(in crate::schema) fn disrupt(result: &DisruptResult) -> Result<()> {
    header(result.schema_version, result.kind, ResultKind::Disrupt)?;
    provenance(&result.provenance)?;
    confidence(result.confidence)?;
    arms(|i| format!("arms[{i}]"), result.arms.iter())?;
    let names = Names::of(result)?;
    let mut seen = HashMap::new();
    for (i, cell) in result.cells.iter().enumerate() {
        let field = format!("cells[{i}]");
        let task = names.pair(&field, &cell.arm, &cell.task)?;
        check_cell(&field, cell, task)?;
        if seen.insert((cell.arm.as_str(), cell.task.as_str()), cell).is_some() {
            let reason = format!("arm `{}` has task `{}` twice", cell.arm, cell.task);
            return Err(Error::field(field, reason));
        }
    }
    for (i, comparison) in result.comparisons.iter().enumerate() {
        let field = format!("comparisons[{i}]");
        names.pair(&field, &comparison.arm, &comparison.task)?;
        let task = names.pair(&field, &comparison.against, &comparison.task)?;
        check_comparison(&field, comparison, task)?;
    }
    let counted = Progress::of(&result.arms, &result.tasks, &result.cells);
    if result.progress != counted {
        let reason = format!("is {:?}, the cells hold {counted:?}", result.progress);
        return Err(Error::field("progress", reason));
    }
    if result.complete != counted.is_complete() {
        let Progress { items_done, items_asked, .. } = counted;
        let reason = format!("is {}, with {items_done} of {items_asked} items", result.complete);
        return Err(Error::field("complete", reason));
    }
    Ok(())
}

/// The names that cells and comparisons may use.
struct Names<'a> {
    arms: Vec<&'a str>,
    tasks: HashMap<&'a str, &'a TaskInfo>,
}

impl<'a> Names<'a> {
    fn of(result: &'a DisruptResult) -> Result<Self> {
        let mut tasks = HashMap::new();
        for (i, task) in result.tasks.iter().enumerate() {
            if tasks.insert(task.name.as_str(), task).is_some() {
                let reason = format!("two tasks are named `{}`", task.name);
                return Err(Error::field(format!("tasks[{i}].name"), reason));
            }
            if let Some(chance) = task.chance {
                share(format!("tasks[{i}].chance"), chance)?;
            }
        }
        Ok(Self { arms: result.arms.iter().map(|arm| arm.name.as_str()).collect(), tasks })
    }

    fn pair(&self, field: &str, arm: &str, task: &str) -> Result<&'a TaskInfo> {
        if !self.arms.contains(&arm) {
            return Err(Error::field(field, format!("there is no arm `{arm}`")));
        }
        let missing = || Error::field(field, format!("there is no task `{task}`"));
        self.tasks.get(task).copied().ok_or_else(missing)
    }
}

fn check_cell(field: &str, cell: &Cell, task: &TaskInfo) -> Result<()> {
    score(&format!("{field}.score"), &cell.score)?;
    if cell.score.n > task.items {
        let reason = format!("is {}, the task has {}", cell.score.n, task.items);
        return Err(Error::field(format!("{field}.score.n"), reason));
    }
    metrics(&format!("{field}.metrics"), &cell.metrics, cell.score.n)
}

fn score(field: &str, score: &Score) -> Result<()> {
    let Score { n, correct, accuracy, interval } = *score;
    if n == 0 || correct > n {
        let reason = format!("is {correct} of {n} items");
        return Err(Error::field(format!("{field}.correct"), reason));
    }
    // Written so that NaN fails, too.
    let agrees = (accuracy - correct as f64 / n as f64).abs() <= ROUNDING;
    if !agrees {
        let reason = format!("is {accuracy}, {correct} of {n} items are right");
        return Err(Error::field(format!("{field}.accuracy"), reason));
    }
    interval_of(&format!("{field}.interval"), accuracy, interval)
}

fn metrics(field: &str, metrics: &CellMetrics, n: usize) -> Result<()> {
    let name = |name: &str| format!("{field}.{name}");
    if let Some(reference) = &metrics.reference {
        score(&name("reference"), reference)?;
        if reference.n != n {
            let reason = format!("is {}, the score has {n}", reference.n);
            return Err(Error::field(name("reference.n"), reason));
        }
    }
    if let Some(perplexity) = &metrics.perplexity {
        finite(name("perplexity.value"), perplexity.value)?;
        if perplexity.value <= 0.0 || perplexity.definition.trim().is_empty() {
            let reason = format!("is {} of `{}`", perplexity.value, perplexity.definition);
            return Err(Error::field(name("perplexity"), reason));
        }
        if let Some(ends) = perplexity.interval {
            interval(&name("perplexity.interval"), ends)?;
        }
    }
    if let Some(diversity) = &metrics.diversity {
        share(name("diversity.value"), diversity.value)?;
        if let Some(ends) = diversity.interval {
            interval(&name("diversity.interval"), ends)?;
        }
    }
    metrics.margin_nats.map_or(Ok(()), |x| finite(name("margin_nats"), x))?;
    metrics.kl_nats.map_or(Ok(()), |x| finite(name("kl_nats"), x))?;
    metrics.top1_agreement.map_or(Ok(()), |x| share(name("top1_agreement"), x))
}

fn check_comparison(field: &str, comparison: &Comparison, task: &TaskInfo) -> Result<()> {
    let Comparison { n, difference, only_arm, only_against, .. } = *comparison;
    let name = |name: &str| format!("{field}.{name}");
    let discordant = only_arm.checked_add(only_against);
    if n == 0 || n > task.items || discordant.is_none_or(|discordant| discordant > n) {
        let reason = format!(
            "is {n}, with {only_arm} and {only_against} discordant items of {}",
            task.items
        );
        return Err(Error::field(name("n"), reason));
    }
    let expected = (only_arm as f64 - only_against as f64) / n as f64;
    // Written so that NaN fails, too.
    let agrees = (difference - expected).abs() <= ROUNDING;
    if !agrees {
        let reason = format!("is {difference}, the discordant items give {expected}");
        return Err(Error::field(name("difference"), reason));
    }
    interval(&name("interval"), comparison.interval)?;
    share(name("p"), comparison.p)?;
    comparison.p_adjusted.map_or(Ok(()), |p| share(name("p_adjusted"), p))?;
    let size = comparison.effect_size.as_ref();
    size.map_or(Ok(()), |size| finite(name("effect_size.value"), size.value))
}
