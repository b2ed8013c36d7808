//! A scan layer by layer, as tables and the page show it.

use std::collections::HashMap;

use crate::error::Result;
use crate::schema::ScanResult;
use crate::sites::{self, Family};

/// The sites of a scan as columns, and a row for each layer.
pub(crate) struct LayerRows<'a> {
    /// Title and site of each column: Q, K, V as they enter attention, then what came before.
    pub(crate) columns: Vec<(String, &'a str)>,
    /// Layers ascending.
    pub(crate) rows: Vec<LayerRow<'a>>,
    /// Massive values in all layers, beside `columns`.
    pub(crate) totals: Vec<usize>,
}

/// One layer.
pub(crate) struct LayerRow<'a> {
    pub(crate) layer: usize,
    /// Massive values, beside the columns; `None` where the layer lacks the site.
    pub(crate) counts: Vec<Option<usize>>,
    /// The strongest channel among the sites that enter attention.
    pub(crate) top: Option<Top<'a>>,
}

/// A channel, and where it stands.
pub(crate) struct Top<'a> {
    pub(crate) site: &'a str,
    pub(crate) head: usize,
    pub(crate) channel: usize,
    pub(crate) norm: f32,
    pub(crate) ratio: f32,
    pub(crate) pair: Option<usize>,
    pub(crate) period: Option<f64>,
}

/// Arranges `scan` by layer. With QK-norm Q and K have two sites before RoPE; without `every_site`
/// only the later one gets a column.
///
/// # Errors
/// The scan's rotary encoding contradicts itself.
pub(crate) fn by_layer(scan: &ScanResult, every_site: bool) -> Result<LayerRows<'_>> {
    let bands = scan.shape.bands()?;
    let names = scan.site_names();
    let families = sites::families(&names);
    let columns = columns(&families, every_site);
    let attended: Vec<&str> = families.iter().map(Family::last).collect();
    let mut counts: HashMap<(usize, &str), usize> = HashMap::new();
    for site in &scan.sites {
        counts.insert((site.layer, &site.site), 0);
    }
    for finding in &scan.findings {
        *counts.entry((finding.layer, &finding.site)).or_default() += 1;
    }
    let mut tops: HashMap<usize, Top<'_>> = HashMap::new();
    for site in scan.sites.iter().filter(|site| attended.contains(&site.site.as_str())) {
        let summary = &site.summary;
        let better = tops.get(&site.layer).is_none_or(|top| summary.top_ratio > top.ratio);
        if summary.top_ratio > 0.0 && better {
            let bands = bands.as_ref().filter(|_| sites::is_rotary(&site.site));
            let band = bands.and_then(|bands| bands.band(summary.top_channel));
            let top = Top {
                site: &site.site,
                head: summary.top_head,
                channel: summary.top_channel,
                norm: summary.top_norm,
                ratio: summary.top_ratio,
                pair: band.map(|band| band.pair),
                period: band.map(|band| band.period_tokens),
            };
            tops.insert(site.layer, top);
        }
    }
    let mut layers: Vec<usize> = scan.sites.iter().map(|site| site.layer).collect();
    layers.sort_unstable();
    layers.dedup();
    let rows: Vec<_> = layers
        .into_iter()
        .map(|layer| LayerRow {
            layer,
            counts: columns.iter().map(|(_, site)| counts.get(&(layer, *site)).copied()).collect(),
            top: tops.remove(&layer),
        })
        .collect();
    let total = |i: usize| rows.iter().filter_map(|row| row.counts.get(i).copied().flatten()).sum();
    let totals = (0..columns.len()).map(total).collect();
    Ok(LayerRows { columns, rows, totals })
}

fn columns<'a>(families: &[Family<'a>], every_site: bool) -> Vec<(String, &'a str)> {
    let mut columns: Vec<_> = families.iter().map(|f| (f.name.to_owned(), f.last())).collect();
    for family in families {
        let before = family.before();
        let skip = if every_site { 0 } else { before.len().saturating_sub(1) };
        for site in &before[skip..] {
            // The site's own name tells two sites before RoPE apart.
            let title = match before.len() - skip {
                1 => format!("{} pre", family.name),
                _ => (*site).to_owned(),
            };
            columns.push((title, site));
        }
    }
    columns
}
