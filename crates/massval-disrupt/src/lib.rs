//! Disrupting attention: interventions as values, applied as hooks.
//!
//! An [`Intervention`] says what is written ([`Operator`]) into which channels ([`Selection`]) of
//! which heads, where and when. It is plain data: it prints as a sentence and is stored in every
//! result. A [`Disruptor`] binds it to a model's shape and is the hook that does it; it computes the
//! channel norms of each prompt on its own, so prompts can be batched and padded.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use massval_disrupt::{Disruptor, Intervention, Operator, Selection, Target};
//! use massval_hooks::{Activation, At, HookPoint, HookSet, ModelPoints, Phase, Site};
//!
//! // A model of one layer; its keys have one head of four channels, the last of them massive.
//! let points = ModelPoints::new(1, &[Site::RotK]);
//! let target = Target { points: points.clone(), heads: 1, kv_heads: 1, head_dim: 4, bands: None };
//! let keys = [[0.1, 0.2, 0.1, 8.0], [0.3, 0.1, 0.2, 6.0]];
//!
//! let intervention = Intervention::new(Operator::Mean, Selection::top(1)).at(&[Site::RotK]);
//! let mut disruptor = Disruptor::new(intervention, &target)?;
//! let at = disruptor.points();
//! let mut hooks = HookSet::new(points);
//! hooks.add_at(&at, &mut disruptor)?;
//!
//! // What the decoder does when it reads a prompt of two tokens.
//! let x = Tensor::<2>::from_floats(keys, &Device::flex()).reshape([1, 1, 2, 4]);
//! let here = At::new(HookPoint::layer(0, Site::RotK), Phase::Prefill, 0, None);
//! let x = hooks.fire(&here, Activation::Heads(x))?.into_heads()?;
//! assert_eq!(x.into_data().to_vec::<f32>()?, [0.1, 0.2, 0.1, 7.0, 0.3, 0.1, 0.2, 7.0]);
//!
//! hooks.finish()?;
//! let tally = disruptor.take_tally();
//! assert_eq!((tally[0].site, tally[0].channels), (Site::RotK, 1));
//! disruptor.intervention().check(&tally)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//! None is on by default. `flex`, `wgpu`, `vulkan` and `cuda` compile the burn backend of that name in.

mod disruptor;
mod error;
mod fill;
mod intervention;
mod operator;
mod place;
mod plan;
mod preset;
mod random;
mod selection;
mod tally;
mod target;
mod values;

pub use disruptor::{Disruptor, PromptInfo};
pub use error::{Error, Result};
pub use intervention::Intervention;
pub use operator::Operator;
pub use place::{Indices, Positions, When};
pub use preset::Preset;
pub use selection::{ChannelRef, Selection};
pub use tally::SiteTally;
pub use target::Target;
