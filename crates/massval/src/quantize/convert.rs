//! A quantized checkpoint in another format: the same codes and scales, packed another way.

use std::collections::HashSet;
use std::path::Path;

use massval_models::Checkpoint;
use massval_models::weights::Weights;
use massval_quant::formats::{
    Format, Layout, LayoutRule, LinearPattern, QuantizationConfig, TensorSource,
};
use massval_quant::{QuantizedLinear, ScaleType};
use safetensors::tensor::TensorView;
use serde_json::json;

use super::block::{LinearLog, Written, check_source};
use super::checkpoint;
use super::tensor::{FileTensor, dtype};
use super::work::Work;
use crate::{Error, Result};

/// How a checkpoint is converted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConvertOptions {
    /// To what.
    pub format: Format,
    /// Round scales to half precision where the format has nothing wider; weights change by up to a two-thousandth.
    pub round_scales: bool,
    /// Bytes of a file of weights, at the most.
    pub shard_bytes: u64,
}

impl ConvertOptions {
    /// Without any rounding.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, round_scales: false, shard_bytes: 5_000_000_000 }
    }
}

/// Writes the quantized checkpoint in the folder `source` as `out`, in another format; whole or not at all.
///
/// Weights stay what they are, bit for bit. Returns the linears that were converted.
///
/// # Errors
/// [`Error::Input`] if the checkpoint is not quantized, [`massval_quant::Error::NotRepresentable`] if the format
/// cannot hold it.
pub fn convert(
    source: &Path,
    out: &Path,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<usize> {
    let info = Checkpoint::inspect(source)?;
    let Some(config) = &info.quantization else {
        return Err(Error::Input(format!(
            "{}: is not quantized, so there is nothing to convert; see `massval quantize`",
            source.display()
        )));
    };
    let weights = Weights::open(source)?;
    check_source(&weights, source)?;
    let from = config.layout;
    let tensors = Tensors(&weights);
    let linears = || info.blocks.iter().flat_map(|block| &block.linears);
    let packed: HashSet<&str> = linears()
        .map(|linear| linear.name.as_str())
        .filter(|name| weights.info(&format!("{name}.{}", from.marker())).is_some())
        .collect();
    // AWQ's files always have zero points, and the config cannot say that all lie in the middle.
    let mut symmetric = true;
    for name in &packed {
        let own = config.layout_of(name);
        symmetric &= own.symmetric || own.unpack(name, &tensors)?.is_symmetric();
    }
    let to = |layout: Layout| Layout { format: options.format, symmetric, ..layout };
    let mut target = QuantizationConfig { layout: to(from), rules: Vec::new(), ..config.clone() };
    // By names: formats do not agree on which of several patterns counts.
    for name in linears().map(|linear| linear.name.as_str()) {
        let layout = to(config.layout_of(name));
        let known = target.ignore.iter().any(|entry| entry == name);
        match target.rules.iter_mut().find(|rule| rule.layout == layout) {
            _ if !packed.contains(name) && known => {}
            _ if !packed.contains(name) => target.ignore.push(name.to_owned()),
            _ if layout == target.layout => {}
            Some(rule) => rule.linears.push(LinearPattern::name(name)),
            None => {
                let linears = vec![LinearPattern::name(name)];
                target.rules.push(LayoutRule { linears, layout });
            }
        }
    }
    target.to_json()?;

    let identity = json!({ "convert": source.display().to_string(), "to": options.format.name() });
    let work = Work::open(out, &identity, false)?;
    let blocks = info.blocks.len();
    let mut layers = Vec::with_capacity(blocks);
    let mut parts: HashSet<String> = HashSet::new();
    for (layer, block) in info.blocks.iter().enumerate() {
        let mut written = Written::default();
        for linear in block.linears.iter().filter(|linear| packed.contains(linear.name.as_str())) {
            let name = &linear.name;
            let own = config.layout_of(name);
            let quantized = fitted(own.unpack(name, &tensors)?, options)?;
            written.tensors.extend(to(own).pack(&quantized)?.into_iter().map(FileTensor::from));
            written.log.push(LinearLog { name: name.clone(), ..LinearLog::default() });
            parts.extend(from.endings().iter().map(|ending| format!("{name}.{ending}")));
        }
        if !written.tensors.is_empty() {
            work.keep(layer, &written)?;
            layers.extend(work.layer(layer)?);
        }
        progress(layer + 1, blocks);
    }
    let folder = work.checkpoint()?;
    checkpoint::write_weights(&folder, &weights, &layers, &parts, options.shard_bytes)?;
    checkpoint::write_rest(&folder, source, &target)?;
    drop(layers);
    work.finish()?;
    Ok(packed.len())
}

fn fitted(linear: QuantizedLinear, options: &ConvertOptions) -> Result<QuantizedLinear> {
    let half = matches!(options.format, Format::AwqGemm | Format::GptqV1 | Format::GptqV2);
    if half && options.round_scales && linear.scale_type() != ScaleType::F16 {
        return Ok(linear.with_scale_type(ScaleType::F16)?);
    }
    Ok(linear)
}

/// The tensors of a checkpoint as `massval-quant` reads them.
pub(super) struct Tensors<'a>(pub(super) &'a Weights);

impl TensorSource for Tensors<'_> {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let info = self.0.info(name)?;
        let (stored, bytes) = self.0.stored_bytes(name).ok()?;
        match bytes {
            std::borrow::Cow::Borrowed(bytes) => {
                TensorView::new(dtype(stored)?, info.shape.clone(), bytes).ok()
            }
            // Files that are not mapped are refused before.
            std::borrow::Cow::Owned(_) => None,
        }
    }
}
