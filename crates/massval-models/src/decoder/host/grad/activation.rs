//! Activation functions of the MLP.

use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::super::values::{Values, made};
use super::super::{GRAIN, vector};
use super::{Differentiable, contiguous, inside, plain, recorded, tracked, values_of};

/// As [`gelu_tanh`](super::super::gelu_tanh).
pub(in super::super) fn gelu_tanh(x: &Tensor<3>) -> Option<Tensor<3>> {
    let x = tracked(x)?;
    let out = super::super::plain_gelu_tanh(values_of(&x)).ok()?;
    Some(recorded([&x], out, || Gelu(x.primitive().clone())))
}

/// As [`silu_times`](super::super::silu_times).
pub(in super::super) fn silu_times(gate: &Tensor<3>, up: &Tensor<3>) -> Option<Tensor<3>> {
    let (gate, up) = (tracked(gate)?, tracked(up)?);
    let out = super::super::plain_silu_times(values_of(&gate), &values_of(&up)).ok()?;
    let kept = || Gated { gate: gate.primitive().clone(), up: up.primitive().clone() };
    Some(recorded([&gate, &up], out, kept))
}

#[derive(Debug, Clone)]
struct Gelu(FlexTensor);

impl Differentiable<1> for Gelu {
    fn gradients(self, out: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let (x, out) = (row_major(self.0), row_major(out));
        let (x_values, out_values) = (slice(&x), slice(&out));
        // SAFETY: all three are of one length, and `gelu_tanh_back` writes all of each part.
        #[allow(unsafe_code, reason = "the gradient is written once; see SAFETY")]
        let gradient = unsafe {
            made(x.dims(), |to| {
                to.par_chunks_mut(GRAIN)
                    .zip(x_values.par_chunks(GRAIN).zip(out_values.par_chunks(GRAIN)))
                    .for_each(|(to, (x, out))| vector::gelu_tanh_back(to, x, out));
            })
        };
        [Some(inside(gradient))]
    }
}

#[derive(Debug, Clone)]
struct Gated {
    gate: FlexTensor,
    up: FlexTensor,
}

impl Differentiable<2> for Gated {
    fn gradients(self, out: FlexTensor, _: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let (gate, up, out) = (row_major(self.gate), row_major(self.up), row_major(out));
        let dims = out.dims();
        let mut of_gate = slice(&gate).to_vec();
        let mut of_up = slice(&up).to_vec();
        of_gate
            .par_chunks_mut(GRAIN)
            .zip(of_up.par_chunks_mut(GRAIN))
            .zip(slice(&out).par_chunks(GRAIN))
            .for_each(|((gate, up), out)| vector::silu_times_back(gate, up, out));
        let tensor = |values: Vec<f32>| {
            let data = burn::tensor::TensorData::new(values, dims);
            Some(inside(Tensor::<3>::from_data(data, &burn::tensor::Device::flex())))
        };
        [tensor(of_gate), tensor(of_up)]
    }
}

fn row_major(x: FlexTensor) -> Values<3> {
    Values::of(&plain::<3>(contiguous(x))).expect("a tensor in host memory")
}

fn slice(x: &Values<3>) -> &[f32] {
    x.contiguous().expect("made row-major")
}
