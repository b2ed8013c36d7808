//! Llama and what has its shape: RMSNorm, half-split RoPE, grouped queries, gated MLP.

use super::names::{Qkv, Stored, WeightNames};
use super::{fields::Fields, rope};
use crate::Result;
use crate::config::{
    ActivationKind, BiasConfig, DecoderConfig, MlpKind, NormKind, PositionEncoding,
};

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let d_model = fields.size("hidden_size")?;
    let heads = fields.size("num_attention_heads")?;
    let kv_heads = fields.opt_size("num_key_value_heads")?.unwrap_or(heads);
    let head_dim = match fields.opt_size("head_dim")? {
        Some(dim) => dim,
        None if d_model.is_multiple_of(heads) => d_model / heads,
        None => {
            let what = format!("{d_model} is not a multiple of num_attention_heads {heads}");
            return Err(fields.error("hidden_size", what));
        }
    };
    let max_positions = fields.opt_size("max_position_embeddings")?.unwrap_or(2048);
    let act = fields.opt_str("hidden_act")?.unwrap_or("silu");
    let activation = ActivationKind::from_hf(act)
        .ok_or_else(|| fields.error("hidden_act", format!("unknown activation {act:?}")))?;
    let attention_bias = fields.bool("attention_bias", false)?;
    Ok(DecoderConfig {
        architecture: "llama".to_owned(),
        vocab_size: fields.size("vocab_size")?,
        d_model,
        layers: fields.size("num_hidden_layers")?,
        heads,
        kv_heads,
        head_dim,
        d_mlp: fields.size("intermediate_size")?,
        norm: NormKind::RmsNorm,
        norm_eps: fields.positive("rms_norm_eps", Some(1e-6))?,
        position: PositionEncoding::Rope(rope::read(fields, head_dim, max_positions)?),
        max_positions: Some(max_positions),
        mlp: MlpKind::Gated,
        activation,
        bias: BiasConfig {
            qkv: attention_bias,
            attn_out: attention_bias,
            mlp: fields.bool("mlp_bias", false)?,
            norm: false,
        },
        tied_head: fields.bool("tie_word_embeddings", false)?,
    })
}

pub(super) const NAMES: WeightNames = WeightNames {
    prefixes: &["model.", ""],
    embed: "embed_tokens",
    positions: None,
    final_norm: "norm",
    head: "lm_head",
    linear: Stored::OutIn,
    attn_norm: "layers.{l}.input_layernorm",
    qkv: Qkv::Separate {
        q: "layers.{l}.self_attn.q_proj",
        k: "layers.{l}.self_attn.k_proj",
        v: "layers.{l}.self_attn.v_proj",
        permuted: false,
    },
    attn_out: "layers.{l}.self_attn.o_proj",
    mlp_norm: "layers.{l}.post_attention_layernorm",
    gate: Some("layers.{l}.mlp.gate_proj"),
    up: "layers.{l}.mlp.up_proj",
    down: "layers.{l}.mlp.down_proj",
    derivable: &["model.rotary_emb.inv_freq", "model.layers.{l}.self_attn.rotary_emb.inv_freq"],
};

pub(super) const GGUF_NAMES: WeightNames = WeightNames {
    prefixes: &[""],
    embed: "token_embd",
    positions: None,
    final_norm: "output_norm",
    head: "output",
    linear: Stored::OutIn,
    attn_norm: "blk.{l}.attn_norm",
    qkv: Qkv::Separate {
        q: "blk.{l}.attn_q",
        k: "blk.{l}.attn_k",
        v: "blk.{l}.attn_v",
        permuted: true,
    },
    attn_out: "blk.{l}.attn_output",
    mlp_norm: "blk.{l}.ffn_norm",
    gate: Some("blk.{l}.ffn_gate"),
    up: "blk.{l}.ffn_up",
    down: "blk.{l}.ffn_down",
    derivable: &[],
};
