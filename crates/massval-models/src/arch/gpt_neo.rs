//! GPT-Neo: GPT-2 with scores that are not scaled, and a window in every other layer.

use serde_json::Value;

use super::fields::Fields;
use super::gpt2;
use super::names::{Qkv, Stored, WeightNames};
use super::read::{self, MAX_LAYERS, Shape};
use crate::Result;
use crate::config::{BiasConfig, DecoderConfig, PositionEncoding};

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let d_model = fields.size("hidden_size")?;
    let shape = Shape {
        architecture: "gpt_neo",
        vocab_size: fields.size("vocab_size")?,
        d_model,
        layers: read::layers(fields, "num_layers")?,
        heads: fields.size("num_heads")?,
        d_mlp: fields.opt_size("intermediate_size")?.unwrap_or(4 * d_model),
    };
    let eps = fields.positive("layer_norm_epsilon", Some(1e-5))?;
    let mut config = shape.gpt(fields, ["hidden_size", "num_heads"], eps)?;
    let positions = fields.opt_size("max_position_embeddings")?.unwrap_or(2048);
    config.position = PositionEncoding::Learned { positions, offset: 0 };
    config.max_positions = Some(positions);
    config.activation = read::activation(fields, "activation_function", "gelu_new")?;
    config.bias = BiasConfig { qkv: false, ..BiasConfig::ALL };
    config.tied_head = fields.bool("tie_word_embeddings", true)?;
    config.attention.scale = 1.0;
    let size = fields.opt_size("window_size")?.unwrap_or(256);
    config.attention.window = read::window(Some(size), local_layers(fields, config.layers)?);
    Ok(config)
}

/// `attention_types`, `[[["global", "local"], 12]]`: patterns of kinds, each with how often it comes;
/// and `attention_layers`, the same written out.
fn local_layers(fields: &Fields<'_>, layers: usize) -> Result<Vec<bool>> {
    let name = "attention_types";
    let wrong = |what: &str| fields.error(name, what.to_owned());
    let written = fields.get("attention_layers").map(|v| kinds(fields, "attention_layers", v));
    let written = written.transpose()?;
    let local = match fields.get(name) {
        None => (0..24).map(|layer| layer % 2 == 1).collect(),
        Some(value) => {
            let mut local = Vec::new();
            for entry in value.as_array().ok_or_else(|| wrong("is not a list"))? {
                let pair = entry.as_array().map(Vec::as_slice);
                let Some([pattern, count]) = pair else {
                    return Err(wrong("has an entry that is not [kinds, count]"));
                };
                let pattern = kinds(fields, name, pattern)?;
                let count = count.as_u64().filter(|&n| n <= MAX_LAYERS as u64);
                let count =
                    count.ok_or_else(|| wrong("has a count that is not a number of layers"))?;
                for _ in 0..count {
                    local.extend_from_slice(&pattern);
                    if local.len() > layers {
                        break;
                    }
                }
            }
            local
        }
    };
    if local.len() != layers {
        return Err(wrong(&format!("does not give {layers} layers")));
    }
    match written {
        Some(written) if written != local => {
            Err(fields.error("attention_layers", "contradicts attention_types"))
        }
        _ => Ok(local),
    }
}

fn kinds(fields: &Fields<'_>, name: &str, value: &Value) -> Result<Vec<bool>> {
    let list = value.as_array().ok_or_else(|| fields.error(name, "is not a list"))?;
    let local = |kind: &Value| match kind.as_str() {
        Some("local") => Ok(true),
        Some("global") => Ok(false),
        _ => Err(fields.error(name, format!("unknown kind {kind}; known are global, local"))),
    };
    list.iter().map(local).collect()
}

pub(super) fn names(_: &DecoderConfig) -> WeightNames {
    WeightNames {
        linear: Stored::OutIn,
        qkv: Qkv::Separate {
            q: "h.{l}.attn.attention.q_proj",
            k: "h.{l}.attn.attention.k_proj",
            v: "h.{l}.attn.attention.v_proj",
            permuted: false,
        },
        attn_out: "h.{l}.attn.attention.out_proj",
        derivable: &[
            "transformer.h.{l}.attn.attention.bias",
            "transformer.h.{l}.attn.attention.masked_bias",
        ],
        ..gpt2::NAMES
    }
}
