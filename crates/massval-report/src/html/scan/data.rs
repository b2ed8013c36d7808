//! The numbers that the page's script draws from.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use massval_detect::FrequencyHalf;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::palette;
use crate::schema::{ScanResult, SiteNorms};
use crate::sites;
use crate::words;

/// The whole data block; its field names are the script's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    palette: &'a [[u8; 3]],
    unit: String,
    /// The layer to show first.
    opening: usize,
    families: Vec<Family<'a>>,
    site_names: Vec<&'a str>,
    /// Pair, partner, period and slowness of each channel, `null` where it does not turn.
    pair: Vec<Option<usize>>,
    partner: Vec<Option<usize>>,
    period: Vec<Option<f32>>,
    slow: Vec<Option<bool>>,
    sites: Vec<Site<'a>>,
    /// Layer, index into `site_names`, head, channel, norm, ratio.
    findings: Vec<(usize, usize, usize, usize, f32, f32)>,
}

#[derive(Serialize)]
struct Family<'a> {
    name: &'a str,
    title: &'a str,
    rotary: bool,
    sites: Vec<FamilySite<'a>>,
}

#[derive(Serialize)]
struct FamilySite<'a> {
    site: &'a str,
    title: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Site<'a> {
    layer: usize,
    site: &'a str,
    heads: usize,
    head_dim: usize,
    count: usize,
    ratio: f32,
    /// `[heads, head_dim]` as little-endian f32 in base64: a third of the size of digits.
    norms: String,
}

/// The data block as JSON, not yet escaped for its `<script>`.
pub(super) fn json(scan: &ScanResult) -> Result<String> {
    let site_names = scan.site_names();
    let families = sites::families(&site_names);
    let bands = scan.shape.bands()?;
    let channels = 0..scan.shape.head_dim;
    let band = |channel| bands.as_ref().and_then(|bands| bands.band(channel));
    let index = |site: &str| site_names.iter().position(|name| *name == site);
    let findings = scan.findings.iter().filter_map(|f| {
        index(&f.site).map(|site| (f.layer, site, f.head, f.channel, f.norm, f.ratio))
    });
    let page = Page {
        palette: &palette::STOPS,
        unit: format!("L2 norm over {}", words::plural(used_tokens(scan), "token")),
        opening: opening(scan),
        families: families
            .iter()
            .map(|family| Family {
                name: family.name,
                title: family.title(),
                rotary: family.rotary && bands.is_some(),
                sites: family
                    .sites
                    .iter()
                    .map(|site| FamilySite { site, title: family.site_title(site) })
                    .collect(),
            })
            .collect(),
        pair: channels.clone().map(|c| band(c).map(|band| band.pair)).collect(),
        partner: channels.clone().map(|c| bands.as_ref()?.partner(c)).collect(),
        period: channels
            .clone()
            .map(|c| band(c).map(|band| band.period_tokens as f32).filter(|p| p.is_finite()))
            .collect(),
        slow: channels.map(|c| band(c).map(|band| band.half == FrequencyHalf::Low)).collect(),
        sites: scan.sites.iter().map(site).collect(),
        findings: findings.collect(),
        site_names: site_names.clone(),
    };
    serde_json::to_string(&page).map_err(Error::Serialize)
}

fn site(norms: &SiteNorms) -> Site<'_> {
    let bytes: Vec<u8> = norms.norms.iter().flat_map(|norm| norm.to_le_bytes()).collect();
    Site {
        layer: norms.layer,
        site: &norms.site,
        heads: norms.heads,
        head_dim: norms.head_dim,
        count: norms.summary.count,
        ratio: norms.summary.top_ratio,
        norms: STANDARD.encode(bytes),
    }
}

/// The layer with the strongest finding, else the first.
fn opening(scan: &ScanResult) -> usize {
    let strongest = scan.findings.iter().max_by(|a, b| a.ratio.total_cmp(&b.ratio));
    strongest.map_or_else(|| scan.sites.first().map_or(0, |site| site.layer), |f| f.layer)
}

fn used_tokens(scan: &ScanResult) -> usize {
    let counted = &scan.counted;
    counted.end.saturating_sub(counted.start).saturating_sub(counted.skipped.len())
}
