//! GPT-NeoX and Pythia: attention and MLP in parallel, partial RoPE, Q, K and V fused head by head.

use super::fields::Fields;
use super::names::{FusedOrder, MlpNames, NormNames, Prefix, Qkv, Stored, WeightNames};
use super::read::{self, Shape};
use super::rope::{self, Extent, Family};
use crate::Result;
use crate::config::{BiasConfig, BlockOrder, DecoderConfig, PositionEncoding};

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let shape = Shape {
        architecture: "gpt_neox",
        vocab_size: fields.size("vocab_size")?,
        d_model: fields.size("hidden_size")?,
        layers: read::layers(fields, "num_hidden_layers")?,
        heads: fields.size("num_attention_heads")?,
        d_mlp: fields.size("intermediate_size")?,
    };
    let eps = fields.positive("layer_norm_eps", Some(1e-5))?;
    let config = shape.gpt(fields, ["hidden_size", "num_attention_heads"], eps)?;
    let positions = fields.opt_size("max_position_embeddings")?.unwrap_or(2048);
    let family = Family {
        theta: ("rotary_emb_base", 10_000.0),
        partial: Some(("rotary_pct", 0.25)),
        ..Family::LLAMA
    };
    let extent = Extent { head_dim: config.head_dim, max_positions: Some(positions) };
    let rope = family.read(fields, extent)?;
    let bias = fields.bool("attention_bias", true)?;
    Ok(DecoderConfig {
        block: match fields.bool("use_parallel_residual", true)? {
            true => BlockOrder::ParallelTwoNorms,
            false => BlockOrder::PreNorm,
        },
        max_positions: rope::longest(&rope, Some(positions)),
        position: PositionEncoding::Rope(rope),
        activation: read::activation(fields, "hidden_act", "gelu")?,
        bias: BiasConfig { qkv: bias, attn_out: bias, ..BiasConfig::ALL },
        tied_head: fields.bool("tie_word_embeddings", false)?,
        ..config
    })
}

pub(super) fn names(_: &DecoderConfig) -> WeightNames {
    WeightNames {
        prefixes: &[Prefix { body: "gpt_neox.", head: "" }, Prefix { body: "", head: "" }],
        embed: "embed_in",
        embed_norm: None,
        projections: None,
        positions: None,
        final_norm: "final_layer_norm",
        head: "embed_out",
        linear: Stored::OutIn,
        norms: NormNames {
            attn: Some("layers.{l}.input_layernorm"),
            mlp: Some("layers.{l}.post_attention_layernorm"),
            ..NormNames::default()
        },
        qkv: Qkv::Fused { name: "layers.{l}.attention.query_key_value", order: FusedOrder::Groups },
        qk_norm: None,
        attn_out: "layers.{l}.attention.dense",
        mlp: MlpNames::Plain {
            up: "layers.{l}.mlp.dense_h_to_4h",
            down: "layers.{l}.mlp.dense_4h_to_h",
        },
        derivable: &[
            "gpt_neox.layers.{l}.attention.bias",
            "gpt_neox.layers.{l}.attention.masked_bias",
            "gpt_neox.layers.{l}.attention.rotary_emb.inv_freq",
        ],
        aside: &[],
    }
}
