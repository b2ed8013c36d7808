//! MPT: ALiBi, no bias anywhere, Q, K and V fused and perhaps clipped.

use serde_json::Value;

use super::fields::Fields;
use super::gpt2;
use super::names::{FusedOrder, MlpNames, NormNames, Qkv, Stored, WeightNames};
use super::read::{self, Shape};
use crate::Result;
use crate::config::{ActivationKind, AlibiConfig, BiasConfig, DecoderConfig, PositionEncoding};

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let d_model = fields.size("d_model")?;
    let expansion = fields.opt_size("expansion_ratio")?.unwrap_or(4);
    if expansion != 4 {
        let what = format!("{expansion} is not supported; transformers computes with 4");
        return Err(fields.error("expansion_ratio", what));
    }
    let shape = Shape {
        architecture: "mpt",
        vocab_size: fields.size("vocab_size")?,
        d_model,
        layers: read::layers(fields, "n_layers")?,
        heads: fields.size("n_heads")?,
        d_mlp: 4 * d_model,
    };
    let eps = fields.positive("layer_norm_epsilon", Some(1e-5))?;
    let mut config = shape.gpt(fields, ["d_model", "n_heads"], eps)?;
    read::only(fields, "no_bias", true)?;
    // With ALiBi, MPT has no learned positions whatever this says.
    fields.bool("learned_pos_emb", true)?;
    config.bias = BiasConfig::NONE;
    config.activation = ActivationKind::Gelu;
    config.max_positions = Some(fields.opt_size("max_seq_len")?.unwrap_or(2048));
    config.tied_head = fields.bool("tie_word_embeddings", true)?;
    if let Some(attention) = fields.nested("attn_config")? {
        config.attention.clip_qkv = read::opt_positive(&attention, "clip_qkv")?;
        if let Some(scale) = read::opt_positive(&attention, "softmax_scale")? {
            config.attention.scale = scale;
        }
        for (name, supported) in [
            ("alibi", true),
            ("qk_ln", false),
            ("prefix_lm", false),
            ("attn_uses_sequence_id", false),
        ] {
            read::only(&attention, name, supported)?;
        }
        let kind = attention.opt_str("attn_type")?.unwrap_or("multihead_attention");
        if kind != "multihead_attention" {
            return Err(attention.error("attn_type", format!("{kind:?} is not supported")));
        }
        let max = attention.get("alibi_bias_max").map_or(Some(8.0), Value::as_f64);
        if max != Some(8.0) {
            return Err(attention.error("alibi_bias_max", "transformers computes with 8"));
        }
        attention.finish_nested()?;
    }
    config.position = PositionEncoding::Alibi(AlibiConfig::from_power_above(config.heads, 8.0));
    Ok(config)
}

pub(super) fn names(_: &DecoderConfig) -> WeightNames {
    WeightNames {
        positions: None,
        final_norm: "norm_f",
        linear: Stored::OutIn,
        norms: NormNames {
            attn: Some("blocks.{l}.norm_1"),
            mlp: Some("blocks.{l}.norm_2"),
            ..NormNames::default()
        },
        qkv: Qkv::Fused { name: "blocks.{l}.attn.Wqkv", order: FusedOrder::Blocks },
        attn_out: "blocks.{l}.attn.out_proj",
        mlp: MlpNames::Plain { up: "blocks.{l}.ffn.up_proj", down: "blocks.{l}.ffn.down_proj" },
        derivable: &[],
        ..gpt2::NAMES
    }
}
