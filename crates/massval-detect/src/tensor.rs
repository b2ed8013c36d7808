//! The same statistics on burn tensors: the reduction stays on the device, only results come back.

mod activations;
mod norms;

use burn::tensor::{Device, Tensor};

pub use activations::locate_tensor;
pub use norms::{TensorNormAccumulator, channel_norms_tensor};

use crate::{Error, Result};

/// Reads a small result back.
fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor.try_into_vec_as::<f32>().map_err(failed)
}

/// What the device said, as this crate's error.
fn failed(error: impl std::fmt::Debug) -> Error {
    Error::Device { reason: format!("{error:?}") }
}

/// Whether the device's memory is the host's, so that reading is no transfer.
fn is_host(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return *device == Device::flex();
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}
