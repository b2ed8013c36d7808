//! Losses and gradients of whole decoders against burn's own operations, which gradient checkpointing brings back.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use massval_hooks::HookSet;

use crate::{Batch, Decoder, LogitsAt, arch, cross_entropy};

/// Fills parameters with waves of their own.
struct Waves(usize);

impl ModuleMapper for Waves {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.0 += 1;
        let shift = self.0 as f32;
        param.map(|x| {
            let (dims, device) = (x.dims(), x.device());
            let count: usize = dims.iter().product();
            let base = if D == 1 { 1.0 } else { 0.0 };
            let values: Vec<f32> =
                (0..count).map(|i| base + 0.3 * (i as f32 * 0.71 + shift).sin()).collect();
            let x = Tensor::from_data(TensorData::new(values, dims), &device);
            if device.is_autodiff() { x.require_grad() } else { x }
        })
    }
}

struct Collect<'a> {
    gradients: &'a Gradients,
    found: Vec<Vec<f32>>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients).expect("every weight has a gradient");
        assert_eq!(gradient.dims(), param.val().dims());
        self.found.push(gradient.into_data().try_into_vec().expect("f32"));
    }
}

fn decoder(fields: &str, device: &Device) -> Decoder {
    let json = format!(
        r#"{{"model_type": "massval", "vocab_size": 19, "hidden_size": 12, "num_hidden_layers": 2,
             "num_attention_heads": 3, "intermediate_size": 20, "max_position_embeddings": 16, {fields}}}"#
    );
    let config = arch::read_config("config.json".as_ref(), &json).expect("a config");
    let decoder = Decoder::blank(&config, device).expect("a decoder");
    decoder.map(&mut Waves(0))
}

fn loss(decoder: &Decoder) -> Tensor<1> {
    let rows: Vec<Vec<u32>> =
        (0..3).map(|row| (0..9).map(|i| (i * 7 + row * 5 + i * i) % 19).collect()).collect();
    let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
    let batch = Batch::left_padded(&rows).expect("rows");
    let logits = decoder.forward(&batch, None, &mut HookSet::none(), LogitsAt::All);
    let logits = logits.expect("a pass").expect("logits");
    let targets: Vec<u32> = (0..27).map(|i| (i * 5 + 3) % 19).collect();
    let weights: Vec<f32> = (0..27).map(|i| (i % 4) as f32).collect();
    cross_entropy(logits, &targets, &weights).expect("a loss")
}

fn gradients(decoder: &Decoder) -> (f32, Vec<Vec<f32>>) {
    let loss = loss(decoder);
    let gradients = loss.backward();
    let mut collect = Collect { gradients: &gradients, found: Vec::new() };
    decoder.visit(&mut collect);
    (loss.into_scalar::<f32>(), collect.found)
}

#[test]
fn gradients_equal_those_of_burn() {
    for fields in [
        r#""position": "rope", "norm": "layer-norm", "mlp": "plain""#,
        r#""position": "learned", "norm": "layer-norm", "mlp": "plain", "bias": false"#,
        r#""position": "rope", "norm": "rms-norm", "mlp": "gated", "hidden_act": "silu",
           "num_key_value_heads": 1, "bias": false, "tie_word_embeddings": false"#,
        r#""position": "none", "norm": "layer-norm", "mlp": "plain", "kv_bias": true"#,
        r#""position": "alibi", "norm": "dynamic-tanh", "mlp": "gated", "hidden_act": "gelu",
           "learned_embedding_scale": true, "kv_bias": true"#,
        r#""position": "rope", "norm": "rms-norm", "mlp": "plain", "partial_rotary_factor": 0.5"#,
    ] {
        let expected = loss(&decoder(fields, &Device::flex())).into_scalar::<f32>();
        let tracked = Device::flex().autodiff();
        let (found, ours) = gradients(&decoder(fields, &tracked));
        let (right, burns) = gradients(&decoder(fields, &tracked.gradient_checkpointing()));
        assert!((found - right).abs() < 1e-5, "{fields}: {found} {right}");
        assert!((found - expected).abs() < 1e-5, "{fields}: {found} {expected}");
        assert_eq!(ours.len(), burns.len());
        for (index, (ours, burns)) in ours.iter().zip(&burns).enumerate() {
            let scale = burns.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            let apart = ours.iter().zip(burns).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
            // A row of nearly equal values is normed to rounding errors, whoever computes it.
            assert!(apart <= 5e-4 * scale + 1e-7, "{fields}, weight {index}: {apart} of {scale}");
        }
    }
}
