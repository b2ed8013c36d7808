//! The arms of an experiment: names, what each is there for, and how results show them.

use std::collections::BTreeSet;
use std::path::Path;

use massval_disrupt::{ChannelRef, Intervention, Operator, Selection, SiteTally};
use massval_eval::{Arm, KvTally};
use massval_hooks::Site;
use massval_models::Checkpoint;
use massval_quant::KvReport;
use massval_report::schema::{
    self, ArmRole, FileHash, Rounded, ScanResult, SiteSelected, SweepPoint,
};

use crate::provenance::file_hash;
use crate::{Error, Result};

/// The model left alone, and `base` with every operator and selection in turn.
///
/// Arms are named after what differs between them: `top-k:1`, or `top-k:1 zero` where there are several
/// operators.
///
/// ```
/// use massval::disruption::{Intervention, Operator, Selection};
/// let base = Intervention::new(Operator::JointMean, Selection::top(1));
/// let arms = massval::arms(&base, &[Operator::Zero], &[Selection::top(1), Selection::BottomK { k: 1 }]);
/// let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
/// assert_eq!(names, ["none", "top-k:1", "bottom-k:1"]);
/// ```
#[must_use]
pub fn arms(base: &Intervention, operators: &[Operator], selections: &[Selection]) -> Vec<Arm> {
    let mut arms = vec![Arm::none()];
    for operator in operators {
        for selection in selections {
            let name = match operators.len() {
                1 => selection.to_string(),
                _ => format!("{selection} {operator}"),
            };
            let selection = selection.clone();
            arms.push(Arm::new(
                name,
                Intervention { operator: *operator, selection, ..base.clone() },
            ));
        }
    }
    arms
}

/// The massive values of a scan as a selection.
///
/// # Errors
/// [`Error::Report`] if `path` is no result of a scan; [`Error::Input`] if the scan is of another model
/// (of another shape, or other weights by their hash), or found nothing at `sites`.
pub fn findings_selection(
    path: &Path,
    sites: &[Site],
    checkpoint: &Checkpoint,
) -> Result<Selection> {
    let scan = findings_of(path, checkpoint)?;
    let mut channels = Vec::new();
    for finding in &scan.findings {
        if let Some(&site) = sites.iter().find(|site| site.name() == finding.site) {
            let (layer, head, channel) = (finding.layer, finding.head, finding.channel);
            channels.push(ChannelRef { layer, site: Some(site), head, channel });
        }
    }
    if channels.is_empty() {
        let sites: Vec<&str> = sites.iter().map(|site| site.name()).collect();
        let what = format!("{}: no findings at {}", path.display(), sites.join(", "));
        return Err(Error::Input(what));
    }
    channels.sort_unstable();
    let hash = file_hash(path)?;
    let source = format!("{} ({})", hash.name, &hash.blake3[..hash.blake3.len().min(12)]);
    Ok(Selection::Channels { channels, source: Some(source) })
}

/// The scan at `path`, if it is one of this model.
///
/// # Errors
/// [`Error::Report`] if `path` is no result of a scan; [`Error::Input`] if the scan is of another model.
pub(crate) fn findings_of(path: &Path, checkpoint: &Checkpoint) -> Result<ScanResult> {
    let named = |error: massval_report::Error| Error::Input(format!("{}: {error}", path.display()));
    let scan = ScanResult::read(path).map_err(named)?;
    let config = &checkpoint.config;
    let shape = &scan.shape;
    let found = [shape.layers, shape.heads, shape.kv_heads, shape.head_dim];
    let wanted = [config.layers, config.heads, config.kv_heads, config.head_dim];
    if found != wanted || scan.provenance.model.architecture != config.architecture {
        return Err(Error::Input(format!(
            "{}: findings of another model: {} with {} layers, {} and {} heads of {} channels; this one is \
             {} with {}, {} and {} of {}",
            path.display(),
            scan.provenance.model.architecture,
            found[0],
            found[1],
            found[2],
            found[3],
            config.architecture,
            wanted[0],
            wanted[1],
            wanted[2],
            wanted[3],
        )));
    }
    let hashes = |files: &[FileHash]| -> BTreeSet<String> {
        files.iter().map(|file| file.blake3.clone()).collect()
    };
    let weights =
        checkpoint.files.iter().map(|file| file_hash(file)).collect::<Result<Vec<_>>>()?;
    if hashes(&scan.provenance.model.files) != hashes(&weights) {
        return Err(Error::Input(format!(
            "{}: findings of other weights ({}); scan this model first",
            path.display(),
            scan.provenance.model.path_or_name
        )));
    }
    Ok(scan)
}

/// What an arm is there for.
pub(crate) fn role(arm: &Arm) -> ArmRole {
    if arm.is_alone() {
        return ArmRole::None;
    }
    match arm.intervention.as_ref().map(|intervention| &intervention.selection) {
        None => ArmRole::Other,
        Some(Selection::Massive { .. } | Selection::Channels { source: Some(_), .. }) => {
            ArmRole::Massive
        }
        Some(Selection::BottomK { .. }) => ArmRole::Bottom,
        Some(
            Selection::RandomK { .. } | Selection::RandomLike { .. } | Selection::NearK { .. },
        ) => ArmRole::Random,
        Some(_) => ArmRole::Other,
    }
}

/// How many channels of each head it asks for, if that is fixed.
pub(crate) fn fixed_k(arm: &Arm) -> Option<usize> {
    arm.intervention.as_ref()?.selection.k()
}

/// An arm as results show it, with what it did.
pub(crate) fn described(
    arm: &Arm,
    tally: &[SiteTally],
    kv: Option<KvTally>,
) -> Result<schema::Arm> {
    if arm.is_alone() {
        return Ok(schema::Arm::baseline(&arm.name));
    }
    let role = role(arm);
    let selected = tally.iter().map(|tally| SiteSelected {
        site: tally.site.name().to_owned(),
        channels_per_head: tally.channels_per_head(),
        // Roundings of a sum may pass the whole.
        share: tally.share().min(1.0),
    });
    let kv = kv.unwrap_or_default();
    let rounded = [("keys", kv.keys), ("values", kv.values)].into_iter();
    let rounded = rounded.filter(|(_, report)| report.entries > 0);
    let weights = arm.weights.as_ref().and_then(|weights| {
        let (what, exact) = ("weights".to_owned(), weights.exact);
        Some(Rounded { what, exact, relative_error: weights.relative_error? })
    });
    Ok(schema::Arm {
        name: arm.name.clone(),
        role,
        sentence: sentence(arm),
        intervention: Some(value(arm)?),
        sweep: arm.intervention.as_ref().and_then(|i| sweep(i, role)),
        selected: selected.collect(),
        rounded: rounded.map(|(what, report)| rounded_as(what, report)).chain(weights).collect(),
        massive_norm: None,
    })
}

/// What is done, in words.
fn sentence(arm: &Arm) -> String {
    let parts = [
        arm.intervention.as_ref().map(ToString::to_string),
        arm.kv.as_ref().map(ToString::to_string),
        arm.weights.as_ref().map(|weights| weights.sentence.clone()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// What is done, as a value: an intervention by itself as it is, anything else under its name.
fn value(arm: &Arm) -> Result<serde_json::Value> {
    let Arm { name, intervention, kv, weights } = arm;
    let value = match (intervention, kv, weights) {
        (Some(intervention), None, None) => serde_json::to_value(intervention),
        _ => {
            let weights = weights.as_ref().map(|weights| &weights.value);
            serde_json::to_value(Parts {
                intervention: intervention.as_ref(),
                kv: kv.as_ref(),
                weights,
            })
        }
    };
    value.map_err(|error| Error::Input(format!("arm {name}: {error}")))
}

#[derive(serde::Serialize)]
struct Parts<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    intervention: Option<&'a Intervention>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kv: Option<&'a massval_eval::KvRounding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<&'a serde_json::Value>,
}

fn sweep(intervention: &Intervention, role: ArmRole) -> Option<SweepPoint> {
    let kind = match &intervention.selection {
        Selection::NearK { .. } => "near",
        Selection::PerPosition { .. } => "per position",
        _ => role.as_str(),
    };
    Some(SweepPoint {
        series: format!("{kind}, {}", intervention.operator),
        channels_per_head: intervention.selection.k()?,
    })
}

fn rounded_as(what: &str, report: KvReport) -> Rounded {
    let exact = (report.protected + report.outliers) as f64 / report.entries.max(1) as f64;
    let relative_error = if report.power > 0.0 { report.squared_error / report.power } else { 0.0 };
    Rounded { what: what.to_owned(), exact: exact.min(1.0), relative_error }
}
