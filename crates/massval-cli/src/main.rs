//! The command `massval`: arguments, progress bars and exit codes; the work is in the libraries.

mod args;
mod commands;
#[cfg(feature = "hub")]
mod environment;
mod memory;
mod output;
mod progress;
mod source;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Scan(args) => commands::scan::run(args),
        Command::Capture(args) => commands::capture::run(args),
        Command::Detect(args) => commands::detect::run(args),
        Command::Logits(args) => commands::logits::run(args),
        Command::Disrupt(args) => commands::disrupt::run(args),
        Command::Perplexity(args) => commands::perplexity::run(args),
        Command::Sensitivity(args) => commands::sensitivity::run(args),
        Command::Compare(args) => commands::compare::run(args),
        Command::Generate(args) => commands::generate::run(args),
        Command::Quantize(args) => commands::quantize::run(*args),
        Command::Convert(args) => commands::convert::run(&args),
        Command::Hooks(args) => commands::hooks::run(args),
        Command::Inspect(args) => commands::inspect::run(args),
        Command::Models(args) => commands::models::run(args),
        Command::Data(args) => commands::data::run(args),
        #[cfg(feature = "train")]
        Command::Train(args) => commands::train::run(args),
        Command::Completions(args) => commands::completions::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
