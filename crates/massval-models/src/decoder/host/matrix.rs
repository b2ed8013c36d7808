//! Matrix products, by the `gemm` crate that burn-flex uses, into memory that nobody has filled before.

use std::mem::MaybeUninit;

/// Multiplications below which a second thread costs more than it brings.
const PARALLEL: usize = 1 << 21;

/// A matrix somewhere in a slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `None` if the slice is too short for it.
    pub(super) fn new(
        values: &'a [f32],
        rows: usize,
        columns: usize,
        row_stride: usize,
        column_stride: usize,
    ) -> Option<Self> {
        let last = rows.saturating_sub(1).checked_mul(row_stride)?;
        let last = last.checked_add(columns.saturating_sub(1).checked_mul(column_stride)?)?;
        let empty = rows == 0 || columns == 0;
        let fits = empty || last < values.len().min(isize::MAX as usize);
        fits.then_some(Self { values, rows, columns, row_stride, column_stride })
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// Writes `a * b` to `out`, row after row: every value of `out` is written.
///
/// # Panics
/// If the three do not fit together; the caller has checked shapes long before.
pub(super) fn multiply(
    out: &mut [MaybeUninit<f32>],
    a: &Matrix<'_>,
    b: &Matrix<'_>,
    parallel: bool,
) {
    let (rows, columns, inner) = (a.rows, b.columns, a.columns);
    assert!(inner == b.rows && out.len() == rows * columns, "a product of unequal shapes");
    if rows == 0 || columns == 0 || inner == 0 {
        out.fill(MaybeUninit::new(0.0));
        return;
    }
    let work = rows.saturating_mul(columns).saturating_mul(inner);
    let threads = if parallel && work >= PARALLEL {
        gemm::Parallelism::Rayon(0)
    } else {
        gemm::Parallelism::None
    };
    // SAFETY: `Matrix::new` has checked that the last element of `a` and `b` lies in its slice, the assertion
    // that `out` has `rows * columns`; strides fit isize because slices do. Without `read_dst`, gemm writes every
    // element of the output and reads none.
    #[allow(unsafe_code, reason = "a kernel; see SAFETY")]
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr().cast::<f32>(),
            1,
            columns as isize,
            false,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            threads,
        );
    }
}

/// Where the rows of a matrix lie in a slice that holds others, too.
#[cfg(feature = "autodiff")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Strided {
    pub(super) start: usize,
    pub(super) stride: usize,
}

#[cfg(feature = "autodiff")]
impl Strided {
    /// # Panics
    /// If the slice is too short.
    pub(super) fn of(self, values: &[f32], rows: usize, columns: usize) -> Matrix<'_> {
        Matrix::new(&values[self.start..], rows, columns, self.stride, 1)
            .expect("a slice that holds the matrix")
    }
}

/// Adds `a * b` to the matrix at `place` in `out`, on one thread.
///
/// # Panics
/// If the three do not fit together.
#[cfg(feature = "autodiff")]
pub(super) fn accumulate(out: &mut [f32], place: Strided, a: &Matrix<'_>, b: &Matrix<'_>) {
    let (rows, columns, inner) = (a.rows, b.columns, a.columns);
    assert!(inner == b.rows && columns <= place.stride, "a product of unequal shapes");
    if rows == 0 || columns == 0 || inner == 0 {
        return;
    }
    let out = &mut out[place.start..];
    assert!((rows - 1) * place.stride + columns <= out.len(), "an output that is too short");
    // SAFETY: as in `multiply`; the assertion above covers the output's last element.
    #[allow(unsafe_code, reason = "a kernel; see SAFETY")]
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            place.stride as isize,
            true,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contiguous(values: &[f32], rows: usize, columns: usize) -> Option<Matrix<'_>> {
        Matrix::new(values, rows, columns, columns, 1)
    }

    fn product(a: &Matrix<'_>, b: &Matrix<'_>) -> Vec<f32> {
        let mut out = vec![MaybeUninit::new(f32::NAN); a.rows * b.columns];
        multiply(&mut out, a, b, true);
        // SAFETY: they were initialised above, and `multiply` writes them all.
        #[allow(unsafe_code, reason = "see SAFETY")]
        out.into_iter().map(|value| unsafe { value.assume_init() }).collect()
    }

    fn at(matrix: &Matrix<'_>, row: usize, column: usize) -> f64 {
        f64::from(matrix.values[row * matrix.row_stride + column * matrix.column_stride])
    }

    #[test]
    fn a_slice_that_is_too_short_is_no_matrix() {
        let values = [0.0; 6];
        assert!(contiguous(&values, 2, 3).is_some());
        assert!(contiguous(&values, 3, 3).is_none());
        assert!(Matrix::new(&values, 2, 3, 4, 1).is_none());
        assert!(Matrix::new(&values, usize::MAX, 2, usize::MAX, 1).is_none());
        assert!(Matrix::new(&[], 0, 3, 3, 1).is_some());
    }

    #[test]
    fn an_empty_sum_is_zero() {
        let nothing = Matrix::new(&[], 2, 0, 0, 1).expect("empty");
        assert_eq!(product(&nothing, &nothing.transposed()), [0.0; 4]);
    }

    proptest! {
        #[test]
        fn products_equal_the_plain_sum(
            rows in 1usize..40, inner in 1usize..40, columns in 1usize..40,
            pad in 0usize..3, turned in any::<bool>(),
        ) {
            let wave = |n: usize| (0..n).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<f32>>();
            let (a, b) = (wave(rows * (inner + pad)), wave(inner * columns));
            let a = Matrix::new(&a, rows, inner, inner + pad, 1).expect("long enough");
            let b = if turned {
                contiguous(&b, columns, inner).expect("long enough").transposed()
            } else {
                contiguous(&b, inner, columns).expect("long enough")
            };
            for (index, found) in product(&a, &b).into_iter().enumerate() {
                let (row, column) = (index / columns, index % columns);
                let sum: f64 = (0..inner).map(|i| at(&a, row, i) * at(&b, i, column)).sum();
                prop_assert!((f64::from(found) - sum).abs() < 1e-4);
            }
        }
    }
}
