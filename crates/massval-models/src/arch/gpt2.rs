//! GPT-2, and GPT-2 with RoPE: learned positions replaced by rotary ones, everything else equal.

use super::names::{Qkv, Stored, WeightNames};
use super::{fields::Fields, rope};
use crate::Result;
use crate::config::{
    ActivationKind, BiasConfig, DecoderConfig, MlpKind, NormKind, PositionEncoding,
};

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let positions = fields.opt_size("n_positions")?.unwrap_or(1024);
    read(fields, "gpt2", positions, |_| Ok(PositionEncoding::Learned { positions }))
}

pub(super) fn config_rope(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let positions = fields.opt_size("n_positions")?.unwrap_or(1024);
    read(fields, "gpt2-rope", positions, |head_dim| {
        Ok(PositionEncoding::Rope(rope::read(fields, head_dim, positions)?))
    })
}

fn read(
    fields: &Fields<'_>,
    architecture: &str,
    max_positions: usize,
    position: impl FnOnce(usize) -> Result<PositionEncoding>,
) -> Result<DecoderConfig> {
    let d_model = fields.size("n_embd")?;
    let heads = fields.size("n_head")?;
    if !d_model.is_multiple_of(heads) {
        return Err(
            fields.error("n_embd", format!("{d_model} is not a multiple of n_head {heads}"))
        );
    }
    let head_dim = d_model / heads;
    let act = fields.opt_str("activation_function")?.unwrap_or("gelu_new");
    let activation = ActivationKind::from_hf(act).ok_or_else(|| {
        fields.error("activation_function", format!("unknown activation {act:?}"))
    })?;
    // What transformers' GPT-2 can do, but no published checkpoint of it asks for.
    for (name, default) in [
        ("scale_attn_weights", true),
        ("scale_attn_by_inverse_layer_idx", false),
        ("add_cross_attention", false),
    ] {
        if fields.bool(name, default)? != default {
            return Err(fields.error(name, format!("{} is not supported", !default)));
        }
    }
    // Changes the order of rounding in half precision, not the arithmetic.
    fields.bool("reorder_and_upcast_attn", false)?;
    Ok(DecoderConfig {
        architecture: architecture.to_owned(),
        vocab_size: fields.size("vocab_size")?,
        d_model,
        layers: fields.size("n_layer")?,
        heads,
        kv_heads: heads,
        head_dim,
        d_mlp: fields.opt_size("n_inner")?.unwrap_or(4 * d_model),
        norm: NormKind::LayerNorm,
        norm_eps: fields.positive("layer_norm_epsilon", Some(1e-5))?,
        position: position(head_dim)?,
        max_positions: Some(max_positions),
        mlp: MlpKind::Plain,
        activation,
        bias: BiasConfig { qkv: true, attn_out: true, mlp: true, norm: true },
        tied_head: fields.bool("tie_word_embeddings", true)?,
    })
}

pub(super) const NAMES: WeightNames = WeightNames {
    prefixes: &["transformer.", ""],
    embed: "wte",
    positions: Some("wpe"),
    final_norm: "ln_f",
    head: "lm_head",
    linear: Stored::InOut,
    attn_norm: "h.{l}.ln_1",
    qkv: Qkv::Fused("h.{l}.attn.c_attn"),
    attn_out: "h.{l}.attn.c_proj",
    mlp_norm: "h.{l}.ln_2",
    gate: None,
    up: "h.{l}.mlp.c_fc",
    down: "h.{l}.mlp.c_proj",
    derivable: &[
        "transformer.h.{l}.attn.bias",
        "transformer.h.{l}.attn.masked_bias",
        "h.{l}.attn.bias",
        "h.{l}.attn.masked_bias",
    ],
};
