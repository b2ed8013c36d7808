//! P1, figure 3a: how varied the answers are, as the share of distinct word pairs in an answer, mean
//! over the answers, by arm.
//!
//! What to see: under the arm `massive` the paper's answers begin to repeat themselves, so that the
//! share falls. An answer of a few words has no pair twice whatever was disturbed, and one without a
//! pair counts as 0, as in the paper's code: look at the answers (`--run`) before reading the bars.
//!
//! ```text
//! cargo run --bin p1_diversity -- models/SmolLM2-135M-Instruct.Q4_1.gguf
//! ```

use std::process::ExitCode;

use clap::Parser;
use massval::report::figure::diversity_bars;
use massval_examples::{ExperimentArgs, NamedTask, Trial, arms};

/// Diversity of the answers by task and arm (P1, figure 3a)
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Channels of each head to disturb
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    k: u16,
    /// Tokens that an answer may have
    #[arg(long, default_value_t = 48, value_name = "N", value_parser = clap::value_parser!(u16).range(2..))]
    max_new_tokens: u16,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    massval_examples::run(|| {
        let trial = Trial::load(&cli.experiment)?;
        let tasks = trial.tasks(NamedTask::answered)?;
        let arms = arms(usize::from(cli.k), cli.experiment.seed);
        let result = trial.disrupt(&tasks, arms, Some(usize::from(cli.max_new_tokens)))?;
        trial.write("p1_diversity", "answers", diversity_bars(&result)?, &result)
    })
}
