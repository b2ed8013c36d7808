//! The last line of defence around the `tokenizers` crate: a panic inside it becomes an error.
//!
//! [`super::check`] refuses the malformed files that are known to make it panic; this catches the
//! ones that are not known, so that one bad file cannot end a long run.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::{Error, Result};

/// Calls into the `tokenizers` crate; `doing` names the step in errors.
pub(super) fn call<T, E: Display>(
    path: &Path,
    doing: &str,
    f: impl FnOnce() -> std::result::Result<T, E>,
) -> Result<T> {
    // Nothing the closure touches is seen again in a half-changed state: a tokenizer that failed
    // to load is dropped, and encoding and decoding do not change one.
    let what = match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => format!("{doing} failed: {}", one_line(&error.to_string())),
        Err(payload) => {
            let said = payload
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            format!("{doing} failed; the file is malformed ({})", one_line(said))
        }
    };
    Err(Error::Tokenizer { path: path.to_owned(), what })
}

fn one_line(text: &str) -> String {
    const LIMIT: usize = 300;
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(LIMIT) {
        line.truncate(cut);
        line.push_str("...");
    }
    line
}
