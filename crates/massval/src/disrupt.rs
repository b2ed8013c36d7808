//! The disruption experiment: arms on tasks, from items to a result.

use std::path::PathBuf;

use massval_eval::stats::Bootstrap;
use massval_eval::{
    CellSummary, DIVERSITY_N, Estimate, Experiment, Record, RunFolder, Summary, Task,
};
use massval_report::schema::{
    Cell, CellMetrics, DefinedPerplexity, DisruptResult, Diversity, FileHash, InputIdentity,
    InputSource, Interval, Progress, ResultKind, SCHEMA_VERSION, Score, TaskInfo, TaskSide,
};
use sha2::{Digest, Sha256};

use crate::arms::described;
use crate::compare::comparisons;
use crate::provenance::{Run, model_identity, provenance};
use crate::{Error, Result};

/// How a disruption experiment is run and judged.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DisruptOptions {
    /// Intervals: level, and resamples and seed of the bootstrap.
    pub bootstrap: Bootstrap,
    /// Folder that keeps each item's record, so that a run that was killed can go on.
    pub folder: Option<PathBuf>,
    /// Go on with the run that the folder holds.
    pub resume: bool,
}

/// Runs an experiment and judges it. `progress` is told items done and items in all.
///
/// # Errors
/// Before anything is computed or written: arms and items that do not fit the model, a folder of another run.
/// Later: what [`Experiment::run`] meets, an intervention that selected nothing.
pub fn disrupt(
    experiment: &Experiment<'_>,
    run: &Run,
    options: &DisruptOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<DisruptResult> {
    experiment.check()?;
    let provenance = provenance(run, experiment.model.checkpoint(), identity(experiment)?)?;
    let mut summary = Summary::default();
    let mut folder = match &options.folder {
        None => None,
        Some(path) => {
            let mut plan = plan(experiment, run, &provenance.model.files);
            plan["items_sha256"] = provenance.input.sha256.as_str().into();
            let mut number = 0;
            let seen = &mut |record: Record| {
                experiment.expects(number, &record, path)?;
                number += 1;
                summary.push(&record)
            };
            let arms = experiment.arms.len();
            let ends = experiment.batch_ends()?;
            Some(RunFolder::open(path, &plan, (arms, &ends), options.resume, seen)?)
        }
    };
    let done = folder.as_ref().map_or(0, RunFolder::items);
    let mut keep = |records: &[Record]| {
        if let Some(folder) = &mut folder {
            folder.append(records)?;
        }
        records.iter().try_for_each(|record| summary.push(record))
    };
    experiment.run(done, &mut keep, progress)?;
    summary.check(&experiment.arms)?;

    let arms = experiment
        .arms
        .iter()
        .map(|arm| described(arm, summary.tally(&arm.name), summary.kv(&arm.name)))
        .collect::<Result<Vec<_>>>()?;
    let columns =
        || experiment.tasks.iter().flat_map(|task| task.columns.iter().map(move |c| (task, c)));
    let tasks: Vec<TaskInfo> = columns().map(|(task, column)| info(task, column)).collect();
    let mut cells = Vec::new();
    for (task, column) in columns() {
        for arm in &experiment.arms {
            if let Some(summary) = summary.cell(task, column, &arm.name, &options.bootstrap)? {
                cells.push(cell(&arm.name, &column.name, &summary)?);
            }
        }
    }
    let reached = Progress::of(&arms, &tasks, &cells);
    let result = DisruptResult {
        schema_version: SCHEMA_VERSION,
        kind: ResultKind::Disrupt,
        provenance,
        complete: reached.is_complete(),
        progress: reached,
        confidence: options.bootstrap.level,
        comparisons: comparisons(
            &experiment.tasks,
            &experiment.arms,
            &summary,
            &options.bootstrap,
        )?,
        arms,
        tasks,
        cells,
    };
    result.validate()?;
    Ok(result)
}

/// Checks that an experiment can be run, and tells what it would take; writes nothing.
///
/// Items and folder are checked as [`disrupt`] checks them, except that of each task no more than the first 256
/// items are prepared, and records that the folder holds are not read. `now` tells seconds from any beginning
/// ([`Experiment::estimate`]).
///
/// # Errors
/// What [`disrupt`] meets before anything is computed.
pub fn disrupt_estimate(
    experiment: &Experiment<'_>,
    run: &Run,
    options: &DisruptOptions,
    now: &mut dyn FnMut() -> f64,
) -> Result<Estimate> {
    experiment.check_some()?;
    if let Some(path) = &options.folder {
        let files = model_identity(experiment.model.checkpoint())?.files;
        RunFolder::check(path, &plan(experiment, run, &files), options.resume)?;
    }
    Ok(experiment.estimate(now)?)
}

/// What a run is of, except for the hash of its items: the sets' identities and number of items decide them.
fn plan(experiment: &Experiment<'_>, run: &Run, files: &[FileHash]) -> serde_json::Value {
    serde_json::json!({
        "massval": env!("CARGO_PKG_VERSION"),
        "model": files,
        "dtype": run.dtype,
        "experiment": experiment.identity(),
    })
}

/// The items' hash: what the model is given, in order.
fn identity(experiment: &Experiment<'_>) -> Result<InputIdentity> {
    let mut hash = Sha256::new();
    for task in &experiment.tasks {
        for index in 0..task.items {
            let item = task.dataset.item(index)?;
            let line = serde_json::to_vec(&item)
                .map_err(|error| Error::Input(format!("{}: {error}", item.id)))?;
            hash.update(&line);
            hash.update(b"\n");
        }
    }
    let chat = experiment.tasks.iter().any(|task| task.form.chat);
    Ok(InputIdentity {
        source: InputSource::Tasks,
        file: None,
        sha256: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        chat,
        special_tokens: !chat,
        tokens: Vec::new(),
        pieces: None,
    })
}

fn info(task: &Task<'_>, column: &massval_eval::Column) -> TaskInfo {
    TaskInfo {
        name: column.name.clone(),
        side: match column.side {
            massval_data::Side::Contextual => TaskSide::Contextual,
            massval_data::Side::Parametric => TaskSide::Parametric,
        },
        item: task.item.clone(),
        items: task.items,
        metric: column.metric.name().to_owned(),
        chance: column.chance,
        identity: task.identity(),
    }
}

fn cell(arm: &str, task: &str, summary: &CellSummary) -> Result<Cell> {
    let bounds = |interval: &massval_eval::stats::Interval| Interval {
        low: interval.low,
        high: interval.high,
    };
    let score = |right: usize, interval| Score::new(right, summary.items, bounds(interval));
    let own = summary.own_perplexity.map(|value| (value, OWN_PERPLEXITY));
    let gold = summary.gold_perplexity.map(|value| (value, GOLD_PERPLEXITY));
    Ok(Cell {
        arm: arm.to_owned(),
        task: task.to_owned(),
        score: score(summary.right, &summary.accuracy)?,
        metrics: CellMetrics {
            reference: match &summary.reference {
                Some((right, interval)) => Some(score(*right, interval)?),
                None => None,
            },
            margin_nats: summary.margin,
            perplexity: own.or(gold).map(|(measured, what)| DefinedPerplexity {
                value: measured.value,
                interval: measured.interval.as_ref().map(bounds),
                definition: what.to_owned(),
            }),
            diversity: summary.diversity.map(|measured| Diversity {
                n_gram: DIVERSITY_N,
                value: measured.value,
                interval: measured.interval.as_ref().map(bounds),
            }),
            kl_nats: summary.kl.map(|kl| kl.max(0.0)),
            top1_agreement: summary.top1_agreement,
        },
    })
}

const OWN_PERPLEXITY: &str = "of the model's own answer without the prompt, under the same arm: exp of the mean \
                              negative log-probability of its tokens but the first; mean over the answers of two \
                              tokens or more";
const GOLD_PERPLEXITY: &str = "of the right answer given the prompt, under the same arm: exp of the mean negative \
                               log-probability over the tokens of all items";
