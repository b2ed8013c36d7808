//! Quantized linears under the names of plain weights: several tensors of the files are one here,
//! and are put together when it is read.

use std::collections::BTreeMap;

use massval_quant::formats::{self, Layout, QuantizationConfig, TensorSource};
use massval_quant::{ActivationQuantizer, QuantizedLinear};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::{Entry, Format, Place, StoredType, TensorInfo, Weights};
use crate::{Error, Result};

/// The tensors of one linear, and what they are.
#[derive(Debug)]
pub(super) struct Packed {
    linear: String,
    layout: Layout,
    parts: Vec<Entry>,
}

impl Weights {
    /// The same checkpoint with each quantized linear as one tensor, `NAME.weight`.
    ///
    /// # Errors
    /// [`Error::Quant`] if the tensors of a linear are not what the config says;
    /// [`Error::Unsupported`] if there is none.
    pub(crate) fn with_packed(mut self, config: &QuantizationConfig) -> Result<Self> {
        // Names of tensors go by the format, which all linears have in common.
        let common = config.layout;
        let marker = format!(".{}", common.marker());
        let linear = |entry: &Entry| entry.info.name.strip_suffix(&marker).map(str::to_owned);
        let mut found: BTreeMap<String, Vec<Entry>> =
            self.entries.iter().filter_map(linear).map(|name| (name, Vec::new())).collect();
        if found.is_empty() || self.format != Format::Safetensors {
            let what = format!(
                "the config says that it is quantized as {}, but no tensor of a safetensors file ends \
                 with `{marker}`",
                common.format
            );
            let path = self.files.first().cloned().unwrap_or_default();
            return Err(Error::Unsupported { path, what });
        }
        for entry in std::mem::take(&mut self.entries) {
            let name = entry.info.name.as_str();
            let of = name.rsplit_once('.').filter(|(_, end)| common.endings().contains(end));
            match of.and_then(|(linear, _)| found.get_mut(linear)) {
                Some(parts) => parts.push(entry),
                None => self.entries.push(entry),
            }
        }
        let mut packed = Vec::with_capacity(found.len());
        for (linear, parts) in found {
            let file = parts.first().map_or(0, |part| part.file);
            let source = Parts { weights: &self, parts: &parts };
            let layout = config.layout_of(&linear);
            let [outputs, inputs] = layout.shape(&linear, &source)?;
            let too_large = || Error::Unsupported {
                path: self.files.get(file).cloned().unwrap_or_default(),
                what: format!("linear `{linear}` of {outputs} x {inputs} is empty or too large"),
            };
            let shape = [outputs as u64, inputs as u64];
            let (shape, _) = super::checked_shape(&shape).map_err(|_| too_large())?;
            let name = format!("{linear}.weight");
            let info = TensorInfo { name, shape, dtype: StoredType::Packed(layout.bits) };
            let place = Place::Packed(Packed { linear, layout, parts });
            packed.push(Entry { info, file, place });
        }
        self.entries.extend(packed);
        self.entries.sort_by(|a, b| a.info.name.cmp(&b.info.name));
        for pair in self.entries.windows(2) {
            if let [a, b] = pair
                && a.info.name == b.info.name
            {
                let what = format!("`{}` is there both quantized and plain", b.info.name);
                return Err(Error::format(self.path(b), "checkpoint", what));
            }
        }
        Ok(self)
    }

    /// The codes of a quantized linear; `None` if `name` is stored in any other way.
    ///
    /// # Errors
    /// [`Error::Input`] if there is no tensor of this name, [`Error::Quant`] if its parts do not fit.
    pub fn read_packed(&self, name: &str) -> Result<Option<QuantizedLinear>> {
        match &self.found(name)?.place {
            Place::Packed(packed) => self.unpacked(packed).map(Some),
            _ => Ok(None),
        }
    }

    /// How the inputs of a quantized linear are rounded, where they all are by one scale.
    ///
    /// # Errors
    /// As [`read_packed`](Self::read_packed).
    pub(crate) fn input_quantizer(&self, name: &str) -> Result<Option<ActivationQuantizer>> {
        match &self.found(name)?.place {
            Place::Packed(packed) => {
                let source = Parts { weights: self, parts: &packed.parts };
                Ok(Some(formats::input_scale(&packed.linear, &source)?))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn unpacked(&self, packed: &Packed) -> Result<QuantizedLinear> {
        let source = Parts { weights: self, parts: &packed.parts };
        Ok(packed.layout.unpack(&packed.linear, &source)?)
    }

    /// Has the system read the tensors of a linear ahead.
    pub(super) fn prefetch_parts(&self, packed: &Packed) {
        for part in &packed.parts {
            if let Place::Mapped(map, range) = &part.place
                && let Some(map) = self.maps.get(*map)
            {
                map.prefetch(range.clone());
            }
        }
    }
}

/// The tensors of one linear, for whoever puts them together.
struct Parts<'a> {
    weights: &'a Weights,
    parts: &'a [Entry],
}

impl TensorSource for Parts<'_> {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let entry = self.parts.iter().find(|part| part.info.name == name)?;
        let Place::Mapped(map, range) = &entry.place else { return None };
        let bytes = self.weights.maps.get(*map)?.get(range.clone())?;
        TensorView::new(dtype(entry.info.dtype)?, entry.info.shape.clone(), bytes).ok()
    }
}

/// The types that a quantized linear's tensors may have.
fn dtype(stored: StoredType) -> Option<Dtype> {
    Some(match stored {
        StoredType::F32 => Dtype::F32,
        StoredType::F16 => Dtype::F16,
        StoredType::BF16 => Dtype::BF16,
        StoredType::I64 => Dtype::I64,
        StoredType::I32 => Dtype::I32,
        StoredType::I8 => Dtype::I8,
        _ => return None,
    })
}
