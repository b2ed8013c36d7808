//! Quantizers for the linears and the KV cache of language models, and the checkpoints that hold them.
//!
//! Slices in, codes out: this crate knows no model. What calibrates a model feeds the activations of each
//! linear into accumulators, rows `[tokens, inputs]` at a time, and quantizes one linear, or the few that
//! share their inputs, when the text is through.
//!
//! ```
//! use massval_quant::formats::{Format, Layout};
//! use massval_quant::{
//!     Bits, GptqOptions, GptqSolver, Granularity, HessianAccumulator, ScaleType, Weight, WeightScheme,
//! };
//!
//! // A linear of 16 inputs and 8 outputs, and 100 tokens of its inputs.
//! let number = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
//! let weight: Vec<f32> = (0..8 * 16).map(number).collect();
//! let inputs: Vec<f32> = (0..100 * 16).map(|i| number(i + 999)).collect();
//!
//! let mut seen = HessianAccumulator::new("layers.0.q_proj", 16)?;
//! for rows in inputs.chunks(25 * 16) {
//!     seen.push(rows)?;
//! }
//! let hessian = seen.finish()?;
//! let solver = GptqSolver::new(&hessian, &GptqOptions::default())?;
//!
//! let granularity = Granularity::group(8)?;
//! let scheme = WeightScheme::new(Bits::Four, granularity).scales(ScaleType::F16);
//! let result = solver.quantize(&Weight::new("layers.0.q_proj", [8, 16], &weight)?, &scheme)?;
//! assert!(result.report.output.relative() < 0.01);
//!
//! let layout = Layout { format: Format::GptqV1, bits: Bits::Four, granularity, symmetric: true };
//! let tensors = layout.pack(&result.linear)?;
//! assert_eq!(layout.unpack("layers.0.q_proj", &tensors)?, result.linear);
//! # Ok::<(), massval_quant::Error>(())
//! ```
//!
//! # Methods
//! | method | needs | gives |
//! |---|---|---|
//! | [`rtn`] | nothing | a [`QuantizedLinear`] |
//! | [`gptq`], [`GptqSolver`] | [`Hessian`] | a [`QuantizedLinear`] and a [`GptqReport`] |
//! | [`smooth`] | [`ChannelStats`] | scales to [`fold`], then [`rtn`] and [`ActivationScheme`] |
//! | [`awq`] | [`ChannelStats`], [`Hessian`] | scales to [`fold`] and limits of weights, then [`rtn`] |
//! | [`KvScheme`] | nothing | a rounded cache |
//!
//! [`protect`] turns findings of `massval-detect` into rows that are kept apart; [`formats`] packs and
//! unpacks; a [`recipe`] says which linears are treated otherwise than the rest.

mod activation;
pub mod awq;
mod bits;
mod error;
pub mod fold;
pub mod formats;
mod gptq;
mod grid;
mod kv;
mod linear;
mod matrix;
pub mod protect;
pub mod recipe;
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
