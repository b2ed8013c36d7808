//! Magnitudes of each input channel: what SmoothQuant and AWQ ask for.

use serde::{Deserialize, Serialize};

use super::{check_rows, check_width};
use crate::error::same;
use crate::{Error, Result};

/// Gathers the largest and the mean magnitude of each input channel.
///
/// ```
/// use massval_quant::ChannelAccumulator;
/// let mut seen = ChannelAccumulator::new("proj", 2)?;
/// seen.push(&[1.0, -8.0, -3.0, 2.0])?; // two tokens
/// seen.push(&[2.0, 2.0])?;
/// let stats = seen.finish()?;
/// assert_eq!((stats.abs_max(), stats.abs_mean()), (&[3.0, 8.0][..], &[2.0, 4.0][..]));
/// # Ok::<(), massval_quant::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelAccumulator {
    name: String,
    abs_max: Vec<f32>,
    abs_sum: Vec<f64>,
    tokens: u64,
}

impl ChannelAccumulator {
    /// Nothing seen yet; `name` is what errors call the linear.
    ///
    /// # Errors
    /// [`Error::Shape`] if `width` is 0.
    pub fn new(name: impl Into<String>, width: usize) -> Result<Self> {
        let name = name.into();
        check_width(&name, width)?;
        Ok(Self { name, abs_max: vec![0.0; width], abs_sum: vec![0.0; width], tokens: 0 })
    }

    /// Adds activations, `[tokens, width]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if they are not whole rows, [`Error::NonFinite`] if one is NaN or infinite; nothing
    /// is added then.
    pub fn push(&mut self, rows: &[f32]) -> Result<()> {
        let width = self.abs_max.len();
        let tokens = check_rows(&self.name, width, self.tokens, rows)?;
        for row in rows.chunks_exact(width) {
            for ((max, sum), x) in self.abs_max.iter_mut().zip(&mut self.abs_sum).zip(row) {
                let x = x.abs();
                *max = if x > *max { x } else { *max };
                *sum += f64::from(x);
            }
        }
        self.tokens += tokens as u64;
        Ok(())
    }

    /// Adds what another accumulator has seen.
    ///
    /// # Errors
    /// [`Error::Shape`] if it is of another width.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        same(&self.name, "inputs", self.abs_max.len(), other.abs_max.len())?;
        for (max, other) in self.abs_max.iter_mut().zip(&other.abs_max) {
            *max = max.max(*other);
        }
        for (sum, other) in self.abs_sum.iter_mut().zip(&other.abs_sum) {
            *sum += other;
        }
        self.tokens += other.tokens;
        Ok(())
    }

    /// Tokens seen so far.
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The statistics of everything seen.
    ///
    /// # Errors
    /// [`Error::NoTokens`] if nothing was seen.
    pub fn finish(self) -> Result<ChannelStats> {
        if self.tokens == 0 {
            return Err(Error::NoTokens { tensor: self.name });
        }
        let mean = |sum: f64| (sum / self.tokens as f64) as f32;
        let abs_mean = self.abs_sum.iter().map(|&sum| mean(sum)).collect();
        Ok(ChannelStats { abs_max: self.abs_max, abs_mean, tokens: self.tokens })
    }
}

/// The largest and the mean magnitude of each input channel of a linear.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelStats {
    abs_max: Vec<f32>,
    abs_mean: Vec<f32>,
    tokens: u64,
}

impl ChannelStats {
    /// The largest `|x|` of each channel.
    pub fn abs_max(&self) -> &[f32] {
        &self.abs_max
    }

    /// The mean `|x|` of each channel.
    pub fn abs_mean(&self) -> &[f32] {
        &self.abs_mean
    }

    /// The largest `|x|` of all: the range of a static per-tensor quantizer.
    pub fn range(&self) -> f32 {
        self.abs_max.iter().copied().fold(0.0, f32::max)
    }

    /// Tokens that they were gathered from.
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// What the statistics are after each channel is divided by its scale, as folding does.
    ///
    /// # Errors
    /// [`Error::Shape`] if there is not one scale per channel.
    pub fn divided(&self, scales: &[f32]) -> Result<Self> {
        same("scales of the inputs", "channels", self.abs_max.len(), scales.len())?;
        let divide = |values: &[f32]| values.iter().zip(scales).map(|(x, s)| x / s.abs()).collect();
        Ok(Self {
            abs_max: divide(&self.abs_max),
            abs_mean: divide(&self.abs_mean),
            tokens: self.tokens,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_and_merged_parts_give_the_plain_statistics(
            width in 1usize..9, tokens in 1usize..40, cut in 0usize..40, seed in any::<u64>(),
        ) {
            let value = |i: usize| ((seed.wrapping_mul(i as u64 + 7) >> 40) as f32 - 8e6) / 1e6;
            let rows: Vec<f32> = (0..width * tokens).map(value).collect();
            let (left, right) = rows.split_at(cut.min(tokens) * width);
            let mut a = ChannelAccumulator::new("w", width)?;
            let mut b = a.clone();
            a.push(left)?;
            b.push(right)?;
            a.merge(&b)?;
            let stats = a.finish()?;
            prop_assert_eq!(stats.tokens(), tokens as u64);
            for channel in 0..width {
                let column = rows.iter().skip(channel).step_by(width).map(|x| f64::from(x.abs()));
                let max = column.clone().fold(0.0, f64::max);
                let mean = column.sum::<f64>() / tokens as f64;
                prop_assert_eq!(f64::from(stats.abs_max()[channel]), max);
                prop_assert!((f64::from(stats.abs_mean()[channel]) - mean).abs() <= mean * 1e-6);
            }
        }
    }

    #[test]
    fn nothing_seen_and_broken_rows_are_errors() -> Result<()> {
        let mut seen = ChannelAccumulator::new("w", 2)?;
        assert!(seen.push(&[1.0; 3]).is_err());
        seen.push(&[1.0; 4])?;
        let error = seen.push(&[0.0, 0.0, 0.0, f32::NAN]).expect_err("not finite");
        assert_eq!(error, Error::NonFinite { tensor: "w".into(), row: 3, column: 1 });
        assert_eq!(seen.tokens(), 2);
        let empty = ChannelAccumulator::new("w", 2)?;
        assert_eq!(empty.finish(), Err(Error::NoTokens { tensor: "w".into() }));
        assert!(ChannelAccumulator::new("w", 0).is_err());
        Ok(())
    }
}
