//! The result of `massval disrupt`: tasks solved by a model under interventions.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Arm, ArmRole, CellMetrics, Interval, Provenance, ResultKind, Score, check, file};
use crate::error::Result;

/// The disruption experiment: every arm on every task, and the arms compared.
///
/// Its items are many short prompts, so `provenance.input` has the source `tasks`, a hash over the
/// items and no tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisruptResult {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    pub schema_version: u32,
    /// [`ResultKind::Disrupt`].
    pub kind: ResultKind,
    /// The run.
    pub provenance: Provenance,
    /// Whether every arm was run on every item of every task.
    pub complete: bool,
    /// How far the run came.
    pub progress: Progress,
    /// Level of all confidence intervals, for example 0.95.
    pub confidence: f64,
    /// The arms, in the order in which tables show them.
    pub arms: Vec<Arm>,
    /// The tasks; tables show contextual ones first.
    pub tasks: Vec<TaskInfo>,
    /// What each arm reached on each task; a pair that was not run has none.
    pub cells: Vec<Cell>,
    /// Arms compared on the items of a task.
    pub comparisons: Vec<Comparison>,
}

/// How much of the experiment was run. An item counts once for each arm and task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Arms.
    pub arms: usize,
    /// Tasks.
    pub tasks: usize,
    /// Items that were scored.
    pub items_done: usize,
    /// Items that were asked for.
    pub items_asked: usize,
}

/// A task: where the knowledge is, what an item is and how it is scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskInfo {
    /// Name, unique within the result.
    pub name: String,
    /// Where the knowledge comes from.
    pub side: TaskSide,
    /// What one item is, in a sentence.
    pub item: String,
    /// Items that each arm was asked to solve.
    pub items: usize,
    /// How an item is scored: `strict`, `reference`, `log-likelihood`.
    pub metric: String,
    /// Accuracy of guessing, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// Everything that fixes the items (generator, seed, files and their hashes), as the program
    /// that ran them writes it.
    pub identity: Value,
}

/// Where the knowledge that a task asks for comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskSide {
    /// From the prompt.
    Contextual,
    /// From the weights.
    Parametric,
}

/// One arm on one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Name of the arm.
    pub arm: String,
    /// Name of the task.
    pub task: String,
    /// Accuracy by the task's metric, with its Wilson interval.
    pub score: Score,
    /// Further measures.
    #[serde(default, skip_serializing_if = "CellMetrics::is_empty")]
    pub metrics: CellMetrics,
}

/// Two arms compared on the items that both solved or failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Name of the task.
    pub task: String,
    /// Name of the arm.
    pub arm: String,
    /// Name of the arm that it is compared with.
    pub against: String,
    /// Items that both arms were run on.
    pub n: usize,
    /// Accuracy of `arm` minus that of `against` on those items.
    pub difference: f64,
    /// Paired interval of the difference.
    pub interval: Interval,
    /// Items that `arm` alone has right.
    pub only_arm: usize,
    /// Items that `against` alone has right.
    pub only_against: usize,
    /// McNemar's p, two-sided.
    pub p: f64,
    /// The same corrected for the number of comparisons, when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_adjusted: Option<f64>,
    /// How large the difference is on a scale of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect_size: Option<EffectSize>,
    /// Whether the difference earns the name of an effect.
    pub effect: bool,
    /// Why, in a sentence.
    pub verdict: String,
}

/// A named effect size, for example Cohen's h.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectSize {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: f64,
}

impl TaskSide {
    /// The word in the file's `side` field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contextual => "contextual",
            Self::Parametric => "parametric",
        }
    }
}

impl Progress {
    /// Counts what `cells` hold of `arms` times the items of `tasks`.
    pub fn of(arms: &[Arm], tasks: &[TaskInfo], cells: &[Cell]) -> Self {
        let items = tasks.iter().fold(0usize, |sum, task| sum.saturating_add(task.items));
        Self {
            arms: arms.len(),
            tasks: tasks.len(),
            items_done: cells.iter().fold(0, |sum, cell| sum.saturating_add(cell.score.n)),
            items_asked: items.saturating_mul(arms.len()),
        }
    }

    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.items_done == self.items_asked
    }
}

impl DisruptResult {
    /// Reads and checks a result file of `massval disrupt`.
    ///
    /// # Errors
    /// The file cannot be read, is no result file, has another schema version or kind, or its
    /// fields contradict each other.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let result: Self = file::read(path.as_ref(), ResultKind::Disrupt)?;
        result.validate()?;
        Ok(result)
    }

    /// Checks the result and writes it, whole or not at all.
    ///
    /// # Errors
    /// The fields contradict each other, or the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        self.validate()?;
        file::write(path.as_ref(), self)
    }

    /// Checks that names are known and unique, counts agree and numbers are finite.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn validate(&self) -> Result<()> {
        check::disrupt(self)
    }

    /// The cell of `arm` on `task`, by name.
    pub fn cell(&self, arm: &str, task: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.arm == arm && cell.task == task)
    }

    /// The undisturbed arm.
    pub fn baseline(&self) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.role == ArmRole::None)
    }

    /// The tasks as tables show them: contextual ones first.
    pub fn tasks_by_side(&self) -> Vec<&TaskInfo> {
        let side = |side| self.tasks.iter().filter(move |task| task.side == side);
        side(TaskSide::Contextual).chain(side(TaskSide::Parametric)).collect()
    }

    /// The baseline's interval on `task`, when the chance level lies in it: the model cannot be
    /// told from guessing there, and a disrupted arm has nothing to lose.
    pub fn at_chance(&self, task: &TaskInfo) -> Option<Interval> {
        let cell = self.cell(&self.baseline()?.name, &task.name)?;
        Some(cell.score.interval)
            .filter(|interval| task.chance.is_some_and(|c| interval.contains(c)))
    }
}
