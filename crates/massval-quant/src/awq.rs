//! AWQ: weights scaled up where their inputs are large, so that rounding hurts them less (arXiv 2306.00978).
//!
//! Like SmoothQuant's, the scales are folded into what writes the inputs ([`crate::fold`]); unlike them, they
//! are searched for, and activations stay in floating point. In a Llama layer these groups share their
//! inputs, and the scales go into:
//!
//! | linears | scales are folded into |
//! |---|---|
//! | Q, K, V | the norm before attention |
//! | output projection | the rows of V ([`value_output_ties`]) |
//! | gate, up | the norm before the MLP |
//! | down | the rows of up |

mod clip;
mod scales;
mod ties;

pub use clip::{Clip, ClipOptions, search_clip};
pub use scales::{AwqOptions, AwqScales, search_scales, search_scales_with};
pub use ties::{ChannelTies, GroupedHeads, value_output_ties};
