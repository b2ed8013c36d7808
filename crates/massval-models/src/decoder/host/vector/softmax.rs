//! Softmax as a loss reads it, and its way back.

use std::mem::MaybeUninit;

use super::{exp, sum, vectorised};

/// `log sum exp(x)`.
pub(in super::super) fn log_sum_exp(x: &[f32]) -> f32 {
    vectorised(|| {
        let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if !largest.is_finite() {
            return largest;
        }
        largest + sum(x.len(), |i| exp(x[i] - largest)).ln()
    })
}

/// `weight * exp(x - shift)`; written in full if both are of one length.
pub(in super::super) fn softmax_to(
    to: &mut [MaybeUninit<f32>],
    x: &[f32],
    shift: f32,
    weight: f32,
) {
    vectorised(|| {
        for (to, x) in to.iter_mut().zip(x) {
            to.write(exp(x - shift) * weight);
        }
    });
}

/// The gradient of the unscaled scores from that of the pattern, in its place.
pub(in super::super) fn softmax_back(gradient: &mut [f32], pattern: &[f32], scale: f32) {
    vectorised(|| {
        let count = gradient.len().min(pattern.len());
        let (gradient, pattern) = (&mut gradient[..count], &pattern[..count]);
        let level = sum(count, |i| gradient[i] * pattern[i]);
        for (gradient, pattern) in gradient.iter_mut().zip(pattern) {
            *gradient = (*gradient - level) * pattern * scale;
        }
    });
}
