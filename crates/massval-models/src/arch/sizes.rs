//! Which fields of a config a tensor's extents come from: so that a wrong shape can name them.

use serde_json::{Map, Value};

use crate::config::DecoderConfig;
use crate::weights::LoadReport;

/// Most fields that one tensor's line names.
const NAMED: usize = 3;

/// The whole numbers of a config, as its fields name them.
#[derive(Debug)]
pub(super) struct Sizes(Vec<(String, u64)>);

impl Sizes {
    pub(super) fn new(map: &Map<String, Value>, config: &DecoderConfig) -> Self {
        let number = |(name, value): (&String, &Value)| Some((name.clone(), value.as_u64()?));
        let mut sizes: Vec<_> = map.iter().filter_map(number).collect();
        if !map.contains_key("head_dim") {
            sizes.push(("head_dim".to_owned(), config.head_dim as u64));
        }
        // Ids count nothing, and no tensor has an axis of layers.
        sizes.retain(|(name, _)| !name.ends_with("_id") && !name.contains("layer"));
        Self(sizes)
    }

    /// Adds to each tensor of the wrong shape the fields that ask for the other one.
    pub(super) fn explain(&self, report: &mut LoadReport) {
        for wrong in &mut report.wrong_shape {
            let axes = wrong.expected.iter().zip(&wrong.found);
            let differing = axes.filter(|(expected, found)| expected != found);
            let matrix = wrong.expected.len() > 1;
            let mut fields: Vec<String> =
                differing.flat_map(|(expected, _)| self.of(*expected as u64, matrix)).collect();
            fields.dedup();
            fields.truncate(NAMED);
            wrong.fields = fields;
        }
    }

    /// The fields that are, or pairs of heads and their width that multiply to, `extent`.
    fn of(&self, extent: u64, matrix: bool) -> Vec<String> {
        let is = |name: &str| name.contains("position");
        // No matrix is one head wide, but for the product below.
        let of_one_head = |name: &str| matrix && name == "head_dim";
        let counts_heads = |name: &str| name.contains("head") && name != "head_dim";
        let single = |positions: bool| -> Vec<String> {
            self.0
                .iter()
                .filter(|(name, value)| {
                    let may = !counts_heads(name) && !of_one_head(name);
                    *value == extent && may && is(name) == positions
                })
                .map(|(name, value)| format!("{name} {value}"))
                .collect()
        };
        let product = || -> Vec<String> {
            let width = self.0.iter().find(|(name, _)| name == "head_dim");
            let Some((_, width)) = width else { return Vec::new() };
            self.0
                .iter()
                .filter(|(name, count)| {
                    counts_heads(name) && count.checked_mul(*width) == Some(extent)
                })
                .map(|(name, count)| format!("{name} {count} x head_dim {width}"))
                .collect()
        };
        // The first that knows: positions are rarely a tensor's axis, so they come last.
        let ways = [single(false), product(), single(true)];
        ways.into_iter().find(|fields| !fields.is_empty()).unwrap_or_default()
    }
}
