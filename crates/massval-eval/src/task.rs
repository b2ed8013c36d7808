//! A task: items, how they are put to the model, what is measured and what counts as right.

use massval_data::{Dataset, Gold, Role, Side};
use serde::{Deserialize, Serialize};

use crate::prompt::Form;
use crate::record::Record;
use crate::score::ReferenceRule;
use crate::{Error, Result};

/// A set of items with all that decides how a model fares on it.
pub struct Task<'d> {
    /// Name, unique within an experiment.
    pub name: String,
    /// What one item is, in a sentence.
    pub item: String,
    /// The items.
    pub dataset: Box<dyn Dataset + 'd>,
    /// How many of them, the first ones.
    pub items: usize,
    /// How they are put to the model.
    pub form: Form,
    /// What the model does with them.
    pub ask: Ask,
    /// The rule by which the reference scores such answers, where it has the task.
    pub rule: Option<ReferenceRule>,
    /// What is reported of it.
    pub columns: Vec<Column>,
}

/// What the model does with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Write an answer, greedily, of at most so many tokens; 0 for none.
    pub write: usize,
    /// Compare the likelihoods of the alternatives.
    pub compare: bool,
}

/// One reported number of a task: an accuracy, by one way of scoring.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Name, unique within an experiment.
    pub name: String,
    /// Where the knowledge is that it measures.
    pub side: Side,
    /// The way of scoring.
    pub metric: Metric,
    /// Accuracy of guessing, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
}

/// When an item counts as right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Metric {
    /// The written answer is right by the strict rules (in a conflict: it is the context's).
    Strict,
    /// The written answer is right by the reference's rule, its known wrong verdicts included.
    Reference,
    /// In a conflict: the written answer is what the weights should hold.
    Memory,
    /// A right alternative has the highest probability (in a conflict: the context's).
    Likelihood,
    /// In a conflict: what the weights should hold has the highest probability.
    MemoryLikelihood,
}

impl Metric {
    /// The word for it in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Reference => "reference",
            Self::Memory => "memory",
            Self::Likelihood => "log-likelihood",
            Self::MemoryLikelihood => "memory-log-likelihood",
        }
    }

    /// Whether an item was right; `None` if it was not measured this way.
    #[must_use]
    pub fn of(self, record: &Record) -> Option<bool> {
        let scores = record.scores.as_ref();
        let winner = record.picks.as_ref().map(|picks| picks.sum.role);
        match self {
            Self::Strict => scores.map(|scores| scores.strict.is_right()),
            Self::Reference => scores?.reference.as_ref().map(|verdict| verdict.is_right()),
            Self::Memory => scores?.memory.as_ref().map(|verdict| verdict.is_right()),
            Self::Likelihood => winner.map(|role| role == Role::Right),
            Self::MemoryLikelihood => winner.map(|role| role == Role::Memory),
        }
    }
}

impl<'d> Task<'d> {
    /// A task with the usual measures for its kind of item: alternatives are compared where the set is
    /// parametric or a conflict, else an answer of at most `write` tokens is written.
    ///
    /// # Errors
    /// [`Error::Task`] if it has no items or fewer than asked for; what making the first item may meet.
    pub fn new(dataset: Box<dyn Dataset + 'd>, items: Option<usize>, write: usize) -> Result<Self> {
        let name = dataset.name().to_owned();
        let items = match (items, dataset.len()) {
            (Some(0), _) | (_, Some(0)) => {
                return Err(Error::task(name, "has no items; ask for at least one"));
            }
            (Some(asked), Some(have)) if asked > have => {
                return Err(Error::task(name, format!("{asked} items asked for, it has {have}")));
            }
            (Some(asked), _) => asked,
            (None, Some(have)) => have,
            (None, None) => {
                let what = "makes as many items as one likes; say how many (--limit)";
                return Err(Error::task(name, what));
            }
        };
        let first = dataset.item(0)?;
        let side = dataset.side();
        let conflict = matches!(first.gold, Gold::Conflict { .. });
        let compare = !first.choices.is_empty() && (conflict || side == Side::Parametric);
        let chance = (!first.choices.is_empty()).then(|| {
            let right = first.choices.iter().filter(|choice| choice.role == Role::Right).count();
            right as f64 / first.choices.len() as f64
        });
        let column = |name: &str, side, metric| Column {
            name: name.to_owned(),
            side,
            metric,
            chance: chance.filter(|_| compare),
        };
        let columns = match (conflict, compare) {
            (true, true) => vec![
                column(&format!("{name}: context"), Side::Contextual, Metric::Likelihood),
                column(&format!("{name}: memory"), Side::Parametric, Metric::MemoryLikelihood),
            ],
            (true, false) => vec![
                column(&format!("{name}: context"), Side::Contextual, Metric::Strict),
                column(&format!("{name}: memory"), Side::Parametric, Metric::Memory),
            ],
            (false, true) => vec![column(&name, side, Metric::Likelihood)],
            (false, false) => vec![column(&name, side, Metric::Strict)],
        };
        let ask = Ask { write: if compare { 0 } else { write }, compare };
        let item = format!("an item of {name}");
        Ok(Self { name, item, dataset, items, form: Form::default(), ask, rule: None, columns })
    }

    /// Gives it another name, and its columns with it.
    pub fn rename(&mut self, name: &str) {
        for column in &mut self.columns {
            column.name = match column.name.strip_prefix(&self.name) {
                Some(rest) => format!("{name}{rest}"),
                None => format!("{name}: {}", column.name),
            };
        }
        self.name = name.to_owned();
    }

    /// Everything that decides its numbers, for results: two tasks with the same value measure the same.
    #[must_use]
    pub fn identity(&self) -> serde_json::Value {
        serde_json::json!({
            "set": self.dataset.identity(),
            "items": self.items,
            "form": self.form,
            "ask": self.ask,
            "rule": self.rule,
            "columns": self.columns,
        })
    }
}
