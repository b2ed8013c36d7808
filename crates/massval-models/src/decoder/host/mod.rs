//! What burn's CPU backend does slowly or on one thread, done here on values in host memory.
//!
//! burn-flex fills a product's output with zeros before it computes it, copies heads into another layout before
//! it multiplies them, and adds, normalises and exponentiates on one thread: in a small model that is half of the
//! time. Here outputs are written once, heads are read where they lie, rows are shared out among the threads, and
//! loops are compiled for the vectors of the machine they run on.
//!
//! All of it is for tensors that are [`is_plain`](values::is_plain); for others (on a GPU, in another type than f32, under
//! autodiff) the caller uses burn's own operations, and the tests compare the two.
#![expect(clippy::result_large_err, reason = "a tensor that is not taken is handed back")]

mod attention;
mod matrix;
mod values;
mod vector;

use burn::nn::{Linear, RmsNorm};
use burn::tensor::Tensor;
use rayon::prelude::*;

pub(super) use attention::{Attend, attention};

use matrix::multiply;
use values::{Values, changed, changed_heads, made};

/// Elements that a thread takes at a time.
const GRAIN: usize = 1 << 14;

/// `x * weight + bias` over the last dimension; `None` if a tensor is not plain.
pub(super) fn linear(layer: &Linear, x: &Tensor<3>) -> Option<Tensor<3>> {
    let out = times(x, &layer.weight.val())?;
    match &layer.bias {
        Some(bias) => add_row(out, &bias.val()).ok(),
        None => Some(out),
    }
}

/// `[batch, seq, in] x [in, out]`; the matrix may be a transposed view.
pub(super) fn times(x: &Tensor<3>, weight: &Tensor<2>) -> Option<Tensor<3>> {
    let (x, weight) = (Values::of(x)?, Values::of(weight)?);
    let ([batch, seq, _], [_, width]) = (x.dims(), weight.dims());
    let (left, right) = (x.rows()?, weight.matrix()?);
    // SAFETY: `multiply` writes all of its output.
    #[allow(unsafe_code, reason = "the product is written once; see SAFETY")]
    let out = unsafe { made([batch, seq, width], |out| multiply(out, &left, &right, true)) };
    Some(out)
}

fn add_row(x: Tensor<3>, row: &Tensor<1>) -> Result<Tensor<3>, Tensor<3>> {
    let row = Values::of(row);
    let Some(row) = row.as_ref().and_then(Values::contiguous) else { return Err(x) };
    changed(x, |x| {
        x.par_chunks_mut(row.len().max(1)).with_min_len(GRAIN / row.len().max(1) + 1).for_each(
            |x| {
                x.iter_mut().zip(row).for_each(|(x, bias)| *x += bias);
            },
        );
    })
}

/// `a + b`, in `a`'s place; gives `a` back if a tensor is not plain.
pub(super) fn add(a: Tensor<3>, b: &Tensor<3>) -> Result<Tensor<3>, Tensor<3>> {
    let b = Values::of(b);
    let Some(b) = b.as_ref().and_then(Values::contiguous) else { return Err(a) };
    changed(a, |a| {
        a.par_chunks_mut(GRAIN).zip(b.par_chunks(GRAIN)).for_each(|(a, b)| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        });
    })
}

/// `silu(gate) * up`, in the gate's place; gives the gate back if a tensor is not plain.
pub(super) fn silu_times(gate: Tensor<3>, up: &Tensor<3>) -> Result<Tensor<3>, Tensor<3>> {
    let up = Values::of(up);
    let Some(up) = up.as_ref().and_then(Values::contiguous) else { return Err(gate) };
    changed(gate, |gate| {
        gate.par_chunks_mut(GRAIN).zip(up.par_chunks(GRAIN)).for_each(|(gate, up)| {
            vector::silu_times(gate, up);
        });
    })
}

/// `x / sqrt(mean(x^2) + eps) * gamma` over the last dimension.
pub(super) fn rms_norm(norm: &RmsNorm, x: &Tensor<3>) -> Option<Tensor<3>> {
    let (x, gamma) = (Values::of(x)?, norm.gamma.val());
    let gamma = Values::of(&gamma)?;
    let (values, gamma) = (x.contiguous()?, gamma.contiguous()?);
    let width = gamma.len();
    if width == 0 || x.dims()[2] != width {
        return None;
    }
    // SAFETY: rows of `x`, of the output and `gamma` are of one length, so all of each row is written.
    #[allow(unsafe_code, reason = "the output is written once; see SAFETY")]
    let out = unsafe {
        made(x.dims(), |out| {
            out.par_chunks_mut(width)
                .zip(values.par_chunks(width))
                .with_min_len(GRAIN / width + 1)
                .for_each(|(out, x)| vector::rms_norm(out, x, gamma, norm.epsilon as f32));
        })
    };
    Some(out)
}

/// Turns the first `2 * pairs` channels of heads `[batch, heads, seq, head_dim]` in place; `cos` and `sin` are
/// row-major `[batch or 1, seq, pairs]`. Gives a tensor back that is not plain.
pub(super) fn rotate(
    x: Tensor<4>,
    cos: &[f32],
    sin: &[f32],
    pairs: usize,
) -> Result<Tensor<4>, Tensor<4>> {
    let [_, _, seq, head_dim] = x.dims();
    let one_row = cos.len() == seq * pairs;
    changed_heads(x, |x, place| {
        let heads = x.par_chunks_mut(head_dim).enumerate().with_min_len(GRAIN / head_dim + 1);
        heads.for_each(|(index, x)| {
            let (row, token) = place(index);
            let at = (if one_row { token } else { row * seq + token }) * pairs;
            let (first, rest) = x.split_at_mut(pairs);
            let turns = cos[at..at + pairs].iter().zip(&sin[at..at + pairs]);
            for ((a, b), (cos, sin)) in first.iter_mut().zip(rest).zip(turns) {
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        });
    })
}

#[cfg(test)]
mod tests;
