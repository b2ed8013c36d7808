//! Loops over values, compiled for the vectors of the machine they run on.

mod activation;
mod norm;
mod softmax;

pub(super) use activation::{gelu_tanh, gelu_tanh_back, silu_times_back};
pub(super) use norm::{norm, norm_back};
pub(super) use softmax::{log_sum_exp, softmax_back, softmax_to};

/// `silu(gate) * up`, in the gate's place.
pub(super) fn silu_times(gate: &mut [f32], up: &[f32]) {
    vectorised(Silu { gate, up });
}

/// `softmax(scale * row)`, in its place.
pub(super) fn softmax(row: &mut [f32], scale: f32) {
    vectorised(Softmax { row, scale });
}

/// The sum of each column of row-major values.
pub(super) fn column_sums(values: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0; columns];
    vectorised(|| {
        for row in values.chunks_exact(columns.max(1)) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
    });
    sums
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

/// The sum of a term for each index, `LANES` of them side by side.
#[inline(always)]
fn sum(count: usize, term: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let whole = count / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(start + lane);
        }
    }
    let rest: f32 = (whole..count).map(&term).sum();
    lanes.iter().sum::<f32>() + rest
}

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
    fn softmax_sums_to_one_and_gives_minus_infinity_nothing() {
        for length in [1, 15, 16, 17, 100] {
            let mut row: Vec<f32> = (0..length).map(|i| (i as f32 * 0.7).sin() * 30.0).collect();
            let right: Vec<f64> = row.iter().map(|&x| (0.5 * f64::from(x)).exp()).collect();
            let sum: f64 = right.iter().sum();
            row.push(f32::NEG_INFINITY);
            softmax(&mut row, 0.5);
            assert_eq!(row.pop(), Some(0.0));
            for (found, right) in row.iter().zip(right) {
                assert!((f64::from(*found) - right / sum).abs() < 1e-6);
            }
        }
    }
}
