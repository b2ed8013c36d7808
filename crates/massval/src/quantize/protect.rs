//! From the findings of a scan to rows of Q and K that are kept apart.

use std::collections::BTreeMap;
use std::path::Path;

use massval_models::{Checkpoint, LinearAt, LinearRole};
use massval_quant::ProtectedRows;
use massval_quant::protect::{HeadLayout, Projection, massive_rows};

use crate::arms::findings_of;
use crate::{Error, Result};

/// The rows of Q and K that carry the massive values of a scan, with their rotary partners.
///
/// # Errors
/// [`Error::Input`] if the scan is of another model or found nothing in Q or K.
pub fn protected_channels(
    path: &Path,
    checkpoint: &Checkpoint,
) -> Result<BTreeMap<LinearAt, ProtectedRows>> {
    let scan = findings_of(path, checkpoint)?;
    let config = &checkpoint.config;
    let mut protected = BTreeMap::new();
    for layer in 0..config.layers {
        let bands = config.rope_at(layer).map(|rope| rope.bands(config.head_dim)).transpose()?;
        for (projection, role, heads) in [
            (Projection::Q, LinearRole::Q, config.heads),
            (Projection::K, LinearRole::K, config.kv_heads),
        ] {
            let layout = HeadLayout::new(heads, config.head_dim, bands.as_ref())?;
            let rows = massive_rows(&scan.findings, layer, projection, &layout)?;
            if !rows.rows().is_empty() {
                protected.insert(LinearAt::new(layer, role), rows);
            }
        }
    }
    match protected.is_empty() {
        true => {
            Err(Error::Input(format!("{}: no massive values in q or k to protect", path.display())))
        }
        false => Ok(protected),
    }
}
