//! What is ranked: a layer or a linear, and the matrices that it is made of.

use massval_models::arch::{StoredBlock, module_blocks};
use massval_models::{LinearAt, LinearRole, Model};
use massval_report::schema::{Predictors, SensitivityUnit};

use super::SensitivityOf;
use crate::Result;

/// A layer or a linear.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) layer: usize,
    pub(super) linears: Vec<LinearAt>,
    pub(super) shown: SensitivityUnit,
}

impl Unit {
    /// Whether attention's logits depend on it.
    pub(super) fn has(&self, role: LinearRole) -> bool {
        self.linears.iter().any(|at| at.role == role)
    }
}

/// The layers or linears of a model, in the order of a pass.
pub(super) fn units(model: &Model, of: SensitivityOf) -> Result<Vec<Unit>> {
    let config = model.decoder().config();
    // Recipes are for tools that know modules by Hugging Face's names.
    let blocks = module_blocks(config).unwrap_or_else(|| model.checkpoint().blocks.clone());
    let name = |at: &LinearAt| module(&blocks, at).unwrap_or_else(|| at.to_string());
    let unit = |shown: String, layer: usize, linears: Vec<LinearAt>| {
        let mut names: Vec<String> = linears.iter().map(name).collect();
        // Fused matrices are one module.
        names.dedup();
        let shown = SensitivityUnit {
            name: shown,
            layer,
            linears: names,
            before: Predictors::default(),
            after: None,
        };
        Unit { layer, linears, shown }
    };
    let all = config.linears();
    Ok(match of {
        SensitivityOf::Linears => {
            all.into_iter().map(|at| unit(at.to_string(), at.layer, vec![at])).collect()
        }
        SensitivityOf::Layers => (0..config.layers)
            .map(|layer| {
                let own = all.iter().filter(|at| at.layer == layer).copied().collect();
                unit(format!("layer {layer}"), layer, own)
            })
            .collect(),
    })
}

fn module(blocks: &[StoredBlock], at: &LinearAt) -> Option<String> {
    let block = blocks.get(at.layer)?;
    let linear = block.linears.iter().find(|l| l.parts.iter().any(|part| part.at == *at))?;
    Some(linear.name.clone())
}
