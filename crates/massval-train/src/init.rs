//! The first weights, and the numbers by which the optimizer knows them.

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use massval_models::Decoder;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::TrainConfig;

/// Fills a decoder of zeros: N(0, `init_std`), the matrices that end in the residual stream with less, as GPT-2's, or
/// all of block `l` with `init_std / sqrt(l)`.
pub(crate) fn initialise(decoder: Decoder, config: &TrainConfig) -> Decoder {
    decoder.map(&mut Initialise { config, path: Vec::new() })
}

/// Puts the parameters on burn's tape, numbered in their order, so that an optimizer's state finds them again in
/// another process.
pub(crate) fn on_tape(decoder: Decoder) -> Decoder {
    decoder.map(&mut Track(0))
}

struct Initialise<'a> {
    config: &'a TrainConfig,
    path: Vec<String>,
}

impl Initialise<'_> {
    /// What the values of the parameter at the path are: around which mean, how far spread.
    fn spread(&self, dimensions: usize) -> (f64, f64) {
        let model = &self.config.model;
        let names: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let within = |name: &str| names.contains(&name);
        match dimensions {
            1 if within("alpha") => (if within("attn_norm") { 1.0 } else { 0.5 }, 0.0),
            1 if within("embed_scale") => ((model.d_model as f64).sqrt(), 0.0),
            1 if within("gamma")
                || (within("weight") && !within("attention") && !within("mlp")) =>
            {
                (1.0, 0.0)
            }
            1 => (0.0, 0.0),
            _ => (0.0, self.std(&names)),
        }
    }

    fn std(&self, names: &[&str]) -> f64 {
        let model = &self.config.model;
        let block = match names {
            ["blocks", index, ..] => index.parse::<usize>().ok(),
            _ => None,
        };
        let to_stream = names.ends_with(&["out", "weight"]) || names.ends_with(&["down", "weight"]);
        match block {
            Some(block) if self.config.mitigations.layer_index_init => {
                model.init_std / ((block + 1) as f64).sqrt()
            }
            Some(_) if to_stream => model.init_std / ((2 * model.layers) as f64).sqrt(),
            _ => model.init_std,
        }
    }
}

impl ModuleMapper for Initialise<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (mean, std) = self.spread(D);
        // Each parameter has a stream of its own: one more of them changes no other.
        let key = format!("{}/{}", self.config.seed, self.path.join("."));
        let mut rng = ChaCha8Rng::from_seed(*blake3::hash(key.as_bytes()).as_bytes());
        param.map(|x| {
            let dims = x.dims();
            let mut draw = || {
                let z: f64 = StandardNormal.sample(&mut rng);
                (mean + std * z) as f32
            };
            let values: Vec<f32> = (0..dims.iter().product()).map(|_| draw()).collect();
            Tensor::from_data(TensorData::new(values, dims), &x.device())
        })
    }
}

struct Track(u64);

impl ModuleMapper for Track {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.0 += 1;
        let leaf = Tensor::from_inner(param.into_value()).require_grad();
        Param::initialized(ParamId::from(self.0), leaf)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use massval_models::tensorfile::TensorData as Stored;

    use super::*;
    use crate::model;

    fn std_of(decoder: &Decoder, name: &str) -> f64 {
        let tensors = decoder.named_tensors().unwrap();
        let tensor = tensors.iter().find(|tensor| tensor.name == name);
        let Stored::F32(values) = &tensor.unwrap_or_else(|| panic!("no {name}")).data else {
            panic!("f32")
        };
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / values.len() as f64;
        let square: f64 = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
        (square / values.len() as f64).sqrt()
    }

    fn made(config: &TrainConfig) -> Decoder {
        let value = model::hf_config(config, 200);
        initialise(model::blank(&value, &Device::flex()).unwrap(), config)
    }

    #[test]
    fn weights_are_spread_as_asked() {
        let mut config = TrainConfig::tiny();
        config.model.position = crate::Position::None;
        config.model.init_std = 0.02;
        let check = |decoder: &Decoder, name: &str, std: f64| {
            let found = std_of(decoder, &format!("{name}.weight"));
            assert!((found - std).abs() < 0.03 * std, "{name}: {found}, not {std}");
        };
        let gpt2 = made(&config);
        for (name, std) in [("embed", 0.02), ("layers.1.attn.q", 0.02), ("layers.1.mlp.up", 0.02)] {
            check(&gpt2, name, std);
        }
        for name in ["layers.0.attn.out", "layers.1.mlp.down"] {
            check(&gpt2, name, 0.02 / 2.0);
        }
        assert_eq!(std_of(&gpt2, "layers.0.attn_norm.weight"), 0.0);
        config.mitigations.layer_index_init = true;
        let by_layer = made(&config);
        check(&by_layer, "layers.0.attn.out", 0.02);
        check(&by_layer, "layers.1.attn.q", 0.02 / 2f64.sqrt());
    }

    #[test]
    fn a_seed_gives_its_weights_and_no_others() {
        let tensors =
            |seed| made(&TrainConfig { seed, ..TrainConfig::tiny() }).named_tensors().unwrap();
        assert_eq!(tensors(1), tensors(1));
        assert_ne!(tensors(1), tensors(2));
    }
}
