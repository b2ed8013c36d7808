//! Language models for looking inside: weights, tokenizer, one hooked decoder, generation.
//!
//! An architecture is data: a config reader and a table of weight names (see [`arch`]). The
//! forward pass exists once, in [`decoder`].

mod error;

pub mod tensorfile;
pub mod tokenizer;
pub mod weights;

pub use error::{Error, Result};
