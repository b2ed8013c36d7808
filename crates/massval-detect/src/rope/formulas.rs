//! The arithmetic of scaled RoPE, on parameters that were checked before.

use std::f64::consts::TAU;

use crate::error::positive;
use crate::{Error, Result};

/// `theta^(-2j / rotary_dim)` for every pair `j`.
///
/// # Errors
/// [`Error::Parameter`] if `theta` is not positive or there is no pair.
pub(super) fn plain(rotary_dim: usize, theta: f64) -> Result<Vec<f64>> {
    positive("theta", theta)?;
    if rotary_dim < 2 {
        let value = rotary_dim as f64;
        return Err(Error::Parameter { name: "rotary_dim", value, expected: "even, at least 2" });
    }
    Ok(powers(rotary_dim, theta))
}

/// `theta^(-2j / dim)` for every pair `j`.
pub(super) fn powers(dim: usize, theta: f64) -> Vec<f64> {
    (0..dim / 2).map(|pair| theta.powf(-2.0 * pair as f64 / dim as f64)).collect()
}

/// The angles with the base raised to `theta * growth^(d / (d - 2))`.
pub(super) fn ntk(dim: usize, theta: f64, growth: f64) -> Vec<f64> {
    let d = dim as f64;
    powers(dim, theta * growth.powf(d / (d - 2.0)))
}

/// Llama 3.1's rule for one angle.
pub(super) fn llama3(angle: f64, factor: f64, low: f64, high: f64, trained: f64) -> f64 {
    let wavelength = TAU / angle;
    if wavelength < trained / high {
        return angle;
    }
    if wavelength > trained / low {
        return angle / factor;
    }
    let smooth = (trained / wavelength - low) / (high - low);
    (1.0 - smooth) * angle / factor + smooth * angle
}

/// YaRN's ramp: where it begins and ends, counted in pairs.
pub(super) struct Ramp {
    from: f64,
    to: f64,
}

impl Ramp {
    /// `fast` and `slow` are turns within the `trained` positions; equation 23 of the paper, solved for the pair.
    pub(super) fn new(
        dim: usize,
        theta: f64,
        (fast, slow): (f64, f64),
        trained: f64,
        truncate: bool,
    ) -> Self {
        let dim = dim as f64;
        let pair = |turns: f64| dim * (trained / (turns * TAU)).ln() / (2.0 * theta.ln());
        let (mut from, mut to) = (pair(fast), pair(slow));
        if truncate {
            (from, to) = (from.floor(), to.ceil());
        }
        // transformers' bounds: the end may lie beyond the last pair, `dim / 2 - 1`, and even before the start.
        (from, to) = (from.max(0.0), to.min(dim - 1.0));
        if from == to {
            to += 0.001;
        }
        Self { from, to }
    }

    /// How far a pair is slowed: 0 not at all, 1 fully.
    pub(super) fn at(&self, pair: usize) -> f64 {
        ((pair as f64 - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }
}

/// Angles of the first `proportion` of a head's pairs, as if the whole head turned; the rest stand still.
pub(super) fn proportional(head_dim: usize, theta: f64, proportion: f64) -> Vec<f64> {
    let turning = (proportion * head_dim as f64 / 2.0).floor() as usize;
    let mut angles = powers(head_dim, theta);
    for angle in angles.iter_mut().skip(turning) {
        *angle = 0.0;
    }
    angles
}

/// YaRN's `0.1 m ln(s) + 1`, and 1 where nothing is stretched.
pub(super) fn mscale(factor: f64, m: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { 0.1 * m * factor.ln() + 1.0 }
}

/// LongRoPE's `sqrt(1 + ln(s) / ln(L))`, and 1 where nothing is stretched.
pub(super) fn longrope_attention(factor: f64, trained: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / trained.ln()).sqrt() }
}
