//! A result as one HTML page that needs nothing else: no network, no other file, no framework.
//!
//! Everything that came from a model or a user is text there, never markup.

mod disrupt;
mod elements;
mod escape;
mod run;
mod scan;
mod sensitivity;
mod strips;

pub use disrupt::disrupt_page;
pub use scan::scan_page;
pub use sensitivity::sensitivity_page;

/// The look of every page.
const STYLE: &str = include_str!("style.css");

/// The look of tables with row heads and of strips, for pages that are markup alone.
const PANELS_STYLE: &str = include_str!("panels.css");

/// `template` with every `{{name}}` replaced, in one pass: a value is never searched for names.
fn fill(template: &str, fields: &[(&str, String)]) -> String {
    let mut pieces = template.split("{{");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or((piece, ""));
        if let Some((_, value)) = fields.iter().find(|(field, _)| *field == name) {
            out += value;
        }
        out += rest;
    }
    out
}
