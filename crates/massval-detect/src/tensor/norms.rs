//! Channel norms of burn tensors.
//!
//! Squares are summed in `f32` on the device, as a tree: blocks of at most 32 tokens, then blocks of those
//! sums, and so on; the sums of successive pushes meet in a binary counter, like the digits of a growing
//! number. So every value passes through few additions, each with numbers of about its own size: over a
//! million tokens the relative error stays below 4e-6 even if every rounding goes the same way.
//! The last additions, one for each binary digit, are made on the host in `f64`. Compensated (Kahan)
//! summation would not do, since shader compilers may reassociate it away.
//!
//! Where host and device share memory, the values are summed in `f64` where they lie, as slices are.

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use half::{bf16, f16};

use super::{failed, is_host, read};
use crate::error::same;
use crate::selection::count;
use crate::{ChannelNorms, Element, Error, HeadsView, NormAccumulator, Result, TokenSelection};

/// Most values that are added in a row.
const BLOCK: usize = 32;
/// Values that are read at a time where the device is the host.
const HOST_BLOCK: usize = 1 << 18;

/// Channel norms of `x`, `[batch, heads, seq, head_dim]`, on the device where it is.
///
/// Inputs of any float type are widened to `f32` before they are squared, so on a GPU values above 1.8e19
/// overflow (an error) and values below 1e-23 count as zero.
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
    /// Tokens in `digits`.
    tokens: u64,
    /// What was summed in host memory.
    host: NormAccumulator,
    /// `digits[i]`, `[heads, head_dim]`, is the sum of about `2^i` pushes.
    digits: Vec<Option<Tensor<2>>>,
}

impl TensorNormAccumulator {
    /// An empty accumulator for tensors with `heads` heads of `head_dim` channels.
    pub fn new(heads: usize, head_dim: usize) -> Self {
        let host = NormAccumulator::new(heads, head_dim);
        Self { heads, head_dim, tokens: 0, host, digits: Vec::new() }
    }

    /// How many tokens have been summed so far.
    pub fn tokens(&self) -> u64 {
        self.tokens + self.host.tokens()
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
        let [_, heads, _, head_dim] = x.dims();
        same("heads", self.heads, heads)?;
        same("channels of a head", self.head_dim, head_dim)?;
        if is_host(&x.device()) {
            return self.push_on_host(x, start_position, tokens);
        }
        self.push_on_device(x, start_position, tokens)
    }

    /// Reads a few tokens at a time: burn copies what it hands out, and small copies stay in the cache.
    fn push_on_host(&mut self, x: Tensor<4>, start: usize, tokens: &TokenSelection) -> Result<()> {
        let [batch, heads, seq, head_dim] = x.dims();
        // Whatever it selects: a mask of the wrong size is an error.
        let columns = match tokens.runs(start, batch, seq)?.is_empty() {
            true => 0..0,
            false => tokens.columns(start, seq),
        };
        let x = x.detach();
        let step = (HOST_BLOCK / (batch * heads * head_dim).max(1)).max(1);
        for from in columns.clone().step_by(step) {
            let to = (from + step).min(columns.end);
            let mask: Option<Vec<bool>> = tokens.padding_mask().map(|mask| {
                mask.chunks_exact(seq).flat_map(|row| &row[from..to]).copied().collect()
            });
            let part =
                if to - from == seq { x.clone() } else { x.clone().narrow(2, from, to - from) };
            let mut tokens = TokenSelection::all();
            if let Some(mask) = &mask {
                tokens = tokens.mask(mask);
            }
            self.push_part(part, &tokens)?;
        }
        Ok(())
    }

    /// Adds the selected tokens of a small `[batch, heads, seq, head_dim]`.
    fn push_part(&mut self, part: Tensor<4>, tokens: &TokenSelection) -> Result<()> {
        let shape = part.dims();
        let data = part.try_into_data().map_err(failed)?;
        let sums = &mut self.host;
        match data.dtype() {
            DType::F32 => push_data::<f32>(sums, &data, shape, tokens),
            DType::F64 => push_data::<f64>(sums, &data, shape, tokens),
            DType::F16 => push_data::<f16>(sums, &data, shape, tokens),
            DType::BF16 => push_data::<bf16>(sums, &data, shape, tokens),
            other => {
                Err(Error::Device { reason: format!("a tensor of {other:?} has no channel norms") })
            }
        }
    }

    fn push_on_device(
        &mut self,
        x: Tensor<4>,
        start_position: usize,
        tokens: &TokenSelection,
    ) -> Result<()> {
        let [batch, heads, seq, head_dim] = x.dims();
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
        self.host.merge(&other.host)
    }

    /// The channel norms of everything seen so far, after one read-back.
    ///
    /// # Errors
    /// As [`crate::NormAccumulator::finish`], and [`Error::Device`] if the device fails.
    pub fn finish(&self) -> Result<ChannelNorms> {
        let digits: Vec<Tensor<2>> = self.digits.iter().flatten().cloned().collect();
        if digits.is_empty() {
            return self.host.finish();
        }
        let values = read(Tensor::stack::<3>(digits, 0))?;
        let mut sums = self.host.sums().to_vec();
        for digit in values.chunks_exact(sums.len()) {
            for (sum, &value) in sums.iter_mut().zip(digit) {
                *sum += f64::from(value);
            }
        }
        ChannelNorms::from_sums(self.heads, self.head_dim, self.tokens(), &sums)
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

/// Adds a contiguous `[batch, heads, seq, head_dim]` in host memory.
fn push_data<T: Element + burn::tensor::Element>(
    sums: &mut NormAccumulator,
    data: &TensorData,
    shape: [usize; 4],
    tokens: &TokenSelection,
) -> Result<()> {
    let values = data.as_slice::<T>().map_err(failed)?;
    sums.push(&HeadsView::contiguous(values, shape)?, 0, tokens)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Adversarial for `f32`: constants that round one way, a first token that dwarfs the rest.
    fn hard(s: usize) -> [f32; 4] {
        let first = if s == 0 { 30_000.0 } else { 0.01 };
        [0.1, first, s as f32 * 1e-3, if s.is_multiple_of(2) { 1e-3 } else { -7.0 }]
    }

    fn tensor(data: Vec<f32>, shape: [usize; 4]) -> Tensor<4> {
        Tensor::from_data(TensorData::new(data, shape), &Device::default())
    }

    /// The path of a GPU, on whatever device there is.
    #[test]
    fn a_million_tokens_stay_within_1e_5_on_the_device() -> Result<()> {
        let data: Vec<f32> = (0..1_000_000).flat_map(hard).collect();
        let mut host = NormAccumulator::new(1, 4);
        host.push(&HeadsView::contiguous(&data, [1, 1, 1_000_000, 4])?, 0, &TokenSelection::all())?;
        let expected = host.finish()?;
        for chunk in [1_000_000, 4093, 997] {
            let mut sums = TensorNormAccumulator::new(1, 4);
            for part in data.chunks(4 * chunk) {
                let x = tensor(part.to_vec(), [1, 1, part.len() / 4, 4]);
                sums.push_on_device(x, 0, &TokenSelection::all())?;
            }
            let norms = sums.finish()?;
            assert_eq!(norms.tokens(), 1_000_000);
            for (found, expected) in norms.values().iter().zip(expected.values()) {
                let error = (found - expected).abs() / expected;
                assert!(error < 4e-6, "in chunks of {chunk}: {error:e}");
            }
        }
        Ok(())
    }

    #[test]
    fn the_device_path_gives_what_the_host_gives() -> Result<()> {
        for (shape, from) in
            [([2, 3, 5, 4], 0), ([1, 2, 47, 3], 2), ([40, 1, 64, 2], 1), ([3, 2, 149, 1], 7)]
        {
            let [batch, heads, seq, head_dim] = shape;
            let data: Vec<f32> =
                (0..shape.iter().product()).map(|i| (i as f32 * 0.7).sin()).collect();
            let mask: Vec<bool> = (0..batch * seq).map(|i| i % 5 != 3).collect();
            for tokens in
                [TokenSelection::all(), TokenSelection::all().range(from..seq - 1).mask(&mask)]
            {
                let mut host = TensorNormAccumulator::new(heads, head_dim);
                host.host.push(&HeadsView::contiguous(&data, shape)?, 0, &tokens)?;
                let mut device = TensorNormAccumulator::new(heads, head_dim);
                device.push_on_device(tensor(data.clone(), shape), 0, &tokens)?;
                let (expected, found) = (host.finish()?, device.finish()?);
                assert_eq!(found.tokens(), expected.tokens());
                for (found, expected) in found.values().iter().zip(expected.values()) {
                    assert!((found - expected).abs() < 1e-6 * expected, "{shape:?}");
                }
                // One part here, one there: the results add up.
                device.merge(&host)?;
                let both = device.finish()?;
                assert_eq!(both.tokens(), 2 * expected.tokens());
                assert!(
                    (both.values()[0] - expected.values()[0] * 2f32.sqrt()).abs()
                        < 1e-5 * both.values()[0]
                );
            }
        }
        Ok(())
    }

    #[test]
    fn padding_is_filled_not_multiplied() -> Result<()> {
        let mask = [true, false, true, false];
        let mut sums = TensorNormAccumulator::new(1, 1);
        let x = tensor(vec![1.0, f32::NAN, 2.0, f32::INFINITY], [1, 1, 4, 1]);
        sums.push_on_device(x, 0, &TokenSelection::all().mask(&mask))?;
        assert_eq!(sums.finish()?.values(), [5f32.sqrt()]);
        Ok(())
    }
}
