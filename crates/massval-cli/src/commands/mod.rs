//! One module for each command.

pub mod capture;
pub mod completions;
pub mod detect;
pub mod generate;
pub mod hooks;
pub mod inspect;
pub mod logits;
pub mod scan;

mod model;
