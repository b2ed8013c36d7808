//! Evaluation: tasks, scorers, perplexity and statistics, over models and interventions.
//!
//! An [`Experiment`] runs [`Arm`]s (the model left alone, under an intervention, or with its cache rounded to few
//! bits) on [`Task`]s and
//! gives a [`Record`] for each item and arm; a [`RunFolder`] keeps them, so that a run that was
//! killed goes on; a [`Summary`] turns them into accuracies with intervals and comparisons of arms.
//! [`score_text`] measures perplexity.
//!
//! Answers are written greedily and scored twice: as the reference does, its known wrong verdicts
//! included, and strictly ([`score`]). Where a model is too weak to answer, the likelihoods of
//! alternatives say more with less noise.
//!
//! # Features
//! `flex` (on by default) compiles burn's CPU backend in; `wgpu`, `vulkan` and `cuda` the others.

mod arm;
pub mod diversity;
mod error;
mod estimate;
mod experiment;
mod folder;
mod kv;
mod prompt;
mod record;
pub mod score;
mod session;
pub mod stats;
mod subject;
mod summary;
mod task;
mod text;

pub use arm::{Arm, ArmWeights};
pub use error::{Error, Result};
pub use estimate::Estimate;
pub use experiment::{Experiment, RunOptions};
pub use folder::RunFolder;
pub use kv::{KeptChannels, KvRounder, KvRounding, KvTally};
pub use prompt::{Form, ModelTokens};
pub use record::{Answer, End, Record};
pub use subject::target;
pub use summary::{CellSummary, Compared, DIVERSITY_N, Resampled, Summary};
pub use task::{Ask, Column, Metric, Task};
pub use text::{Scored, TextScore, TextWindow, WindowScore, score_decoders, score_text};
