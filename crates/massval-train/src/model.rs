//! The model of a training as a Hugging Face config: transformers' own architecture where one computes the same.

use std::path::Path;

use burn::tensor::Device;
use massval_data::language::Vocabulary;
use massval_models::{Decoder, DecoderConfig, arch};
use serde_json::{Value, json};

use crate::{ModelConfig, Norm, Position, Result, TrainConfig};

/// The `config.json` of a model with this vocabulary and so many positions.
///
/// GPT-2 for learned positions, GPT-NeoX without its parallel blocks for rotary ones, Llama for rotary positions with
/// RMSNorm and a gated MLP; everything else is massval's own architecture.
pub(crate) fn hf_config(config: &TrainConfig, vocab: usize) -> Value {
    let model = &config.model;
    let positions = config.positions();
    let gpt = model.norm == Norm::LayerNorm
        && !model.gated
        && model.bias
        && model.kv_heads == model.heads
        && !model.kv_bias;
    let llama = model.norm == Norm::RmsNorm && model.gated && !model.bias && !model.kv_bias;
    let mut value = match model.position {
        Position::Learned if gpt => gpt2(model, vocab, positions),
        Position::Rope { theta, fraction } if gpt => {
            gpt_neox(model, vocab, positions, theta, fraction)
        }
        Position::Rope { theta, fraction: 1.0 } if llama => {
            llama_like(model, vocab, positions, theta)
        }
        _ => own(model, vocab, positions),
    };
    value["bos_token_id"] = json!(Vocabulary::BOS);
    value["eos_token_id"] = json!(Vocabulary::EOS);
    value["pad_token_id"] = json!(Vocabulary::PAD);
    value["torch_dtype"] = json!("float32");
    value["tie_word_embeddings"] = json!(true);
    value
}

fn gpt2(model: &ModelConfig, vocab: usize, positions: usize) -> Value {
    json!({
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": vocab,
        "n_positions": positions,
        "n_embd": model.d_model,
        "n_layer": model.layers,
        "n_head": model.heads,
        "n_inner": model.d_mlp,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
    })
}

fn gpt_neox(
    model: &ModelConfig,
    vocab: usize,
    positions: usize,
    theta: f64,
    fraction: f64,
) -> Value {
    json!({
        "model_type": "gpt_neox",
        "architectures": ["GPTNeoXForCausalLM"],
        "vocab_size": vocab,
        "max_position_embeddings": positions,
        "hidden_size": model.d_model,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "intermediate_size": model.d_mlp,
        "hidden_act": "gelu_new",
        "layer_norm_eps": 1e-5,
        "use_parallel_residual": false,
        "attention_bias": true,
        "rotary_emb_base": theta,
        "rotary_pct": fraction,
    })
}

fn llama_like(model: &ModelConfig, vocab: usize, positions: usize, theta: f64) -> Value {
    json!({
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": vocab,
        "max_position_embeddings": positions,
        "hidden_size": model.d_model,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "intermediate_size": model.d_mlp,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": theta,
    })
}

fn own(model: &ModelConfig, vocab: usize, positions: usize) -> Value {
    let mut value = json!({
        "model_type": "massval",
        "vocab_size": vocab,
        "max_position_embeddings": positions,
        "hidden_size": model.d_model,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "intermediate_size": model.d_mlp,
        "position": model.position.name(),
        "norm": match model.norm {
            Norm::LayerNorm => "layer-norm",
            Norm::RmsNorm => "rms-norm",
            Norm::DynamicTanh => "dynamic-tanh",
        },
        "norm_eps": 1e-5,
        "mlp": if model.gated { "gated" } else { "plain" },
        "hidden_act": if model.gated { "silu" } else { "gelu_new" },
        "bias": model.bias,
        "kv_bias": model.kv_bias,
        "learned_embedding_scale": model.norm == Norm::DynamicTanh,
    });
    if let Position::Rope { theta, fraction } = model.position {
        value["rope_theta"] = json!(theta);
        value["partial_rotary_factor"] = json!(fraction);
    }
    value
}

/// What `massval-models` makes of a config.
pub(crate) fn described(config: &Value) -> Result<DecoderConfig> {
    Ok(arch::read_config(Path::new("config.json"), &config.to_string())?)
}

/// A decoder of zeros, to be filled.
pub(crate) fn blank(config: &Value, device: &Device) -> Result<Decoder> {
    Ok(Decoder::blank(&described(config)?, device)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mitigations;

    fn of(change: impl Fn(&mut ModelConfig)) -> Value {
        let mut config = TrainConfig { mitigations: Mitigations::default(), ..TrainConfig::tiny() };
        change(&mut config.model);
        config.validate().unwrap();
        let value = hf_config(&config, 300);
        let described = described(&value).unwrap();
        assert_eq!(described.positions(), Some(config.positions()));
        assert_eq!(described.d_mlp, config.model.d_mlp);
        let decoder = blank(&value, &Device::flex()).unwrap();
        let named = decoder.named_tensors().unwrap();
        let count: usize = named.iter().map(|tensor| tensor.data.len()).sum();
        assert_eq!(count as u64, described.parameters());
        value
    }

    #[test]
    fn each_variant_has_its_architecture() {
        let rope = Position::Rope { theta: 1e4, fraction: 1.0 };
        let kind = |value: Value| value["model_type"].as_str().unwrap().to_owned();
        assert_eq!(kind(of(|m| m.position = Position::Learned)), "gpt2");
        assert_eq!(kind(of(|m| m.position = rope)), "gpt_neox");
        let half = Position::Rope { theta: 1e4, fraction: 0.5 };
        assert_eq!(of(|m| m.position = half)["rotary_pct"], 0.5);
        let llama = |m: &mut ModelConfig| {
            (m.norm, m.gated, m.bias, m.kv_heads) = (Norm::RmsNorm, true, false, 1);
        };
        assert_eq!(kind(of(llama)), "llama");
        for own in [
            |m: &mut ModelConfig| m.position = Position::None,
            |m: &mut ModelConfig| m.position = Position::Alibi,
            |m: &mut ModelConfig| m.norm = Norm::DynamicTanh,
            |m: &mut ModelConfig| m.kv_bias = true,
            |m: &mut ModelConfig| m.kv_heads = 1,
            |m: &mut ModelConfig| (m.position, m.bias) = (Position::Learned, false),
        ] {
            assert_eq!(kind(of(own)), "massval");
        }
    }
}
