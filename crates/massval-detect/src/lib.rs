//! Finds massive values and massive activations: tensors in, findings out.
//!
//! The **massive values** of an attention head are the few channels of its queries and keys whose norm over
//! the sequence dwarfs the rest of the head (*Massive Values in Self-Attention Modules are the Key to
//! Contextual Knowledge Understanding*). This crate computes those norms, decides which are massive, and says
//! to which rotary pair they belong. It knows no model, no file and no hook.
//!
//! ```
//! use massval_detect::{
//!     Criterion, Finding, HeadsView, PairLayout, RopeBands, TokenSelection, channel_norms, summarize,
//! };
//!
//! // Keys of two heads with 32 channels over 10 tokens; channel 29 of the first head is massive.
//! let (heads, seq, head_dim) = (2, 10, 32);
//! let mut keys = vec![0.25f32; heads * seq * head_dim];
//! for token in 0..seq {
//!     keys[token * head_dim + 29] = 8.0;
//! }
//!
//! let view = HeadsView::contiguous(&keys, [1, heads, seq, head_dim])?;
//! let norms = channel_norms(&view, &TokenSelection::all().skip_first(1))?;
//! let massive = Criterion::default().find(&norms); // five times the head's mean
//!
//! let bands = RopeBands::new(head_dim, head_dim, 10_000.0, PairLayout::HalfSplit)?;
//! let findings: Vec<Finding> =
//!     massive.iter().map(|value| Finding::new(0, "rot_k", value, Some(&bands))).collect();
//! assert_eq!((findings.len(), findings[0].head, findings[0].channel), (1, 0, 29));
//! assert_eq!(findings[0].pair, Some(13));
//!
//! let summary = summarize(0, "rot_k", &norms, &massive, Some(&bands))?;
//! assert_eq!((summary.count, summary.heads_hit, summary.tokens), (1, 1, 9));
//! # Ok::<(), massval_detect::Error>(())
//! ```
//!
//! # Front ends
//! One definition, `M[h,d] = sqrt(sum over s of x[s,h,d]^2)`, for three kinds of tensors:
//! - slices with strides, [`HeadsView::new`] and [`HeadsView::from_layout`];
//! - `ndarray` views, `HeadsView::try_from`;
//! - burn tensors on any device, module `tensor` (feature `burn`).
//!
//! Each comes as one call ([`channel_norms`]) and as an accumulator for chunks of a sequence and for many
//! prompts ([`NormAccumulator`]) whose parts merge. A million tokens of `f16`, `bf16` or `f32` stay within
//! 1e-5 of an `f64` reference; slices are summed in `f64` and come out rounded once.
//!
//! [`activations`] finds the massive activations of the residual stream.
//!
//! # Features
//! None by default. `burn` adds the front end for burn tensors; `flex`, `wgpu`, `vulkan` and `cuda` switch on
//! burn's backends with it.

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
pub use rope::{Band, FrequencyHalf, PairLayout, RopeAngles, RopeBands, RopeScaling};
pub use selection::TokenSelection;
pub use summary::{Finding, SiteSummary, pair_energy, summarize};
pub use view::HeadsView;
