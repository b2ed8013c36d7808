//! Rotary positions: the gradient is turned back.

use std::sync::Arc;

use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use super::{Differentiable, inside, plain, recorded, tracked, values_of};

/// As [`rotate`](super::super::rotate).
pub(in super::super) fn rotate(
    x: &Tensor<4>,
    cos: &[f32],
    sin: &[f32],
    pairs: usize,
) -> Option<Tensor<4>> {
    let x = tracked(x)?;
    let out = super::super::plain_rotate(values_of(&x), cos, sin, pairs).ok()?;
    let back = || Turn { cos: cos.into(), minus_sin: sin.iter().map(|sin| -sin).collect(), pairs };
    Some(recorded([&x], out, back))
}

#[derive(Debug, Clone)]
struct Turn {
    cos: Arc<[f32]>,
    minus_sin: Arc<[f32]>,
    pairs: usize,
}

impl Differentiable<1> for Turn {
    fn gradients(self, out: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let turned = super::super::plain_rotate(plain(out), &self.cos, &self.minus_sin, self.pairs);
        let (Ok(turned) | Err(turned)) = turned;
        [Some(inside(turned))]
    }
}
