//! P1, figure 3c: accuracy over the number of channels disturbed in each head, for the channels of
//! smallest norm, for drawn ones, and for the massive ones; a contextual and a parametric task.
//!
//! What to see: whether the massive channels are special, or whether any channels will do if there
//! are enough of them. The paper draws the smallest ones only, and they hardly matter.
//!
//! ```text
//! cargo run --bin p1_sweep -- models/SmolLM2-135M-Instruct.Q4_1.gguf
//! ```

use std::process::ExitCode;

use clap::Parser;
use massval::Result;
use massval::report::figure::sweep;
use massval_examples::{ExperimentArgs, NamedTask, Trial, arms_over};

/// Accuracy over the number of disturbed channels (P1, figure 3c)
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Channels of each head to disturb, separated by commas
    #[arg(long, default_value = "1,2,3,4,8", value_delimiter = ',', value_name = "LIST", value_parser = clap::value_parser!(u16).range(1..))]
    k: Vec<u16>,
}

/// One task of each side.
fn tasks() -> Result<Vec<NamedTask>> {
    Ok(vec![
        NamedTask::new("passkey", "passkey:tokens=128,digits=6")?,
        NamedTask::new("capitals", "capitals")?,
    ])
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    massval_examples::run(|| {
        let trial = Trial::load(&cli.experiment)?;
        let tasks = trial.tasks(tasks)?;
        let sizes: Vec<usize> = cli.k.iter().copied().map(usize::from).collect();
        let arms = arms_over(&sizes, cli.experiment.seed);
        let result = trial.disrupt(&tasks, arms, None)?;
        trial.write("p1_sweep", "accuracy", sweep(&result)?, &result)
    })
}
