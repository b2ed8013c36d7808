//! LayerNorm and RMSNorm.

use burn::tensor::{Device, Tensor};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::super::values::{Values, made};
use super::super::vector;
use super::{Differentiable, contiguous, inside, plain, recorded, tracked, values_of};

/// As [`norm`](super::super::norm).
pub(in super::super) fn norm(
    x: &Tensor<3>,
    gamma: &Tensor<1>,
    beta: Option<&Tensor<1>>,
    eps: f32,
    centred: bool,
) -> Option<Tensor<3>> {
    let (x, gamma) = (tracked(x)?, tracked(gamma)?);
    let beta = match beta {
        Some(beta) => Some(tracked(beta)?),
        None => None,
    };
    let shift = beta.as_ref().map(values_of);
    let out =
        super::super::plain_norm(&values_of(&x), &values_of(&gamma), shift.as_ref(), eps, centred)?;
    let kept = || Norm { x: x.primitive().clone(), gamma: gamma.primitive().clone(), eps, centred };
    Some(match &beta {
        None => recorded([&x, &gamma], out, || Scaled(kept())),
        Some(beta) => recorded([&x, &gamma, beta], out, || Shifted(kept())),
    })
}

/// Rows that a thread takes at a time: the sums over rows are the same for any number of threads.
const ROWS: usize = 128;

#[derive(Debug, Clone)]
struct Norm {
    x: FlexTensor,
    gamma: FlexTensor,
    eps: f32,
    centred: bool,
}

#[derive(Debug, Clone)]
struct Scaled(Norm);

#[derive(Debug, Clone)]
struct Shifted(Norm);

impl Norm {
    /// Of `x`, `gamma` and `beta`.
    fn all(self, out: FlexTensor) -> [FlexTensor; 3] {
        let of = |x| Values::of(&plain::<3>(contiguous(x))).expect("a tensor in host memory");
        let (x, out) = (of(self.x), of(out));
        let gamma = Values::of(&plain::<1>(contiguous(self.gamma))).expect("in host memory");
        let (x_values, out) =
            (x.contiguous().unwrap_or_default(), out.contiguous().unwrap_or_default());
        let gamma = gamma.contiguous().unwrap_or_default();
        let width = gamma.len().max(1);
        let mut sums = Vec::new();
        // SAFETY: rows of `x`, `out` and the gradient are as long as `gamma`; `norm_back` writes all of each row.
        #[allow(unsafe_code, reason = "the gradient is written once; see SAFETY")]
        let of_x = unsafe {
            made(x.dims(), |to| {
                to.par_chunks_mut(ROWS * width)
                    .zip(x_values.par_chunks(ROWS * width).zip(out.par_chunks(ROWS * width)))
                    .map(|(to, (x, out))| {
                        let mut sums = vec![0.0; 2 * width];
                        let (of_gamma, of_beta) = sums.split_at_mut(width);
                        let rows = to.chunks_mut(width).zip(x.chunks(width)).zip(out.chunks(width));
                        for ((to, x), out) in rows {
                            let sums = [&mut *of_gamma, &mut *of_beta];
                            vector::norm_back(to, [x, out, gamma], sums, self.eps, self.centred);
                        }
                        sums
                    })
                    .collect_into_vec(&mut sums);
            })
        };
        let mut total = vec![0.0f32; 2 * width];
        for sums in &sums {
            total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        }
        let vector = |values: &[f32]| inside(Tensor::<1>::from_data(values, &Device::flex()));
        let (of_gamma, of_beta) = total.split_at(width);
        [inside(of_x), vector(of_gamma), vector(of_beta)]
    }
}

impl Differentiable<2> for Scaled {
    fn gradients(self, out: FlexTensor, _: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let [x, gamma, _] = self.0.all(out);
        [Some(x), Some(gamma)]
    }
}

impl Differentiable<3> for Shifted {
    fn gradients(self, out: FlexTensor, _: [bool; 3]) -> [Option<FlexTensor>; 3] {
        self.0.all(out).map(Some)
    }
}
