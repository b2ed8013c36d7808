//! Tensors on their way into files.

use std::borrow::Cow;

use half::{bf16, f16};
use massval_models::weights::StoredType;
use massval_quant::formats::StoredTensor;
use safetensors::{Dtype, View};

use crate::{Error, Result};

/// A tensor as a file will hold it.
#[derive(Debug, Clone)]
pub(super) struct FileTensor<'a> {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: Cow<'a, [u8]>,
}

impl FileTensor<'_> {
    /// Numbers rounded to the type that they were stored in; types that no weight has become f32.
    ///
    /// # Errors
    /// [`Error::Input`] if a number is beyond the type's largest.
    pub(super) fn floats(
        name: String,
        stored: StoredType,
        shape: Vec<usize>,
        values: &[f32],
    ) -> Result<Self> {
        let (dtype, bytes): (_, Vec<u8>) = match stored {
            StoredType::F16 => {
                (Dtype::F16, values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect())
            }
            StoredType::BF16 => (
                Dtype::BF16,
                values.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect(),
            ),
            _ => (Dtype::F32, values.iter().flat_map(|x| x.to_le_bytes()).collect()),
        };
        if values.iter().any(|&x| !rounded(stored, x).is_finite()) {
            return Err(Error::Input(format!("{name}: a number does not fit into {stored}")));
        }
        Ok(Self { name, dtype, shape, bytes: bytes.into() })
    }
}

impl From<StoredTensor> for FileTensor<'_> {
    fn from(tensor: StoredTensor) -> Self {
        Self {
            name: tensor.name().to_owned(),
            dtype: tensor.dtype(),
            shape: tensor.shape().to_vec(),
            bytes: tensor.bytes().to_vec().into(),
        }
    }
}

impl View for &FileTensor<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// A number as the type holds it.
pub(super) fn rounded(stored: StoredType, x: f32) -> f32 {
    match stored {
        StoredType::F16 => f16::from_f32(x).to_f32(),
        StoredType::BF16 => bf16::from_f32(x).to_f32(),
        _ => x,
    }
}

/// The type of a safetensors file; none for types that only GGUF has.
pub(super) fn dtype(stored: StoredType) -> Option<Dtype> {
    Some(match stored {
        StoredType::F64 => Dtype::F64,
        StoredType::F32 => Dtype::F32,
        StoredType::F16 => Dtype::F16,
        StoredType::BF16 => Dtype::BF16,
        StoredType::F8E4M3 => Dtype::F8_E4M3,
        StoredType::F8E5M2 => Dtype::F8_E5M2,
        StoredType::I64 => Dtype::I64,
        StoredType::I32 => Dtype::I32,
        StoredType::I16 => Dtype::I16,
        StoredType::I8 => Dtype::I8,
        StoredType::U64 => Dtype::U64,
        StoredType::U32 => Dtype::U32,
        StoredType::U16 => Dtype::U16,
        StoredType::U8 => Dtype::U8,
        StoredType::Bool => Dtype::BOOL,
        _ => return None,
    })
}
