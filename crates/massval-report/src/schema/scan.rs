//! The result of `massval scan`: channel norms and massive values of every layer and site.

use std::collections::BTreeSet;
use std::path::Path;

use massval_detect::{ChannelNorms, Criterion, Finding, RopeBands, SiteSummary, pair_energy};
use serde::{Deserialize, Serialize};

use super::{ActivationsSection, Provenance, ResultKind, RopeInfo, check, file};
use crate::error::{Error, Result};

/// Everything that a scan found, and everything needed to repeat it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScanResult {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    pub schema_version: u32,
    /// [`ResultKind::Scan`].
    pub kind: ResultKind,
    /// The run.
    pub provenance: Provenance,
    /// When a channel counts as massive.
    pub criterion: Criterion,
    /// Which tokens entered the norms.
    pub counted: CountedTokens,
    /// The model's attention shape.
    pub shape: ModelShape,
    /// Sums over the layers, one per site, in the order of `sites`.
    pub totals: Vec<SiteTotal>,
    /// Massive values of all sites, largest ratio first.
    pub findings: Vec<Finding>,
    /// Massive activations, when they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub massive_activations: Option<ActivationsSection>,
    /// Channel norms by layer and site, layers ascending.
    pub sites: Vec<SiteNorms>,
}

/// Which of the input's tokens entered the channel norms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountedTokens {
    /// Tokens that the model read.
    pub total: usize,
    /// First position that was counted.
    pub start: usize,
    /// One past the last position that was counted.
    pub end: usize,
    /// Positions within `start..end` that were left out (padding, sinks).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<usize>,
}

/// The attention shape of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelShape {
    /// Number of layers.
    pub layers: usize,
    /// Query heads per layer.
    pub heads: usize,
    /// Key and value heads per layer.
    pub kv_heads: usize,
    /// Channels per head.
    pub head_dim: usize,
    /// The rotary encoding; absent for a model without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope: Option<RopeInfo>,
}

/// Channel norms of one site in one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteNorms {
    /// Layer.
    pub layer: usize,
    /// Site: `q`, `k`, `v`, `rot_q`, `rot_k`, `q_normed`, `k_normed`.
    pub site: String,
    /// Heads of this site.
    pub heads: usize,
    /// Channels per head.
    pub head_dim: usize,
    /// Counts, ratios and shares.
    pub summary: SiteSummary,
    /// `M[h,d]`, L2 norm over the counted tokens, row-major `[heads, head_dim]`.
    pub norms: Vec<f32>,
    /// `M_j^2 + M_partner^2` of each rotary pair, row-major `[heads, rotary_dim / 2]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair_energy: Option<Vec<f32>>,
}

/// One site over all layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteTotal {
    /// Site.
    pub site: String,
    /// Massive values in all layers.
    pub count: usize,
    /// Layers that have at least one.
    pub layers_hit: usize,
    /// Largest ratio of a massive value; 0 when there is none.
    pub top_ratio: f32,
}

impl SiteNorms {
    /// The norms of one layer and site with their summary; `bands` adds the energy of the pairs.
    ///
    /// # Errors
    /// `summary` is of other norms, or `bands` of another head size.
    pub fn new(
        summary: SiteSummary,
        norms: &ChannelNorms,
        bands: Option<&RopeBands>,
    ) -> Result<Self> {
        if (summary.heads, summary.head_dim) != (norms.heads(), norms.head_dim()) {
            let reason = format!(
                "{} heads of {} channels, the norms have {} of {}",
                summary.heads,
                summary.head_dim,
                norms.heads(),
                norms.head_dim()
            );
            return Err(Error::field("summary", reason));
        }
        let energy = bands.map(|bands| pair_energy(norms, bands)).transpose();
        let energy = energy.map_err(|e| Error::field("pair_energy", e.to_string()))?;
        Ok(Self {
            layer: summary.layer,
            site: summary.site.clone(),
            heads: norms.heads(),
            head_dim: norms.head_dim(),
            summary,
            norms: norms.values().to_vec(),
            pair_energy: energy.map(|energy| energy.iter().copied().collect()),
        })
    }

    /// The norms of `head`, `[head_dim]`; `None` past the last head.
    pub fn head(&self, head: usize) -> Option<&[f32]> {
        let start = head.checked_mul(self.head_dim)?;
        self.norms.get(start..start.checked_add(self.head_dim)?)
    }
}

impl ModelShape {
    /// The rotary pairs of the model's heads; `None` for a model without rotation.
    ///
    /// # Errors
    /// The rotary encoding does not fit the heads.
    pub fn bands(&self) -> Result<Option<RopeBands>> {
        self.rope.as_ref().map(|rope| rope.bands(self.head_dim)).transpose()
    }
}

impl SiteTotal {
    /// Sums `sites` and `findings` over the layers, one entry per site in order of appearance.
    pub fn of(sites: &[SiteNorms], findings: &[Finding]) -> Vec<Self> {
        let mut totals: Vec<Self> = Vec::new();
        for site in sites {
            if !totals.iter().any(|t| t.site == site.site) {
                totals.push(Self {
                    site: site.site.clone(),
                    count: 0,
                    layers_hit: 0,
                    top_ratio: 0.0,
                });
            }
        }
        for total in &mut totals {
            let mut layers = BTreeSet::new();
            for finding in findings.iter().filter(|f| f.site == total.site) {
                total.count += 1;
                total.top_ratio = total.top_ratio.max(finding.ratio);
                layers.insert(finding.layer);
            }
            total.layers_hit = layers.len();
        }
        totals
    }
}

impl ScanResult {
    /// Reads and checks a scan's result file.
    ///
    /// # Errors
    /// The file cannot be read, is no result file, has another schema version or kind, or its
    /// fields contradict each other.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let result: Self = file::read(path.as_ref(), ResultKind::Scan)?;
        result.validate()?;
        Ok(result)
    }

    /// Checks the result and writes it, whole or not at all.
    ///
    /// # Errors
    /// The fields contradict each other, or the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        self.validate()?;
        file::write(path.as_ref(), self)
    }

    /// Checks that shapes agree, numbers are finite, and every finding points into a site.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn validate(&self) -> Result<()> {
        check::scan(self)
    }

    /// The norms of `site` in `layer`.
    pub fn site(&self, layer: usize, site: &str) -> Option<&SiteNorms> {
        self.sites.iter().find(|s| s.layer == layer && s.site == site)
    }

    /// The names of the sites, in order of first appearance.
    pub fn site_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for site in &self.sites {
            if !names.contains(&site.site.as_str()) {
                names.push(&site.site);
            }
        }
        names
    }
}
