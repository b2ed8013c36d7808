//! The MLP: gated, plain, or several gated ones among which a router chooses.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::softmax;
use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor, TensorData, activation};
use massval_hooks::Site;

use super::pass::Pass;
use super::{host, linear};
use crate::config::ActivationKind;
use crate::{Error, Result};

#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "one for each layer, and most often the large one")]
pub(crate) enum Mlp {
    One(Dense),
    Experts(Experts),
}

impl Mlp {
    /// Hidden `[batch, seq, d_model]` to what the down projection reads, `[batch, seq, d_mlp]`; among
    /// experts to what they give together, `[batch, seq, d_model]`.
    pub(crate) fn inner(
        &self,
        x: Tensor<3>,
        layer: usize,
        pass: &mut Pass<'_, '_>,
    ) -> Result<Tensor<3>> {
        match self {
            Self::One(mlp) => mlp.inner(x, |site, x| pass.hidden(layer, site, x)),
            Self::Experts(experts) => experts.forward(x),
        }
    }

    /// What [`inner`](Self::inner) gave to hidden `[batch, seq, d_model]`.
    pub(crate) fn out(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::One(mlp) => linear(&mlp.down, x),
            Self::Experts(_) => x,
        }
    }
}

#[derive(Module, Debug)]
pub(crate) struct Dense {
    /// Only in a gated MLP.
    pub(crate) gate: Option<Linear>,
    pub(crate) up: Linear,
    pub(crate) down: Linear,
    #[module(skip)]
    pub(crate) activation: ActivationKind,
}

impl Dense {
    /// `seen` is shown the input of the activation and the input of the down projection.
    fn inner(
        &self,
        x: Tensor<3>,
        mut seen: impl FnMut(Site, Tensor<3>) -> Result<Tensor<3>>,
    ) -> Result<Tensor<3>> {
        let post = match &self.gate {
            Some(gate) => {
                let pre = seen(Site::MlpPre, linear(gate, x.clone()))?;
                times(self.activation, pre, linear(&self.up, x))
            }
            None => {
                let pre = seen(Site::MlpPre, linear(&self.up, x))?;
                activate(self.activation, pre)
            }
        };
        seen(Site::MlpPost, post)
    }
}

/// See [`MlpKind::Experts`](crate::config::MlpKind::Experts).
#[derive(Module, Debug)]
pub(crate) struct Experts {
    /// `[d_model, experts]`.
    pub(crate) router: Param<Tensor<2>>,
    pub(crate) experts: Vec<Dense>,
    pub(crate) per_token: usize,
}

impl Experts {
    fn forward(&self, x: Tensor<3>) -> Result<Tensor<3>> {
        let [batch, seq, width] = x.dims();
        let (tokens, device, dtype) = (batch * seq, x.device(), x.dtype());
        let x = x.reshape([tokens, width]);
        let logits = x.clone().matmul(self.router.val()).cast(DType::F32);
        let probs = softmax(logits, 1);
        let chosen = chosen(&probs, self.experts.len(), self.per_token)?;

        // Everything else weighs nothing.
        let mut kept = vec![0.0f32; tokens * self.experts.len()];
        for (expert, tokens) in chosen.iter().enumerate() {
            tokens.iter().for_each(|&token| kept[token as usize * chosen.len() + expert] = 1.0);
        }
        let kept = TensorData::new(kept, [tokens, self.experts.len()]);
        let weights = probs * Tensor::from_data(kept, (&device, DType::F32));
        let weights = (weights.clone() / weights.sum_dim(1)).cast(dtype);

        let mut out = Tensor::zeros([tokens, width], (&device, dtype));
        for (index, (expert, tokens)) in self.experts.iter().zip(chosen).enumerate() {
            if tokens.is_empty() {
                continue;
            }
            let count = tokens.len();
            let tokens: Tensor<1, Int> =
                Tensor::from_data(TensorData::new(tokens, [count]), &device);
            let part = x.clone().select(0, tokens.clone()).reshape([1, count, width]);
            let inner = expert.inner(part, |_, x| Ok(x))?;
            let part = linear(&expert.down, inner).reshape([count, width]);
            let weight = weights.clone().narrow(1, index, 1).select(0, tokens.clone());
            out = out.select_assign(0, tokens, part * weight, IndexingUpdateOp::Add);
        }
        Ok(out.reshape([batch, seq, width]))
    }
}

/// For each expert the tokens that go to it. Of equal probabilities, the first experts win.
fn chosen(probs: &Tensor<2>, experts: usize, per_token: usize) -> Result<Vec<Vec<i32>>> {
    let device = probs.device();
    let failed = |what: String| Error::Device { device: format!("{device:?}"), what };
    let data = probs.clone().try_into_data().map_err(|error| failed(error.to_string()))?;
    let values = data.as_slice::<f32>().map_err(|error| failed(format!("{error:?}")))?;
    let mut chosen = vec![Vec::new(); experts];
    let mut order: Vec<usize> = Vec::with_capacity(experts);
    for (token, probs) in values.chunks_exact(experts.max(1)).enumerate() {
        order.clear();
        order.extend(0..experts);
        order.sort_by(|&a, &b| probs[b].total_cmp(&probs[a]));
        order.iter().take(per_token).for_each(|&expert| chosen[expert].push(token as i32));
    }
    Ok(chosen)
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
        ActivationKind::GeluTanh => host::gelu_tanh(x).unwrap_or_else(gelu_tanh),
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
