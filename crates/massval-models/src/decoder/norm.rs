//! The norms, as transformers computes them: statistics in f32 whatever the weights' type.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, RmsNorm};
use burn::tensor::{DType, Tensor};

use super::host;

/// A normalisation over the last dimension, by [`NormKind`](crate::config::NormKind).
#[derive(Module, Debug)]
pub(crate) enum Norm {
    Rms(RmsNorm),
    Layer(Layer),
    /// Multiplies with `1 + weight`.
    RmsPlusOne(RmsNorm),
    Fixed(Fixed),
    Tanh(Tanh),
}

/// A LayerNorm whose epsilon can be read.
#[derive(Module, Debug)]
pub(crate) struct Layer {
    pub(crate) norm: LayerNorm,
    epsilon: f64,
}

/// `tanh(alpha x) * weight + bias`.
#[derive(Module, Debug)]
pub(crate) struct Tanh {
    pub(crate) alpha: Param<Tensor<1>>,
    pub(crate) weight: Param<Tensor<1>>,
    pub(crate) bias: Option<Param<Tensor<1>>>,
}

/// A LayerNorm that learns nothing.
#[derive(Module, Debug)]
pub(crate) struct Fixed {
    epsilon: f64,
}

impl Norm {
    pub(crate) fn rms(weight: Tensor<1>, eps: f64) -> Self {
        Self::Rms(RmsNorm { gamma: Param::from_tensor(weight), epsilon: eps })
    }

    pub(crate) fn rms_plus_one(weight: Tensor<1>, eps: f64) -> Self {
        Self::RmsPlusOne(RmsNorm { gamma: Param::from_tensor(weight), epsilon: eps })
    }

    pub(crate) fn layer(weight: Tensor<1>, bias: Option<Tensor<1>>, eps: f64) -> Self {
        let config = burn::nn::LayerNormConfig::new(weight.dims()[0]).with_epsilon(eps);
        let mut norm = config.with_bias(bias.is_some()).init(&weight.device());
        norm.gamma = Param::from_tensor(weight);
        norm.beta = bias.map(Param::from_tensor);
        Self::Layer(Layer { norm, epsilon: eps })
    }

    pub(crate) fn tanh(alpha: Tensor<1>, weight: Tensor<1>, bias: Option<Tensor<1>>) -> Self {
        let [alpha, weight] = [alpha, weight].map(Param::from_tensor);
        Self::Tanh(Tanh { alpha, weight, bias: bias.map(Param::from_tensor) })
    }

    pub(crate) fn fixed(eps: f64) -> Self {
        Self::Fixed(Fixed { epsilon: eps })
    }

    /// Hidden `[batch, seq, d_model]` to the same.
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Rms(RmsNorm { gamma, epsilon }) => {
                host::norm(&x, &gamma.val(), None, *epsilon as f32, false)
                    .unwrap_or_else(|| self.over_last(x))
            }
            Self::Layer(norm) => {
                let Layer { norm, epsilon } = norm;
                let (gamma, beta) = (norm.gamma.val(), norm.beta.as_ref().map(|beta| beta.val()));
                host::norm(&x, &gamma, beta.as_ref(), *epsilon as f32, true)
                    .unwrap_or_else(|| norm.forward(x))
            }
            _ => self.over_last(x),
        }
    }

    /// Over the last dimension of any tensor, such as the channels of heads.
    pub(crate) fn over_last<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Rms(norm) => norm.forward(x),
            Self::Layer(Layer { norm, .. }) => norm.forward(x),
            Self::Tanh(Tanh { alpha, weight, bias }) => {
                let x = (x * alpha.val().unsqueeze()).tanh() * weight.val().unsqueeze();
                match bias {
                    Some(bias) => x + bias.val().unsqueeze(),
                    None => x,
                }
            }
            Self::RmsPlusOne(norm) => {
                // The sum with 1 would lose the weight's last digits in a half precision.
                let dtype = x.dtype();
                let x = x.cast(wide(dtype));
                let mean = x.clone().square().mean_dim(D - 1);
                let weight = norm.gamma.val().cast(wide(dtype)) + 1.0;
                (x / (mean + norm.epsilon).sqrt() * weight.unsqueeze()).cast(dtype)
            }
            Self::Fixed(Fixed { epsilon }) => {
                let dtype = x.dtype();
                let x = x.cast(wide(dtype));
                let x = x.clone() - x.mean_dim(D - 1);
                let var = x.clone().square().mean_dim(D - 1);
                (x / (var + *epsilon).sqrt()).cast(dtype)
            }
        }
    }
}

/// In which type the statistics are taken.
fn wide(dtype: DType) -> DType {
    if dtype == DType::F64 { dtype } else { DType::F32 }
}
