//! The architectures that can be loaded, and how far each is from transformers on record.

use massval_models::{Traits, arch};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Written by `scripts/parity_table.py` from a run of the parity tests, with `docs/parity.md`.
const RECORD: &str = include_str!("../data/parity.json");

/// An architecture, its traits, and the parity on record.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ArchitectureRecord {
    /// Its name: `model_type` of a `config.json`.
    pub name: String,
    /// The traits of its recorded cases, together.
    pub traits: Traits,
    /// The comparison with transformers; `None` if there is none on record.
    pub parity: Option<Parity>,
}

/// How far massval is from transformers on the cases of one architecture, in f32 on the CPU.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Parity {
    /// The names of the cases.
    pub cases: Vec<String>,
    /// The largest absolute difference of a logit.
    pub logits: f64,
    /// The largest absolute difference at any hook point.
    pub sites: f64,
    /// The version of transformers.
    pub transformers: String,
    /// The day of the comparison.
    pub date: String,
}

#[derive(Deserialize)]
struct Record {
    transformers: String,
    date: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    case: String,
    architecture: String,
    traits: Traits,
    differences: std::collections::BTreeMap<String, f64>,
}

/// Every architecture that can be loaded, in the order of [`arch::names`].
///
/// ```
/// let all = massval::architectures()?;
/// let llama = all.iter().find(|record| record.name == "llama").expect("there");
/// assert!(llama.traits.position.contains(&"RoPE".to_owned()));
/// assert!(llama.parity.as_ref().is_some_and(|parity| parity.logits < 5e-5));
/// # Ok::<(), massval::Error>(())
/// ```
///
/// # Errors
/// If the record that massval was built with cannot be read.
pub fn architectures() -> Result<Vec<ArchitectureRecord>> {
    let record: Record = serde_json::from_str(RECORD)
        .map_err(|error| Error::Input(format!("the parity record of this build: {error}")))?;
    Ok(arch::names().map(|name| of(name, &record)).collect())
}

fn of(name: &str, record: &Record) -> ArchitectureRecord {
    let cases: Vec<&Case> = record.cases.iter().filter(|case| case.architecture == name).collect();
    let mut traits = Traits::default();
    for case in &cases {
        let columns: [fn(&mut Traits) -> &mut Vec<String>; 5] = [
            |t| &mut t.position,
            |t| &mut t.norm,
            |t| &mut t.attention,
            |t| &mut t.block,
            |t| &mut t.mlp,
        ];
        for column in columns {
            let all = column(&mut traits);
            for word in column(&mut case.traits.clone()) {
                if !all.contains(word) {
                    all.push(word.clone());
                }
            }
        }
    }
    let worst = |of: fn(&str) -> bool| {
        let all = cases.iter().flat_map(|case| &case.differences);
        all.filter(|(site, _)| of(site)).map(|(_, apart)| *apart).fold(0.0, f64::max)
    };
    let parity = (!cases.is_empty()).then(|| Parity {
        cases: cases.iter().map(|case| case.case.clone()).collect(),
        logits: worst(|site| site == "logits"),
        sites: worst(|site| site != "logits"),
        transformers: record.transformers.clone(),
        date: record.date.clone(),
    });
    ArchitectureRecord { name: name.to_owned(), traits, parity }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_is_on_record_within_the_tolerance() {
        for record in architectures().expect("a record") {
            // Its own: transformers has none to be compared with.
            if record.name == "massval" {
                assert_eq!(record.parity, None);
                continue;
            }
            let parity = record.parity.unwrap_or_else(|| panic!("{}: no case", record.name));
            assert!(parity.logits < 5e-5 && parity.sites < 5e-5, "{}: {parity:?}", record.name);
            assert!(parity.logits > 0.0 && parity.sites > 0.0, "{}: {parity:?}", record.name);
        }
    }
}
