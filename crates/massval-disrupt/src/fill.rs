//! The tensor work of an intervention: statistics over a prompt, and writing.

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use massval_hooks::HookFailure;

/// Which columns of a pass hold tokens, and which token of its prompt each is.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    pub(crate) rows: usize,
    pub(crate) seq: usize,
    /// Row-major `[rows, seq]`, true = a token; absent where all are.
    mask: Option<Vec<bool>>,
}

impl Columns {
    pub(crate) fn new(rows: usize, seq: usize, mask: Option<&[bool]>) -> Result<Self, HookFailure> {
        if let Some(mask) = mask
            && mask.len() != rows * seq
        {
            let (wanted, got) = (rows * seq, mask.len());
            return Err(format!("the padding mask has {got} entries, the pass {wanted}").into());
        }
        Ok(Self { rows, seq, mask: mask.map(<[bool]>::to_vec) })
    }

    /// The columns of one row that hold tokens, in order.
    pub(crate) fn tokens(&self, row: usize) -> impl Iterator<Item = usize> + '_ {
        let real = move |column: &usize| match &self.mask {
            Some(mask) => mask.get(row * self.seq + column).copied().unwrap_or_default(),
            None => true,
        };
        (0..self.seq).filter(real)
    }

    /// Tokens of each row.
    pub(crate) fn counts(&self) -> Vec<usize> {
        (0..self.rows).map(|row| self.tokens(row).count()).collect()
    }

    /// `[rows, 1, 1, seq]`: 1 for a token, 0 for padding.
    fn weights(&self, device: &Device) -> Tensor<4> {
        let shape = [self.rows, 1, 1, self.seq];
        match &self.mask {
            None => Tensor::ones(shape, (device, DType::F32)),
            Some(mask) => {
                let weights: Vec<f32> =
                    mask.iter().map(|&real| f32::from(u8::from(real))).collect();
                Tensor::from_data(TensorData::new(weights, shape), device)
            }
        }
    }

    /// `[rows, 1, seq, 1]`, true for padding; `None` if there is none.
    fn padding(&self, device: &Device) -> Option<Tensor<4, Bool>> {
        let mask = self.mask.as_ref()?;
        let padding: Vec<bool> = mask.iter().map(|real| !real).collect();
        let shape = [self.rows, 1, self.seq, 1];
        Some(Tensor::from_data(TensorData::new(padding, shape), device))
    }
}

/// A prompt's `[rows, heads, seq, head_dim]` in f32, and what is summed over its tokens.
pub(crate) struct Prompt<'a> {
    x: Tensor<4>,
    columns: &'a Columns,
}

impl<'a> Prompt<'a> {
    pub(crate) fn new(x: &Tensor<4>, columns: &'a Columns) -> Self {
        Self { x: x.clone().cast(DType::F32), columns }
    }

    pub(crate) fn columns(&self) -> &Columns {
        self.columns
    }

    /// Sums over the tokens, `[rows, heads, 1, head_dim]`: a product with a row of ones and zeros,
    /// which masks the padding on the way.
    fn sums(&self, x: Tensor<4>) -> Tensor<4> {
        let [rows, heads, seq, _] = x.dims();
        self.columns.weights(&x.device()).expand([rows, heads, 1, seq]).matmul(x)
    }

    fn mean_of(&self, x: Tensor<4>) -> Tensor<4> {
        let counts: Vec<f32> = self.columns.counts().iter().map(|&n| n.max(1) as f32).collect();
        let shape = [counts.len(), 1, 1, 1];
        let counts = Tensor::<4>::from_data(TensorData::new(counts, shape), &x.device());
        self.sums(x) / counts
    }

    /// Channel norms, row-major `[rows, heads, head_dim]`.
    pub(crate) fn norms(&self) -> Result<Vec<f32>, HookFailure> {
        read(self.sums(self.x.clone() * self.x.clone()).sqrt())
    }

    /// Means over the tokens, `[rows, heads, 1, head_dim]`.
    pub(crate) fn mean(&self) -> Tensor<4> {
        self.mean_of(self.x.clone())
    }

    /// Standard deviations (of the population) over the tokens, `[rows, heads, 1, head_dim]`.
    pub(crate) fn deviation(&self) -> Tensor<4> {
        // From the mean, not from the squares: a massive channel is nearly constant.
        let off = self.x.clone() - self.mean();
        self.mean_of(off.clone() * off).sqrt()
    }

    /// Largest (or smallest) values over the tokens, `[rows, heads, 1, head_dim]`.
    pub(crate) fn extreme(&self, largest: bool) -> Tensor<4> {
        let mut x = self.x.clone();
        if let Some(padding) = self.columns.padding(&x.device()) {
            let none = if largest { f32::NEG_INFINITY } else { f32::INFINITY };
            x = x.clone().mask_fill(padding.expand(x.dims()), none);
        }
        if largest { x.max_dim(2) } else { x.min_dim(2) }
    }

    /// The values, row-major `[rows, heads, seq, head_dim]`.
    pub(crate) fn values(&self) -> Result<Vec<f32>, HookFailure> {
        read(self.x.clone())
    }

    /// Norms over the heads, row-major `[rows, seq, head_dim]`.
    pub(crate) fn norms_over_heads(&self) -> Result<Vec<f32>, HookFailure> {
        read((self.x.clone() * self.x.clone()).sum_dim(1).sqrt())
    }
}

/// One value for all selected channels of a head: their mean, `[rows, heads, 1, 1]`.
pub(crate) fn joint_mean(values: Tensor<4>, selected: &Tensor<4, Bool>) -> Tensor<4> {
    let weights = selected.clone().float().cast(DType::F32);
    let count = weights.clone().sum_dim(3).clamp_min(1.0);
    (values * weights).sum_dim(3) / count
}

/// One value for all selected channels of a head: the largest or smallest, `[rows, heads, 1, 1]`.
pub(crate) fn joint_extreme(
    values: Tensor<4>,
    selected: &Tensor<4, Bool>,
    largest: bool,
) -> Tensor<4> {
    let none = if largest { f32::NEG_INFINITY } else { f32::INFINITY };
    let values = values.mask_fill(selected.clone().bool_not(), none);
    if largest { values.max_dim(3) } else { values.min_dim(3) }
}

/// `x` with `values` where `mask` is true; both are stretched to the shape of `x`.
pub(crate) fn write(x: Tensor<4>, mask: Tensor<4, Bool>, values: Tensor<4>) -> Tensor<4> {
    let (dims, dtype) = (x.dims(), x.dtype());
    x.mask_where(mask.expand(dims), values.cast(dtype).expand(dims))
}

/// A mask on the device of `like`.
pub(crate) fn mask(values: Vec<bool>, shape: [usize; 4], device: &Device) -> Tensor<4, Bool> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Values on a device, in f32.
pub(crate) fn upload(values: Vec<f32>, shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
}

/// Reads a tensor back as row-major f32.
pub(crate) fn read(x: Tensor<4>) -> Result<Vec<f32>, HookFailure> {
    let data = x.try_into_data().map_err(|error| error.to_string())?;
    data.convert::<f32>().try_into_vec::<f32>().map_err(|error| format!("{error:?}").into())
}
