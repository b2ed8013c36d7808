//! Text files, and the cleaning of decoded text.

use std::path::Path;

use crate::{Error, Result};

/// Reads a text file, which must be UTF-8. A byte-order mark is kept: it is part of the text.
///
/// # Errors
/// [`Error::Io`], or [`Error::Format`] with the offset of the first byte that is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let byte = e.as_bytes().get(at).copied().unwrap_or_default();
        Error::format(
            path,
            "UTF-8 text",
            format!("byte 0x{byte:02x} at offset {at}; convert the file to UTF-8"),
        )
    })
}

/// transformers' `clean_up_tokenization`, which word-piece tokenizers want.
pub(super) fn clean_up(text: &str) -> String {
    const RULES: [(&str, &str); 10] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    RULES.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
