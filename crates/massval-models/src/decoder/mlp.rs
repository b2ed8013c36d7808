//! The MLP, gated or plain.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Tensor, activation};
use massval_hooks::Site;

use super::pass::Pass;
use super::{host, linear};
use crate::Result;
use crate::config::ActivationKind;

#[derive(Module, Debug)]
pub(crate) struct Mlp {
    /// Only in a gated MLP.
    pub(crate) gate: Option<Linear>,
    pub(crate) up: Linear,
    pub(crate) down: Linear,
    #[module(skip)]
    pub(crate) activation: ActivationKind,
}

impl Mlp {
    /// Hidden `[batch, seq, d_model]` to the same.
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        layer: usize,
        pass: &mut Pass<'_, '_>,
    ) -> Result<Tensor<3>> {
        let post = match &self.gate {
            Some(gate) => {
                let pre = pass.hidden(layer, Site::MlpPre, linear(gate, x.clone()))?;
                times(self.activation, pre, linear(&self.up, x))
            }
            None => {
                let pre = pass.hidden(layer, Site::MlpPre, linear(&self.up, x))?;
                activate(self.activation, pre)
            }
        };
        let post = pass.hidden(layer, Site::MlpPost, post)?;
        Ok(linear(&self.down, post))
    }
}

/// `activation(gate) * up`.
fn times(kind: ActivationKind, gate: Tensor<3>, up: Tensor<3>) -> Tensor<3> {
    if kind == ActivationKind::Silu {
        return host::silu_times(gate, &up).unwrap_or_else(|gate| activate(kind, gate) * up);
    }
    activate(kind, gate) * up
}

fn activate(kind: ActivationKind, x: Tensor<3>) -> Tensor<3> {
    match kind {
        ActivationKind::Silu => activation::silu(x),
        ActivationKind::Gelu => activation::gelu(x),
        ActivationKind::GeluTanh => gelu_tanh(x),
        ActivationKind::Relu => activation::relu(x),
    }
}

/// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`; by products, since `pow(x, 3)` of a negative
/// number is NaN on some GPUs.
fn gelu_tanh(x: Tensor<3>) -> Tensor<3> {
    let sqrt_2_over_pi = (2.0 / std::f64::consts::PI).sqrt();
    let inner = (x.clone().square() * 0.044715 + 1.0) * x.clone() * sqrt_2_over_pi;
    (inner.tanh() + 1.0) * x * 0.5
}
