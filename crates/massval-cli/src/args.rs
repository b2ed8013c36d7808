//! The command line's arguments.

mod compare;
mod data;
mod kv;
mod quantize;
mod sensitivity;
#[cfg(feature = "train")]
mod train;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use massval::DeviceName;
use massval::data::catalog::Spec;
use massval::detect::{Criterion, Layout};
use massval::disruption::{Indices, Operator, Positions, Preset, Selection, When};
use massval::hooks::Site;

pub use compare::Compare;
pub use data::Data;
pub use kv::{KvArgs, KvBits};
pub use quantize::{AlphaArg, CalibrationArgs, Convert, Quantize, format as quantized_format};
pub use sensitivity::Sensitivity;
#[cfg(feature = "train")]
pub use train::{Mitigation, Positions as TrainPositions, Train};

/// Find the massive values in a language model's attention.
#[derive(Debug, Parser)]
#[command(name = "massval", version, propagate_version = true, disable_help_subcommand = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Channel norms, massive values and massive activations of a model reading a text
    Scan(Scan),
    /// Write activations at hook points to a safetensors file
    Capture(Capture),
    /// Run the detector on dumped tensors (.safetensors, .npy, .npz, .pt)
    Detect(Detect),
    /// Write a model's logits to a safetensors file
    Logits(Logits),
    /// What massive values are for: tasks, with channels of Q, K or V disrupted and without
    Disrupt(Disrupt),
    /// Perplexity of a text, with channels disrupted and without
    Perplexity(Perplexity),
    /// Which layers quantization will hurt: told before, measured after, written as a recipe
    Sensitivity(Sensitivity),
    /// Full precision against rounded weights, massive channels protected and not: tasks, perplexity
    Compare(Compare),
    /// Continue a text, greedily or sampled
    Generate(Generate),
    /// Write a model with weights of 2 to 8 bits, as a Hugging Face folder that others load
    Quantize(Box<Quantize>),
    /// Write a quantized checkpoint in another format, its weights the same
    Convert(Convert),
    /// List a model's hook points, or explain one
    Hooks(Hooks),
    /// Say what a checkpoint is, and what massval makes of it
    Inspect(Inspect),
    /// List the architectures that can be loaded, with their traits and parity
    Models(Models),
    /// List the sets of tasks, or print the items of one
    Data(Data),
    /// Train a small model and watch its massive values emerge
    #[cfg(feature = "train")]
    Train(Train),
    /// Print a completion script for a shell
    Completions(Completions),
}

/// The model.
#[derive(Debug, Args)]
pub struct ModelName {
    /// A Hugging Face folder (config.json, *.safetensors or *.bin, tokenizer.json), a .gguf file,
    /// org/name: a model on a hub, or rope-small or learned-small: models that massval carries
    /// [default: rope-small]
    #[arg(value_name = "MODEL")]
    pub model: Option<PathBuf>,
    /// Branch, tag or commit of a model on a hub [default: main]
    #[arg(long, value_name = "NAME")]
    pub revision: Option<String>,
}

/// The model, and where it runs.
#[derive(Debug, Args)]
pub struct ModelArgs {
    #[command(flatten)]
    pub name: ModelName,
    /// Where to compute: cpu, wgpu, vulkan, cuda, cuda:N
    #[arg(help_heading = "Where it runs", long, default_value = "cpu", value_name = "DEVICE")]
    pub device: DeviceName,
    /// Number type of weights and activations; stored: the checkpoint's own
    #[arg(help_heading = "Where it runs", long, default_value = "f32", value_name = "TYPE", value_parser = ["f32", "f16", "bf16", "stored"])]
    pub dtype: String,
    /// Threads to compute with [default: one for each core]
    #[arg(help_heading = "Where it runs", long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Memory to take, as 4GiB: a larger model is read layer by layer [default: what is free]
    #[arg(help_heading = "Where it runs", long, value_name = "SIZE", value_parser = crate::memory::bytes)]
    pub memory_limit: Option<u64>,
    /// Print the seconds spent on loading and on the pass to standard error
    #[arg(help_heading = "Where it runs", long)]
    pub timings: bool,
}

/// What the model reads.
#[derive(Debug, Args)]
pub struct InputArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// Read no more than the first N tokens
    #[arg(help_heading = "What it reads", long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_tokens: Option<u32>,
    /// Wrap the text as a user's message in the model's chat template, up to the answer
    #[arg(help_heading = "What it reads", long, conflicts_with = "tokens")]
    pub chat: bool,
    /// Do not add the tokenizer's special tokens (BOS, EOS)
    #[arg(help_heading = "What it reads", long, conflicts_with_all = ["tokens", "chat"])]
    pub no_special_tokens: bool,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct SourceArgs {
    /// A text file, UTF-8
    #[arg(help_heading = "What it reads", long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// A text
    #[arg(help_heading = "What it reads", long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Token ids, separated by commas
    #[arg(help_heading = "What it reads", long, value_name = "IDS", value_delimiter = ',')]
    pub tokens: Option<Vec<u32>>,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "massval scan [MODEL] [--text FILE|--prompt TEXT|--tokens IDS] [OPTIONS]"
)]
pub struct Scan {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub input: InputArgs,
    /// When a channel is massive: head-mean:LAMBDA, layer-mean:LAMBDA, top-k:K, mad:K
    #[arg(long, default_value = "head-mean:5", value_name = "RULE")]
    pub criterion: Criterion,
    /// Leave the first N tokens (BOS, attention sinks) out of the norms
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub skip_first: usize,
    /// Do not look for massive activations in the residual stream
    #[arg(long)]
    pub no_activations: bool,
    /// Folder for scan.json and scan.html; made if it is not there
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub out: PathBuf,
    /// Print the memory, disk and time it would take, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Print the result as JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "massval capture <MODEL> <--text FILE|--prompt TEXT|--tokens IDS>\n                --hooks GLOB.. --out FILE [OPTIONS]"
)]
pub struct Capture {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub input: InputArgs,
    /// Hook points: names, globs, layer ranges (see `massval hooks MODEL`)
    #[arg(long, required = true, num_args = 1.., value_name = "GLOB")]
    pub hooks: Vec<String>,
    /// The safetensors file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Print what would be written, and its size, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Print what was written as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Detect {
    /// The files: .safetensors, .npy, .npz, .pt, .pth, .bin
    #[arg(required = true, value_name = "TENSOR")]
    pub tensors: Vec<PathBuf>,
    /// The meaning of the axes: bhsd, bshd, hsd, shd (batch, heads, sequence, head_dim)
    #[arg(long, default_value = "bhsd")]
    pub layout: Layout,
    /// When a channel is massive: head-mean:LAMBDA, layer-mean:LAMBDA, top-k:K, mad:K
    #[arg(long, default_value = "head-mean:5", value_name = "RULE")]
    pub criterion: Criterion,
    /// Leave the first N tokens of each sequence out
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub skip_first: usize,
    /// Only the tensors of these names
    #[arg(long, value_name = "NAME")]
    pub name: Vec<String>,
    /// RoPE's base, to report rotary pairs and periods
    #[arg(long, value_name = "THETA", value_parser = positive)]
    pub rope_theta: Option<f64>,
    /// How many leading channels of a head RoPE turns [default: all]
    #[arg(long, value_name = "N", requires = "rope_theta")]
    pub rotary_dim: Option<usize>,
    /// Write the result as JSON to this file, too
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the result as JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "massval logits <MODEL> <--text FILE|--prompt TEXT|--tokens IDS>\n                --out FILE [OPTIONS]"
)]
pub struct Logits {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub input: InputArgs,
    /// The safetensors file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Write logits [seq, vocab] of every position, not only [vocab] of the last
    #[arg(long)]
    pub all_positions: bool,
    /// Print what was written, with the most likely tokens, as JSON
    #[arg(long)]
    pub json: bool,
}

/// What is done to the model's attention.
#[derive(Debug, Args)]
pub struct InterventionArgs {
    /// What is written into the selected channels: joint-mean, mean, zero, max, min, joint-max,
    /// joint-min, scale:X, noise, permute. Several give arms for each [default: joint-mean]
    #[arg(help_heading = "What is disrupted", long, value_name = "OP", value_delimiter = ',')]
    pub op: Vec<Operator>,
    /// Which channels of each head: top-k:K, bottom-k:K, random-k:K, near-k:K, head-mean:LAMBDA,
    /// random-like:RULE, channels:LAYER.HEAD.CHANNEL,.. Each gives an arm
    #[arg(help_heading = "What is disrupted", long, value_name = "RULE")]
    pub select: Vec<Selection>,
    /// For each K the arms bottom-k:K, random-k:K and top-k:K; disrupt without any arm takes 1, and
    /// for a model trained by massval 1,2,4,8
    #[arg(help_heading = "What is disrupted", long, value_name = "K", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    pub k: Vec<u16>,
    /// An arm with the massive values that a scan found: its scan.json
    #[arg(help_heading = "What is disrupted", long, value_name = "FILE")]
    pub findings: Option<PathBuf>,
    /// What the papers' code ran: llama, qwen2, mistral, gemma2, gemma2-fixed; with its
    /// "non-massive" control and a random one
    #[arg(help_heading = "What is disrupted", long, value_name = "NAME", conflicts_with_all = ["op", "select", "k", "findings", "sites", "when", "keep_cache", "partner"])]
    pub preset: Option<Preset>,
    /// Where: rot_q, rot_k (after RoPE), q, k (before it), v [default: rot_q,rot_k; without RoPE
    /// q,k]
    #[arg(help_heading = "What is disrupted", long, value_name = "SITES", value_delimiter = ',', value_parser = site)]
    pub sites: Vec<Site>,
    /// The other channel of each rotary pair, too
    #[arg(help_heading = "What is disrupted", long)]
    pub partner: bool,
    /// In which layers: all, 3, 0-4,-1
    #[arg(
        help_heading = "What is disrupted",
        long,
        value_name = "LIST",
        default_value = "all",
        allow_hyphen_values = true
    )]
    pub layers: Indices,
    /// In which heads; KV heads at K and V
    #[arg(
        help_heading = "What is disrupted",
        long,
        value_name = "LIST",
        default_value = "all",
        allow_hyphen_values = true
    )]
    pub heads: Indices,
    /// While the prompt is read, while tokens are generated, or both: prefill, decode, both
    #[arg(
        help_heading = "What is disrupted",
        long,
        value_name = "WHEN",
        default_value = "prefill"
    )]
    pub when: When,
    /// Later tokens attend to the keys and values as they were, not as disrupted
    #[arg(help_heading = "What is disrupted", long)]
    pub keep_cache: bool,
    /// At which tokens of the prompt: all, first, evidence, 10..20
    #[arg(help_heading = "What is disrupted", long, value_name = "WHICH", default_value = "all")]
    pub positions: Positions,
    /// Seed of what is drawn: items, random channels, noise, resampling
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
}

#[derive(Debug, Args)]
pub struct Disrupt {
    #[command(flatten)]
    pub model: ModelArgs,
    /// A task, with options: passkey, passkey:tokens=256,digits=12, capitals, gsm8k:FILE (see
    /// `massval data`) [default: passkey and capitals; for a model trained by massval those of its
    /// language]
    #[arg(help_heading = "What is asked", long, value_name = "SPEC")]
    pub task: Vec<Spec>,
    /// The first N items of each task [default: all, or 100]
    #[arg(help_heading = "What is asked", long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Put each prompt as a user's message in the model's chat template
    #[arg(help_heading = "What is asked", long)]
    pub chat: bool,
    /// A system message before each prompt
    #[arg(help_heading = "What is asked", long, value_name = "TEXT", requires = "chat")]
    pub system: Option<String>,
    /// Tokens that a written answer may have [default: by task]
    #[arg(help_heading = "What is asked", long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_new_tokens: Option<u32>,
    /// Write answers to their end, and measure their variety and perplexity
    #[arg(help_heading = "What is asked", long)]
    pub full_answers: bool,
    #[command(flatten)]
    pub intervention: InterventionArgs,
    #[command(flatten)]
    pub kv: KvArgs,
    /// Level of the confidence intervals
    #[arg(long, default_value_t = 0.95, value_name = "P", value_parser = level)]
    pub confidence: f64,
    /// Folder for the records of all items, disrupt.json and disrupt.html
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the run in the folder; there must be one
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Check what a run would check, print the memory, disk and time it would take, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// How the table is printed
    #[arg(long, default_value = "table", value_enum, conflicts_with = "json")]
    pub format: TableFormat,
    /// Print the result as JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// How a table is printed. No help for each: it would make `--help` another text than `-h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TableFormat {
    Table,
    Markdown,
    Csv,
}

#[derive(Debug, Args)]
pub struct Perplexity {
    #[command(flatten)]
    pub model: ModelArgs,
    /// The text: a UTF-8 file, or records with a field `text` (.jsonl, .json, .csv, .parquet)
    #[arg(help_heading = "What it reads", long, value_name = "FILE")]
    pub text: PathBuf,
    /// The field of a record that holds the text
    #[arg(help_heading = "What it reads", long, value_name = "NAME")]
    pub field: Option<String>,
    /// The papers' rule for a set: wikitext2, c4, pg19, redpajama
    #[arg(help_heading = "What it reads", long, value_name = "SET", value_parser = ["wikitext2", "c4", "pg19", "redpajama"], conflicts_with_all = ["stride", "bos", "windows"])]
    pub rule: Option<String>,
    /// Whose rule, where they differ
    #[arg(help_heading = "What it reads", long, value_name = "CODE", value_parser = ["bluorion", "bluorion-bos", "locuslab"], default_value = "bluorion", requires = "rule")]
    pub protocol: String,
    /// Tokens of a window [default: 1024, or as many as the model has positions for]
    #[arg(help_heading = "What it reads", long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub window: Option<u32>,
    /// Tokens from one window to the next; less than the window's length, each token is scored with
    /// more before it [default: the window's length]
    #[arg(help_heading = "What it reads", long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub stride: Option<u32>,
    /// Put the tokenizer's BOS first in each window
    #[arg(help_heading = "What it reads", long)]
    pub bos: bool,
    /// No more than the first N windows
    #[arg(help_heading = "What it reads", long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub windows: Option<u32>,
    #[command(flatten)]
    pub intervention: InterventionArgs,
    #[command(flatten)]
    pub kv: KvArgs,
    /// Write the result as JSON to this file, too
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How the table is printed
    #[arg(long, default_value = "table", value_enum, conflicts_with = "json")]
    pub format: TableFormat,
    /// Print the result as JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "massval generate <MODEL> <--text FILE|--prompt TEXT|--tokens IDS>\n                [OPTIONS]"
)]
pub struct Generate {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub input: InputArgs,
    /// The most tokens to add
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_new_tokens: u32,
    /// Sample at this temperature instead of taking the most likely token
    #[arg(long, value_name = "T", value_parser = positive)]
    pub temperature: Option<f64>,
    /// Sample from the K most likely tokens only
    #[arg(long, value_name = "K", requires = "temperature", value_parser = clap::value_parser!(u32).range(1..))]
    pub top_k: Option<u32>,
    /// Sample from the most likely tokens that together reach P only
    #[arg(long, value_name = "P", requires = "temperature", value_parser = share)]
    pub top_p: Option<f64>,
    /// Seed of the sampling
    #[arg(long, default_value_t = 0, value_name = "N", requires = "temperature")]
    pub seed: u64,
    /// Go on after the model's end-of-text tokens
    #[arg(long)]
    pub ignore_eos: bool,
    /// Print text, token ids and how to repeat it as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Hooks {
    #[command(flatten)]
    pub name: ModelName,
    /// Only the points that these names, globs and layer ranges select, each explained
    #[arg(value_name = "GLOB")]
    pub patterns: Vec<String>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Inspect {
    #[command(flatten)]
    pub name: ModelName,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Models {
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// A number above 0.
fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("not above 0".to_owned()) }
}

/// A number above 0, up to 1.
fn share(text: &str) -> Result<f64, String> {
    positive(text)
        .and_then(|number| if number <= 1.0 { Ok(number) } else { Err("above 1".to_owned()) })
}

/// A number between 0 and 1.
fn level(text: &str) -> Result<f64, String> {
    share(text).and_then(|p| if p < 1.0 { Ok(p) } else { Err("not below 1".to_owned()) })
}

/// A site where heads can be disrupted.
fn site(text: &str) -> Result<Site, String> {
    text.parse::<Site>().map_err(|error| error.to_string())
}
