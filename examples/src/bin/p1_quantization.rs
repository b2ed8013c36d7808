//! P1, figure 4: accuracy by method of quantization, each task divided by the best method; and how much of the
//! massive values' norm each method leaves.
//!
//! What to see: the paper's claim is that methods which protect what is active (AWQ, SmoothQuant) keep contextual
//! knowledge, and GPTQ loses it. Its SmoothQuant arm was smoothed but never rounded, and its GPTQ arm does not run as
//! published; here each does what its name says. Dividing by the best hides what the best lost: the table beside the
//! figure has the model left alone, and intervals.
//!
//! ```text
//! cargo run --bin p1_quantization -- MODEL --text fixtures/text/natural.txt \
//!     --method rtn,gptq,awq --bits 4 --calibration CALIBRATION.txt
//! ```

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use massval::Error;
use massval::WeightArmOptions;
use massval::quant::{Bits, Granularity};
use massval::quantize::Method;
use massval::report::figure::{massive_norm_bars, normalised_bars};
use massval_examples::{ExperimentArgs, NamedTask, Trial};

/// Accuracy and massive values by method of quantization (P1, figure 4)
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// The text that perplexity and massive values are measured on, a UTF-8 file
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// Methods: rtn, gptq, awq, smoothquant (which takes part at 8 bits)
    #[arg(long, value_name = "METHOD", value_delimiter = ',', default_value = "rtn")]
    method: Vec<Method>,
    /// Bits of a weight
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "4,3", value_parser = bits)]
    bits: Vec<Bits>,
    /// Inputs that share a scale
    #[arg(long, value_name = "N", default_value_t = 64)]
    group_size: usize,
    /// A text to calibrate gptq, awq and smoothquant with, and a folder `checkpoints` in --out to keep what they make
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Sequences to calibrate with
    #[arg(long, value_name = "N", default_value_t = 32)]
    samples: usize,
    /// Tokens of a sequence
    #[arg(long, value_name = "N", default_value_t = 512)]
    length: usize,
}

fn bits(text: &str) -> Result<Bits, String> {
    let width: u64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Bits::try_from(width).map_err(|error| error.to_string())
}

/// The paper's sides: three tasks that are answered from the prompt, two from the weights.
fn tasks() -> massval::Result<Vec<NamedTask>> {
    ["passkey", "key_value", "conflict", "capitals", "cities"]
        .into_iter()
        .map(|spec| NamedTask::new(spec.replace('_', "-"), spec))
        .collect()
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    massval_examples::run(|| {
        let trial = Trial::load(&cli.experiment)?;
        let mut options = WeightArmOptions::new(Granularity::group(cli.group_size)?);
        options.methods.clone_from(&cli.method);
        options.bits.clone_from(&cli.bits);
        options.seed = cli.experiment.seed;
        if let Some(path) = &cli.calibration {
            options.calibration = Some(trial.calibration(path, cli.samples, cli.length)?);
            let folder = cli.experiment.out.join("checkpoints");
            std::fs::create_dir_all(&folder)
                .map_err(|source| Error::Io { path: folder.clone(), source })?;
            options.folder = Some(folder);
        }
        let asked = trial.tasks(tasks)?;
        let (answers, text) = trial.compare_weights(&asked, &options, &cli.text)?;
        if let Some(text) = text {
            let figure = massive_norm_bars(&text)?;
            trial.write_perplexity("p1_quantization", "massive_values", figure, &text)?;
        }
        trial.write("p1_quantization", "accuracy", normalised_bars(&answers)?, &answers)
    })
}
