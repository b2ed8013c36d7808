//! Tensors as files hold them, and checked access to them.

use std::borrow::Cow;

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, View};

use crate::{Error, Result, ScaleType};

/// A tensor ready to be written; `safetensors::serialize` takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTensor {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl StoredTensor {
    pub(super) fn new(
        linear: &str,
        suffix: &str,
        dtype: Dtype,
        shape: &[usize],
        bytes: Vec<u8>,
    ) -> Self {
        Self { name: format!("{linear}.{suffix}"), dtype, shape: shape.to_vec(), bytes }
    }

    /// Scales in their type.
    pub(super) fn scales(
        linear: &str,
        suffix: &str,
        shape: &[usize],
        scale_type: ScaleType,
        values: impl Iterator<Item = f32>,
    ) -> Self {
        let (dtype, bytes) = match scale_type {
            ScaleType::F32 => (Dtype::F32, values.flat_map(f32::to_le_bytes).collect()),
            ScaleType::F16 => {
                (Dtype::F16, values.flat_map(|x| f16::from_f32(x).to_le_bytes()).collect())
            }
            ScaleType::Bf16 => {
                (Dtype::BF16, values.flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect())
            }
        };
        Self::new(linear, suffix, dtype, shape, bytes)
    }

    /// 32-bit integers.
    pub(super) fn integers(
        linear: &str,
        suffix: &str,
        values: impl Iterator<Item = u32>,
        count: usize,
    ) -> Self {
        let bytes = values.flat_map(|value| (value as i32).to_le_bytes()).collect();
        Self::new(linear, suffix, Dtype::I32, &[count], bytes)
    }

    /// Its full name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of its values.
    pub const fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Its shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its values, row after row, in little-endian order.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl View for &StoredTensor {
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

/// Where tensors are read from, by their full names.
pub trait TensorSource {
    /// The tensor of that name, if there is one.
    fn tensor(&self, name: &str) -> Option<TensorView<'_>>;
}

impl TensorSource for SafeTensors<'_> {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        self.tensor(name).ok()
    }
}

impl TensorSource for Vec<StoredTensor> {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let tensor = self.iter().find(|tensor| tensor.name == name)?;
        TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes).ok()
    }
}

/// A tensor of a linear, with what errors call it.
pub(super) struct Read<'a> {
    pub(super) name: String,
    view: TensorView<'a>,
}

impl<'a> Read<'a> {
    /// The tensor `linear.suffix`.
    pub(super) fn new(source: &'a dyn TensorSource, linear: &str, suffix: &str) -> Result<Self> {
        let name = format!("{linear}.{suffix}");
        Self::optional(source, linear, suffix).ok_or(Error::MissingTensor { tensor: name })
    }

    pub(super) fn optional(
        source: &'a dyn TensorSource,
        linear: &str,
        suffix: &str,
    ) -> Option<Self> {
        let name = format!("{linear}.{suffix}");
        source.tensor(&name).map(|view| Self { name, view })
    }

    pub(super) fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Stored { tensor: self.name.clone(), reason: reason.into() }
    }

    pub(super) fn dtype(&self) -> Dtype {
        self.view.dtype()
    }

    pub(super) fn bytes(&self, dtype: Dtype) -> Result<&'a [u8]> {
        if self.view.dtype() != dtype {
            let found = self.view.dtype();
            return Err(self.wrong(format!("is of type {found}, {dtype} is expected")));
        }
        Ok(self.view.data())
    }

    /// Its shape, which must be a matrix.
    pub(super) fn matrix(&self) -> Result<[usize; 2]> {
        let shape = self.view.shape();
        let matrix = shape.try_into();
        matrix.map_err(|_| self.wrong(format!("has the shape {shape:?}, a matrix is expected")))
    }

    /// Checks its shape; dimensions of 1 at the end may be missing.
    pub(super) fn expect_shape(&self, expected: &[usize]) -> Result<()> {
        let trim = |shape: &[usize]| {
            let end = shape.iter().rposition(|&n| n != 1).map_or(0, |at| at + 1);
            shape[..end].to_vec()
        };
        let found = self.view.shape();
        if trim(found) == trim(expected) {
            return Ok(());
        }
        Err(self.wrong(format!("has the shape {found:?}, {expected:?} is expected")))
    }

    /// Floating-point values, and the type that they are exact in.
    pub(super) fn floats(&self) -> Result<(Vec<f32>, ScaleType)> {
        let data = self.view.data();
        let pairs = || data.as_chunks::<2>().0.iter();
        Ok(match self.view.dtype() {
            Dtype::F32 => {
                let numbers = data.as_chunks::<4>().0.iter();
                (numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect(), ScaleType::F32)
            }
            Dtype::F16 => {
                (pairs().map(|b| f16::from_le_bytes(*b).to_f32()).collect(), ScaleType::F16)
            }
            Dtype::BF16 => {
                (pairs().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(), ScaleType::Bf16)
            }
            other => {
                return Err(self.wrong(format!("is of type {other}, F32, F16 or BF16 is expected")));
            }
        })
    }

    /// Integers of 32 or 64 bits, none of them negative.
    pub(super) fn indices(&self) -> Result<Vec<u32>> {
        let data = self.view.data();
        let numbers: Vec<i64> = match self.view.dtype() {
            Dtype::I32 => {
                let numbers = data.as_chunks::<4>().0.iter();
                numbers.map(|bytes| i32::from_le_bytes(*bytes).into()).collect()
            }
            Dtype::I64 => data.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
            other => return Err(self.wrong(format!("is of type {other}, I32 or I64 is expected"))),
        };
        let index = |number: i64| {
            u32::try_from(number).map_err(|_| self.wrong(format!("holds {number}: no index")))
        };
        numbers.into_iter().map(index).collect()
    }
}

/// Turns `[rows, columns]` into `[columns, rows]`.
pub(super) fn transposed<T: Copy>(values: &[T], columns: usize) -> Vec<T> {
    let rows = values.len() / columns.max(1);
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}
