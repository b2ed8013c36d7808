//! Small language models, trained to see where massive values come from.
//!
//! P1 compares families of models that differ in much besides their positions. Here one decoder is trained twice on the
//! same rows from the same seed, and only what a [`TrainConfig`] says is different: learned positions, rotary ones,
//! ALiBi or none; norms, MLPs, heads; the mitigations of P0 and P2. The [`Trainer`] measures on the way what a scan
//! would: how the channel norms of Q, K and V concentrate, how many are massive, and what the model can do, from its
//! weights and from its context.
//!
//! The text is a [small language](massval_data::language) of an invented world. What is trained is the decoder of
//! `massval-models`: a checkpoint is a Hugging Face folder that loads, scans and disrupts like any other.
//!
//! ```no_run
//! use massval_train::{Position, TrainConfig, Trainer};
//!
//! # fn main() -> massval_train::Result<()> {
//! let mut config = TrainConfig::tiny();
//! config.model.position = Position::Rope { theta: 10_000.0, fraction: 1.0 };
//! let device = burn::tensor::Device::flex();
//! let mut trainer = Trainer::new(config, "runs/rope".as_ref(), &device)?;
//! trainer.run(&mut |event| println!("{event:?}"))?;
//! # Ok(()) }
//! ```

mod checkpoint;
mod config;
mod error;
mod init;
mod log;
mod measure;
mod model;
mod optimizer;
mod preset;
mod trainer;
mod variance;

pub use config::{
    Mitigations, ModelConfig, Norm, OptimizerConfig, Position, TargetVariance, TrainConfig,
};
pub use error::{Error, Result};
pub use log::{Entry, Log, read_log};
pub use measure::{Accuracy, DisruptedTasks, Measurement, SiteMeasure};
pub use trainer::{Event, Trainer};
