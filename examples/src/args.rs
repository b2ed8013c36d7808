//! The arguments that every example takes.

use std::path::PathBuf;

use clap::Args;
use massval::DeviceName;

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
