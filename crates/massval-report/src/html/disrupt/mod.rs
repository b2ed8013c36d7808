//! The page of the disruption experiment: all of it is markup, and no script runs.

mod bars;
mod parts;

use super::{PANELS_STYLE, STYLE, escape, fill, run};
use crate::error::Result;
use crate::experiment;
use crate::schema::{DisruptResult, SCHEMA_VERSION};
use crate::words;

const PAGE: &str = include_str!("page.html");
const OWN_STYLE: &str = include_str!("style.css");

/// The page for a result of `massval disrupt`: accuracies as a table and as bars, what the
/// comparisons show and what they do not, measures beside the accuracy, every arm's intervention
/// and the run.
///
/// # Errors
/// The result's fields contradict each other.
pub fn disrupt_page(result: &DisruptResult) -> Result<String> {
    result.validate()?;
    let model = words::model_name(&result.provenance.model);
    let fields = [
        ("accuracy", parts::accuracy(result)),
        ("arms", parts::arms(result)?),
        ("bars", bars::bars(result)),
        ("comparisons", parts::comparisons(result)),
        ("measures", parts::measures(result)),
        ("model", escape::html(&model)),
        ("notes", parts::notes(result)),
        ("provenance", run::provenance(&result.provenance, &[])),
        ("selected", parts::selected(result)),
        ("schema", SCHEMA_VERSION.to_string()),
        ("style", [STYLE, PANELS_STYLE, OWN_STYLE].concat()),
        ("summary", escape::html(&experiment::summary(result))),
        ("tasks", parts::tasks(result)?),
        ("title", escape::html(&format!("{model}: disruption"))),
        ("version", escape::html(&result.provenance.massval_version)),
    ];
    Ok(fill(PAGE, &fields))
}

#[cfg(test)]
mod tests;
