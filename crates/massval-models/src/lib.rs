//! Language models for looking inside: weights, tokenizer, one hooked decoder, generation.
//!
//! An architecture is data: a config reader and a table of weight names (see [`arch`]). The
//! forward pass exists once, in [`decoder`], and offers every activation to the hooks of
//! [`massval_hooks`]; with no hooks it computes nothing for them.
//!
//! ```no_run
//! use burn::tensor::{DType, Device};
//! use massval_hooks::HookSet;
//! use massval_models::{Batch, LogitsAt, Model, tokenizer::SpecialTokens};
//!
//! # fn main() -> massval_models::Result<()> {
//! let path = "models/SmolLM2-135M-Instruct.Q4_1.gguf";
//! let model = Model::load(path.as_ref(), &Device::flex(), DType::F32, &mut |_, _| {})?;
//! let ids = model.tokenizer()?.encode("The pass key is", SpecialTokens::AsModel)?;
//! let batch = Batch::single(&ids)?;
//! let logits = model.decoder().forward(&batch, None, &mut HookSet::none(), LogitsAt::Last)?;
//! # Ok(()) }
//! ```
//!
//! # Features
//! `flex` (on by default) compiles burn's CPU backend in; `wgpu`, `vulkan` and `cuda` the others.
//! `autodiff` puts the decoder on burn's tape, with ways back of its own on the CPU. `hub` adds models by name, fetched from a hub over the network.

mod cache;
mod config;
mod error;
mod generate;
mod load;
mod memory;
mod score;

pub mod arch;
pub mod decoder;
#[cfg(feature = "hub")]
pub mod hub;
pub mod tensorfile;
pub mod tokenizer;
pub mod weights;

pub use cache::KvCache;
pub use config::{
    ActivationKind, AlibiConfig, AlibiOrigin, AttentionConfig, BiasConfig, BlockOrder,
    DecoderConfig, EmbeddingConfig, MlpKind, NormKind, PositionEncoding, QkNorm, RopeConfig,
    Traits, Window,
};
pub use decoder::{
    Batch, Decoder, InputRounding, Job, LinearAt, LinearGroup, LinearRole, LogitsAt, StreamOptions,
    Walk, cross_entropy,
};
pub use error::{Error, Result};
pub use generate::{Finish, GenerateOptions, Generated, OnToken, Sampling};
pub use load::{Checkpoint, HubOrigin, Model};
pub use memory::MemoryNeed;
