//! Finds massive values and massive activations: tensors in, findings out.
mod accumulate;
pub mod activations;
mod criterion;
mod element;
mod error;
mod layout;
mod norms;
mod rope;
mod selection;
mod summary;
#[cfg(feature = "burn")]
pub mod tensor;
mod view;

pub use accumulate::{NormAccumulator, channel_norms};
pub use criterion::{Criterion, MassiveValue};
pub use element::Element;
pub use error::{Error, Result};
pub use layout::Layout;
pub use norms::ChannelNorms;
pub use rope::{Band, FrequencyHalf, PairLayout, RopeBands, RopeScaling};
pub use selection::TokenSelection;
pub use summary::{Finding, SiteSummary, pair_energy, summarize};
pub use view::HeadsView;
