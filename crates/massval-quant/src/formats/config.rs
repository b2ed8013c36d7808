//! `quantization_config`: what `config.json` says of a quantized checkpoint, written and read.

mod fields;
mod read;
mod write;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Format, Layout, LinearPattern};
use crate::{ActivationScheme, Error, Result};

/// Whether GPTQ went by falling activation, and what that means for groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationOrder {
    /// It did not.
    #[default]
    None,
    /// Groups are runs in that order: each linear has a group index. compressed-tensors has dropped this in
    /// 2026 (its version 0.20 refuses it); older versions, vLLM and GPTQ's own formats read it.
    Groups,
    /// Groups are runs of neighbours all the same.
    Static,
}

/// Linears that are stored otherwise than the rest, in the same format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayoutRule {
    /// Which.
    pub linears: Vec<LinearPattern>,
    /// How.
    pub layout: Layout,
}

/// What `quantization_config` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuantizationConfig {
    /// How linears are stored.
    pub layout: Layout,
    /// Linears that are stored otherwise: the first rule that fits a linear counts. AWQ has no place for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<LayoutRule>,
    /// Linears that are not quantized: names, or `re:` and a regular expression; `lm_head` among them.
    pub ignore: Vec<String>,
    /// How inputs are rounded; only `int-quantized` has a place for it.
    pub activations: Option<ActivationScheme>,
    /// The order that GPTQ went by.
    pub order: ActivationOrder,
    /// GPTQ's damping; for the record.
    pub damping: Option<f64>,
    /// Whether GPTQ saw the quantized outputs of earlier linears; for the record.
    pub true_sequential: bool,
}

/// A config that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedConfig {
    /// What it says.
    pub config: QuantizationConfig,
    /// Fields that were not looked at: they say how the checkpoint came about or how to run it.
    pub unread: Vec<String>,
}

impl QuantizationConfig {
    /// A config for weights alone, `lm_head` ignored.
    pub fn new(layout: Layout) -> Self {
        Self {
            layout,
            rules: Vec::new(),
            ignore: vec!["lm_head".to_owned()],
            activations: None,
            order: ActivationOrder::None,
            damping: None,
            true_sequential: true,
        }
    }

    /// How the linear of this name is stored.
    pub fn layout_of(&self, linear: &str) -> Layout {
        let fits = |rule: &&LayoutRule| rule.linears.iter().any(|pattern| pattern.matches(linear));
        self.rules.iter().find(fits).map_or(self.layout, |rule| rule.layout)
    }

    /// All layouts there are.
    fn layouts(&self) -> impl Iterator<Item = &Layout> {
        std::iter::once(&self.layout).chain(self.rules.iter().map(|rule| &rule.layout))
    }

    /// The object under `quantization_config`.
    ///
    /// ```
    /// use massval_quant::formats::{Format, Layout, QuantizationConfig};
    /// use massval_quant::{Bits, Granularity};
    /// let granularity = Granularity::group(64)?;
    /// let format = Format::PackQuantized;
    /// let config =
    ///     QuantizationConfig::new(Layout { format, bits: Bits::Four, granularity, symmetric: true });
    /// let json = config.to_json()?;
    /// assert_eq!(json["quant_method"], "compressed-tensors");
    /// assert_eq!(QuantizationConfig::from_json(&json)?.config, config);
    /// # Ok::<(), massval_quant::Error>(())
    /// ```
    ///
    /// AWQ files always hold zero points, so a symmetric one reads back as asymmetric.
    ///
    /// # Errors
    /// [`Error::NotRepresentable`] if the format has no place for what the config says.
    pub fn to_json(&self) -> Result<Value> {
        let format = self.layout.format;
        let refuse = |what: &str, hint| {
            let (tensor, what) = ("the checkpoint".to_owned(), what.to_owned());
            Err(Error::NotRepresentable { tensor, format: format.name(), what, hint })
        };
        if self.activations.is_some() && format != Format::IntQuantized {
            return refuse("rounded activations", "write int-quantized");
        }
        if self.layouts().any(|layout| layout.format != format) {
            return refuse("linears in several formats", "write all in one");
        }
        if !self.rules.is_empty() && format == Format::AwqGemm {
            let hint = "write compressed-tensors or gptq, or leave these linears out";
            return refuse("other bits or groups for some linears", hint);
        }
        self.layouts().try_for_each(Layout::check)?;
        let grouped = self.order == ActivationOrder::Groups;
        if grouped && matches!(format, Format::AwqGemm | Format::IntQuantized) {
            return refuse("groups out of order", "use static groups");
        }
        Ok(match format {
            Format::PackQuantized | Format::IntQuantized => write::compressed(self),
            Format::AwqGemm => write::awq(self),
            Format::GptqV1 | Format::GptqV2 => write::gptq(self),
        })
    }

    /// Reads the object under `quantization_config`, or GPTQ's `quantize_config.json`.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field that is missing, malformed or asks for something else;
    /// [`Error::NotRepresentable`] if the format cannot hold what it says.
    pub fn from_json(json: &Value) -> Result<ParsedConfig> {
        let parsed = read::config(json)?;
        parsed.config.layouts().try_for_each(Layout::check)?;
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests;
