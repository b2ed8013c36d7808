//! What burn's CPU backend does slowly, done in place in host memory.
//!
//! burn-flex calls the C library's `expf` for each element, one after the other; in a small model that is a
//! third of the time. Here the exponential is a polynomial that the compiler vectorises, and rows are shared out
//! among the threads. A tensor that nobody else holds is handed out and taken back without a copy.
//!
//! All of it is for tensors that are [`is_plain`]; for others (on a GPU, in another type than f32, under
//! autodiff) the caller uses burn's own operations.

use burn::tensor::{DType, Device, Tensor};
use rayon::prelude::*;

use crate::{Error, Result};

/// Elements that a thread takes at a time.
const GRAIN: usize = 1 << 14;

/// Whether a tensor lies in host memory as f32, and nobody needs its gradient.
pub(super) fn is_plain<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && is_host(&x.device()) && !x.device().is_autodiff()
}

fn is_host(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return *device == Device::flex();
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}

/// Takes a tensor's values out, changes them in place, and puts them back.
fn changed<const D: usize>(x: Tensor<D>, change: impl FnOnce(&mut [f32])) -> Result<Tensor<D>> {
    let device = x.device();
    let mut data = x.try_into_data().map_err(|error| failed(&device, error))?;
    change(data.as_mut_slice::<f32>().map_err(|error| failed(&device, format!("{error:?}")))?);
    Ok(Tensor::from_data(data, &device))
}

fn failed(device: &Device, what: impl ToString) -> Error {
    Error::Device { device: format!("{device:?}"), what: what.to_string() }
}

/// `silu(gate) * up`, element by element.
pub(super) fn silu_times(gate: Tensor<3>, up: Tensor<3>) -> Result<Tensor<3>> {
    let device = up.device();
    let up = up.try_into_data().map_err(|error| failed(&device, error))?;
    let up = up.as_slice::<f32>().map_err(|error| failed(&device, format!("{error:?}")))?;
    changed(gate, |gate| {
        gate.par_chunks_mut(GRAIN).zip(up.par_chunks(GRAIN)).for_each(|(gate, up)| {
            vectorised(Silu { gate, up });
        });
    })
}

/// Which keys a query sees.
pub(super) struct Visible<'a> {
    /// Queries of each sequence; row `r` of a head's scores is of query `r % queries`.
    pub(super) queries: usize,
    /// Keys before the first query.
    pub(super) seen: usize,
    /// Row-major `[batch, columns]`, true for a token and false for padding; absent where all are tokens.
    pub(super) real: Option<&'a [bool]>,
}

/// Softmax of `scale * scores` over the keys that each query sees, `[batch, heads, rows, keys]`; 0 elsewhere.
pub(super) fn softmax(scores: Tensor<4>, scale: f32, visible: &Visible<'_>) -> Result<Tensor<4>> {
    let [batch, heads, rows, keys] = scores.dims();
    let columns = visible.real.map_or(0, |real| real.len() / batch.max(1));
    changed(scores, |scores| {
        scores.par_chunks_mut(keys).enumerate().with_min_len(16).for_each(|(index, row)| {
            let query = visible.seen + index % rows % visible.queries;
            let (shown, hidden) = row.split_at_mut((query + 1).min(keys));
            hidden.fill(0.0);
            let real = visible.real.and_then(|real| {
                let start = index / (heads * rows) * columns;
                real.get(start..start + shown.len())
            });
            // Padding sees itself, so that no row is empty.
            let masked = |key: usize| real.is_some_and(|real| !real[key]) && key != query;
            if real.is_some() {
                for (key, score) in shown.iter_mut().enumerate() {
                    *score = if masked(key) { f32::NEG_INFINITY } else { *score };
                }
            }
            vectorised(Softmax { row: shown, scale });
        });
    })
}

/// Turns the first `2 * pairs` channels of heads `[batch, heads, seq, head_dim]` in place; `cos` and `sin` are
/// row-major `[batch or 1, seq, pairs]`.
pub(super) fn rotate(x: Tensor<4>, cos: &[f32], sin: &[f32], pairs: usize) -> Result<Tensor<4>> {
    let [_, heads, seq, head_dim] = x.dims();
    let one_row = cos.len() == seq * pairs;
    changed(x, |x| {
        x.par_chunks_mut(seq * head_dim).enumerate().for_each(|(index, head)| {
            let start = if one_row { 0 } else { index / heads * seq * pairs };
            for (token, x) in head.chunks_exact_mut(head_dim).enumerate() {
                let at = start + token * pairs;
                let (cos, sin) = (&cos[at..at + pairs], &sin[at..at + pairs]);
                let (first, rest) = x.split_at_mut(pairs);
                for (((a, b), cos), sin) in first.iter_mut().zip(rest).zip(cos).zip(sin) {
                    (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                }
            }
        });
    })
}

/// Compiles `work` for the machine it runs on. Everything must be inlined into it.
fn vectorised<W: pulp::WithSimd>(work: W) -> W::Output {
    pulp::Arch::new().dispatch(work)
}

struct Silu<'a> {
    gate: &'a mut [f32],
    up: &'a [f32],
}

impl pulp::WithSimd for Silu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for (x, up) in self.gate.iter_mut().zip(self.up) {
            *x = *x / (1.0 + exp(-*x)) * up;
        }
    }
}

struct Softmax<'a> {
    row: &'a mut [f32],
    scale: f32,
}

impl pulp::WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { row, scale } = self;
        let mut largest = [f32::NEG_INFINITY; LANES];
        let mut chunks = row.chunks_exact(LANES);
        for chunk in &mut chunks {
            for (largest, x) in largest.iter_mut().zip(chunk) {
                *largest = if *x > *largest { *x } else { *largest };
            }
        }
        let rest = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let shift = largest.iter().copied().fold(rest, f32::max) * scale;
        let mut sums = [0.0f32; LANES];
        let mut chunks = row.chunks_exact_mut(LANES);
        for chunk in &mut chunks {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *x = exp(*x * scale - shift);
                *sum += *x;
            }
        }
        let mut sum: f32 = sums.iter().sum();
        for x in chunks.into_remainder() {
            *x = exp(*x * scale - shift);
            sum += *x;
        }
        let share = 1.0 / sum;
        for x in row {
            *x *= share;
        }
    }
}

/// Sums that run side by side.
const LANES: usize = 16;

/// `e^x` to about one unit in the last place (Cephes' `expf`: `2^n` times a polynomial in what is left).
/// Below -87.3 it is 0, above 88 it stays at `e^88`.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the last bits.
    const ROUND: f32 = 12_582_912.0;
    let inside = x.clamp(-87.3, 88.0);
    let shifted = inside * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = inside - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4 * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 0.166_666_66;
    p = p * r + 0.5;
    let value = p * r * r + r + 1.0;
    let scale =
        f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23);
    if x < -87.3 { 0.0 } else { value * scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_the_last_digits() {
        let worst = (-87_000..88_000)
            .map(|i| {
                let x = i as f32 / 1000.0;
                let right = f64::from(x).exp();
                ((f64::from(exp(x)) - right) / right).abs()
            })
            .fold(0.0, f64::max);
        assert!(worst < 2e-7, "{worst}");
        assert_eq!((exp(0.0), exp(-200.0), exp(f32::NEG_INFINITY)), (1.0, 0.0, 0.0));
        assert!(exp(f32::NAN).is_nan() && exp(1e9).is_finite());
    }

    #[test]
    fn softmax_gives_hidden_keys_nothing() {
        let device = Device::flex();
        let scores = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 9.0, 1.0, 2.0, 3.0, 9.0], &device);
        let real = [false, true, true, true];
        let visible = Visible { queries: 2, seen: 1, real: Some(&real) };
        let out = softmax(scores.reshape([1, 1, 2, 4]), 1.0, &visible).expect("on the host");
        let out: Vec<f32> = out.into_data().try_into_vec().unwrap();
        // Query 1 sees key 1 alone, as key 0 is padding; query 2 sees keys 1 and 2.
        assert_eq!(out[..4], [0.0, 1.0, 0.0, 0.0]);
        let share = 1.0 / (1.0 + 1f32.exp());
        assert!((out[5] - share).abs() < 1e-6 && (out[6] - (1.0 - share)).abs() < 1e-6);
        assert_eq!((out[4], out[7]), (0.0, 0.0));
    }
}
