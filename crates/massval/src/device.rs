//! Devices and number types by the names that a person types.

use std::fmt;
use std::str::FromStr;

use burn::tensor::{DType, Device};
use serde::{Deserialize, Serialize};

use massval_models::Checkpoint;

use crate::{Error, Result};

/// Where the arithmetic runs: `cpu`, `wgpu`, `vulkan`, `cuda` or `cuda:N`.
///
/// ```
/// use massval::DeviceName;
/// let name: DeviceName = "cuda:1".parse()?;
/// assert_eq!(name, DeviceName::Cuda(1));
/// assert_eq!(name.to_string(), "cuda:1");
/// # Ok::<(), massval::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DeviceName {
    /// burn's flex backend (feature `flex`).
    #[default]
    Cpu,
    /// A GPU, or a software one, through wgpu (feature `wgpu`).
    Wgpu,
    /// The same with SPIR-V shaders (feature `vulkan`).
    Vulkan,
    /// An NVIDIA GPU by its index (feature `cuda`).
    Cuda(usize),
}

impl DeviceName {
    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::Device`] if its backend is not compiled in.
    pub fn open(self) -> Result<Device> {
        match self {
            #[cfg(feature = "flex")]
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => Ok(Device::cuda(index)),
            #[allow(unreachable_patterns)] // with every backend compiled in
            _ => {
                let feature = match self {
                    Self::Cpu => "flex",
                    Self::Wgpu => "wgpu",
                    Self::Vulkan => "vulkan",
                    Self::Cuda(_) => "cuda",
                };
                let what = format!("not in this build; build with `--features {feature}`");
                Err(Error::Device { name: self.to_string(), what })
            }
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.pad("cpu"),
            Self::Wgpu => f.pad("wgpu"),
            Self::Vulkan => f.pad("vulkan"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for DeviceName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name.split_once(':') {
            None if name == "cpu" => Ok(Self::Cpu),
            None if name == "wgpu" => Ok(Self::Wgpu),
            None if name == "vulkan" => Ok(Self::Vulkan),
            None if name == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", index)) if index.parse::<usize>().is_ok() => {
                Ok(Self::Cuda(index.parse().unwrap_or_default()))
            }
            _ => {
                let what = "unknown; known are cpu, wgpu, vulkan, cuda, cuda:N".to_owned();
                Err(Error::Device { name: name.to_owned(), what })
            }
        }
    }
}

/// The number type of the name: `f32`, `f16` or `bf16`.
///
/// # Errors
/// [`Error::Input`] if there is no such type.
pub fn dtype(name: &str) -> Result<DType> {
    match name {
        "f32" => Ok(DType::F32),
        "f16" => Ok(DType::F16),
        "bf16" => Ok(DType::BF16),
        _ => Err(Error::Input(format!("unknown dtype {name:?}; known are f32, f16, bf16"))),
    }
}

/// The name of the number type that keeps a checkpoint's numbers as they are stored: that of most of its tensors if it
/// is one to compute in, else `f32` (GGUF's quantized types among them).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/models/gpt2");
/// let checkpoint = massval::models::Checkpoint::inspect(folder.as_ref())?;
/// assert_eq!(massval::stored_dtype(&checkpoint), "f32");
/// # Ok(()) }
/// ```
#[must_use]
pub fn stored_dtype(checkpoint: &Checkpoint) -> &'static str {
    let most = checkpoint.stored.iter().max_by_key(|(_, count)| **count);
    match most.map(|(name, _)| name.as_str()) {
        Some("F16") => "f16",
        Some("BF16") => "bf16",
        _ => "f32",
    }
}
