//! Checks of the results of `massval scan` and `massval detect`.

use std::collections::HashMap;

use massval_detect::{Finding, SiteSummary};

use super::{header, provenance};
use crate::error::{Error, Result};
use crate::schema::{
    ActivationsSection, CountedTokens, DetectResult, ModelShape, ResultKind, ScanResult,
};

/// Checks a scan's result; see [`ScanResult::validate`].
pub(in crate::schema) fn scan(result: &ScanResult) -> Result<()> {
    header(result.schema_version, result.kind, ResultKind::Scan)?;
    shape(&result.shape)?;
    counted(&result.counted)?;
    provenance(&result.provenance)?;
    let mut shapes = HashMap::new();
    for (i, site) in result.sites.iter().enumerate() {
        let field = |name: &str| format!("sites[{i}].{name}");
        if site.layer >= result.shape.layers {
            let reason = format!("is {}, the model has {} layers", site.layer, result.shape.layers);
            return Err(Error::field(field("layer"), reason));
        }
        norms(&field("norms"), &site.norms, site.heads, site.head_dim)?;
        let SiteSummary { layer, site: name, heads, head_dim, top_head, top_channel, .. } =
            &site.summary;
        if (*layer, name, *heads, *head_dim) != (site.layer, &site.site, site.heads, site.head_dim)
            || top_head >= heads
            || top_channel >= head_dim
        {
            return Err(Error::field(field("summary"), "describes another layer, site or shape"));
        }
        if let Some(energy) = &site.pair_energy {
            non_negative(&field("pair_energy"), energy)?;
        }
        let shape = (site.heads, site.head_dim);
        if shapes.insert((site.layer, site.site.as_str()), shape).is_some() {
            let reason = format!("layer {} has site `{}` twice", site.layer, site.site);
            return Err(Error::field(field("site"), reason));
        }
    }
    for (i, found) in result.findings.iter().enumerate() {
        let shape = shapes.get(&(found.layer, found.site.as_str())).copied();
        finding(&format!("findings[{i}]"), found, shape)?;
    }
    result.massive_activations.as_ref().map_or(Ok(()), activations)
}

/// Checks a result of `massval detect`; see [`DetectResult::validate`].
pub(in crate::schema) fn detect(result: &DetectResult) -> Result<()> {
    header(result.schema_version, result.kind, ResultKind::Detect)?;
    for (i, tensor) in result.tensors.iter().enumerate() {
        let field = |name: &str| format!("tensors[{i}].{name}");
        norms(&field("norms"), &tensor.norms, tensor.heads, tensor.head_dim)?;
        if tensor.source.layout.to_string().len() != tensor.source.shape.len() {
            let reason = format!("`{}` for shape {:?}", tensor.source.layout, tensor.source.shape);
            return Err(Error::field(field("source.layout"), reason));
        }
        for (j, found) in tensor.findings.iter().enumerate() {
            let shape = Some((tensor.heads, tensor.head_dim));
            finding(&field(&format!("findings[{j}]")), found, shape)?;
        }
    }
    Ok(())
}

fn shape(shape: &ModelShape) -> Result<()> {
    let Some(rope) = &shape.rope else { return Ok(()) };
    if rope.inv_freq.len() != rope.rotary_dim / 2 {
        let reason = format!("{} entries for {} pairs", rope.inv_freq.len(), rope.rotary_dim / 2);
        return Err(Error::field("shape.rope.inv_freq", reason));
    }
    rope.bands(shape.head_dim)?;
    Ok(())
}

fn counted(counted: &CountedTokens) -> Result<()> {
    let CountedTokens { total, start, end, .. } = *counted;
    if start > end || end > total {
        let reason = format!("range {start}..{end} does not lie within {total} tokens");
        return Err(Error::field("counted", reason));
    }
    Ok(())
}

fn norms(field: &str, norms: &[f32], heads: usize, head_dim: usize) -> Result<()> {
    if heads.checked_mul(head_dim) != Some(norms.len()) {
        let reason = format!("{} numbers for {heads} heads of {head_dim} channels", norms.len());
        return Err(Error::field(field, reason));
    }
    non_negative(field, norms)
}

fn non_negative(field: &str, values: &[f32]) -> Result<()> {
    match values.iter().position(|value| !(value.is_finite() && *value >= 0.0)) {
        Some(i) => {
            let reason = format!("is {}, a norm is finite and not negative", values[i]);
            Err(Error::field(format!("{field}[{i}]"), reason))
        }
        None => Ok(()),
    }
}

fn finding(field: &str, finding: &Finding, shape: Option<(usize, usize)>) -> Result<()> {
    let Some((heads, head_dim)) = shape else {
        let reason = format!("layer {} has no site `{}`", finding.layer, finding.site);
        return Err(Error::field(field, reason));
    };
    if finding.head >= heads || finding.channel >= head_dim {
        let reason = format!(
            "head {}, channel {} lies outside {heads} heads of {head_dim} channels",
            finding.head, finding.channel
        );
        return Err(Error::field(field, reason));
    }
    if !finding.norm.is_finite() || !finding.ratio.is_finite() {
        return Err(Error::field(field, "norm and ratio must be finite"));
    }
    Ok(())
}

fn activations(section: &ActivationsSection) -> Result<()> {
    for (i, layer) in section.layers.iter().enumerate() {
        let field = |name: &str| format!("massive_activations.layers[{i}].{name}");
        non_negative(&field("max_abs"), &[layer.max_abs])?;
        non_negative(&field("median_abs"), &[layer.median_abs])?;
        if layer.hits.len() > layer.hits_total || layer.exists != (layer.hits_total > 0) {
            let reason = format!(
                "is {}, with {} hits listed and exists = {}",
                layer.hits_total,
                layer.hits.len(),
                layer.exists
            );
            return Err(Error::field(field("hits_total"), reason));
        }
        if layer.hits.iter().any(|hit| !hit.value.is_finite()) {
            return Err(Error::field(field("hits"), "a value is not finite"));
        }
    }
    Ok(())
}
