//! Checkpoint formats: a [`QuantizedLinear`] to and from the tensors of a file, and `quantization_config`.
//!
//! | format | `quant_method` | bits | zero points | weight |
//! |---|---|---|---|---|
//! | compressed-tensors `pack-quantized` | `compressed-tensors` | 4, 8 | if asymmetric | packed along inputs |
//! | compressed-tensors `int-quantized` | `compressed-tensors` | 8 | if asymmetric | one byte each |
//! | AutoAWQ GEMM | `awq` | 4 | always | `[in, out / 8]`, in the order 0 2 4 6 1 3 5 7 |
//! | GPTQ, first format | `gptq` | 2, 3, 4, 8 | minus one | packed along inputs, transposed |
//! | GPTQ, second format | `gptq` | 2, 3, 4, 8 | as they are | the same |
//!
//! Converting is unpacking one and packing another; what the other has no words for is an error, never an
//! approximation. Files are not trusted: sizes are checked before anything is allocated, and what is
//! allocated is at most 16 times what the file holds.

mod awq;
mod bitpack;
mod compressed;
mod config;
mod gptq;
pub(crate) mod pattern;
mod tensors;

pub use compressed::{input_scale, pack_input_scale};
pub use config::{ActivationOrder, LayoutRule, ParsedConfig, QuantizationConfig};
pub use pattern::LinearPattern;
use tensors::Read;
pub use tensors::{StoredTensor, TensorSource};

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bits, Error, Granularity, QuantizedLinear, Result};

/// A way to store quantized linears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// compressed-tensors, codes packed into words; weights only.
    PackQuantized,
    /// compressed-tensors, a byte for each code; with activations in 8 bits.
    IntQuantized,
    /// AutoAWQ's GEMM layout.
    AwqGemm,
    /// GPTQ's first format (AutoGPTQ): zero points are stored minus one.
    GptqV1,
    /// GPTQ's second format (GPTQModel): zero points are stored as they are.
    GptqV2,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::PackQuantized, Self::IntQuantized, Self::AwqGemm, Self::GptqV1, Self::GptqV2];

    /// Its name, as the command line and errors say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PackQuantized => "pack-quantized",
            Self::IntQuantized => "int-quantized",
            Self::AwqGemm => "awq-gemm",
            Self::GptqV1 => "gptq-v1",
            Self::GptqV2 => "gptq-v2",
        }
    }

    /// The numbers of bits that it holds.
    pub const fn bits(self) -> &'static [Bits] {
        match self {
            Self::PackQuantized => &[Bits::Four, Bits::Eight],
            Self::IntQuantized => &[Bits::Eight],
            Self::AwqGemm => &[Bits::Four],
            Self::GptqV1 | Self::GptqV2 => &Bits::ALL,
        }
    }

    const fn holds_per_tensor(self) -> bool {
        matches!(self, Self::IntQuantized)
    }
}

impl std::str::FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| Error::Unknown {
            what: "checkpoint format",
            given: name.to_owned(),
            known: "pack-quantized, int-quantized, awq-gemm, gptq-v1, gptq-v2",
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a checkpoint's config says of its quantized linears: of all, or of those that a [`LayoutRule`] is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// How they are stored.
    pub format: Format,
    /// Bits of a code.
    pub bits: Bits,
    /// What shares a scale.
    pub granularity: Granularity,
    /// Whether every zero point lies in the middle.
    pub symmetric: bool,
}

impl Layout {
    /// Whether the format can be asked for this at all; known before anything is quantized.
    ///
    /// # Errors
    /// [`Error::NotRepresentable`] with what it holds instead.
    pub fn check(&self) -> Result<()> {
        let refuse = |what: String, hint| Error::NotRepresentable {
            tensor: "the checkpoint".to_owned(),
            format: self.format.name(),
            what,
            hint,
        };
        if !self.format.bits().contains(&self.bits) {
            let what = format!("{} bits", self.bits);
            return Err(refuse(what, "pack-quantized holds 4 and 8 bits, GPTQ 2, 3, 4 and 8"));
        }
        if self.granularity == Granularity::Tensor && !self.format.holds_per_tensor() {
            let what = "one scale for a whole tensor".to_owned();
            return Err(refuse(what, "use a scale for each output channel"));
        }
        Ok(())
    }

    /// Packs a linear into the tensors of a file, named after it.
    ///
    /// A linear with coarser groups than the layout's is written with its scales repeated.
    ///
    /// ```
    /// use massval_quant::formats::{Format, Layout};
    /// use massval_quant::{Bits, Granularity, ScaleType, Weight, WeightScheme, rtn};
    /// let values: Vec<f32> = (0..8 * 64).map(|i| (i % 37) as f32 - 18.0).collect();
    /// let granularity = Granularity::group(32)?;
    /// let scheme = WeightScheme::new(Bits::Four, granularity).scales(ScaleType::F16);
    /// let linear = rtn(&Weight::new("layers.0.proj", [8, 64], &values)?, &scheme)?;
    ///
    /// let gptq = Layout { format: Format::GptqV1, bits: Bits::Four, granularity, symmetric: true };
    /// let file = gptq.pack(&linear)?;
    /// assert_eq!(file[0].name(), "layers.0.proj.qweight");
    /// let read = gptq.unpack("layers.0.proj", &file)?;
    /// let awq = Layout { format: Format::AwqGemm, ..gptq };
    /// let read = awq.unpack("layers.0.proj", &awq.pack(&read)?)?;
    /// assert_eq!(read, linear);
    /// # Ok::<(), massval_quant::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotRepresentable`] if the format or this layout cannot hold it, [`Error::Group`] if groups do
    /// not divide its inputs.
    pub fn pack(&self, linear: &QuantizedLinear) -> Result<Vec<StoredTensor>> {
        self.check()?;
        let refuse = |what: String, hint| Error::NotRepresentable {
            tensor: linear.name().to_owned(),
            format: self.format.name(),
            what,
            hint,
        };
        if linear.bits() != self.bits {
            let what = format!("{} bits in a checkpoint of {}", linear.bits(), self.bits);
            return Err(refuse(what, "quantize all linears alike, or ignore this one"));
        }
        if self.symmetric && !linear.is_symmetric() {
            let what = "zero points in a symmetric checkpoint".to_owned();
            return Err(refuse(what, "write an asymmetric one"));
        }
        let refined = match linear.granularity() {
            // A single group is a channel's: no group needs to divide anything.
            same if same == self.granularity => None,
            _ => Some(linear.clone().refined(self.granularity)?),
        };
        let linear = refined.as_ref().unwrap_or(linear);
        match self.format {
            Format::PackQuantized => compressed::pack(linear, self),
            Format::IntQuantized => compressed::pack_bytes(linear, self),
            Format::AwqGemm => awq::pack(linear),
            Format::GptqV1 | Format::GptqV2 => gptq::pack(linear, self.format),
        }
    }

    /// Reads the linear `name` from the tensors of a file.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] and [`Error::Stored`] say which tensor is missing or malformed;
    /// [`Error::Group`] if groups do not divide the inputs.
    pub fn unpack(&self, name: &str, source: &dyn TensorSource) -> Result<QuantizedLinear> {
        self.check()?;
        match self.format {
            Format::PackQuantized => compressed::unpack(name, self, source),
            Format::IntQuantized => compressed::unpack_bytes(name, self, source),
            Format::AwqGemm => awq::unpack(name, self, source),
            Format::GptqV1 | Format::GptqV2 => gptq::unpack(name, self, source),
        }
    }

    /// Outputs and inputs of the linear `name`, by the shapes of its tensors alone.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] or [`Error::Stored`] if the tensor that says so is missing or malformed.
    pub fn shape(&self, name: &str, source: &dyn TensorSource) -> Result<[usize; 2]> {
        match self.format {
            Format::PackQuantized => compressed::shape(name, source),
            Format::IntQuantized => Read::new(source, name, "weight")?.matrix(),
            Format::AwqGemm => awq::shape(name, source),
            Format::GptqV1 | Format::GptqV2 => gptq::shape(name, self.bits, source),
        }
    }

    /// What the names of all tensors that a linear may have end with.
    pub const fn endings(&self) -> &'static [&'static str] {
        match self.format {
            Format::PackQuantized => &[
                "weight_packed",
                "weight_scale",
                "weight_shape",
                "weight_zero_point",
                "weight_g_idx",
            ],
            Format::IntQuantized => &["weight", "weight_scale", "weight_zero_point", "input_scale"],
            Format::AwqGemm => &["qweight", "qzeros", "scales"],
            Format::GptqV1 | Format::GptqV2 => &["qweight", "qzeros", "scales", "g_idx"],
        }
    }

    /// What the names of a quantized linear's tensors end with: the one that every such linear has.
    pub const fn marker(&self) -> &'static str {
        match self.format {
            Format::PackQuantized => "weight_packed",
            Format::IntQuantized => "weight_scale",
            Format::AwqGemm | Format::GptqV1 | Format::GptqV2 => "qweight",
        }
    }
}

#[cfg(test)]
mod tests;
