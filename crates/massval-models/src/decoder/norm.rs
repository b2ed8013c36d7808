//! The norms, as transformers computes them: statistics in f32 whatever the weights' type.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, RmsNorm};
use burn::tensor::Tensor;

use super::host;

/// The normalisation of a block, by [`NormKind`](crate::config::NormKind).
#[derive(Module, Debug)]
pub(crate) enum Norm {
    Rms(RmsNorm),
    Layer(LayerNorm),
}

impl Norm {
    pub(crate) fn rms(weight: Tensor<1>, eps: f64) -> Self {
        Self::Rms(RmsNorm { gamma: Param::from_tensor(weight), epsilon: eps })
    }

    pub(crate) fn layer(weight: Tensor<1>, bias: Option<Tensor<1>>, eps: f64) -> Self {
        let config = burn::nn::LayerNormConfig::new(weight.dims()[0]).with_epsilon(eps);
        let mut norm = config.with_bias(bias.is_some()).init(&weight.device());
        norm.gamma = Param::from_tensor(weight);
        norm.beta = bias.map(Param::from_tensor);
        Self::Layer(norm)
    }

    /// Hidden `[batch, seq, d_model]` to the same.
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Rms(norm) => host::rms_norm(norm, &x).unwrap_or_else(|| norm.forward(x)),
            Self::Layer(norm) => norm.forward(x),
        }
    }
}
