//! What a quantization is asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use massval_models::{Checkpoint, LinearAt, LinearGroup, MlpKind};
use massval_quant::awq::{AwqOptions, ClipOptions, GroupedHeads};
use massval_quant::formats::{
    ActivationOrder, Format, Layout, LayoutRule, LinearPattern, QuantizationConfig,
};
use massval_quant::recipe::{Exception, Recipe, Treatment};
use massval_quant::smooth::Alpha;
use massval_quant::{
    ActivationScheme, Bits, ColumnOrder, GptqOptions, Granularity, ProtectedRows, ScaleType,
    Symmetry, WeightScheme, ZeroPoint,
};
use serde::Serialize;

use crate::{Error, Result};

/// How weights are quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Each weight to its nearest code.
    Rtn,
    /// Outliers of activations folded into the weights, then both in 8 bits (arXiv 2211.10438).
    SmoothQuant,
    /// Channels scaled by how active they are, ranges cut (arXiv 2306.00978).
    Awq,
    /// Column by column, errors taken out by the columns that follow (arXiv 2210.17323).
    Gptq,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rtn, Self::SmoothQuant, Self::Awq, Self::Gptq];

    /// Its name: `rtn`, `smoothquant`, `awq`, `gptq`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rtn => "rtn",
            Self::SmoothQuant => "smoothquant",
            Self::Awq => "awq",
            Self::Gptq => "gptq",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|method| method.name() == name);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::Input(format!("unknown method {name:?}; known are {known}"))
        })
    }
}

/// How much SmoothQuant moves from activations into weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Smoothing {
    /// The same share everywhere.
    Alpha(Alpha),
    /// The best of these for each norm, by the error of its linears' outputs.
    Search(Vec<Alpha>),
}

/// What becomes of the rows of Q and K that carry massive values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// They stay as they are. A file has no place for that within a quantized matrix: the whole matrix is stored
    /// in floating point, its other rows as they were rounded.
    Exact,
    /// They are rounded in groups of so many inputs, with searched ranges. All matrices then have scales for
    /// groups of that size; where they are coarser, scales are repeated.
    Groups(usize),
}

/// What a quantization is asked for.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct QuantizeOptions {
    /// How.
    pub method: Method,
    /// To what.
    pub scheme: WeightScheme,
    /// In which files.
    pub format: Format,
    /// How activations are rounded, if they are.
    pub activations: Option<ActivationScheme>,
    /// For SmoothQuant.
    pub smoothing: Smoothing,
    /// For AWQ.
    pub awq: AwqOptions,
    /// For AWQ: how ranges are cut, if they are.
    pub clip: Option<ClipOptions>,
    /// For AWQ, under grouped-query attention.
    pub grouped: GroupedHeads,
    /// For GPTQ.
    pub gptq: GptqOptions,
    /// Linears that stay as they are: names in the checkpoint, `*` standing for anything.
    pub ignore: Vec<String>,
    /// Linears that stay as they are, or get other bits than `scheme` says: [`with_recipe`](Self::with_recipe).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Exception>,
    /// Rows of Q and K to be kept apart, and how.
    #[serde(skip)]
    pub protect: BTreeMap<LinearAt, ProtectedRows>,
    /// How.
    pub protection: Protection,
    /// Bytes of a file of weights, at the most.
    pub shard_bytes: u64,
}

impl QuantizeOptions {
    /// The published settings of a method, for these bits and groups, in this format.
    #[must_use]
    pub fn new(method: Method, bits: Bits, granularity: Granularity, format: Format) -> Self {
        Self {
            method,
            scheme: WeightScheme::new(bits, granularity),
            format,
            activations: (format == Format::IntQuantized).then(ActivationScheme::per_token),
            smoothing: Smoothing::Alpha(Alpha::default()),
            awq: AwqOptions::default(),
            clip: Some(ClipOptions::default()),
            grouped: GroupedHeads::default(),
            gptq: GptqOptions::default(),
            ignore: Vec::new(),
            except: Vec::new(),
            protect: BTreeMap::new(),
            protection: Protection::Exact,
            shard_bytes: 5_000_000_000,
        }
    }

    /// The same with a recipe's bits, groups, symmetry and exceptions.
    #[must_use]
    pub fn with_recipe(mut self, recipe: &Recipe) -> Self {
        self.scheme.bits = recipe.bits;
        self.scheme.granularity = recipe.group.map_or(Granularity::Channel, Granularity::Group);
        if recipe.symmetric != self.scheme.symmetry.is_symmetric() {
            self.scheme.symmetry = match recipe.symmetric {
                true => Symmetry::default(),
                false => Symmetry::Asymmetric(ZeroPoint::Any),
            };
        }
        self.except.clone_from(&recipe.except);
        self
    }

    /// The same with scales and zero points that the format can hold, for a checkpoint of this type.
    #[must_use]
    pub(crate) fn fitted(mut self, checkpoint: &Checkpoint) -> Self {
        self.scheme.scale_type = match (self.format, crate::stored_dtype(checkpoint)) {
            (Format::AwqGemm | Format::GptqV1 | Format::GptqV2, _) | (_, "f16") => ScaleType::F16,
            (_, "bf16") => ScaleType::Bf16,
            _ => ScaleType::F32,
        };
        if self.format == Format::GptqV1 && !self.scheme.symmetry.is_symmetric() {
            self.scheme.symmetry = Symmetry::Asymmetric(ZeroPoint::NonZero);
        }
        self
    }

    /// How the quantized linears of the checkpoint are stored, but for bits that the recipe's exceptions have.
    #[must_use]
    pub fn layout(&self) -> Layout {
        let granularity = match (self.protection, self.protect.is_empty()) {
            (Protection::Groups(size), false) => {
                Granularity::group(size).unwrap_or(self.scheme.granularity)
            }
            _ => self.scheme.granularity,
        };
        let symmetric = self.scheme.symmetry.is_symmetric();
        Layout { format: self.format, bits: self.scheme.bits, granularity, symmetric }
    }

    /// How a linear is stored, if it is quantized.
    pub(crate) fn layout_of(&self, name: &str) -> Layout {
        Layout { bits: self.scheme_of(name).bits, ..self.layout() }
    }

    /// How a linear is rounded, if it is quantized.
    pub(crate) fn scheme_of(&self, name: &str) -> WeightScheme {
        match self.treatment(name) {
            Some(Treatment::Bits(bits)) => WeightScheme { bits, ..self.scheme },
            Some(Treatment::Exact) | None => self.scheme,
        }
    }

    fn treatment(&self, name: &str) -> Option<Treatment> {
        let found = self.except.iter().find(|exception| exception.linear == name);
        found.map(|exception| exception.treatment)
    }

    /// Whether a text is needed.
    #[must_use]
    pub fn needs_calibration(&self) -> bool {
        let fixed = self
            .activations
            .is_some_and(|scheme| scheme.range == massval_quant::ActivationRange::PerTensor);
        self.method != Method::Rtn || fixed
    }

    /// `quantization_config`, with the linears that stay as they are.
    pub(crate) fn config(&self, ignore: Vec<String>) -> QuantizationConfig {
        let gptq = self.method == Method::Gptq;
        let order =
            match (gptq && self.gptq.order == ColumnOrder::Activation, self.gptq.static_groups) {
                (false, _) => ActivationOrder::None,
                (true, true) => ActivationOrder::Static,
                (true, false) => ActivationOrder::Groups,
            };
        let layout = self.layout();
        let others = Bits::ALL.into_iter().filter(|bits| *bits != layout.bits);
        let rules = others.map(|bits| {
            let given = |except: &&Exception| {
                except.treatment == Treatment::Bits(bits) && !ignore.contains(&except.linear)
            };
            let linears = self.except.iter().filter(given);
            LayoutRule {
                linears: linears.map(|except| LinearPattern::name(&except.linear)).collect(),
                layout: Layout { bits, ..layout },
            }
        });
        QuantizationConfig {
            rules: rules.filter(|rule| !rule.linears.is_empty()).collect(),
            ignore,
            activations: self.activations,
            order,
            damping: gptq.then_some(self.gptq.damping),
            true_sequential: gptq,
            ..QuantizationConfig::new(layout)
        }
    }

    /// Refuses what can be known to fail before any work.
    pub(crate) fn check(&self, checkpoint: &Checkpoint) -> Result<()> {
        let refuse = |what: String| Err(Error::Input(what));
        if let Some(config) = &checkpoint.quantization {
            return refuse(format!(
                "{}: is quantized already ({}, {} bits); quantize what it was made from, or convert it",
                checkpoint.path.display(),
                config.layout.format,
                config.layout.bits
            ));
        }
        self.check_exceptions(checkpoint)?;
        self.config(Vec::new()).to_json()?;
        if let (Granularity::Group(size), Protection::Groups(fine), false) =
            (self.scheme.granularity, self.protection, self.protect.is_empty())
            && (fine == 0 || !size.get().is_multiple_of(fine))
        {
            return refuse(format!(
                "protected groups of {fine} do not divide groups of {}",
                size.get()
            ));
        }
        if self.method == Method::SmoothQuant {
            let eight = self.scheme.bits == Bits::Eight && self.activations.is_some();
            if !eight || self.format != Format::IntQuantized {
                return refuse(
                    "smoothquant rounds weights and activations to 8 bits: use --bits 8, --format int-quantized and \
                     --activations static or dynamic"
                        .to_owned(),
                );
            }
        }
        if matches!(checkpoint.config.mlp, MlpKind::Experts { .. }) && self.needs_calibration() {
            return refuse(format!(
                "{}: {} does not know how to calibrate experts, of which each sees its own tokens; rtn quantizes them",
                checkpoint.config.architecture, self.method
            ));
        }
        for (layer, block) in checkpoint.blocks.iter().enumerate() {
            for linear in &block.linears {
                if linear.transposed {
                    return refuse(format!(
                        "{}: {} is stored as [in, out] (Conv1D), which no format of quantized checkpoints has",
                        checkpoint.config.architecture, linear.name
                    ));
                }
                if !self.ignored(&linear.name) {
                    self.scheme.granularity.length(&linear.name, linear.inputs)?;
                    self.layout().granularity.length(&linear.name, linear.inputs)?;
                }
            }
            if matches!(self.method, Method::SmoothQuant | Method::Awq)
                && block.attn_norm.is_none()
                && block.mlp_norm.is_none()
            {
                return refuse(format!(
                    "{}: layer {layer} has no norm that {} could fold scales into; use gptq or rtn",
                    checkpoint.config.architecture, self.method
                ));
            }
        }
        for pattern in &self.ignore {
            let known = |name: &str| matches(pattern, name) || name == pattern;
            let linears = checkpoint.blocks.iter().flat_map(|block| &block.linears);
            if !linears.into_iter().any(|linear| known(&linear.name)) && pattern != "lm_head" {
                let example = checkpoint.blocks.first().and_then(|block| block.linears.first());
                let example = example.map_or("", |linear| linear.name.as_str());
                return refuse(format!(
                    "--ignore {pattern}: no linear of the model is called that; names are like {example}"
                ));
            }
        }
        Ok(())
    }

    /// Refuses exceptions for linears that the checkpoint does not have.
    fn check_exceptions(&self, checkpoint: &Checkpoint) -> Result<()> {
        let group = match self.scheme.granularity {
            Granularity::Group(group) => Some(group),
            Granularity::Tensor | Granularity::Channel => None,
        };
        let recipe = Recipe { except: self.except.clone(), ..Recipe::new(self.scheme.bits, group) };
        Ok(recipe.check(&super::recipe::linear_names(&checkpoint.blocks))?)
    }

    /// Whether a linear stays as it is.
    pub(crate) fn ignored(&self, name: &str) -> bool {
        self.treatment(name) == Some(Treatment::Exact)
            || self.ignore.iter().any(|pattern| matches(pattern, name))
    }

    /// Whether the linears of this group may be clipped: the authors of AWQ leave Q and K alone.
    pub(crate) fn clips(&self, linear: &massval_models::arch::StoredLinear) -> bool {
        use massval_models::LinearRole;
        let q_or_k = |role| matches!(role, LinearRole::Q | LinearRole::K);
        linear.group() != LinearGroup::Qkv || !linear.parts.iter().any(|part| q_or_k(part.at.role))
    }
}

/// Whether a name fits a pattern in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => {
            let Some(after) = name.strip_prefix(start) else { return false };
            let ends = (0..=after.len()).filter(|&at| after.is_char_boundary(at));
            ends.into_iter().any(|at| matches(rest, after.get(at..).unwrap_or_default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, fits) in [
            ("a.b", "a.b", true),
            ("a.*", "a.b.c", true),
            ("*.down_proj", "model.layers.0.mlp.down_proj", true),
            ("*.1.*.q_proj", "model.layers.1.self_attn.q_proj", true),
            ("*.1.*.q_proj", "model.layers.2.self_attn.q_proj", false),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
