//! The page of a scan.
//!
//! Tables, totals and provenance are written into the page and can be read without JavaScript; the
//! heat maps and the findings table are drawn by it from numbers embedded in the page.

mod data;
mod parts;

use super::{STYLE, escape, fill, run};
use crate::error::Result;
use crate::rows;
use crate::schema::{SCHEMA_VERSION, ScanResult};
use crate::words;

const PAGE: &str = include_str!("page.html");
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
    let criterion = [("Criterion", scan.criterion.to_string())];
    let fields = [
        ("activations", parts::activations(scan)),
        ("cards", parts::cards(scan)),
        ("counted", escape::html(&words::counted(&scan.counted))),
        ("criterion", escape::html(&words::criterion(&scan.criterion))),
        ("data", escape::script(&data::json(scan)?)),
        ("layers", parts::layers(&layers)),
        ("layers_note", parts::layers_note(&layers)),
        ("model", escape::html(&model)),
        ("provenance", run::provenance(&scan.provenance, &criterion)),
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

#[cfg(test)]
mod tests;
