//! Pieces of HTML that pages are made from.

use std::fmt::Write;

/// A table's start up to its body; the columns in `text` are flush left.
pub(super) fn opening_row(head: &[String], text: &[usize]) -> String {
    let mut out = "<table><thead><tr>".to_owned();
    for (i, title) in head.iter().enumerate() {
        let class = if text.contains(&i) { " class=\"text\"" } else { "" };
        push(&mut out, format_args!("<th scope=\"col\"{class}>{title}</th>"));
    }
    out + "</tr></thead>\n<tbody>\n"
}

/// The cells of a row, already escaped, and the row's end.
pub(super) fn body_cells(out: &mut String, cells: &[String], text: &[usize]) {
    for (i, cell) in cells.iter().enumerate() {
        let class = if text.contains(&i) { " class=\"text\"" } else { "" };
        push(out, format_args!("<td{class}>{cell}</td>"));
    }
    *out += "</tr>\n";
}

/// The start of a box, named `label`, that scrolls by itself where its table is too wide for the page.
pub(super) fn scroll(label: &str) -> String {
    format!("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\">")
}

/// Appends formatted text.
pub(super) fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}
