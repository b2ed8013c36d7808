//! Dense products on slices, by faer; rows are contiguous.

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};

/// All threads of the current pool.
pub(crate) fn threads() -> Par {
    Par::rayon(0)
}

/// Adds `x^T x` to the lower triangle of `sums`, `[width, width]`; `x` is `[rows, width]`.
pub(crate) fn add_gram(sums: &mut [f32], x: &[f32], width: usize) {
    let rows = x.len() / width;
    let x = MatRef::from_row_major_slice(x, rows, width);
    // Column-major upper is row-major lower; faer is at home in columns.
    let sums = MatMut::from_column_major_slice_mut(sums, width, width);
    triangular::matmul(
        sums,
        BlockStructure::TriangularUpper,
        Accum::Add,
        x.transpose(),
        BlockStructure::Rectangular,
        x,
        BlockStructure::Rectangular,
        1.0f32,
        threads(),
    );
}

/// `a b^T`, `[rows of a, rows of b]`; both have rows of `inner`.
pub(crate) fn multiply_transposed(a: &[f32], b: &[f32], inner: usize) -> Vec<f32> {
    let (rows, columns) = (a.len() / inner, b.len() / inner);
    let mut out = vec![0.0f32; rows * columns];
    matmul(
        MatMut::from_row_major_slice_mut(&mut out, rows, columns),
        Accum::Replace,
        MatRef::from_row_major_slice(a, rows, inner),
        MatRef::from_row_major_slice(b, columns, inner).transpose(),
        1.0f32,
        threads(),
    );
    out
}

/// `a s` for the square of `length` rows that begins at `s[0]`, rows `stride` apart; on this thread.
pub(crate) fn multiply_block(out: &mut [f32], a: &[f32], length: usize, s: &[f32], stride: usize) {
    let rows = a.len() / length;
    matmul(
        MatMut::from_row_major_slice_mut(out, rows, length),
        Accum::Replace,
        MatRef::from_row_major_slice(a, rows, length),
        MatRef::from_row_major_slice_with_stride(s, length, length, stride),
        1.0f32,
        Par::Seq,
    );
}

/// A sum of products, each in `f64`.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0f64; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    sums.iter().sum::<f64>() + rest
}
