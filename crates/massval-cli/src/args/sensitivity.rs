//! Arguments of `massval sensitivity`.

use std::path::PathBuf;

use clap::Args;
use massval::detect::Criterion;
use massval::quant::{Bits, Granularity};

use super::{ModelArgs, TableFormat};

#[derive(Debug, Args)]
pub struct Sensitivity {
    #[command(flatten)]
    pub model: ModelArgs,
    /// The text: a UTF-8 file, or records with a field `text` (.jsonl, .json, .csv, .parquet)
    #[arg(help_heading = "What it reads", long, value_name = "FILE")]
    pub text: PathBuf,
    /// The field of a record that holds the text
    #[arg(help_heading = "What it reads", long, value_name = "NAME")]
    pub field: Option<String>,
    /// Tokens of a window [default: 256, or as many as the model has positions for]
    #[arg(help_heading = "What it reads", long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub window: Option<u32>,
    /// No more than the first N windows
    #[arg(help_heading = "What it reads", long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub windows: u32,
    /// When a channel is massive: head-mean:LAMBDA, layer-mean:LAMBDA, top-k:K, mad:K
    #[arg(
        help_heading = "What is ranked",
        long,
        default_value = "head-mean:5",
        value_name = "RULE"
    )]
    pub criterion: Criterion,
    /// Rank each linear, not whole layers
    #[arg(help_heading = "What is ranked", long)]
    pub linears: bool,
    /// Bits that weights are rounded to: 2, 3, 4, 8
    #[arg(help_heading = "What is ranked", long, default_value = "4", value_name = "N", value_parser = bits)]
    pub bits: Bits,
    /// Inputs that share a scale: a number, or channel (all of an output)
    #[arg(help_heading = "What is ranked", long, default_value = "64", value_name = "N", value_parser = granularity)]
    pub group_size: Granularity,
    /// Round each layer by itself, to nearest, and measure what it does: KL, perplexity, attention
    /// logits; and how well the ranks foretold it
    #[arg(help_heading = "What is ranked", long)]
    pub measure: bool,
    /// A recipe that keeps the N most sensitive layers (or linears): for --out
    #[arg(help_heading = "The recipe", long, value_name = "N", requires = "out", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,
    /// What they keep: 2, 3, 4, 8 bits, or 16 for all
    #[arg(
        help_heading = "The recipe",
        long,
        value_name = "N",
        default_value_t = 16,
        requires = "keep"
    )]
    pub keep_bits: u64,
    /// By what they are ranked: kl, massive_values, massive_share, kurtosis, weight_range,
    /// output_error [default: kl if measured, or output_error]
    #[arg(help_heading = "The recipe", long, value_name = "NAME", requires = "keep", value_parser = ["kl", "massive_values", "massive_share", "kurtosis", "weight_range", "output_error"])]
    pub by: Option<String>,
    /// Seed of the resampling behind intervals
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Folder for sensitivity.json and sensitivity.html; with --keep also recipe.json (massval),
    /// llm-compressor.yaml and gptqmodel.json (with its `dynamic` rules)
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How the table is printed
    #[arg(long, default_value = "table", value_enum, conflicts_with = "json")]
    pub format: TableFormat,
    /// Print the result as JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

pub(super) fn bits(text: &str) -> Result<Bits, String> {
    let width: u64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Bits::try_from(width).map_err(|_| "known are 2, 3, 4, 8".to_owned())
}

pub(super) fn granularity(text: &str) -> Result<Granularity, String> {
    if text == "channel" {
        return Ok(Granularity::Channel);
    }
    let size = text.parse().map_err(|_| "neither a number nor channel".to_owned())?;
    Granularity::group(size).map_err(|error| error.to_string())
}
