//! The detector on tensors that somebody else dumped.

use std::path::{Path, PathBuf};

use massval_detect::{
    ChannelNorms, Criterion, Element, Finding, HeadsView, Layout, RopeBands, TokenSelection,
    channel_norms, summarize,
};
use massval_hooks::HookPoint;
use massval_models::tensorfile::{self, NamedTensor, TensorData, TensorFile};
use massval_report::schema::{
    DetectResult, ResultKind, SCHEMA_VERSION, SkippedEntry, TensorSource, TensorVerdict,
};

use crate::provenance::{Run, file_hash};
use crate::scan::is_rotary;
use crate::{Error, Result};

/// How dumped tensors are to be read and judged.
#[derive(Debug, Clone)]
pub struct DetectOptions {
    /// When a channel counts as massive.
    pub criterion: Criterion,
    /// The meaning of the axes.
    pub layout: Layout,
    /// Leave the first tokens of each sequence out.
    pub skip_first: usize,
    /// The rotary pairs of the heads, where they are known.
    pub bands: Option<RopeBands>,
    /// Only tensors of these names; all of a file, if empty.
    pub names: Vec<String>,
}

/// Reads each file and judges its tensors of the layout's rank.
///
/// Tensors of another rank are skipped only if `names` is empty and the file has others (a capture
/// holds its token ids, too); these, and entries of a PyTorch file that are no tensors, the result
/// lists.
///
/// # Errors
/// If a file cannot be read, holds no tensor of the layout's rank, a named tensor is in none of the
/// files, or a tensor has a value that is not finite.
pub fn detect(paths: &[PathBuf], run: &Run, options: &DetectOptions) -> Result<DetectResult> {
    let mut tensors = Vec::new();
    let mut skipped = Vec::new();
    let mut seen = vec![false; options.names.len()];
    for path in paths {
        let file = file_hash(path)?;
        let mut skip = |entry: String, why: String| {
            skipped.push(SkippedEntry { file: file.name.clone(), entry, why });
        };
        let TensorFile { tensors: mut found, skipped: others } = tensorfile::read(path)?;
        // Layer 2 before layer 10, which names alone do not give.
        found.sort_by_key(|tensor| {
            tensor.name.parse().map_or(0, |at: HookPoint| at.layer.unwrap_or(0))
        });
        let alone = found.len() == 1;
        let before = tensors.len();
        for tensor in found {
            match options.names.iter().position(|name| *name == tensor.name) {
                Some(at) => seen[at] = true,
                None if !options.names.is_empty() => continue,
                None if !alone && tensor.shape.len() != options.layout.rank() => {
                    let axes = tensor.shape.len();
                    skip(
                        tensor.name,
                        format!("{axes} {}", if axes == 1 { "axis" } else { "axes" }),
                    );
                    continue;
                }
                None => {}
            }
            let source = TensorSource {
                file: file.clone(),
                tensor: (!alone || !tensor.name.is_empty()).then(|| tensor.name.clone()),
                shape: tensor.shape.clone(),
                dtype: tensor.data.dtype().to_string(),
                layout: options.layout,
            };
            tensors.push(verdict(path, &tensor, source, options)?);
        }
        others.into_iter().for_each(|entry| skip(entry, "no tensor".to_owned()));
        if tensors.len() == before && options.names.is_empty() {
            let rank = options.layout.rank();
            let what = format!(
                "{}: no tensor of {rank} axes, as layout {} has",
                path.display(),
                options.layout
            );
            return Err(Error::Input(what));
        }
    }
    if let Some(missing) = seen.iter().position(|seen| !seen) {
        let what = format!("tensor {:?} is in none of the files", options.names[missing]);
        return Err(Error::Input(what));
    }
    Ok(DetectResult {
        schema_version: SCHEMA_VERSION,
        kind: ResultKind::Detect,
        massval_version: env!("CARGO_PKG_VERSION").to_owned(),
        command: run.command.clone(),
        created: run.created.clone(),
        criterion: options.criterion,
        tensors,
        skipped,
    })
}

fn verdict(
    path: &Path,
    tensor: &NamedTensor,
    source: TensorSource,
    options: &DetectOptions,
) -> Result<TensorVerdict> {
    let at = |source| {
        let place = match tensor.name.is_empty() {
            true => path.display().to_string(),
            false => format!("{}: {}", path.display(), tensor.name),
        };
        Error::At { place, source }
    };
    let norms = match &tensor.data {
        TensorData::F64(data) => norms(data, tensor, options),
        TensorData::F32(data) => norms(data, tensor, options),
        TensorData::F16(data) => norms(data, tensor, options),
        TensorData::BF16(data) => norms(data, tensor, options),
        _ => {
            let what =
                format!("{}: {}: holds integers, not activations", path.display(), tensor.name);
            return Err(Error::Input(what));
        }
    };
    let norms = norms.map_err(at)?;
    let point = tensor.name.parse::<HookPoint>().ok();
    let bands = options.bands.as_ref().filter(|_| point.is_none_or(|point| is_rotary(point.site)));
    let massive = options.criterion.find(&norms);
    // Only a hook point's name says which layer and site a tensor is from.
    let (layer, site) = match (point, tensor.name.as_str()) {
        (Some(point), _) => (point.layer.unwrap_or(0), point.site.name()),
        (None, "") => (0, "tensor"),
        (None, name) => (0, name),
    };
    let summary = summarize(layer, site, &norms, &massive, bands).map_err(at)?;
    let mut findings: Vec<Finding> =
        massive.iter().map(|value| Finding::new(layer, site, value, bands)).collect();
    findings.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    Ok(TensorVerdict {
        source,
        tokens: norms.tokens() as usize,
        heads: norms.heads(),
        head_dim: norms.head_dim(),
        summary,
        findings,
        norms: norms.values().to_vec(),
    })
}

fn norms<T: Element>(
    data: &[T],
    tensor: &NamedTensor,
    options: &DetectOptions,
) -> massval_detect::Result<ChannelNorms> {
    let view = HeadsView::from_layout(data, &tensor.shape, options.layout)?;
    channel_norms(&view, &TokenSelection::all().skip_first(options.skip_first))
}
