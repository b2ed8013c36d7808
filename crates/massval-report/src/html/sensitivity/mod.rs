//! The page of layers' sensitivity to quantization: all of it is markup, and no script runs.

mod parts;
mod scatter;

use super::{PANELS_STYLE, STYLE, escape, fill, run};
use crate::error::{Error, Result};
use crate::schema::{SCHEMA_VERSION, SensitivityResult};
use crate::{sensitivity, words};

const PAGE: &str = include_str!("page.html");
const OWN_STYLE: &str = include_str!("style.css");

/// The page for a result of `massval sensitivity`: what was told of every layer or linear beside the
/// damage that rounding it did, how well each prediction foretold that, and the run. Where nothing
/// was measured it says so, and shows what was told alone.
///
/// # Errors
/// The result's fields contradict each other.
pub fn sensitivity_page(result: &SensitivityResult) -> Result<String> {
    result.validate()?;
    let model = words::model_name(&result.provenance.model);
    let rounding = serde_json::to_string(&result.scheme).map_err(Error::Serialize)?;
    let run_too = [("Criterion", result.criterion.to_string()), ("Rounding", rounding)];
    let fields = [
        ("agreement", parts::agreement(result)),
        ("criterion", escape::html(&words::criterion(&result.criterion))),
        ("legend", escape::html(&sensitivity::legend(result, |column| column.title))),
        ("model", escape::html(&model)),
        ("notes", parts::notes(result)),
        ("provenance", run::provenance(&result.provenance, &run_too)),
        ("scatter", scatter::section(result)),
        ("schema", SCHEMA_VERSION.to_string()),
        ("shading", parts::shading(result).to_owned()),
        ("style", [STYLE, PANELS_STYLE, OWN_STYLE].concat()),
        ("summary", escape::html(&sensitivity::summary(result))),
        ("title", escape::html(&format!("{model}: sensitivity"))),
        ("units", parts::units(result)),
        ("units_title", parts::units_title(result)),
        ("version", escape::html(&result.provenance.massval_version)),
    ];
    Ok(fill(PAGE, &fields))
}

#[cfg(test)]
mod tests;
