//! Names of the places in a language model, and what may watch or change them.
//!
//! A decoder offers its activations at [`HookPoint`]s: a [`Site`] (`rot_q`) in a layer, under the
//! name that TransformerLens users know (`blocks.3.attn.hook_rot_q`). A [`Hook`] observes such an
//! activation or replaces it. A [`HookSet`] holds the hooks of one run in order, tells the decoder
//! what is wanted (so that nothing else is computed), and counts what fired: a hook that never
//! fired is an error when the run is over, never a silent gap in the results.
//!
//! The crate knows no architecture: which points a model has is told by its decoder in a
//! [`ModelPoints`], and [`select`] finds points in it by name, glob or layer range.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use massval_hooks::{Activation, At, HookPoint, HookSet, ModelPoints, Observe, Phase, Site};
//!
//! // A model of two layers that has rotated queries and nothing else.
//! let points = ModelPoints::new(2, &[Site::RotQ]);
//!
//! // What the caller wants to see: the shape of the queries of the last layer.
//! let mut shapes = Vec::new();
//! let mut watch = Observe::new("shapes", |at: &At<'_>, x: &Activation| {
//!     shapes.push((at.point.to_string(), x.dims()));
//!     Ok(())
//! });
//! let mut hooks = HookSet::new(points);
//! hooks.add(&["blocks.-1.attn.hook_rot_q"], &mut watch)?;
//!
//! // What the decoder does in its forward pass.
//! for layer in 0..2 {
//!     let point = HookPoint::layer(layer, Site::RotQ);
//!     let mut q = Tensor::<4>::zeros([1, 8, 5, 64], &Device::flex());
//!     if hooks.wants(point) {
//!         let at = At::new(point, Phase::Prefill, 0, None);
//!         q = hooks.fire(&at, Activation::Heads(q))?.into_heads()?;
//!     }
//!     assert_eq!(q.dims(), [1, 8, 5, 64]);
//! }
//!
//! // Everything that was asked for has fired, or this is an error.
//! assert_eq!(hooks.finish()?.total(), 1);
//! assert_eq!(shapes, [("blocks.1.attn.hook_rot_q".to_string(), vec![1, 8, 5, 64])]);
//! # Ok::<(), massval_hooks::Error>(())
//! ```
//!
//! # Features
//! None is on by default. `flex`, `wgpu`, `vulkan` and `cuda` compile the burn backend of that
//! name in; a program needs one of them to hold a tensor at all.

mod activation;
mod cache_hook;
mod error;
mod explain;
mod hook;
mod model_points;
mod names;
mod pattern;
mod point;
mod report;
mod select;
mod set;
mod site;
mod suggest;

pub use activation::Activation;
pub use cache_hook::{CacheAt, CacheHook};
pub use error::{Error, Result};
pub use explain::{Alias, Explanation, Spelling, aliases, explain};
pub use hook::{At, Hook, HookFailure, Observe, Phase, Replace};
pub use model_points::ModelPoints;
pub use point::HookPoint;
pub use report::{Fired, FiredReport};
pub use select::select;
pub use set::{HookId, HookSet};
pub use site::{Site, SiteDims};
