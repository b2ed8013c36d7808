//! Which rows of Q's and K's weights carry massive values, and how they are kept apart.
//!
//! A channel of a head is a row of its projection's weight. RoPE turns channels in pairs, so that a massive
//! channel after it is made of two rows; both are protected, or neither. The control of the experiment is
//! the same number of other pairs of the same heads, drawn by a seed.

mod mixed;
mod rows;

pub use mixed::{KeptRows, MixedLinear, split_rows};
pub use rows::{HeadLayout, Projection, ProtectedRows, massive_rows, random_rows};
