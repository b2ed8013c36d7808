//! massval's own architecture: the GPT and Llama shapes in every combination, and what no other config can say.
//!
//! Small models are trained in it where none of transformers' architectures computes the same: without positions,
//! with ALiBi and a plain MLP, with grouped queries and LayerNorm, with DyT, with a KV bias.

use super::fields::Fields;
use super::names::{MlpNames, NormNames, Prefix, Qkv, Stored, WeightNames};
use super::read::{self, Shape};
use super::rope::{self, Extent, Family};
use crate::Result;
use crate::config::{
    AlibiConfig, AttentionConfig, BiasConfig, DecoderConfig, MlpKind, NormKind, PositionEncoding,
};

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let shape = Shape {
        architecture: "massval",
        vocab_size: fields.size("vocab_size")?,
        d_model: fields.size("hidden_size")?,
        layers: read::layers(fields, "num_hidden_layers")?,
        heads: fields.size("num_attention_heads")?,
        d_mlp: fields.size("intermediate_size")?,
    };
    let eps = fields.positive("norm_eps", Some(1e-5))?;
    let mut config = shape.gpt(fields, ["hidden_size", "num_attention_heads"], eps)?;
    config.kv_heads = fields.opt_size("num_key_value_heads")?.unwrap_or(config.heads);
    let positions = fields.size("max_position_embeddings")?;
    config.max_positions = Some(positions);
    config.position = match word(fields, "position", &["rope", "learned", "alibi", "none"])? {
        "rope" => {
            let extent = Extent { head_dim: config.head_dim, max_positions: Some(positions) };
            let family = Family { partial: Some(("partial_rotary_factor", 1.0)), ..Family::LLAMA };
            let rope = family.read(fields, extent)?;
            config.max_positions = rope::longest(&rope, Some(positions));
            PositionEncoding::Rope(rope)
        }
        "learned" => PositionEncoding::Learned { positions, offset: 0 },
        "alibi" => PositionEncoding::Alibi(AlibiConfig::from_power_above(config.heads, 8.0)),
        _ => PositionEncoding::None,
    };
    config.norm = match word(fields, "norm", &["layer-norm", "rms-norm", "dynamic-tanh"])? {
        "rms-norm" => NormKind::RmsNorm,
        "dynamic-tanh" => NormKind::DynamicTanh,
        _ => NormKind::LayerNorm,
    };
    config.mlp = match word(fields, "mlp", &["plain", "gated"])? {
        "gated" => MlpKind::Gated,
        _ => MlpKind::Plain,
    };
    config.activation = read::activation(fields, "hidden_act", "gelu_new")?;
    let bias = fields.bool("bias", true)?;
    config.bias = if bias { BiasConfig::ALL } else { BiasConfig::NONE };
    config.tied_head = fields.bool("tie_word_embeddings", true)?;
    let kv_bias = fields.bool("kv_bias", false)?;
    config.attention = AttentionConfig { kv_bias, ..AttentionConfig::scaled(config.head_dim) };
    config.embedding.learned_scale = fields.bool("learned_embedding_scale", false)?;
    Ok(config)
}

/// One of these words.
fn word<'a>(fields: &Fields<'a>, name: &str, known: &[&'static str]) -> Result<&'static str> {
    let given = fields.opt_str(name)?.unwrap_or_default();
    known
        .iter()
        .find(|word| **word == given)
        .copied()
        .ok_or_else(|| fields.error(name, format!("{given:?} is none of {}", known.join(", "))))
}

pub(super) fn names(config: &DecoderConfig) -> WeightNames {
    WeightNames {
        prefixes: &[Prefix { body: "", head: "" }],
        embed: "embed",
        embed_norm: None,
        projections: None,
        positions: Some("positions"),
        final_norm: "final_norm",
        head: "head",
        linear: Stored::OutIn,
        norms: NormNames {
            attn: Some("layers.{l}.attn_norm"),
            mlp: Some("layers.{l}.mlp_norm"),
            ..NormNames::default()
        },
        qkv: Qkv::Separate {
            q: "layers.{l}.attn.q",
            k: "layers.{l}.attn.k",
            v: "layers.{l}.attn.v",
            permuted: false,
        },
        qk_norm: None,
        attn_out: "layers.{l}.attn.out",
        mlp: match config.mlp {
            MlpKind::Gated => MlpNames::Gated {
                gate: "layers.{l}.mlp.gate",
                up: "layers.{l}.mlp.up",
                down: "layers.{l}.mlp.down",
            },
            _ => MlpNames::Plain { up: "layers.{l}.mlp.up", down: "layers.{l}.mlp.down" },
        },
        derivable: &[],
        aside: &[],
    }
}
