//! A scan as one HTML page that needs nothing else: no network, no other file, no framework.
//!
//! Tables, totals and provenance are written into the page and can be read without JavaScript; the
//! heat maps and the findings table are drawn by it from numbers embedded in the page. Everything
//! that came from a model or a user is text there, never markup.

mod data;
mod escape;
mod parts;

use crate::error::Result;
use crate::rows;
use crate::schema::{SCHEMA_VERSION, ScanResult};
use crate::words;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = concat!(
    "\"use strict\";\n(() => {\n",
    include_str!("data.js"),
    "\n",
    include_str!("draw.js"),
    "\n",
    include_str!("maps.js"),
    "\n",
    include_str!("overview.js"),
    "\n",
    include_str!("findings.js"),
    "\n",
    include_str!("selftest.js"),
    "\n",
    include_str!("main.js"),
    "})();\n",
);

/// The page for `scan`.
///
/// Opened as `scan.html#layer=12` it shows that layer first; as `scan.html#selftest` it tries its
/// own controls and writes the outcome to the `data-selftest` attribute of the root element.
///
/// # Errors
/// The result's fields contradict each other.
pub fn scan_page(scan: &ScanResult) -> Result<String> {
    scan.validate()?;
    let layers = rows::by_layer(scan, true)?;
    let model = words::model_name(&scan.provenance.model);
    let version = escape::html(&scan.provenance.massval_version);
    let fields = [
        ("activations", parts::activations(scan)),
        ("cards", parts::cards(scan)),
        ("counted", escape::html(&words::counted(&scan.counted))),
        ("criterion", escape::html(&words::criterion(&scan.criterion))),
        ("data", escape::script(&data::json(scan)?)),
        ("layers", parts::layers(&layers)),
        ("layers_note", parts::layers_note(&layers)),
        ("model", escape::html(&model)),
        ("provenance", parts::provenance(scan)),
        ("schema", SCHEMA_VERSION.to_string()),
        ("script", SCRIPT.to_owned()),
        ("shape", escape::html(&words::shape(&scan.shape))),
        ("style", STYLE.to_owned()),
        ("title", escape::html(&format!("{model}: massive values"))),
        ("top", parts::top(scan)),
        ("version", version),
    ];
    Ok(fill(PAGE, &fields))
}

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

#[cfg(test)]
mod tests;
