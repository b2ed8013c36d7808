//! P1, figure 3b: perplexity by arm, of a text and of the model's own answers.
//!
//! What to see: the text is the same for every arm, so its perplexity says how much of the model's
//! knowledge of language each arm costs. The paper's is of the answers that the disturbed model has
//! itself written, read again by the same disturbed model without the prompt: every arm is measured
//! on another text, and a model that repeats one word for ever does well. Both are drawn, and should
//! not be compared with each other.
//!
//! ```text
//! cargo run --bin p1_perplexity -- \
//!     models/SmolLM2-135M-Instruct.Q4_1.gguf --text fixtures/text/natural.txt
//! ```

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use massval::report::figure::{perplexity_bars, text_perplexity_bars};
use massval_examples::{ExperimentArgs, NamedTask, Trial, arms};

/// Perplexity of a text and of the model's own answers by arm (P1, figure 3b)
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// The text, a UTF-8 file
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// Tokens of a window of the text [default: 1024, or as many as the model has positions for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    window: Option<u32>,
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
        let arms = arms(usize::from(cli.k), cli.experiment.seed);
        let window = cli.window.map(|tokens| tokens as usize);
        let text = trial.perplexity(&cli.text, window, &arms)?;
        trial.write_perplexity("p1_perplexity", "text", text_perplexity_bars(&text)?, &text)?;
        let tasks = trial.tasks(NamedTask::answered)?;
        let answers = trial.disrupt(&tasks, arms, Some(usize::from(cli.max_new_tokens)))?;
        trial.write("p1_perplexity", "answers", perplexity_bars(&answers)?, &answers)
    })
}
