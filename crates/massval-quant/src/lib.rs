//! Quantizers for the linears and the KV cache of language models, and the checkpoints that hold them.
//!
//! Slices in, codes out: this crate knows no model. What calibrates a model feeds the activations of each
//! linear into accumulators, rows `[tokens, inputs]` at a time, and quantizes one linear, or the few that
//! share their inputs, when the text is through.

mod activation;
pub mod awq;
mod bits;
mod error;
pub mod fold;
mod gptq;
mod grid;
mod kv;
mod linear;
mod matrix;
pub mod protect;
mod rtn;
mod scheme;
pub mod smooth;
mod stats;
mod weight;

pub use activation::{ActivationQuantizer, ActivationRange, ActivationScheme, int8_weights};
pub use bits::{Bits, Granularity, GroupSize};
pub use error::{Error, Result};
pub use gptq::{ColumnOrder, DeadInputs, GptqOptions, GptqReport, GptqResult, GptqSolver, gptq};
pub use grid::Grid;
pub use kv::{CacheShape, KvAxis, KvReport, KvScheme, OutlierShare};
pub use linear::{LinearParts, QuantizedLinear};
pub use protect::ProtectedRows;
pub use rtn::rtn;
pub use scheme::{
    RangeRule, RangeSearch, ScaleType, SymmetricStep, Symmetry, WeightScheme, ZeroPoint,
};
pub use stats::{ChannelAccumulator, ChannelStats, Hessian, HessianAccumulator, OutputError};
pub use weight::Weight;
