//! Tensors seen as values in host memory, without a copy.

use std::mem::MaybeUninit;

use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_flex::{Flex, FlexTensor};

use super::matrix::Matrix;

/// Whether a tensor lies in host memory as f32, and nobody needs its gradient.
pub(super) fn is_plain<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && x.device() == Device::flex() && !x.device().is_autodiff()
}

/// What the backend keeps of a plain tensor; gives any other back.
fn primitive<const D: usize>(x: Tensor<D>) -> Result<FlexTensor, Tensor<D>> {
    if !is_plain(&x) {
        return Err(x);
    }
    Ok(x.try_into_primitive::<Flex>().expect("a tensor on the CPU without a gradient"))
}

/// The values of a plain tensor where they lie, in whatever order.
pub(super) struct Values<const D: usize> {
    tensor: FlexTensor,
    dims: [usize; D],
    strides: [usize; D],
}

impl<const D: usize> Values<D> {
    /// `None` if the tensor is not plain, or a dimension runs backwards.
    pub(super) fn of(x: &Tensor<D>) -> Option<Self> {
        let tensor = primitive(x.clone()).ok()?;
        let mut strides = [0; D];
        for (to, &from) in strides.iter_mut().zip(tensor.layout().strides()) {
            *to = usize::try_from(from).ok()?;
        }
        Some(Self { tensor, dims: x.dims(), strides })
    }

    pub(super) fn dims(&self) -> [usize; D] {
        self.dims
    }

    pub(super) fn strides(&self) -> [usize; D] {
        self.strides
    }

    /// From the first value on; the others follow by the strides.
    pub(super) fn onwards(&self) -> &[f32] {
        self.tensor.storage().get(self.tensor.layout().start_offset()..).unwrap_or_default()
    }

    /// All values in row-major order, if that is how they lie.
    pub(super) fn contiguous(&self) -> Option<&[f32]> {
        let mut next = 1;
        for (&dim, &stride) in self.dims.iter().zip(&self.strides).rev() {
            if dim != 1 && stride != next {
                return None;
            }
            next *= dim;
        }
        self.onwards().get(..next)
    }
}

impl Values<2> {
    pub(super) fn matrix(&self) -> Option<Matrix<'_>> {
        let ([rows, columns], [row, column]) = (self.dims, self.strides);
        Matrix::new(self.onwards(), rows, columns, row, column)
    }
}

impl Values<3> {
    /// Batch and sequence as one dimension, if one stride leads through both.
    pub(super) fn rows(&self) -> Option<Matrix<'_>> {
        let ([batch, seq, width], [outer, row, column]) = (self.dims, self.strides);
        let row = if seq == 1 { outer } else { row };
        if batch > 1 && seq > 1 && outer != seq * row {
            return None;
        }
        Matrix::new(self.onwards(), batch * seq, width, row, column)
    }
}

/// A new tensor in host memory.
///
/// # Safety
/// `write` must write every value of the slice that it is given.
#[allow(unsafe_code, reason = "outputs are written once instead of twice; see Safety")]
pub(super) unsafe fn made<const D: usize>(
    dims: [usize; D],
    write: impl FnOnce(&mut [MaybeUninit<f32>]),
) -> Tensor<D> {
    let count = dims.iter().product();
    let mut values = Vec::with_capacity(count);
    write(&mut values.spare_capacity_mut()[..count]);
    // SAFETY: the capacity is at least `count`, and the caller has written them all.
    unsafe { values.set_len(count) };
    Tensor::from_data(TensorData::new(values, dims), &Device::flex())
}

/// Changes a plain tensor's values in place, in row-major order; copies them first if somebody else holds them
/// or they lie in another order. Any other tensor is given back.
pub(super) fn changed<const D: usize>(
    x: Tensor<D>,
    change: impl FnOnce(&mut [f32]),
) -> Result<Tensor<D>, Tensor<D>> {
    let tensor = primitive(x)?;
    let whole = tensor.layout().num_elements() * size_of::<f32>() == tensor.bytes().len();
    let mut tensor = if whole && tensor.is_contiguous() { tensor } else { tensor.to_contiguous() };
    change(tensor.storage_mut());
    Ok(Tensor::from_primitive::<Flex>(tensor))
}

/// Changes heads `[batch, heads, seq, head_dim]` in place, one token's head after the other. They stay in the
/// order they lie in, if that is this one or the one in which projections write them, `[batch, seq, heads,
/// head_dim]`; `change` gets all values, and how to tell the sequence and the token of the n-th head.
pub(super) fn changed_heads(
    x: Tensor<4>,
    change: impl FnOnce(&mut [f32], &(dyn Fn(usize) -> (usize, usize) + Sync)),
) -> Result<Tensor<4>, Tensor<4>> {
    let [_, heads, seq, dim] = x.dims();
    let tensor = primitive(x)?;
    let layout = tensor.layout();
    let whole = layout.num_elements() * size_of::<f32>() == tensor.bytes().len();
    let stride = |n: usize| isize::try_from(n).unwrap_or(-1);
    let by_token = whole
        && *layout.strides() == [stride(seq * heads * dim), stride(dim), stride(heads * dim), 1];
    if by_token {
        let mut tensor = tensor;
        change(tensor.storage_mut(), &|n| (n / (seq * heads), n / heads % seq));
        return Ok(Tensor::from_primitive::<Flex>(tensor));
    }
    let mut tensor = if whole && tensor.is_contiguous() { tensor } else { tensor.to_contiguous() };
    change(tensor.storage_mut(), &|n| (n / (seq * heads), n % seq));
    Ok(Tensor::from_primitive::<Flex>(tensor))
}
