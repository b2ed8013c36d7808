//! What the examples have in common: arguments, loading, scanning and asking, drawing, writing.
//!
//! Each binary redraws one figure or table of a paper, from a model that its user names and a text,
//! or from the answers of that model under interventions; `docs/figures.md` of the repository maps
//! figures to binaries. Massive values are those of
//! *Massive Values in Self-Attention Modules are the Key to Contextual Knowledge Understanding*
//! ([2502.01563](https://arxiv.org/abs/2502.01563)), P1 below.

mod args;
mod arms;
mod drawing;
mod session;
mod trial;

pub use args::{ExperimentArgs, FigureArgs, SourceArgs};
pub use arms::{Disrupted, TrainingArm, disrupted};
pub use drawing::{
    Drawing, PairEnergyChange, before_after_rope, emergence, heatmaps, key_cache_surfaces,
    largest_pair_energy_change,
};
pub use session::{KeyCache, Session};
pub use trial::{NamedTask, Trial, arms, arms_over};

use std::process::ExitCode;

/// Runs an example: exit code 0, or one line on standard error and 1.
pub fn run(example: impl FnOnce() -> massval::Result<()>) -> ExitCode {
    match example() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = error.to_string().replace(char::is_control, " ");
            eprintln!("error: {line}");
            ExitCode::FAILURE
        }
    }
}
