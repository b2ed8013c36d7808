//! Arguments of `quantize` and `convert`.

use std::path::PathBuf;

use clap::Args;
use massval::data::catalog::Spec;
use massval::quant::formats::Format;
use massval::quant::smooth::Alpha;
use massval::quant::{Bits, Granularity};
use massval::quantize::Method;

use super::{ModelArgs, ModelName};

#[derive(Debug, Args)]
#[command(override_usage = "massval quantize [MODEL] --method METHOD --out DIR [OPTIONS]")]
pub struct Quantize {
    #[command(flatten)]
    pub model: ModelArgs,
    /// How: rtn, smoothquant, awq, gptq
    #[arg(help_heading = "How it is quantized", long, value_name = "METHOD")]
    pub method: Method,
    /// Bits of a weight: 2, 3, 4, 8 [default: 4, or 8 with smoothquant]
    #[arg(help_heading = "How it is quantized", long, value_name = "N", value_parser = bits)]
    pub bits: Option<Bits>,
    /// Inputs that share a scale: a number, channel (all of an output), tensor [default: 128, or
    /// channel with activations]
    #[arg(help_heading = "How it is quantized", long, value_name = "N", value_parser = granularity)]
    pub group_size: Option<Granularity>,
    /// What is written: compressed-tensors, awq, gptq (zero points minus one), gptq-v2
    #[arg(help_heading = "How it is quantized", long, value_name = "FORMAT", default_value = "compressed-tensors", value_parser = ["compressed-tensors", "awq", "gptq", "gptq-v2"])]
    pub format: String,
    /// Ranges with a zero point of their own, instead of symmetric ones
    #[arg(help_heading = "How it is quantized", long)]
    pub asymmetric: bool,
    /// Where ranges end: at the largest weight, or where the squared error is smallest
    #[arg(help_heading = "How it is quantized", long, value_name = "RULE", default_value = "minmax", value_parser = ["minmax", "mse"])]
    pub range: String,
    /// Activations in 8 bits: none, static (one range for a linear), dynamic (one for each token)
    /// [default: none, or dynamic with smoothquant]
    #[arg(help_heading = "How it is quantized", long, value_name = "RANGE", value_parser = ["none", "static", "dynamic"])]
    pub activations: Option<String>,
    /// smoothquant: the share that moves into the weights, 0 to 1, or search
    #[arg(help_heading = "How it is quantized", long, value_name = "A", default_value = "0.5", value_parser = alpha)]
    pub alpha: AlphaArg,
    /// awq: do not cut ranges
    #[arg(help_heading = "How it is quantized", long)]
    pub no_clip: bool,
    /// gptq: added to the Hessian's diagonal, as a share of its mean
    #[arg(
        help_heading = "How it is quantized",
        long,
        value_name = "SHARE",
        default_value_t = 0.01
    )]
    pub damping: f64,
    /// gptq: columns by falling activation
    #[arg(help_heading = "How it is quantized", long)]
    pub act_order: bool,
    /// gptq: ranges fixed beforehand, so that groups stay neighbours whatever the order
    #[arg(help_heading = "How it is quantized", long)]
    pub static_groups: bool,
    /// Linears that stay as they are, by their names in the checkpoint; * stands for anything
    #[arg(help_heading = "How it is quantized", long, value_name = "NAME", num_args = 1..)]
    pub ignore: Vec<String>,
    /// Bits, groups and symmetry, and the linears that are kept or get other bits: the recipe.json of
    /// `massval sensitivity`
    #[arg(help_heading = "How it is quantized", long, value_name = "FILE", conflicts_with_all = ["bits", "group_size", "asymmetric"])]
    pub recipe: Option<PathBuf>,
    /// Keep the rows of Q and K apart that carry massive values: the scan.json of a scan
    #[arg(help_heading = "How it is quantized", long, value_name = "FINDINGS")]
    pub protect: Option<PathBuf>,
    /// How: exact (the matrix is stored in floating point), or groups of so many inputs
    #[arg(help_heading = "How it is quantized", long, value_name = "exact|N", default_value = "exact", requires = "protect", value_parser = protection)]
    pub protect_as: massval::quantize::Protection,
    #[command(flatten)]
    pub calibration: CalibrationArgs,
    /// Measure the perplexity of this text before and after, for the model card
    #[arg(help_heading = "What is written", long, value_name = "FILE")]
    pub score: Option<PathBuf>,
    /// The folder to write; nothing may be in it
    #[arg(help_heading = "What is written", long, value_name = "DIR")]
    pub out: PathBuf,
    /// The largest file of weights
    #[arg(help_heading = "What is written", long, value_name = "SIZE", default_value = "5GB", value_parser = crate::memory::bytes)]
    pub shard_size: u64,
    /// Go on with a run that ended early; it lies beside the folder, in DIR.partial
    #[arg(long)]
    pub resume: bool,
    /// Print the memory, disk and time it would take, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Print the result as JSON instead of a summary
    #[arg(long)]
    pub json: bool,
}

/// What the model reads while its activations are looked at.
#[derive(Debug, Args)]
pub struct CalibrationArgs {
    /// A text, or records with a field `text` (.jsonl, .json, .csv, .parquet)
    #[arg(help_heading = "What it is calibrated with", long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// The field of a record that holds the text
    #[arg(
        help_heading = "What it is calibrated with",
        long,
        value_name = "NAME",
        requires = "text"
    )]
    pub field: Option<String>,
    /// The prompts of a task (see `massval data`)
    #[arg(
        help_heading = "What it is calibrated with",
        long,
        value_name = "SPEC",
        conflicts_with = "text"
    )]
    pub task: Option<Spec>,
    /// Token ids, separated by commas
    #[arg(help_heading = "What it is calibrated with", long, value_name = "IDS", value_delimiter = ',', conflicts_with_all = ["text", "task"])]
    pub tokens: Option<Vec<u32>>,
    /// Sequences
    #[arg(help_heading = "What it is calibrated with", long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    pub samples: u32,
    /// Tokens of a sequence [default: 512, or as many as the model has positions for]
    #[arg(help_heading = "What it is calibrated with", long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub length: Option<u32>,
    /// Put each record, or prompt, as a user's message in the chat template
    #[arg(help_heading = "What it is calibrated with", long)]
    pub chat: bool,
    /// Seed of a task whose items are made up
    #[arg(
        help_heading = "What it is calibrated with",
        long,
        default_value_t = 0,
        value_name = "N"
    )]
    pub seed: u64,
}

/// SmoothQuant's alpha.
#[derive(Debug, Clone, Copy)]
pub enum AlphaArg {
    Search,
    One(Alpha),
}

#[derive(Debug, Args)]
pub struct Convert {
    #[command(flatten)]
    pub name: ModelName,
    /// To what: compressed-tensors, awq, gptq (zero points minus one), gptq-v2
    #[arg(long, value_name = "FORMAT", value_parser = ["compressed-tensors", "awq", "gptq", "gptq-v2"])]
    pub format: String,
    /// Round scales to half precision where the format has nothing wider
    #[arg(long)]
    pub round_scales: bool,
    /// The folder to write; nothing may be in it
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// The format of that name, for weights of so many bits, with activations or without.
pub fn format(name: &str, bits: Bits, activations: bool) -> Format {
    match name {
        "awq" => Format::AwqGemm,
        "gptq" => Format::GptqV1,
        "gptq-v2" => Format::GptqV2,
        _ if activations && bits == Bits::Eight => Format::IntQuantized,
        _ => Format::PackQuantized,
    }
}

fn bits(text: &str) -> Result<Bits, String> {
    let number: u64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Bits::try_from(number).map_err(|error| error.to_string())
}

fn granularity(text: &str) -> Result<Granularity, String> {
    match text {
        "channel" => Ok(Granularity::Channel),
        "tensor" => Ok(Granularity::Tensor),
        _ => {
            let number =
                text.parse().map_err(|_| "neither a number, nor channel or tensor".to_owned())?;
            Granularity::group(number).map_err(|error| error.to_string())
        }
    }
}

fn alpha(text: &str) -> Result<AlphaArg, String> {
    if text == "search" {
        return Ok(AlphaArg::Search);
    }
    let number: f32 = text.parse().map_err(|_| "neither a number nor search".to_owned())?;
    Alpha::new(number).map(AlphaArg::One).map_err(|error| error.to_string())
}

fn protection(text: &str) -> Result<massval::quantize::Protection, String> {
    use massval::quantize::Protection;
    match text {
        "exact" => Ok(Protection::Exact),
        _ => match text.parse() {
            Ok(0) | Err(_) => Err("neither exact nor a number of inputs".to_owned()),
            Ok(size) => Ok(Protection::Groups(size)),
        },
    }
}
