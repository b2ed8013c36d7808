//! GGUF: llama.cpp's checkpoint format, with the model's config and tokenizer in its metadata.
//!
//! Layout after the [specification](https://github.com/ggml-org/ggml/blob/master/docs/gguf.md),
//! versions 2 and 3, little-endian.

mod experts;
mod metadata;
mod permute;
pub(crate) mod quants;
mod reader;

pub use metadata::{GgufArray, GgufMetadata, GgufValue};
pub(super) use permute::stored_row;
pub use permute::unpermute_rows;
pub(super) use reader::parse;
