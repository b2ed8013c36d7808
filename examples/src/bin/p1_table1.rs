//! P1, table 1: accuracy on contextual and on parametric tasks with the model left alone, with its
//! non-massive channels disturbed, with as many channels drawn at random, and with its massive ones.
//!
//! What to see: the paper's claim is that the row `massive` falls where the answer stands in the
//! prompt, and much less where it is in the weights, while the other rows keep what `none` has. The
//! paper has no random row; without it, nobody knows what any channel would have done. Columns at
//! the level of chance before anything is disturbed say nothing, and are marked.
//!
//! ```text
//! cargo run --bin p1_table1 -- models/SmolLM2-135M-Instruct.Q4_1.gguf
//! ```

use std::process::ExitCode;

use clap::Parser;
use massval::Result;
use massval::report::figure::accuracy_bars;
use massval_examples::{ExperimentArgs, NamedTask, Trial, arms};

/// The paper's prompts, tokens and digits of the key.
const PASSKEYS: [(usize, usize); 3] = [(128, 6), (256, 12), (1024, 48)];

/// Room for the answer: a key of 48 digits and a few words.
const ANSWER: usize = 64;

/// Accuracy by task and arm (P1, table 1)
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Channels of each head to disturb
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    k: u16,
    /// Longest of the paper's passkey prompts to ask, in tokens: 128, 256 or 1024
    #[arg(long, default_value_t = 256, value_name = "TOKENS")]
    longest: usize,
}

/// The usual tasks, with the passkeys that the model has positions for.
fn tasks(longest: usize, positions: Option<usize>) -> Result<Vec<NamedTask>> {
    let mut tasks = Vec::new();
    for (tokens, digits) in PASSKEYS.into_iter().filter(|(tokens, _)| *tokens <= longest) {
        let name = format!("passkey ({tokens}, {digits})");
        match positions {
            Some(most) if tokens + ANSWER > most => {
                eprintln!("{name} is left out: the model has positions for {most} tokens");
            }
            _ => {
                let spec = format!("passkey:tokens={tokens},digits={digits}");
                tasks.push(NamedTask::new(name, &spec)?);
            }
        }
    }
    for (name, spec) in [
        ("key-value", "key_value"),
        ("list recall", "list_recall"),
        ("capitals", "capitals"),
        ("cities", "cities"),
    ] {
        tasks.push(NamedTask::new(name, spec)?);
    }
    Ok(tasks)
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    massval_examples::run(|| {
        let trial = Trial::load(&cli.experiment)?;
        let tasks = trial.tasks(|| tasks(cli.longest, trial.positions()))?;
        let arms = arms(usize::from(cli.k), cli.experiment.seed);
        let result = trial.disrupt(&tasks, arms, None)?;
        trial.write("p1_table1", "accuracy", accuracy_bars(&result)?, &result)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_are_those_that_were_asked_for_and_fit() {
        let passkeys = |longest, positions| {
            let tasks = tasks(longest, positions).unwrap();
            tasks.iter().filter(|task| task.name.starts_with("passkey")).count()
        };
        assert_eq!(passkeys(256, Some(2048)), 2);
        assert_eq!(passkeys(1024, Some(2048)), 3);
        assert_eq!(passkeys(1024, None), 3);
        assert_eq!(passkeys(1024, Some(1024)), 2);
        assert_eq!(passkeys(1024, Some(64)), 0);
    }
}
