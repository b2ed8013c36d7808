//! The scan: channel norms of Q, K and V while the model reads, massive values and massive
//! activations out of them.

use std::collections::BTreeMap;

use massval_detect::activations::{MassiveActivationRule, SequenceRecord};
use massval_detect::tensor::{TensorNormAccumulator, locate_tensor};
use massval_detect::{ChannelNorms, Criterion, Finding, TokenSelection, summarize};
use massval_hooks::{Activation, At, Hook, HookFailure, HookPoint, HookSet, Site};
use massval_models::{Batch, DecoderConfig, LogitsAt, Model};
use massval_report::schema::{
    ActivationHit, ActivationRule, ActivationsSection, CountedTokens, InputIdentity,
    LayerActivations, ModelShape, Provenance, ResultKind, RopeInfo, SCHEMA_VERSION, ScanResult,
    SiteNorms, SiteTotal,
};

use crate::provenance::{Run, provenance};
use crate::watch::Watch;
use crate::{Error, Result};

/// Massive activations of one layer that a result keeps; all are counted.
const KEPT_HITS: usize = 1000;

/// What to look for, and in which tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanOptions {
    /// When a channel counts as massive.
    pub criterion: Criterion,
    /// Leave the first tokens out of the norms: BOS, attention sinks.
    pub skip_first: usize,
    /// The rule for massive activations of the residual stream; `None` to leave them out.
    pub activations: Option<MassiveActivationRule>,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            criterion: Criterion::default(),
            skip_first: 0,
            activations: Some(MassiveActivationRule::default()),
        }
    }
}

/// Channel norms by layer and site, gathered while the model runs.
///
/// A [`Hook`] that holds `[heads, head_dim]` sums for each place it was set at, and nothing else.
/// Set it at any point of heads: `q`, `rot_k`, `v`.
///
/// ```no_run
/// # use massval::{NormCollector, models::{Batch, LogitsAt, Model}, hooks::HookSet};
/// # fn run(model: &Model, batch: &Batch) -> massval::Result<()> {
/// let mut norms = NormCollector::new(0);
/// let mut hooks = HookSet::new(model.decoder().hook_points());
/// hooks.add(&["rot_k"], &mut norms)?;
/// model.decoder().forward(batch, None, &mut hooks, LogitsAt::Nowhere)?;
/// hooks.finish()?;
/// for (point, norms) in norms.finish()? {
///     println!("{point}: {} heads", norms.heads());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct NormCollector {
    skip_first: usize,
    sums: BTreeMap<(usize, usize), (HookPoint, TensorNormAccumulator)>,
}

impl NormCollector {
    /// Leaves the first `skip_first` positions out.
    #[must_use]
    pub fn new(skip_first: usize) -> Self {
        Self { skip_first, sums: BTreeMap::new() }
    }

    /// The norms of each point, by layer, then in the order of [`Site::ALL`].
    ///
    /// # Errors
    /// [`Error::At`] if no token was counted or a norm is not finite.
    pub fn finish(&self) -> Result<Vec<(HookPoint, ChannelNorms)>> {
        let finish = |(point, sums): &(HookPoint, TensorNormAccumulator)| match sums.finish() {
            Ok(norms) => Ok((*point, norms)),
            Err(source) => Err(Error::At { place: point.to_string(), source }),
        };
        self.sums.values().map(finish).collect()
    }
}

impl Hook for NormCollector {
    fn name(&self) -> &str {
        "channel norms"
    }

    fn apply(&mut self, at: &At<'_>, x: Activation) -> Result<Activation, HookFailure> {
        let heads = x.as_heads()?;
        let [_, count, _, dim] = heads.dims();
        let rank = Site::ALL.iter().position(|site| *site == at.point.site).unwrap_or_default();
        let (_, sums) = self
            .sums
            .entry((at.point.layer.unwrap_or_default(), rank))
            .or_insert_with(|| (at.point, TensorNormAccumulator::new(count, dim)));
        let mut tokens = TokenSelection::all().skip_first(self.skip_first);
        if let Some(mask) = at.mask {
            tokens = tokens.mask(mask);
        }
        sums.push(heads.clone(), at.start, &tokens)?;
        Ok(x)
    }
}

/// Massive activations by layer, gathered while the model runs.
#[derive(Debug)]
struct ActivationCollector {
    rule: MassiveActivationRule,
    layers: BTreeMap<usize, SequenceRecord>,
}

impl Hook for ActivationCollector {
    fn name(&self) -> &str {
        "massive activations"
    }

    fn apply(&mut self, at: &At<'_>, x: Activation) -> Result<Activation, HookFailure> {
        let records = locate_tensor(x.as_hidden()?.clone(), &TokenSelection::all(), self.rule)?;
        if let Some(record) = records.into_iter().next() {
            self.layers.insert(at.point.layer.unwrap_or_default(), record);
        }
        Ok(x)
    }
}

/// Runs `model` over the input of `provenance` and reports its massive values: Q and K before and
/// after RoPE (where it has RoPE), V, and the residual stream's massive activations.
///
/// One pass; no activation is kept, no logit computed. `progress` is told before each layer: how
/// many are done, of how many.
///
/// # Errors
/// If the input does not fit the model, the options leave no token, or a norm is not finite.
pub fn scan(
    model: &Model,
    provenance: Provenance,
    options: &ScanOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<ScanResult> {
    let measured = measure(model, &provenance.input.tokens, options, progress)?;
    Ok(measured.result(model, provenance, options))
}

/// As [`scan`], and puts the [`provenance`](crate::provenance()) together meanwhile: a large checkpoint takes long to
/// hash.
///
/// # Errors
/// As [`scan`], and if a file of the checkpoint cannot be read.
pub fn scan_run(
    model: &Model,
    run: &Run,
    input: InputIdentity,
    options: &ScanOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<ScanResult> {
    let tokens = input.tokens.clone();
    std::thread::scope(|scope| {
        let provenance = scope.spawn(|| provenance(run, model.checkpoint(), input));
        let measured = measure(model, &tokens, options, progress);
        let provenance = provenance.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(measured?.result(model, provenance?, options))
    })
}

/// What a pass has shown.
struct Measured {
    criterion: Criterion,
    findings: Vec<Finding>,
    sites: Vec<SiteNorms>,
    activations: Option<ActivationCollector>,
}

impl Measured {
    fn result(self, model: &Model, provenance: Provenance, options: &ScanOptions) -> ScanResult {
        let pieces = provenance.input.pieces.clone();
        let (start, end) = (options.skip_first, provenance.input.tokens.len());
        let section = self.activations.map(|found| section(found, pieces.as_deref()));
        ScanResult {
            schema_version: SCHEMA_VERSION,
            kind: ResultKind::Scan,
            criterion: self.criterion,
            counted: CountedTokens { total: end, start, end, skipped: Vec::new() },
            shape: model_shape(model.decoder().config()),
            totals: SiteTotal::of(&self.sites, &self.findings),
            findings: self.findings,
            massive_activations: section,
            sites: self.sites,
            provenance,
        }
    }
}

fn measure(
    model: &Model,
    tokens: &[u32],
    options: &ScanOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Measured> {
    let criterion = options.criterion.validate()?;
    let decoder = model.decoder();
    if options.skip_first >= tokens.len() {
        let what =
            format!("{} tokens, and the first {} left out", tokens.len(), options.skip_first);
        return Err(Error::Input(format!("{what}: none is left to scan")));
    }
    let batch = Batch::single(tokens)?;
    let rotary = decoder.config().rope().is_some();
    let sites: &[&str] = if rotary { &["q", "k", "v", "rot_q", "rot_k"] } else { &["q", "k", "v"] };

    let mut norms = NormCollector::new(options.skip_first);
    let mut activations =
        options.activations.map(|rule| ActivationCollector { rule, layers: BTreeMap::new() });
    let mut watch = Watch::new(decoder, progress);
    let mut hooks = HookSet::new(decoder.hook_points());
    hooks.add(Watch::POINTS, &mut watch)?;
    hooks.add(sites, &mut norms)?;
    if let Some(activations) = &mut activations {
        hooks.add(&["resid_post"], activations)?;
    }
    let pass = decoder.forward(&batch, None, &mut hooks, LogitsAt::Nowhere);
    let fired = hooks.finish();
    if let Err(error) = pass {
        // A norm that is not finite comes before what failed over it: name the first place.
        norms.finish()?;
        return Err(error.into());
    }
    fired?;

    let shape = model_shape(decoder.config());
    // Layers with a window may turn at another speed than the others.
    let bands = (0..decoder.config().layers)
        .map(|layer| decoder.config().rope_at(layer))
        .map(|rope| rope.map(|rope| rope.bands(shape.head_dim)).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    let mut found: Vec<Finding> = Vec::new();
    let mut site_norms = Vec::new();
    for (point, norms) in norms.finish()? {
        let (layer, site) = (point.layer.unwrap_or_default(), point.site.name());
        let bands = bands.get(layer).and_then(Option::as_ref).filter(|_| is_rotary(point.site));
        let massive = criterion.find(&norms);
        let summary = summarize(layer, site, &norms, &massive, bands)?;
        found.extend(massive.iter().map(|value| Finding::new(layer, site, value, bands)));
        site_norms.push(SiteNorms::new(summary, &norms, bands)?);
    }
    found.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    Ok(Measured { criterion, findings: found, sites: site_norms, activations })
}

/// Whether RoPE turns, or will turn, the channels of `site` in pairs. Values stay as they are.
pub(crate) fn is_rotary(site: Site) -> bool {
    matches!(site, Site::Q | Site::K | Site::QNormed | Site::KNormed | Site::RotQ | Site::RotK)
}

fn model_shape(config: &DecoderConfig) -> ModelShape {
    ModelShape {
        layers: config.layers,
        heads: config.heads,
        kv_heads: config.kv_heads,
        head_dim: config.head_dim,
        rope: config.rope().map(|rope| RopeInfo {
            theta: rope.theta(),
            rotary_dim: rope.rotary_dim(),
            layout: rope.layout(),
            inv_freq: rope.inv_freq().to_vec(),
            scaling: rope.scaling().map(|scaling| scaling.name().to_owned()),
        }),
    }
}

fn section(found: ActivationCollector, pieces: Option<&[String]>) -> ActivationsSection {
    let rule = found.rule;
    let layer = |(layer, record): (usize, SequenceRecord)| {
        let mut hits = record.hits;
        let hits_total = hits.len();
        hits.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
        hits.truncate(KEPT_HITS);
        let hit = |hit: massval_detect::activations::Hit| ActivationHit {
            position: hit.token,
            piece: pieces.and_then(|pieces| pieces.get(hit.token)).cloned(),
            channel: hit.channel,
            value: hit.value,
        };
        LayerActivations {
            layer,
            max_abs: record.max,
            median_abs: record.median,
            exists: hits_total > 0,
            hits_total,
            hits: hits.into_iter().map(hit).collect(),
        }
    };
    ActivationsSection {
        rule: ActivationRule { min_abs: rule.abs as f32, median_factor: rule.ratio as f32 },
        site: Site::ResidPost.name().to_owned(),
        layers: found.layers.into_iter().map(layer).collect(),
    }
}
