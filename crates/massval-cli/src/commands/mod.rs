//! One module for each command.

pub mod capture;
pub mod compare;
pub mod completions;
pub mod convert;
pub mod data;
pub mod detect;
pub mod disrupt;
pub mod generate;
pub mod hooks;
pub mod inspect;
pub mod logits;
pub mod models;
pub mod perplexity;
pub mod quantize;
pub mod scan;
pub mod sensitivity;

mod arms;
mod kv;
mod model;
#[cfg(feature = "train")]
pub mod train;
