//! Massive values in attention: find them, measure what they are for, protect them.
//!
//! The few channels of Q and K whose norm dwarfs the rest of their head are *massive values*
//! ([2502.01563](https://arxiv.org/abs/2502.01563)). This crate is the front door: it re-exports
//! the libraries, and holds the analyses that need several of them together.
//!
//! ```no_run
//! use massval::{DeviceName, Prompt, PromptOptions, Run, ScanOptions, models::Model};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = DeviceName::Cpu.open()?;
//! let path = "models/SmolLM2-135M-Instruct.Q4_1.gguf";
//! let model = Model::load(path.as_ref(), &device, massval::dtype("f32")?, &mut |_, _| {})?;
//!
//! let text = Prompt::File("fixtures/text/natural.txt".into());
//! let input = massval::tokenize(&model, &text, &PromptOptions::default())?;
//! let run = Run { dtype: "f32".into(), threads: 2, ..Run::default() };
//! let provenance = massval::provenance(&run, model.checkpoint(), input)?;
//!
//! let result = massval::scan(&model, provenance, &ScanOptions::default(), &mut |_, _| {})?;
//! for finding in &result.findings {
//!     println!("{} {} {}", finding.layer, finding.site, finding.channel);
//! }
//! result.write("scan.json")?;
//! # Ok(()) }
//! ```
//!
//! | crate | holds |
//! |---|---|
//! | [`data`] | tasks: seeded generators, readers of the usual sets |
//! | [`detect`] | channel norms, criteria, RoPE bands, massive activations; needs no model |
//! | [`disruption`] | interventions on attention, as values and as hooks |
//! | [`eval`] | running tasks, scoring, perplexity, statistics |
//! | [`hooks`] | the names of the places in a model, and what may watch or change them |
//! | [`quant`] | quantizers, checkpoint formats; needs no model |
//! | [`models`] | weights, tokenizer, one hooked decoder, generation |
//! | [`report`] | result files, tables, figures, the HTML page |
//! | `train` | small models, trained with and without RoPE |
//!
//! # Features
//! `flex` (on by default), `wgpu`, `vulkan` and `cuda` compile burn's backends in; `figures` adds
//! SVG and PNG figures, `train` the training of small models, `embedded` two that are
//! trained, `parquet` sets in Parquet files, `hub` models by name, over the network.

mod architectures;
mod arms;
mod capture;
mod compare;
mod device;
mod disrupt;
mod dumped;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
mod input;
mod kept;
mod memory;
mod perplexity;
mod provenance;
pub mod quantize;
mod scan;
mod scan_plan;
mod sensitivity;
mod surviving;
mod tasks;
#[cfg(feature = "train")]
mod training;
mod watch;
mod weight_arms;

pub use massval_data as data;
pub use massval_detect as detect;
pub use massval_disrupt as disruption;
pub use massval_eval as eval;
pub use massval_hooks as hooks;
pub use massval_models as models;
pub use massval_quant as quant;
pub use massval_report as report;
#[cfg(feature = "train")]
pub use massval_train as train;

pub use architectures::{ArchitectureRecord, Parity, architectures};
pub use arms::{arms, findings_selection};
pub use capture::{CapturePlan, capture, logits};
pub use device::{DeviceName, dtype, stored_dtype};
pub use disrupt::{DisruptOptions, disrupt, disrupt_estimate};
pub use dumped::{DetectOptions, detect as detect_files};
#[cfg(feature = "embedded")]
pub use embedded::{Embedded, Unpacked};
pub use error::{Error, Result};
pub use input::{Prompt, PromptOptions, tokenize};
pub use kept::kept_key_channels;
pub use memory::{MemoryLimit, load};
pub use perplexity::{PerplexityOptions, perplexity};
pub use provenance::{Run, provenance};
pub use scan::{NormCollector, ScanOptions, scan, scan_run};
pub use scan_plan::{ScanPlan, scan_plan};
pub use sensitivity::{
    SensitivityOf, SensitivityOptions, sensitivity, sensitivity_recipe, treatment,
};
pub use tasks::task;
#[cfg(feature = "train")]
pub use training::TrainingRecord;
#[cfg(all(feature = "train", feature = "figures"))]
pub use training::training_figure;
pub use weight_arms::{WeightArmOptions, WeightArms, compare_weights, weight_arms};
