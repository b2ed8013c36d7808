//! OPT: learned positions from row 2 on; the 350M model normalises the stream and has a narrower
//! embedding.

use super::fields::Fields;
use super::names::{MlpNames, NormNames, Prefix, Qkv, Stored, WeightNames};
use super::read::{self, Shape};
use crate::Result;
use crate::config::{
    BiasConfig, BlockOrder, DecoderConfig, EmbeddingConfig, NormKind, PositionEncoding,
};

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let d_model = fields.size("hidden_size")?;
    let shape = Shape {
        architecture: "opt",
        vocab_size: fields.size("vocab_size")?,
        d_model,
        layers: read::layers(fields, "num_hidden_layers")?,
        heads: fields.size("num_attention_heads")?,
        d_mlp: fields.size("ffn_dim")?,
    };
    // The norms' constant is PyTorch's default; the config has no field for it.
    let config = shape.gpt(fields, ["hidden_size", "num_attention_heads"], 1e-5)?;
    let positions = fields.opt_size("max_position_embeddings")?.unwrap_or(2048);
    let before = fields.bool("do_layer_norm_before", true)?;
    let final_norm = before && !fields.bool("_remove_final_layer_norm", false)?;
    let bias = fields.bool("enable_bias", true)?;
    let learned = fields.bool("layer_norm_elementwise_affine", true)?;
    let width = fields.opt_size("word_embed_proj_dim")?.unwrap_or(d_model);
    Ok(DecoderConfig {
        embedding: EmbeddingConfig::plain(width),
        block: if before { BlockOrder::PreNorm } else { BlockOrder::StreamNorm },
        norm: if learned { NormKind::LayerNorm } else { NormKind::LayerNormFixed },
        final_norm,
        position: PositionEncoding::Learned { positions, offset: 2 },
        max_positions: Some(positions),
        activation: read::activation(fields, "activation_function", "relu")?,
        bias: BiasConfig { qkv: bias, attn_out: bias, mlp: bias, norm: learned, head: false },
        tied_head: fields.bool("tie_word_embeddings", true)?,
        ..config
    })
}

pub(super) fn names(_: &DecoderConfig) -> WeightNames {
    WeightNames {
        prefixes: &[
            Prefix { body: "model.decoder.", head: "" },
            Prefix { body: "decoder.", head: "" },
        ],
        embed: "embed_tokens",
        embed_norm: None,
        projections: Some(("project_in", "project_out")),
        positions: Some("embed_positions"),
        final_norm: "final_layer_norm",
        head: "lm_head",
        linear: Stored::OutIn,
        norms: NormNames {
            attn: Some("layers.{l}.self_attn_layer_norm"),
            mlp: Some("layers.{l}.final_layer_norm"),
            ..NormNames::default()
        },
        qkv: Qkv::Separate {
            q: "layers.{l}.self_attn.q_proj",
            k: "layers.{l}.self_attn.k_proj",
            v: "layers.{l}.self_attn.v_proj",
            permuted: false,
        },
        qk_norm: None,
        attn_out: "layers.{l}.self_attn.out_proj",
        mlp: MlpNames::Plain { up: "layers.{l}.fc1", down: "layers.{l}.fc2" },
        derivable: &[],
        aside: &[],
    }
}
