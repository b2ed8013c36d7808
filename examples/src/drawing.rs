//! The figures, from a scan or from captured keys.

use std::path::Path;

use massval::detect::RopeBands;
use massval::hooks::Site;
use massval::report::figure::{
    Figure, HeatmapOptions, NormPanel, SurfaceOptions, emergence as emergence_figure, norm_panels,
    surface,
};
use massval::report::schema::{ScanResult, SiteNorms};
use massval::{Error, Result};

use crate::KeyCache;
use crate::session::check_below;

/// A figure and the name of its files, without extension.
#[derive(Debug, Clone)]
pub struct Drawing {
    /// `p1_fig2_MODEL_layer9`: paper and figure, model, what is drawn.
    pub name: String,
    /// The figure.
    pub figure: Figure,
}

impl Drawing {
    pub(crate) fn new(figure_name: &str, model: &str, part: &str, figure: Figure) -> Self {
        let safe = |c: char| if c.is_alphanumeric() || "-._".contains(c) { c } else { '-' };
        let model: String = model.chars().map(safe).collect();
        Self { name: format!("{figure_name}_{model}_{part}"), figure }
    }

    /// Writes it as `NAME.svg` and `NAME.png` into `folder`, and prints both paths.
    ///
    /// # Errors
    /// If it cannot be drawn or written.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let svg = folder.join(format!("{}.svg", self.name));
        self.figure.write_svg(&svg)?;
        println!("{}", svg.display());
        let png = folder.join(format!("{}.png", self.name));
        self.figure.write_png(&png)?;
        println!("{}", png.display());
        Ok(())
    }
}

/// Heat maps of the channel norms `M` of K, Q and V, as they enter attention, on one colour scale:
/// one figure for each layer (P1, figure 2).
///
/// `figure` starts the names of the files; `scale_max` is the norm of the brightest colour; without it the layer's largest.
///
/// # Errors
/// [`Error::Input`] if the scan has no such layer, or `scale_max` is not a positive number.
pub fn heatmaps(
    figure: &str,
    scan: &ScanResult,
    model: &str,
    layers: &[usize],
    scale_max: Option<f32>,
) -> Result<Vec<Drawing>> {
    if let Some(max) = scale_max.filter(|max| !(max.is_finite() && *max > 0.0)) {
        return Err(Error::Input(format!(
            "a colour scale cannot end at {max}; give a number above 0"
        )));
    }
    let [q, k] = if scan.shape.rope.is_some() { ["rot_q", "rot_k"] } else { ["q", "k"] };
    let draw = |&layer: &usize| {
        let panels = [("K", k), ("Q", q), ("V", "v")]
            .map(|(letter, site)| {
                Ok(NormPanel::of(format!("{letter} ({site})"), norms(scan, layer, site)?))
            })
            .into_iter()
            .collect::<Result<_>>()?;
        let title = format!("{model}, layer {layer}");
        let options = HeatmapOptions { title, scale_max, channels: None, bands: bands(scan)? };
        let drawn = norm_panels(panels, options)?;
        Ok(Drawing::new(figure, model, &format!("layer{layer}"), drawn))
    };
    layers.iter().map(draw).collect()
}

/// Massive values and the largest ratio over all layers (P1, layer-wise emergence).
///
/// # Errors
/// If the scan holds no site.
pub fn emergence(scan: &ScanResult, model: &str) -> Result<Drawing> {
    Ok(Drawing::new("p1_emergence", model, "layers", emergence_figure(scan)?))
}

/// Q and K before and after RoPE, side by side on one colour scale: two figures for each layer.
///
/// # Errors
/// [`Error::Input`] if the model has no RoPE, or no such layer.
pub fn before_after_rope(scan: &ScanResult, model: &str, layers: &[usize]) -> Result<Vec<Drawing>> {
    let Some(bands) = bands(scan)? else { return Err(no_rope()) };
    let mut drawings = Vec::new();
    for &layer in layers {
        for (letter, before, after) in [("Q", "q", "rot_q"), ("K", "k", "rot_k")] {
            let panels = vec![
                NormPanel::of(format!("{letter} before RoPE"), norms(scan, layer, before)?),
                NormPanel::of(format!("{letter} after RoPE"), norms(scan, layer, after)?),
            ];
            let title = format!("{model}, layer {layer}");
            let bands = Some(bands.clone());
            let options = HeatmapOptions { title, bands, ..HeatmapOptions::default() };
            let part = format!("layer{layer}_{letter}");
            let figure = norm_panels(panels, options)?;
            drawings.push(Drawing::new("p1_before_after_rope", model, &part, figure));
        }
    }
    Ok(drawings)
}

/// The rotary pair whose energy `M_j^2 + M_{j+D/2}^2` RoPE changed most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairEnergyChange {
    /// Layer.
    pub layer: usize,
    /// `q` or `k`.
    pub site: &'static str,
    /// Head of the site.
    pub head: usize,
    /// Rotary pair.
    pub pair: usize,
    /// Relative to the larger of the two energies; 0 when both are 0.
    pub relative: f64,
}

/// The largest change of a pair's energy by RoPE in all layers. A rotation keeps it: what is seen
/// here is rounding.
///
/// # Errors
/// [`Error::Input`] if the model has no RoPE.
pub fn largest_pair_energy_change(scan: &ScanResult) -> Result<PairEnergyChange> {
    let mut largest: Option<PairEnergyChange> = None;
    for layer in 0..scan.shape.layers {
        for (site, rotated) in [("q", "rot_q"), ("k", "rot_k")] {
            let (Some(before), Some(after)) = (scan.site(layer, site), scan.site(layer, rotated))
            else {
                return Err(no_rope());
            };
            let energies = (&before.pair_energy, &after.pair_energy);
            let (Some(before_energy), Some(after_energy)) = energies else {
                return Err(no_rope());
            };
            let pairs = before_energy.len() / before.heads.max(1);
            for (at, (a, b)) in before_energy.iter().zip(after_energy).enumerate() {
                let (a, b) = (f64::from(*a), f64::from(*b));
                let relative = if a == b { 0.0 } else { (a - b).abs() / a.max(b) };
                if largest.is_none_or(|largest| relative > largest.relative) {
                    let (head, pair) = (at / pairs, at % pairs);
                    largest = Some(PairEnergyChange { layer, site, head, pair, relative });
                }
            }
        }
    }
    largest.ok_or_else(no_rope)
}

/// `|K|` of the cache over tokens and channels, one surface for each of `heads`; all of a layer on
/// one scale.
///
/// # Errors
/// If the layer has no such head, or the text has fewer than two tokens.
pub fn key_cache_surfaces(cache: &KeyCache, model: &str, heads: &[usize]) -> Result<Vec<Drawing>> {
    check_below("key head", heads, cache.heads)?;
    let size = cache.tokens * cache.head_dim;
    let of_head = |head: usize| cache.values.get(head * size..(head + 1) * size);
    let of_heads = || heads.iter().filter_map(|head| Some((head, of_head(*head)?)));
    let largest = of_heads().flat_map(|(_, keys)| keys).fold(0.0f32, |max, x| max.max(x.abs()));
    let layer = cache.layer;
    let after = if cache.site == Site::RotK { " after RoPE" } else { "" };
    let draw = |(head, keys): (&usize, &[f32])| {
        let title = format!("{model}, layer {layer}, key head {head}: |K|{after}");
        let options = SurfaceOptions { title, scale_max: Some(largest) };
        let figure = surface(keys, cache.tokens, cache.head_dim, options)?;
        let part = format!("layer{layer}_head{head}");
        Ok(Drawing::new("p1_key_cache_surface", model, &part, figure))
    };
    of_heads().map(draw).collect()
}

fn norms<'a>(scan: &'a ScanResult, layer: usize, site: &str) -> Result<&'a SiteNorms> {
    let missing = || Error::Input(format!("the scan has no site {site} in layer {layer}"));
    scan.site(layer, site).ok_or_else(missing)
}

fn bands(scan: &ScanResult) -> Result<Option<RopeBands>> {
    Ok(scan.shape.bands()?)
}

fn no_rope() -> Error {
    let what = "the model has no RoPE, so there is no before and after; draw its norms with \
                p1_fig2_heatmaps";
    Error::Input(what.to_owned())
}
