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
//!     --method rtn,gptq,awq,smoothquant --bits 4,8 --calibration CALIBRATION.txt
//! ```
//!
//! gptq, awq and smoothquant take a Hugging Face folder as MODEL, rtn a `.gguf` file, too.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use massval::Error;
use massval::WeightArmOptions;
use massval::quant::{Bits, Granularity};
use massval::quantize::Method;
use massval::report::figure::{
    accuracy_bars, massive_norm_bars, normalised_bars, text_perplexity_bars,
};
use massval::report::schema::{ArmRole, DisruptResult, PerplexityResult};
use massval_examples::{ExperimentArgs, NamedTask, Trial};

/// Accuracy and massive values by method of quantization (P1, figure 4)
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// The text that perplexity and massive values are measured on, a UTF-8 file
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// Methods: rtn, gptq, awq, smoothquant (at 8 bits alone, which must be among --bits)
    #[arg(long, value_name = "METHOD", value_delimiter = ',', default_value = "rtn")]
    method: Vec<Method>,
    /// Bits of a weight
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "4,3", value_parser = bits)]
    bits: Vec<Bits>,
    /// Inputs that share a scale
    #[arg(long, value_name = "N", default_value_t = 64)]
    group_size: usize,
    /// A text to calibrate gptq, awq and smoothquant with
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Sequences to calibrate with
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..), requires = "calibration")]
    samples: u32,
    /// Tokens of a sequence
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(2..), requires = "calibration")]
    length: u32,
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

/// Refuses methods without the text that they need, and a text that nothing reads.
fn check(cli: &Cli) -> massval::Result<()> {
    let calibrated = cli.method.iter().any(|&method| method != Method::Rtn);
    let what = match (calibrated, &cli.calibration) {
        (true, None) => "gptq, awq and smoothquant need a text: add --calibration FILE",
        (false, Some(_)) => "--calibration is for gptq, awq and smoothquant; rtn reads nothing",
        _ => return Ok(()),
    };
    Err(Error::Input(what.to_owned()))
}

/// The massive values' norm under each arm; the perplexity, where nothing is massive.
fn write_text(trial: &Trial, text: &PerplexityResult) -> massval::Result<()> {
    let (part, figure) = match text.arms.iter().any(|arm| arm.arm.massive_norm.is_some()) {
        true => ("massive_values", massive_norm_bars(text)?),
        false => {
            eprintln!(
                "no channel of Q and K is massive on this text: its perplexity is drawn instead"
            );
            ("perplexity", text_perplexity_bars(text)?)
        }
    };
    trial.write_perplexity("p1_quantization", part, figure, text)
}

/// Accuracies over that of the best method; as they are, where no method answers anything right.
fn write_answers(trial: &Trial, answers: &DisruptResult) -> massval::Result<()> {
    let rounded = answers.arms.iter().filter(|arm| arm.role != ArmRole::None);
    let right =
        |name: &str| answers.cells.iter().any(|cell| cell.arm == name && cell.score.correct > 0);
    let figure = match rounded.map(|arm| arm.name.as_str()).any(right) {
        true => normalised_bars(answers)?,
        false => {
            eprintln!("no method answers anything right: there is no best one to divide by");
            accuracy_bars(answers)?
        }
    };
    trial.write("p1_quantization", "accuracy", figure, answers)
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    massval_examples::run(|| {
        check(&cli)?;
        let trial = Trial::load(&cli.experiment)?;
        let asked = trial.tasks(tasks)?;
        let mut options = WeightArmOptions::new(Granularity::group(cli.group_size)?);
        options.methods.clone_from(&cli.method);
        options.bits.clone_from(&cli.bits);
        options.seed = cli.experiment.seed;
        if let Some(path) = &cli.calibration {
            let (samples, length) = (cli.samples as usize, cli.length as usize);
            options.calibration = Some(trial.calibration(path, samples, length)?);
        }
        // Checkpoints that calibrated methods write, until their decoders are in memory.
        let out = &cli.experiment.out;
        let folder = tempfile::Builder::new().prefix("checkpoints-").tempdir_in(out);
        let folder = folder.map_err(|source| Error::Io { path: out.clone(), source })?;
        options.folder = Some(folder.path().to_owned());
        let (answers, text) = trial.compare_weights(&asked, &options, &cli.text)?;
        if let Some(text) = text {
            write_text(&trial, &text)?;
        }
        write_answers(&trial, &answers)
    })
}
