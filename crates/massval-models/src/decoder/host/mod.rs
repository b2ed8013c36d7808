//! What burn's CPU backend does slowly or on one thread, done here on values in host memory.
//!
//! burn-flex fills a product's output with zeros before it computes it, copies heads into another layout before
//! it multiplies them, and adds, normalises and exponentiates on one thread: in a small model that is half of the
//! time. Here outputs are written once, heads are read where they lie, rows are shared out among the threads, and
//! loops are compiled for the vectors of the machine they run on.
//!
//! All of it is for tensors that are [`is_plain`](values::is_plain), and for those on burn's tape through [`grad`]; for
//! others (on a GPU, in another type than f32) the caller uses burn's own operations, and the tests compare the two.
#![expect(clippy::result_large_err, reason = "a tensor that is not taken is handed back")]

mod attention;
#[cfg(feature = "autodiff")]
mod grad;
#[cfg(not(feature = "autodiff"))]
#[path = "no_grad.rs"]
mod grad;
mod matrix;
mod values;
mod vector;

use burn::nn::Linear;
use burn::tensor::Tensor;
use rayon::prelude::*;

pub(super) use attention::Attend;
pub(super) use grad::cross_entropy;

use matrix::multiply;
use values::{Values, changed, changed_heads, made};

/// Elements that a thread takes at a time.
const GRAIN: usize = 1 << 14;

/// `x * weight + bias` over the last dimension; `None` if a tensor is neither plain nor tracked.
pub(super) fn linear(layer: &Linear, x: &Tensor<3>) -> Option<Tensor<3>> {
    let (weight, bias) = (layer.weight.val(), layer.bias.as_ref().map(|bias| bias.val()));
    let Some(out) = product(x, &weight) else {
        return grad::times(x, &weight, bias.as_ref());
    };
    match &bias {
        Some(bias) => add_row(out, bias).ok(),
        None => Some(out),
    }
}

/// `[batch, seq, in] x [in, out]`; the matrix may be a transposed view.
pub(super) fn times(x: &Tensor<3>, weight: &Tensor<2>) -> Option<Tensor<3>> {
    product(x, weight).or_else(|| grad::times(x, weight, None))
}

/// Of plain tensors.
fn product(x: &Tensor<3>, weight: &Tensor<2>) -> Option<Tensor<3>> {
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

/// `silu(gate) * up`; gives the gate back if a tensor is neither plain nor tracked.
pub(super) fn silu_times(gate: Tensor<3>, up: &Tensor<3>) -> Result<Tensor<3>, Tensor<3>> {
    match grad::silu_times(&gate, up) {
        Some(out) => Ok(out),
        None => plain_silu_times(gate, up),
    }
}

/// In the gate's place.
fn plain_silu_times(gate: Tensor<3>, up: &Tensor<3>) -> Result<Tensor<3>, Tensor<3>> {
    let up = Values::of(up);
    let Some(up) = up.as_ref().and_then(Values::contiguous) else { return Err(gate) };
    changed(gate, |gate| {
        gate.par_chunks_mut(GRAIN).zip(up.par_chunks(GRAIN)).for_each(|(gate, up)| {
            vector::silu_times(gate, up);
        });
    })
}

/// GELU with the tanh approximation; gives back a tensor that is neither plain nor tracked.
pub(super) fn gelu_tanh(x: Tensor<3>) -> Result<Tensor<3>, Tensor<3>> {
    match grad::gelu_tanh(&x) {
        Some(out) => Ok(out),
        None => plain_gelu_tanh(x),
    }
}

/// In its place.
fn plain_gelu_tanh(x: Tensor<3>) -> Result<Tensor<3>, Tensor<3>> {
    changed(x, |x| x.par_chunks_mut(GRAIN).for_each(vector::gelu_tanh))
}

/// LayerNorm, or, without centring, RMSNorm over the last dimension.
pub(super) fn norm(
    x: &Tensor<3>,
    gamma: &Tensor<1>,
    beta: Option<&Tensor<1>>,
    eps: f32,
    centred: bool,
) -> Option<Tensor<3>> {
    plain_norm(x, gamma, beta, eps, centred).or_else(|| grad::norm(x, gamma, beta, eps, centred))
}

fn plain_norm(
    x: &Tensor<3>,
    gamma: &Tensor<1>,
    beta: Option<&Tensor<1>>,
    eps: f32,
    centred: bool,
) -> Option<Tensor<3>> {
    let (x, gamma) = (Values::of(x)?, Values::of(gamma)?);
    let beta = match beta {
        Some(beta) => Some(Values::of(beta)?),
        None => None,
    };
    let (values, gamma) = (x.contiguous()?, gamma.contiguous()?);
    let beta = match &beta {
        Some(beta) => Some(beta.contiguous()?),
        None => None,
    };
    let width = gamma.len();
    if width == 0 || x.dims()[2] != width || beta.is_some_and(|beta| beta.len() != width) {
        return None;
    }
    // SAFETY: rows of `x`, of the output, `gamma` and `beta` are of one length, so all of each row is written.
    #[allow(unsafe_code, reason = "the output is written once; see SAFETY")]
    let out = unsafe {
        made(x.dims(), |out| {
            out.par_chunks_mut(width)
                .zip(values.par_chunks(width))
                .with_min_len(GRAIN / width + 1)
                .for_each(|(out, x)| vector::norm(out, x, gamma, beta, eps, centred));
        })
    };
    Some(out)
}

/// Causal attention: see [`attention::attention`].
pub(super) fn attention(
    q: &Tensor<4>,
    k: &Tensor<4>,
    v: &Tensor<4>,
    attend: &Attend<'_>,
) -> Option<Tensor<3>> {
    attention::attention(q, k, v, attend).or_else(|| grad::attention([q, k, v], attend))
}

/// Turns the first `2 * pairs` channels of heads `[batch, heads, seq, head_dim]` in place; `cos` and `sin` are
/// row-major `[batch or 1, seq, pairs]`. Gives a tensor back that is neither plain nor tracked.
pub(super) fn rotate(
    x: Tensor<4>,
    cos: &[f32],
    sin: &[f32],
    pairs: usize,
) -> Result<Tensor<4>, Tensor<4>> {
    match grad::rotate(&x, cos, sin, pairs) {
        Some(out) => Ok(out),
        None => plain_rotate(x, cos, sin, pairs),
    }
}

fn plain_rotate(
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
