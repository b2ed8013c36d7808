//! The arguments that the examples take: those that draw a scan, and those that run an experiment.

use std::path::PathBuf;

use clap::Args;
use massval::DeviceName;
use massval::data::catalog::Spec;

/// The model, what it reads, which layers to draw, and where the figures go.
#[derive(Debug, Clone, Args)]
pub struct FigureArgs {
    /// A Hugging Face folder (config.json, *.safetensors, tokenizer.json) or a .gguf file
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// What the model reads.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Read no more than the first N tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_tokens: Option<u32>,
    /// Where to compute: cpu, wgpu, vulkan, cuda, cuda:N
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    pub device: DeviceName,
    /// Layers to draw, counted from 0, separated by commas [default: the paper's]
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    pub layers: Option<Vec<usize>>,
    /// Folder for the figures; made if it is not there
    #[arg(long, default_value = "figures", value_name = "DIR")]
    pub out: PathBuf,
}

/// What the model reads: one of three.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct SourceArgs {
    /// A text file, UTF-8
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// A text
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Token ids, separated by commas
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub tokens: Option<Vec<u32>>,
}

/// The model, what it is asked, and where numbers and figures go.
#[derive(Debug, Clone, Args)]
pub struct ExperimentArgs {
    /// A Hugging Face folder (config.json, *.safetensors, tokenizer.json) or a .gguf file
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// A task instead of the usual ones, as for `massval disrupt`: capitals, gsm8k:FILE; may be
    /// given several times
    #[arg(long = "task", value_name = "SPEC")]
    pub tasks: Vec<Spec>,
    /// The first N items of each task
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Put each prompt as a user's message in the model's chat template
    #[arg(long)]
    pub chat: bool,
    /// Seed of what is drawn: items, random channels, resampling
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Folder that keeps every item's record, so that a run that was cut off can go on
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// Go on with the run in the folder; there must be one
    #[arg(long, requires = "run")]
    pub resume: bool,
    /// Where to compute: cpu, wgpu, vulkan, cuda, cuda:N
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    pub device: DeviceName,
    /// Folder for figures and tables; made if it is not there
    #[arg(long, default_value = "figures", value_name = "DIR")]
    pub out: PathBuf,
}
