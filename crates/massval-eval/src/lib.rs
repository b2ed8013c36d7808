//! Tasks, scorers, perplexity and statistics; runs model x task x intervention.

pub mod diversity;
pub mod score;
pub mod stats;
