//! The triangle that says how later columns make up for an earlier one.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::triangular_inverse::invert_lower_triangular;
use faer::{MatMut, MatRef};
use rayon::prelude::*;

use crate::matrix::threads;
use crate::weight::elements;
use crate::{Error, Hessian, Result};

/// Damping that is tried next after none at all.
const FIRST: f64 = 1e-4;

/// `U`, upper triangular, with `U^T U` the inverse of the damped Hessian.
#[derive(Debug, Clone)]
pub(super) struct Factor {
    pub(super) width: usize,
    /// Column after column, zeros below the diagonal.
    upper: Vec<f64>,
    /// The share of the mean diagonal that was added.
    pub(super) damping: f64,
    /// How often that share was raised.
    pub(super) raised: usize,
}

impl Factor {
    /// Factors the Hessian with its channels in the given order.
    ///
    /// One Cholesky decomposition suffices. With `P` reversing the order of channels and
    /// `P H P = L L^T`, `H = (P L P) (P L P)^T` where `P L P` is upper triangular; so `U = P L^-1 P`.
    pub(super) fn new(hessian: &Hessian, order: &[usize], damping: f64) -> Result<Self> {
        let (mut share, mut raised) = (damping, 0);
        loop {
            if let Some(upper) = inverse_triangle(hessian, order, share)? {
                return Ok(Self { width: hessian.width(), upper, damping: share, raised });
            }
            if share >= 1.0 {
                let tensor = hessian.name().to_owned();
                return Err(Error::NotPositiveDefinite { tensor, damp: share, retries: raised });
            }
            share = (2.0 * share).clamp(FIRST, 1.0);
            raised += 1;
        }
    }

    /// Entries of `U`, column after column.
    pub(super) fn columns(&self) -> &[f64] {
        &self.upper
    }

    /// The square of `U` on rows and columns of a block, row after row.
    pub(super) fn block(&self, columns: std::ops::Range<usize>) -> Vec<f64> {
        let entry = |row: usize, column: usize| self.upper[column * self.width + row];
        let rows = columns.clone();
        rows.flat_map(|row| columns.clone().map(move |column| entry(row, column))).collect()
    }
}

/// `P L^-1 P` by columns; `None` if the matrix is not positive definite.
fn inverse_triangle(hessian: &Hessian, order: &[usize], share: f64) -> Result<Option<Vec<f64>>> {
    let width = hessian.width();
    let count = elements(hessian.name(), width, width)?;
    let live: Vec<f64> = hessian.diagonal().filter(|&d| d > 0.0).map(f64::from).collect();
    let mean = live.iter().sum::<f64>() / live.len().max(1) as f64;

    let mut lower = vec![0.0f64; count];
    lower.par_chunks_exact_mut(width).enumerate().for_each(|(column, entries)| {
        let from = &hessian.values()[order[width - 1 - column] * width..][..width];
        for (row, entry) in entries.iter_mut().enumerate().skip(column) {
            *entry = from[order[width - 1 - row]].into();
        }
        // A dead channel stands apart from all others; any positive number serves.
        let diagonal = &mut entries[column];
        *diagonal = if *diagonal == 0.0 { mean } else { *diagonal } + share * mean;
    });
    let mut buffer =
        MemBuffer::new(cholesky_in_place_scratch::<f64>(width, threads(), Default::default()));
    let factored = cholesky_in_place(
        MatMut::from_column_major_slice_mut(&mut lower, width, width),
        Default::default(),
        threads(),
        MemStack::new(&mut buffer),
        Default::default(),
    );
    if factored.is_err() {
        return Ok(None);
    }
    let mut inverse = vec![0.0f64; count];
    invert_lower_triangular(
        MatMut::from_column_major_slice_mut(&mut inverse, width, width),
        MatRef::from_column_major_slice(&lower, width, width),
        threads(),
    );
    // A tiny pivot may overflow what it divides.
    if !inverse.par_iter().all(|x| x.is_finite()) {
        return Ok(None);
    }
    // Reversing the buffer reverses rows and columns.
    inverse.reverse();
    Ok(Some(inverse))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::HessianAccumulator;

    fn hessian(rows: &[f32], width: usize) -> Result<Hessian> {
        let mut seen = HessianAccumulator::new("w", width)?;
        seen.push(rows)?;
        seen.finish()
    }

    proptest! {
        #[test]
        fn the_factor_inverts_the_damped_hessian(
            rows in prop::collection::vec(-2.0f32..2.0, 12 * 7), turn in 0usize..7,
        ) {
            let width = 7;
            let hessian = hessian(&rows, width)?;
            let order: Vec<usize> = (0..width).map(|i| (i + turn) % width).collect();
            let factor = Factor::new(&hessian, &order, 0.05)?;
            prop_assert_eq!((factor.damping, factor.raised), (0.05, 0));
            let mean = hessian.diagonal().map(f64::from).sum::<f64>() / width as f64;
            let u = factor.block(0..width);
            let damped = |i: usize, j: usize| {
                let entry = hessian.values()[order[i] * width + order[j]];
                f64::from(entry) + if i == j { 0.05 * mean } else { 0.0 }
            };
            for i in 0..width {
                for j in 0..width {
                    prop_assert!(j >= i || u[i * width + j] == 0.0);
                    // Row i of U^T U times column j of the damped Hessian.
                    let inverse = |k: usize| -> f64 {
                        (0..width).map(|l| u[l * width + i] * u[l * width + k]).sum()
                    };
                    let unit: f64 = (0..width).map(|k| inverse(k) * damped(k, j)).sum();
                    let expected = f64::from(u8::from(i == j));
                    prop_assert!((unit - expected).abs() < 1e-9, "{i} {j}: {unit}");
                }
                prop_assert!(u[i * width + i] > 0.0);
            }
        }
    }

    #[test]
    fn damping_raises_itself_and_is_counted() -> Result<()> {
        // Two tokens for three channels: singular without damping.
        let singular = hessian(&[1.0, 2.0, 3.0, 1.0, 2.0, 3.0], 3)?;
        let factor = Factor::new(&singular, &[0, 1, 2], 0.0)?;
        assert!(factor.raised > 0 && factor.damping > 0.0, "{factor:?}");
        // Indefinite: eigenvalues 1 + 0.4 and 1 - 1.4.
        let values = vec![1.0, 1.4, 1.4, 1.0];
        let indefinite = Hessian::new("w", 2, values, 1)?;
        let factor = Factor::new(&indefinite, &[0, 1], 0.01)?;
        assert_eq!((factor.damping, factor.raised), (0.64, 6));
        let hopeless = Hessian::new("w", 2, vec![1.0, 5.0, 5.0, 1.0], 1)?;
        let error = Factor::new(&hopeless, &[0, 1], 0.01).expect_err("indefinite");
        let expected = Error::NotPositiveDefinite { tensor: "w".into(), damp: 1.0, retries: 7 };
        assert_eq!(error, expected);
        Ok(())
    }
}
