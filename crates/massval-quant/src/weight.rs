//! A weight as quantizers see it: rows are outputs, columns inputs.

use rayon::prelude::*;

use crate::error::same;
use crate::{Error, Result};

/// The weight of a linear, `[outputs, inputs]`, row after row; every value is finite.
#[derive(Debug, Clone, Copy)]
pub struct Weight<'a> {
    name: &'a str,
    outputs: usize,
    inputs: usize,
    values: &'a [f32],
}

impl<'a> Weight<'a> {
    /// A weight of shape `[outputs, inputs]`; `name` is what errors and files call the linear.
    ///
    /// # Errors
    /// [`Error::Shape`] if the shape is empty or the data have another size, [`Error::NonFinite`] if a value
    /// is NaN or infinite.
    pub fn new(name: &'a str, [outputs, inputs]: [usize; 2], values: &'a [f32]) -> Result<Self> {
        let count = elements(name, outputs, inputs)?;
        same(name, "values of the weight", count, values.len())?;
        check_finite(name, inputs, values)?;
        Ok(Self { name, outputs, inputs, values })
    }

    /// What errors and files call the linear.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// Rows.
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns.
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// The values, row after row.
    pub const fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Rows as slices.
    pub fn rows(&self) -> impl Iterator<Item = &'a [f32]> {
        self.values.chunks_exact(self.inputs)
    }
}

/// `outputs * inputs`, which must be neither 0 nor beyond a `usize`.
pub(crate) fn elements(name: &str, outputs: usize, inputs: usize) -> Result<usize> {
    for (what, found) in [("outputs", outputs), ("inputs", inputs)] {
        if found == 0 {
            return Err(Error::Shape { tensor: name.to_owned(), what, expected: 1, found });
        }
    }
    outputs.checked_mul(inputs).ok_or_else(|| Error::Shape {
        tensor: name.to_owned(),
        what: "outputs for so many inputs, at most",
        expected: usize::MAX / inputs,
        found: outputs,
    })
}

/// The first value of rows of `width` that is not finite, as an error.
pub(crate) fn check_finite(name: &str, width: usize, values: &[f32]) -> Result<()> {
    // Sums of magnitudes are compared, not values: a sum is one vector instruction. A sum that overflows
    // sends the row to the slow look.
    let wrong = values.par_chunks(width.max(1)).position_first(|row| {
        !row.iter().map(|x| x.abs()).sum::<f32>().is_finite() && row.iter().any(|x| !x.is_finite())
    });
    let Some(row) = wrong else { return Ok(()) };
    let column = values[row * width..].iter().position(|x| !x.is_finite()).unwrap_or_default();
    Err(Error::NonFinite { tensor: name.to_owned(), row, column })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_matrix_is_refused() {
        assert!(Weight::new("w", [2, 3], &[0.0; 6]).is_ok());
        for shape in [[2, 2], [0, 3], [6, 0], [usize::MAX, 7]] {
            let error = Weight::new("w", shape, &[0.0; 6]).expect_err("not a matrix of 6");
            assert!(matches!(error, Error::Shape { .. }), "{error}");
        }
    }

    #[test]
    fn a_value_that_is_not_finite_is_named() {
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let values = [0.0, 1.0, 2.0, 3.0, wrong, 5.0];
            let error = Weight::new("w", [2, 3], &values);
            let expected = Error::NonFinite { tensor: "w".into(), row: 1, column: 1 };
            assert_eq!(error.expect_err("not finite"), expected);
        }
        assert!(Weight::new("w", [1, 3], &[3e38; 3]).is_ok());
    }
}
