//! Activation functions, and their way back.

use std::mem::MaybeUninit;

use super::{exp, vectorised};

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

/// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`, in place.
pub(in super::super) fn gelu_tanh(x: &mut [f32]) {
    vectorised(|| {
        for x in x {
            *x *= rising(*x);
        }
    });
}

/// The gradient of `x` from that of the output; written in full if all are of one length.
pub(in super::super) fn gelu_tanh_back(to: &mut [MaybeUninit<f32>], x: &[f32], out: &[f32]) {
    vectorised(|| {
        for ((to, &x), out) in to.iter_mut().zip(x).zip(out) {
            // `rising` is the logistic function of twice the inner polynomial.
            let share = rising(x);
            let slope = 2.0 * SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x);
            to.write(out * (share + x * share * (1.0 - share) * slope));
        }
    });
}

/// `(1 + tanh(u)) / 2` of GELU's inner polynomial `u`.
#[inline(always)]
fn rising(x: f32) -> f32 {
    1.0 / (1.0 + exp(-2.0 * SQRT_2_OVER_PI * (x + CUBIC * x * x * x)))
}

/// The gradients of `silu(gate) * up`, in the places of gate and up.
pub(in super::super) fn silu_times_back(gate: &mut [f32], up: &mut [f32], out: &[f32]) {
    vectorised(|| {
        for ((gate, up), out) in gate.iter_mut().zip(up).zip(out) {
            let share = 1.0 / (1.0 + exp(-*gate));
            let (of_gate, of_up) =
                (out * *up * share * (1.0 + *gate * (1.0 - share)), out * *gate * share);
            (*gate, *up) = (of_gate, of_up);
        }
    });
}
