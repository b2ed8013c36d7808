//! Channel norms of burn tensors.
//!
//! Squares are summed in `f32` on the device, as a tree: blocks of at most 32 tokens, then blocks of those
//! sums, and so on; the sums of successive pushes meet in a binary counter, like the digits of a growing
//! number. So every value passes through few additions, each with numbers of about its own size: over a
//! million tokens the relative error stays below 4e-6 even if every rounding goes the same way.
//! The last additions, one for each binary digit, are made on the host in `f64`. Compensated (Kahan)
//! summation would not do, since shader compilers may reassociate it away.

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

use super::read;
use crate::error::same;
use crate::selection::count;
use crate::{ChannelNorms, Error, Result, TokenSelection};

/// Most values that are added in a row.
const BLOCK: usize = 32;

/// Channel norms of `x`, `[batch, heads, seq, head_dim]`, on the device where it is.
///
/// Inputs of any float type are widened to `f32` before they are squared, so values above 1.8e19 overflow
/// (an error) and values below 1e-23 count as zero.
///
/// # Errors
/// As [`crate::channel_norms`], and [`Error::Device`] if the device fails.
pub fn channel_norms_tensor(x: Tensor<4>, tokens: &TokenSelection) -> Result<ChannelNorms> {
    let [_, heads, _, head_dim] = x.dims();
    let mut sums = TensorNormAccumulator::new(heads, head_dim);
    sums.push(x, 0, tokens)?;
    sums.finish()
}

/// Sums of squares that stay on the device while chunks and prompts are added.
///
/// Holds at most one `[heads, head_dim]` tensor for each binary digit of the number of pushes.
#[derive(Debug, Clone)]
pub struct TensorNormAccumulator {
    heads: usize,
    head_dim: usize,
    tokens: u64,
    /// `digits[i]`, `[heads, head_dim]`, is the sum of about `2^i` pushes.
    digits: Vec<Option<Tensor<2>>>,
}

impl TensorNormAccumulator {
    /// An empty accumulator for tensors with `heads` heads of `head_dim` channels.
    pub fn new(heads: usize, head_dim: usize) -> Self {
        Self { heads, head_dim, tokens: 0, digits: Vec::new() }
    }

    /// How many tokens have been summed so far.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Adds a chunk `[batch, heads, seq, head_dim]` whose first column is position `start_position`.
    ///
    /// Enqueues work and returns; nothing is read back. The selection works as for
    /// [`crate::NormAccumulator::push`].
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the chunk has other heads or channels, or the mask another size,
    /// [`Error::Device`] if it is on another device than the chunks before.
    pub fn push(
        &mut self,
        x: Tensor<4>,
        start_position: usize,
        tokens: &TokenSelection,
    ) -> Result<()> {
        let [batch, heads, seq, head_dim] = x.dims();
        same("heads", self.heads, heads)?;
        same("channels of a head", self.head_dim, head_dim)?;
        self.check_device(&x.device())?;
        let selected = count(&tokens.runs(start_position, batch, seq)?);
        if selected == 0 || heads == 0 || head_dim == 0 {
            return Ok(());
        }
        let columns = tokens.columns(start_position, seq);
        // Detached, or an accumulator would keep the whole graph of a training step alive.
        let mut x = x.detach().cast(DType::F32);
        if columns.len() < seq {
            x = x.narrow(2, columns.start, columns.len());
        }
        if let Some(mask) = tokens.padding_mask() {
            let dropped: Vec<bool> = mask
                .chunks_exact(seq)
                .flat_map(|row| row.iter().take(columns.end).skip(columns.start))
                .map(|real| !real)
                .collect();
            if dropped.contains(&true) {
                let shape = [batch, 1, columns.len(), 1];
                let dropped =
                    Tensor::<4, Bool>::from_data(TensorData::new(dropped, shape), &x.device());
                // Filled, not multiplied by zero: padding may hold NaN.
                x = x.mask_fill(dropped.expand([batch, heads, columns.len(), head_dim]), 0.0);
            }
        }
        let per_sequence = tree_sum(x.square().reshape([batch * heads, columns.len(), head_dim]));
        let by_head = per_sequence.reshape([batch, heads, head_dim]).swap_dims(0, 1);
        self.carry(
            0,
            if batch == 1 { by_head.reshape([heads, head_dim]) } else { tree_sum(by_head) },
        );
        self.tokens += selected;
        Ok(())
    }

    /// Adds what another accumulator has seen.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if it is of other heads or channels, [`Error::Device`] if on another device.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        same("heads", self.heads, other.heads)?;
        same("channels of a head", self.head_dim, other.head_dim)?;
        if let Some(sum) = other.digits.iter().flatten().next() {
            self.check_device(&sum.device())?;
        }
        for (digit, sum) in other.digits.iter().enumerate() {
            if let Some(sum) = sum {
                self.carry(digit, sum.clone());
            }
        }
        self.tokens += other.tokens;
        Ok(())
    }

    /// The channel norms of everything seen so far, after one read-back.
    ///
    /// # Errors
    /// As [`crate::NormAccumulator::finish`], and [`Error::Device`] if the device fails.
    pub fn finish(&self) -> Result<ChannelNorms> {
        let digits: Vec<Tensor<2>> = self.digits.iter().flatten().cloned().collect();
        if digits.is_empty() {
            return Err(Error::NoTokens);
        }
        let values = read(Tensor::stack::<3>(digits, 0))?;
        let mut sums = vec![0f64; self.heads * self.head_dim];
        for digit in values.chunks_exact(sums.len()) {
            for (sum, &value) in sums.iter_mut().zip(digit) {
                *sum += f64::from(value);
            }
        }
        ChannelNorms::from_sums(self.heads, self.head_dim, self.tokens, &sums)
    }

    /// Adds a sum to the binary counter.
    fn carry(&mut self, digit: usize, mut sum: Tensor<2>) {
        for digit in digit.. {
            if digit >= self.digits.len() {
                self.digits.resize(digit + 1, None);
            }
            match self.digits[digit].take() {
                Some(other) => sum = other + sum,
                None => {
                    self.digits[digit] = Some(sum);
                    return;
                }
            }
        }
    }

    fn check_device(&self, device: &Device) -> Result<()> {
        match self.digits.iter().flatten().next().map(Tensor::device) {
            Some(own) if own != *device => Err(Error::Device {
                reason: format!("the sums are on {own:?}, the new tensor is on {device:?}"),
            }),
            _ => Ok(()),
        }
    }
}

/// Sums `[outer, n, inner]` over `n` in blocks of at most [`BLOCK`], level by level.
fn tree_sum(mut x: Tensor<3>) -> Tensor<2> {
    loop {
        let [outer, n, inner] = x.dims();
        if n <= BLOCK {
            return x.sum_dim(1).reshape([outer, inner]);
        }
        let block = block_of(n);
        let whole = n / block * block;
        let rest = (whole < n).then(|| x.clone().narrow(1, whole, n - whole).sum_dim(1));
        let blocks = if whole < n { x.narrow(1, 0, whole) } else { x };
        let sums = blocks.reshape([outer * (whole / block), block, inner]).sum_dim(1);
        let sums = sums.reshape([outer, whole / block, inner]);
        x = match rest {
            Some(rest) => Tensor::cat(vec![sums, rest], 1),
            None => sums,
        };
    }
}

/// The largest block that divides `n`, unless it would be small: that saves copying the rest.
fn block_of(n: usize) -> usize {
    (BLOCK / 2..=BLOCK).rev().find(|block| n.is_multiple_of(*block)).unwrap_or(BLOCK)
}
