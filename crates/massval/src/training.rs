//! What stays of a training besides its model: a record, a table and curves.

use std::path::Path;

use massval_models::tensorfile::atomic_write;
use massval_train::{Entry, Measurement, TrainConfig};
use serde::{Deserialize, Serialize};

use crate::{Result, Run};

/// What a training was and came to: `training.json` in its folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrainingRecord {
    /// The version of massval.
    pub massval_version: String,
    /// The command line that finished it.
    pub command: Vec<String>,
    /// When it was finished, RFC 3339.
    pub created: Option<String>,
    /// Where it was computed.
    pub device: String,
    /// Threads that were used.
    pub threads: usize,
    /// Parameters of the model.
    pub parameters: u64,
    /// The fingerprint of the text.
    pub corpus: String,
    /// All that decides it.
    pub config: TrainConfig,
    /// The model at the end.
    pub last: Measurement,
}

impl TrainingRecord {
    /// The record of a finished run.
    #[must_use]
    pub fn new(run: &Run, config: &TrainConfig, parameters: u64, last: Measurement) -> Self {
        Self {
            massval_version: env!("CARGO_PKG_VERSION").to_owned(),
            command: run.command.clone(),
            created: run.created.clone(),
            device: run.device.to_string(),
            threads: run.threads,
            parameters,
            corpus: config.language.fingerprint(),
            config: config.clone(),
            last,
        }
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        Ok(atomic_write(path, |out| out.write_all(text.as_bytes()))?)
    }

    /// The end of the training in a few lines.
    #[must_use]
    pub fn summary(&self) -> String {
        let Measurement { step, loss, .. } = self.last;
        let model = &self.config.model;
        let mut lines = vec![
            format!(
                "{} parameters, {} positions, {step} steps of {} rows: loss {loss:.3} on rows not trained on",
                self.parameters,
                model.position.name(),
                self.config.batch
            ),
            String::new(),
            format!("{:<20} {:<12} {:>9}", "task", "knowledge", "right"),
        ];
        for task in &self.last.tasks {
            let side = if task.contextual { "context" } else { "weights" };
            let right = format!("{}/{}", task.correct, task.items);
            lines.push(format!("{:<20} {side:<12} {right:>9}", task.task));
        }
        lines.push(String::new());
        lines.push(format!(
            "{:<8} {:>10} {:>14} {:>14}",
            "site", "top ratio", "lambda 3", "lambda 5"
        ));
        for site in site_names(&self.last) {
            let of = || self.last.sites.iter().filter(|measure| measure.site == site);
            let top = of().map(|measure| measure.top_ratio).fold(0.0, f32::max);
            let count = |index: usize| of().map(|measure| measure.massive[index]).sum::<usize>();
            lines.push(format!("{site:<8} {top:>10.2} {:>14} {:>14}", count(1), count(3)));
        }
        lines.join("\n")
    }
}

fn site_names(measurement: &Measurement) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for site in &measurement.sites {
        if !names.contains(&site.site.as_str()) {
            names.push(&site.site);
        }
    }
    names
}

/// The curves of one or several trainings, each with its name: loss, accuracy, and for each site of attention the
/// largest ratio and the massive values.
///
/// # Errors
/// If there is nothing to draw.
#[cfg(feature = "figures")]
pub fn training_figure(
    title: &str,
    runs: &[(&str, &[Entry])],
) -> Result<massval_report::figure::Figure> {
    use massval_report::figure::{Curve, CurvePanel, curves};

    let measured = |entries: &'_ [Entry]| -> Vec<Measurement> {
        let found = entries.iter().filter_map(|entry| match entry {
            Entry::Measurement(measurement) => Some(measurement.clone()),
            _ => None,
        });
        found.collect()
    };
    let runs: Vec<(&str, Vec<Measurement>)> =
        runs.iter().map(|(name, entries)| (*name, measured(entries))).collect();
    let panel = |title: &str, value: &dyn Fn(&Measurement) -> Option<f64>| {
        let lines = runs.iter().map(|(name, found)| {
            let points = found.iter().filter_map(|m| Some((m.step as f64, value(m)?)));
            Curve::new(*name, points.collect::<Vec<_>>())
        });
        CurvePanel::new(title, lines.filter(|line| !line.points.is_empty()).collect())
    };
    let mut panels = vec![panel("loss on rows not trained on (nats per token)", &|m| Some(m.loss))];
    for (title, task) in [
        ("facts, from the weights (% right)", "facts"),
        ("pass keys, from the context (% right)", "passkey"),
        ("key-value, from the context (% right)", "key-value"),
    ] {
        panels.push(panel(title, &|m| {
            let found = m.tasks.iter().find(|accuracy| accuracy.task == task)?;
            Some(100.0 * found.correct as f64 / found.items.max(1) as f64)
        }));
    }
    for (site, word) in [("q", "Q"), ("k", "K"), ("v", "V")] {
        let title = format!("largest norm of {word} over its head's mean");
        panels.push(panel(&title, &|m| {
            let of = m.sites.iter().filter(|measure| measure.site == site);
            of.map(|measure| f64::from(measure.top_ratio)).reduce(f64::max)
        }));
    }
    panels.push(panel("massive values of Q and K at lambda 3", &|m| {
        let of = m.sites.iter().filter(|measure| ["q", "k"].contains(&measure.site.as_str()));
        Some(of.map(|measure| measure.massive[1] as f64).sum())
    }));
    Ok(curves(title, &panels)?)
}
