//! The result files of massval, and the tables, pages and figures made from them.
//!
//! - [`schema`]: what a result file holds; reading, checking and writing it.
//! - [`table`]: a result as text for a terminal, as Markdown, as CSV.
//! - [`html`]: a scan, a disruption experiment, or layers' sensitivity, as one self-contained page.
//! - [`figure`] (feature `figures`): the papers' figures as SVG and PNG.
//!
//! This crate knows no model: a result file is all that it needs.

mod atomic;
mod error;
mod experiment;
#[cfg(feature = "figures")]
pub mod figure;
pub mod html;
mod palette;
mod rows;
pub mod schema;
mod selected;
mod sensitivity;
mod sites;
pub mod table;
#[cfg(test)]
mod testing;
mod words;

pub use error::{Error, Result};

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
