//! The arguments of `massval train`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use massval::DeviceName;

#[derive(Debug, Args)]
pub struct Train {
    /// Folder of the run: train.json, log.jsonl, checkpoints/, at the end model/, training.json and training.svg
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// What to start from: small, about a million parameters; tiny, for a few minutes
    #[arg(help_heading = "What is trained", long, value_name = "NAME", value_parser = ["small", "tiny"], conflicts_with = "config")]
    pub preset: Option<String>,
    /// A config in JSON, as train.json of another run; what it leaves out is as in the preset small
    #[arg(help_heading = "What is trained", long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How positions enter
    #[arg(help_heading = "What is trained", long, value_enum, value_name = "KIND")]
    pub position: Option<Positions>,
    /// The base of rotary positions
    #[arg(help_heading = "What is trained", long, value_name = "THETA")]
    pub theta: Option<f64>,
    /// Against massive activations: kv-bias, sink, dyt, tvr, lir; several with commas
    #[arg(
        help_heading = "What is trained",
        long,
        value_enum,
        value_name = "KIND",
        value_delimiter = ',',
        hide_possible_values = true
    )]
    pub mitigate: Vec<Mitigation>,
    /// Updates of the weights
    #[arg(help_heading = "What is trained", long, value_name = "N")]
    pub steps: Option<usize>,
    /// The seed of the weights; the text has its own, in the config
    #[arg(help_heading = "What is trained", long, value_name = "N")]
    pub seed: Option<u64>,
    /// Go on with the run in the folder, from its last checkpoint; there must be one
    #[arg(long)]
    pub resume: bool,
    /// Where to compute: cpu, wgpu, vulkan, cuda, cuda:N
    #[arg(help_heading = "Where it runs", long, default_value = "cpu", value_name = "DEVICE")]
    pub device: DeviceName,
    /// Threads to compute with [default: one for each core]
    #[arg(help_heading = "Where it runs", long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Print what would be trained, and the memory, disk and time it would take, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Print the record of the run as JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// How positions enter. No help for each: it would make `--help` another text than `-h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Positions {
    Rope,
    Learned,
    Alibi,
    None,
}

/// What is done against massive activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mitigation {
    KvBias,
    Sink,
    Dyt,
    Tvr,
    Lir,
}
