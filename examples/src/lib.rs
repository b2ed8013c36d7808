//! What the examples have in common: arguments, loading and scanning, drawing, writing.
//!
//! Each binary redraws one figure of a paper from a model and a text that its user names;
//! `docs/figures.md` of the repository maps figures to binaries. Massive values are those of
//! *Massive Values in Self-Attention Modules are the Key to Contextual Knowledge Understanding*
//! ([2502.01563](https://arxiv.org/abs/2502.01563)), P1 below.

mod args;
mod drawing;
mod session;

pub use args::{FigureArgs, SourceArgs};
pub use drawing::{
    Drawing, PairEnergyChange, before_after_rope, emergence, heatmaps, key_cache_surfaces,
    largest_pair_energy_change,
};
pub use session::{KeyCache, Session};

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
