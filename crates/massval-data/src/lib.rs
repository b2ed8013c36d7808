//! Tasks for language models: what a model is asked, and what the right answer is.
//!
//! Text and labels come out; which model reads them, and how its answers are scored, is not known
//! here. A [`Dataset`] gives its [`Item`]s by index, so that item 7 is the same whether ten or a
//! thousand are asked for, and shards of a run agree.

mod dataset;
mod draw;
mod encode;
mod error;
mod identity;
mod item;

pub mod catalog;
pub mod generate;
pub mod language;
pub mod read;
pub mod synthesis;
pub mod windows;
pub mod world;

pub use dataset::{Dataset, Side};
pub use encode::{Encode, Token, token_span};
pub use error::{Error, Result};
pub use item::{Choice, Gold, Item, Role};
