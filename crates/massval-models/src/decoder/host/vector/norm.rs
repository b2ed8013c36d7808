//! LayerNorm and RMSNorm of one row, and their way back.

use std::mem::MaybeUninit;

use super::{sum, vectorised};

/// `(x - mean) / sqrt(var + eps) * gamma + beta`; without centring the mean is taken as 0. `out` is written in
/// full if all are of one length.
pub(in super::super) fn norm(
    out: &mut [MaybeUninit<f32>],
    x: &[f32],
    gamma: &[f32],
    beta: Option<&[f32]>,
    eps: f32,
    centred: bool,
) {
    vectorised(|| {
        let (mean, scale) = moments(x, eps, centred);
        match beta {
            Some(beta) => {
                for (((out, x), gamma), beta) in out.iter_mut().zip(x).zip(gamma).zip(beta) {
                    out.write((x - mean) * scale * gamma + beta);
                }
            }
            None => {
                for ((out, x), gamma) in out.iter_mut().zip(x).zip(gamma) {
                    out.write((x - mean) * scale * gamma);
                }
            }
        }
    });
}

/// The gradient of `x` from that of the output, written in full if all are of one length; those of gamma and beta
/// are added to `sums`.
pub(in super::super) fn norm_back(
    to: &mut [MaybeUninit<f32>],
    [x, out, gamma]: [&[f32]; 3],
    [of_gamma, of_beta]: [&mut [f32]; 2],
    eps: f32,
    centred: bool,
) {
    vectorised(|| {
        let width = x.len().min(out.len()).min(gamma.len());
        let (x, out, gamma) = (&x[..width], &out[..width], &gamma[..width]);
        let (mean, scale) = moments(x, eps, centred);
        for (((of_gamma, of_beta), x), out) in of_gamma.iter_mut().zip(of_beta).zip(x).zip(out) {
            *of_gamma += out * (x - mean) * scale;
            *of_beta += out;
        }
        let count = width.max(1) as f32;
        let along = sum(width, |i| out[i] * gamma[i] * (x[i] - mean)) * scale / count;
        let level = if centred { sum(width, |i| out[i] * gamma[i]) / count } else { 0.0 };
        for (((to, x), out), gamma) in to.iter_mut().zip(x).zip(out).zip(gamma) {
            to.write((out * gamma - level - (x - mean) * scale * along) * scale);
        }
    });
}

/// The mean, and one over the root of the variance.
#[inline(always)]
fn moments(x: &[f32], eps: f32, centred: bool) -> (f32, f32) {
    let count = x.len().max(1) as f32;
    let mean = if centred { sum(x.len(), |i| x[i]) / count } else { 0.0 };
    let var = sum(x.len(), |i| (x[i] - mean) * (x[i] - mean)) / count;
    (mean, 1.0 / (var + eps).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_are_the_plain_formula() {
        for (length, centred) in [(1, false), (16, true), (19, false), (576, true), (576, false)] {
            let x: Vec<f32> = (0..length).map(|i| (i as f32 * 0.7).sin() * 5.0 + 1.0).collect();
            let gamma: Vec<f32> = (0..length).map(|i| 1.0 + (i as f32 * 0.3).cos()).collect();
            let beta: Vec<f32> = (0..length).map(|i| (i as f32 * 0.2).sin()).collect();
            let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / length as f64;
            let mean = if centred { mean } else { 0.0 };
            let squares: f64 = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
            let root = (squares / length as f64 + 1e-5).sqrt();
            for beta in [None, Some(beta.as_slice())] {
                let mut out = vec![MaybeUninit::new(f32::NAN); length];
                norm(&mut out, &x, &gamma, beta, 1e-5, centred);
                for (i, out) in out.iter().enumerate() {
                    // SAFETY: initialised above.
                    #[allow(unsafe_code, reason = "see SAFETY")]
                    let found = f64::from(unsafe { out.assume_init() });
                    let shift = beta.map_or(0.0, |beta| f64::from(beta[i]));
                    let right = (f64::from(x[i]) - mean) / root * f64::from(gamma[i]) + shift;
                    assert!((found - right).abs() < 2e-5, "{found} {right}");
                }
            }
        }
    }
}
