//! AdamW over a decoder: which weights decay, and the gradient cut to a norm.

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use massval_models::Decoder;

use crate::OptimizerConfig;

/// AdamW; only matrices decay.
pub(crate) fn optimizer(config: &OptimizerConfig, decoder: &Decoder) -> ModuleOptimizer {
    let adamw = |decay| {
        AdamWConfig::new()
            .with_beta_1(config.beta_1)
            .with_beta_2(config.beta_2)
            .with_epsilon(config.epsilon)
            .with_weight_decay(decay)
            .build()
    };
    let mut matrices = Matrices(Vec::new());
    decoder.visit(&mut matrices);
    let decayed = ParamGroup::from_ids(matrices.0);
    ModuleOptimizer::from(adamw(0.0)).with_group(decayed, adamw(config.weight_decay), None)
}

struct Matrices(Vec<ParamId>);

impl ModuleVisitor for Matrices {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if D == 2 {
            self.0.push(param.id);
        }
    }
}

/// Scales all gradients, if their common norm is beyond `most`, to have it. Returns the norm before.
pub(crate) fn clip(decoder: &Decoder, gradients: &mut GradientsParams, most: f64) -> f64 {
    let mut squares = Squares { gradients, sum: 0.0 };
    decoder.visit(&mut squares);
    let norm = squares.sum.sqrt();
    if norm > most && norm.is_finite() {
        decoder.visit(&mut Scale { gradients, factor: (most / norm) as f32 });
    }
    norm
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.sum += f64::from(gradient.square().sum().into_scalar::<f32>());
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f32,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient * self.factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use massval_hooks::HookSet;
    use massval_models::{Batch, LogitsAt, cross_entropy};

    use super::*;
    use crate::{TrainConfig, init, model};

    #[test]
    fn gradients_are_cut_to_the_norm_and_no_further() {
        let config = TrainConfig::tiny();
        let value = model::hf_config(&config, 50);
        let blank = model::blank(&value, &Device::flex()).unwrap();
        let decoder = init::on_tape(init::initialise(blank, &config));
        let gradients = || {
            let batch = Batch::single(&[1, 2, 3, 4]).unwrap();
            let logits =
                decoder.forward(&batch, None, &mut HookSet::none(), LogitsAt::All).unwrap();
            let loss = cross_entropy(logits.unwrap(), &[2, 3, 4, 5], &[1.0; 4]).unwrap();
            GradientsParams::from_grads(loss.backward(), &decoder)
        };
        let norm = clip(&decoder, &mut gradients(), f64::MAX);
        assert!(norm > 0.1, "{norm}");
        let mut cut = gradients();
        assert!((clip(&decoder, &mut cut, norm / 3.0) - norm).abs() < 1e-6 * norm);
        let after = clip(&decoder, &mut cut, f64::MAX);
        assert!((after - norm / 3.0).abs() < 1e-5 * norm, "{after}");
    }
}
