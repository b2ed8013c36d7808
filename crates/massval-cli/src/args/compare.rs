//! Arguments of `massval compare`.

use std::path::PathBuf;

use clap::Args;
use massval::data::catalog::Spec;
use massval::quant::{Bits, Granularity};
use massval::quantize::Method;

use super::{ModelArgs, TableFormat};

#[derive(Debug, Args)]
pub struct Compare {
    #[command(flatten)]
    pub model: ModelArgs,
    /// How weights are rounded: rtn, gptq, awq, smoothquant. Each gives an arm for each of --bits
    #[arg(
        help_heading = "What is compared",
        long,
        value_name = "METHOD",
        value_delimiter = ',',
        default_value = "rtn"
    )]
    pub method: Vec<Method>,
    /// Bits of a weight: 2, 3, 4, 8; smoothquant takes part at 8
    #[arg(help_heading = "What is compared", long, value_name = "N", value_delimiter = ',', default_value = "4", value_parser = super::sensitivity::bits)]
    pub bits: Vec<Bits>,
    /// Inputs that share a scale: a number, or channel (all of an output)
    #[arg(help_heading = "What is compared", long, value_name = "N", default_value = "64", value_parser = super::sensitivity::granularity)]
    pub group_size: Granularity,
    /// The scan.json of a scan: each arm also with the rows of Q and K exact that carry massive
    /// values, and with as many random ones
    #[arg(help_heading = "What is compared", long, value_name = "FINDINGS")]
    pub protect: Option<PathBuf>,
    /// A text that gptq, awq and smoothquant are calibrated with
    #[arg(help_heading = "What is compared", long, value_name = "FILE")]
    pub calibration: Option<PathBuf>,
    /// Sequences of it
    #[arg(help_heading = "What is compared", long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..), requires = "calibration")]
    pub samples: u32,
    /// Tokens of a sequence
    #[arg(help_heading = "What is compared", long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(2..), requires = "calibration")]
    pub length: u32,
    /// A task, as for `massval disrupt` [default: passkey, key_value, conflict and capitals]
    #[arg(help_heading = "What is asked", long, value_name = "SPEC")]
    pub task: Vec<Spec>,
    /// The first N items of each task
    #[arg(help_heading = "What is asked", long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Put each prompt as a user's message in the model's chat template
    #[arg(help_heading = "What is asked", long)]
    pub chat: bool,
    /// A text whose perplexity is measured, too
    #[arg(help_heading = "What is asked", long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Tokens of its windows [default: 256, or as many as the model has positions for]
    #[arg(help_heading = "What is asked", long, value_name = "N", requires = "text", value_parser = clap::value_parser!(u32).range(2..))]
    pub window: Option<u32>,
    /// No more than the first N windows
    #[arg(help_heading = "What is asked", long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub windows: u32,
    /// Seed of what is drawn: items, random channels, resampling
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Folder for the records of all items, disrupt.json, disrupt.html and perplexity.json
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the run in the folder; there must be one
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// How the tables are printed
    #[arg(long, default_value = "table", value_enum, conflicts_with = "json")]
    pub format: TableFormat,
    /// Print both results as JSON instead of tables
    #[arg(long)]
    pub json: bool,
}
