//! Channels of keys that are kept exact where the rest is rounded: massive ones, and as many drawn ones.

use std::collections::BTreeMap;
use std::path::Path;

use massval_detect::RopeBands;
use massval_eval::KeptChannels;
use massval_models::{Checkpoint, DecoderConfig};
use massval_quant::ProtectedRows;
use massval_quant::protect::{HeadLayout, Projection, massive_rows, random_rows};
use massval_report::schema::ScanResult;

use crate::arms::findings_of;
use crate::provenance::file_hash;
use crate::{Error, Result};

/// The key channels in which a scan found massive values, with their rotary partners, and as many others of the
/// same heads, drawn by `seed`: the control.
///
/// # Errors
/// [`Error::Report`] if `path` is no result of a scan; [`Error::Input`] if the scan is of another model, or found
/// nothing in the keys; [`Error::Quant`] if a head has not as many other channels.
pub fn kept_key_channels(
    path: &Path,
    checkpoint: &Checkpoint,
    seed: u64,
) -> Result<[KeptChannels; 2]> {
    let scan = findings_of(path, checkpoint)?;
    let hash = file_hash(path)?;
    let source = format!("{} ({})", hash.name, &hash.blake3[..hash.blake3.len().min(12)]);
    let massive = protected(&scan, &checkpoint.config, Projection::K)?;
    if massive.is_empty() {
        let what = format!("{}: no massive values in the keys", path.display());
        return Err(Error::Input(what));
    }
    let random = drawn(&massive, &checkpoint.config, Projection::K, seed)?;
    let kept = |what: &str, layers| KeptChannels {
        what: what.to_owned(),
        source: Some(source.clone()),
        layers,
    };
    Ok([kept("massive", massive), kept("random", random)])
}

/// Rows of a projection with massive values, by layer; layers without any are left out.
pub(crate) fn protected(
    scan: &ScanResult,
    config: &DecoderConfig,
    projection: Projection,
) -> Result<BTreeMap<usize, ProtectedRows>> {
    let mut layers = BTreeMap::new();
    for layer in 0..config.layers {
        let bands = bands(config, layer)?;
        let layout = layout(config, projection, bands.as_ref())?;
        let rows = massive_rows(&scan.findings, layer, projection, &layout)?;
        if !rows.rows().is_empty() {
            layers.insert(layer, rows);
        }
    }
    Ok(layers)
}

/// As many other rows of the same heads.
pub(crate) fn drawn(
    massive: &BTreeMap<usize, ProtectedRows>,
    config: &DecoderConfig,
    projection: Projection,
    seed: u64,
) -> Result<BTreeMap<usize, ProtectedRows>> {
    let drawn = massive.iter().map(|(&layer, rows)| {
        let bands = bands(config, layer)?;
        let layout = layout(config, projection, bands.as_ref())?;
        Ok((layer, random_rows(rows, layer, projection, &layout, seed)?))
    });
    drawn.collect()
}

fn layout<'a>(
    config: &DecoderConfig,
    projection: Projection,
    bands: Option<&'a RopeBands>,
) -> Result<HeadLayout<'a>> {
    let heads = match projection {
        Projection::Q => config.heads,
        Projection::K => config.kv_heads,
    };
    Ok(HeadLayout::new(heads, config.head_dim, bands)?)
}

fn bands(config: &DecoderConfig, layer: usize) -> Result<Option<RopeBands>> {
    Ok(config.rope_at(layer).map(|rope| rope.bands(config.head_dim)).transpose()?)
}
