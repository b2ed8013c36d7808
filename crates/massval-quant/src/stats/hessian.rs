//! Second moments of a linear's inputs: the Hessian of its squared output error.

use rayon::prelude::*;

use super::{check_rows, check_width};
use crate::error::same;
use crate::matrix::{add_gram, dot, multiply_transposed};
use crate::weight::elements;
use crate::{Error, Result, Weight};

/// Gathers `sum of x x^T` over tokens, in `f32`; only the lower triangle.
///
/// # Memory
/// `4 width^2` bytes, whatever the number of tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct HessianAccumulator {
    name: String,
    width: usize,
    sums: Vec<f32>,
    tokens: u64,
}

impl HessianAccumulator {
    /// Nothing seen yet; `name` is what errors call the linear.
    ///
    /// # Errors
    /// [`Error::Shape`] if `width` is 0 or its square does not fit into a `usize`.
    pub fn new(name: impl Into<String>, width: usize) -> Result<Self> {
        let name = name.into();
        check_width(&name, width)?;
        let sums = vec![0.0; elements(&name, width, width)?];
        Ok(Self { name, width, sums, tokens: 0 })
    }

    /// Adds activations, `[tokens, width]`. Some hundred tokens at once multiply best.
    ///
    /// # Errors
    /// [`Error::Shape`] if they are not whole rows, [`Error::NonFinite`] if one is NaN or infinite; nothing
    /// is added then.
    pub fn push(&mut self, rows: &[f32]) -> Result<()> {
        let tokens = check_rows(&self.name, self.width, self.tokens, rows)?;
        if tokens > 0 {
            add_gram(&mut self.sums, rows, self.width);
            self.tokens += tokens as u64;
        }
        Ok(())
    }

    /// Adds what another accumulator has seen.
    ///
    /// # Errors
    /// [`Error::Shape`] if it is of another width.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        same(&self.name, "inputs", self.width, other.width)?;
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            *sum += other;
        }
        self.tokens += other.tokens;
        Ok(())
    }

    /// Tokens seen so far.
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The mean over everything seen.
    ///
    /// # Errors
    /// [`Error::NoTokens`] if nothing was seen, [`Error::NonFiniteStatistic`] if a sum overflowed.
    pub fn finish(mut self) -> Result<Hessian> {
        if self.tokens == 0 {
            return Err(Error::NoTokens { tensor: self.name });
        }
        let (width, count) = (self.width, self.tokens as f64);
        for value in &mut self.sums {
            *value = (f64::from(*value) / count) as f32;
        }
        for row in 0..width {
            for column in row + 1..width {
                self.sums[row * width + column] = self.sums[column * width + row];
            }
        }
        Hessian::new(self.name, width, self.sums, self.tokens)
    }
}

/// The mean of `x x^T` over the tokens of a calibration, `[width, width]`.
///
/// With it the squared error that a changed weight makes in a linear's outputs is `tr(D H D^T)`, for all
/// tokens at once; its second derivative is `2 H`, which is what GPTQ calls the Hessian (GPTQ, Sec. 3.2).
#[derive(Debug, Clone, PartialEq)]
pub struct Hessian {
    name: String,
    width: usize,
    values: Vec<f32>,
    tokens: u64,
}

impl Hessian {
    /// From stored numbers, row after row; the matrix must be symmetric.
    ///
    /// # Errors
    /// [`Error::Shape`] if there are not `width^2` of them, [`Error::NonFiniteStatistic`] if one is NaN or
    /// infinite, [`Error::Stored`] if the matrix is not symmetric or has a negative diagonal,
    /// [`Error::NoTokens`] if `tokens` is 0.
    pub fn new(
        name: impl Into<String>,
        width: usize,
        values: Vec<f32>,
        tokens: u64,
    ) -> Result<Self> {
        let name = name.into();
        check_width(&name, width)?;
        same(&name, "entries of the Hessian", elements(&name, width, width)?, values.len())?;
        if tokens == 0 {
            return Err(Error::NoTokens { tensor: name });
        }
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            let statistic = "second moment";
            return Err(Error::NonFiniteStatistic { tensor: name, statistic, channel: at % width });
        }
        for row in 0..width {
            let mirrored = (0..row).all(|c| values[row * width + c] == values[c * width + row]);
            if !mirrored || values[row * width + row] < 0.0 {
                let reason = format!("row {row} of the Hessian: not symmetric, or below zero");
                return Err(Error::Stored { tensor: name, reason });
            }
        }
        Ok(Self { name, width, values, tokens })
    }

    /// What errors call the linear.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Input channels.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// The matrix, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Tokens that it is the mean of.
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The mean square of each input channel.
    pub fn diagonal(&self) -> impl Iterator<Item = f32> {
        self.values.iter().copied().step_by(self.width + 1)
    }

    /// What the matrix is after each channel is divided by its scale, as folding does.
    ///
    /// # Errors
    /// [`Error::Shape`] if there is not one scale per channel, [`Error::NonFiniteStatistic`] if an entry
    /// overflows.
    pub fn divided(&self, scales: &[f32]) -> Result<Self> {
        same(&self.name, "scales of the inputs", self.width, scales.len())?;
        let entry = |(at, &x): (usize, &f32)| {
            // The same expression on both sides of the diagonal keeps the matrix symmetric to the bit.
            (f64::from(x)
                / (f64::from(scales[at / self.width]) * f64::from(scales[at % self.width])))
                as f32
        };
        let values = self.values.iter().enumerate().map(entry).collect();
        Self::new(self.name.clone(), self.width, values, self.tokens)
    }

    /// The squared error of each output that a change of the weight makes, mean over the tokens:
    /// `d H d^T` for each row `d` of `change`, `[outputs, width]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `change` is not whole rows.
    pub fn row_errors(&self, change: &[f32]) -> Result<Vec<f64>> {
        let outputs = change.len() / self.width;
        same(&self.name, "values of whole rows", outputs * self.width, change.len())?;
        // In pieces: the product is as large as the change.
        let pieces = change.chunks(512 * self.width).flat_map(|change| {
            let products = multiply_transposed(change, &self.values, self.width);
            let rows = change.par_chunks_exact(self.width);
            let errors = rows.zip(products.par_chunks_exact(self.width)).map(|(d, hd)| dot(d, hd));
            // Rounding may leave a tiny negative number where the error is zero.
            errors.map(|error| error.max(0.0)).collect::<Vec<f64>>()
        });
        Ok(pieces.collect())
    }

    /// The squared error of all outputs if `weight` becomes `changed`, mean over tokens, and the mean square
    /// of the outputs that it is to be compared with.
    ///
    /// # Errors
    /// [`Error::Shape`] if the shapes differ.
    pub fn output_error(&self, weight: &Weight<'_>, changed: &[f32]) -> Result<OutputError> {
        same(weight.name(), "inputs", self.width, weight.inputs())?;
        same(weight.name(), "values of the weight", weight.values().len(), changed.len())?;
        let change: Vec<f32> = changed.iter().zip(weight.values()).map(|(a, b)| a - b).collect();
        let sum = |errors: Vec<f64>| errors.iter().sum::<f64>();
        let error = sum(self.row_errors(&change)?);
        Ok(OutputError { error, power: sum(self.row_errors(weight.values())?) })
    }
}

/// What a quantized weight does to the outputs of its linear, on the calibration's tokens.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct OutputError {
    /// Squared error, summed over outputs, mean over tokens.
    pub error: f64,
    /// Squared output before quantization, summed and averaged alike.
    pub power: f64,
}

impl OutputError {
    /// The share of the outputs' power that the error is; 0 if both are 0.
    pub fn relative(self) -> f64 {
        if self.error == 0.0 { 0.0 } else { self.error / self.power }
    }
}

#[cfg(test)]
mod tests;
