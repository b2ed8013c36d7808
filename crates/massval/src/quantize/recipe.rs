//! A recipe for the linears of one checkpoint.

use std::collections::HashMap;
use std::path::Path;

use massval_models::Checkpoint;
use massval_models::arch::{StoredBlock, module_blocks};
use massval_quant::recipe::Recipe;

use super::work::io;
use crate::{Error, Result};

/// Reads a recipe as `massval sensitivity` writes it. It may name linears as the checkpoint does or as Hugging Face's
/// modules are called; it comes back with the checkpoint's names, for
/// [`QuantizeOptions::with_recipe`](super::QuantizeOptions::with_recipe).
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::Input`] naming the file if it is no recipe, names a linear that the
/// model does not have, or one twice.
pub fn read_recipe(path: &Path, checkpoint: &Checkpoint) -> Result<Recipe> {
    let json = std::fs::read_to_string(path).map_err(|error| io(path, error))?;
    let stored = linear_names(&checkpoint.blocks);
    let modules = module_blocks(&checkpoint.config).unwrap_or_default();
    let modules = linear_names(&modules);
    let named = |error| Error::Input(format!("{}: {error}", path.display()));
    let known = [&stored[..], &modules].concat();
    let mut recipe = Recipe::read(&json, &known).map_err(named)?;
    // Both list the same linears in the same order.
    let stored_as: HashMap<&str, &str> = match modules.len() == stored.len() {
        true => modules.iter().copied().zip(stored.iter().copied()).collect(),
        false => HashMap::new(),
    };
    for exception in &mut recipe.except {
        if let Some(stored) = stored_as.get(exception.linear.as_str()) {
            exception.linear = (*stored).to_owned();
        }
    }
    recipe.check(&stored).map_err(named)?;
    Ok(recipe)
}

/// The linears of these blocks, by their names.
pub(super) fn linear_names(blocks: &[StoredBlock]) -> Vec<&str> {
    blocks.iter().flat_map(|block| &block.linears).map(|linear| linear.name.as_str()).collect()
}
