//! Lines of Markdown tables and of CSV.

use crate::words;

/// A row of a Markdown table.
pub(super) fn row(out: &mut String, cells: &[String]) {
    for cell in cells {
        *out += "| ";
        *out += &escape(cell);
        *out += " ";
    }
    *out += "|\n";
}

/// The line under the header of a Markdown table: `left` columns flush left, then `right` others.
pub(super) fn rule(out: &mut String, left: usize, right: usize) {
    let sides = [":---"].repeat(left).into_iter().chain(["---:"].repeat(right));
    row(out, &sides.map(str::to_owned).collect::<Vec<_>>());
}

/// `text` with Markdown's and HTML's signs disarmed.
pub(super) fn escape(text: &str) -> String {
    words::plain(text).chars().fold(String::new(), |mut out, c| {
        if matches!(c, '|' | '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '#' | '&') {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

/// A field of a CSV line, in quotes where it needs them (RFC 4180).
pub(super) fn csv(field: &str) -> String {
    if field.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// A field of a CSV line that may be empty.
pub(super) fn or_empty(field: Option<impl std::fmt::Display>) -> String {
    field.map(|field| field.to_string()).unwrap_or_default()
}
