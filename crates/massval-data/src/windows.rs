//! Windows of text for perplexity, by the rules of the papers.
//!
//! A perplexity is that of a rule: which documents, joined by what, cut into which windows, and
//! which of their tokens count. [`Windows`] is such a rule, as a value that results can hold;
//! [`Corpus`] is the text that it asks for; [`Windows::plan`] cuts the text's tokens.
//!
//! ```
//! use massval_data::windows::Windows;
//! let rule = Windows::sliding(4, 2);
//! assert_eq!(
//!     rule.to_string(),
//!     "windows of 4 tokens, one every 2, no BOS, a short last one kept; all documents, joined by \"\\n\\n\""
//! );
//! let tokens = [10, 11, 12, 13, 14, 15, 16];
//! let windows = rule.plan(&tokens, None)?;
//! assert_eq!(windows[1].ids(&tokens)?, [12, 13, 14, 15]);
//! assert_eq!(windows[1].scored, 2..4); // 12 and 13 counted in the window before
//! # Ok::<(), massval_data::Error>(())
//! ```

mod corpus;
mod plan;
mod preset;
mod rule;

pub use corpus::{Corpus, Split, TextOptions};
pub use plan::Window;
pub use preset::{Preset, Protocol};
pub use rule::{Bos, Pick, Tail, Windows};
