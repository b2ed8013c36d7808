//! GPT-2, and GPT-2 with RoPE: learned positions replaced by rotary ones, everything else equal.

use super::fields::Fields;
use super::names::{FusedOrder, MlpNames, NormNames, Prefix, Qkv, Stored, WeightNames};
use super::read::{self, Shape};
use super::rope::{self, Extent, Family};
use crate::Result;
use crate::config::{DecoderConfig, PositionEncoding};

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let (positions, config) = common(fields, "gpt2")?;
    Ok(DecoderConfig { position: PositionEncoding::Learned { positions, offset: 0 }, ..config })
}

pub(super) fn config_rope(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let (positions, config) = common(fields, "gpt2-rope")?;
    let extent = Extent { head_dim: config.head_dim, max_positions: Some(positions) };
    let family = Family { partial: Some(("partial_rotary_factor", 1.0)), ..Family::LLAMA };
    let rope = family.read(fields, extent)?;
    Ok(DecoderConfig {
        max_positions: rope::longest(&rope, Some(positions)),
        position: PositionEncoding::Rope(rope),
        ..config
    })
}

fn common(fields: &Fields<'_>, architecture: &'static str) -> Result<(usize, DecoderConfig)> {
    let positions = fields.opt_size("n_positions")?.unwrap_or(1024);
    // What transformers' GPT-2 can do, but no published checkpoint of it asks for.
    read::only(fields, "scale_attn_weights", true)?;
    read::only(fields, "scale_attn_by_inverse_layer_idx", false)?;
    read::only(fields, "add_cross_attention", false)?;
    // Changes the order of rounding in half precision, not the arithmetic.
    fields.bool("reorder_and_upcast_attn", false)?;
    let d_model = fields.size("n_embd")?;
    let shape = Shape {
        architecture,
        vocab_size: fields.size("vocab_size")?,
        d_model,
        layers: read::layers(fields, "n_layer")?,
        heads: fields.size("n_head")?,
        d_mlp: fields.opt_size("n_inner")?.unwrap_or(4 * d_model),
    };
    let eps = fields.positive("layer_norm_epsilon", Some(1e-5))?;
    let config = shape.gpt(fields, ["n_embd", "n_head"], eps)?;
    let config = DecoderConfig {
        max_positions: Some(positions),
        activation: read::activation(fields, "activation_function", "gelu_new")?,
        tied_head: fields.bool("tie_word_embeddings", true)?,
        ..config
    };
    Ok((positions, config))
}

pub(super) const NAMES: WeightNames = WeightNames {
    prefixes: &[Prefix { body: "transformer.", head: "" }, Prefix { body: "", head: "" }],
    embed: "wte",
    embed_norm: None,
    projections: None,
    positions: Some("wpe"),
    final_norm: "ln_f",
    head: "lm_head",
    linear: Stored::InOut,
    norms: NormNames {
        attn: Some("h.{l}.ln_1"),
        attn_out: None,
        mlp: Some("h.{l}.ln_2"),
        mlp_out: None,
    },
    qkv: Qkv::Fused { name: "h.{l}.attn.c_attn", order: FusedOrder::Blocks },
    qk_norm: None,
    attn_out: "h.{l}.attn.c_proj",
    mlp: MlpNames::Plain { up: "h.{l}.mlp.c_fc", down: "h.{l}.mlp.c_proj" },
    derivable: &[
        "transformer.h.{l}.attn.bias",
        "transformer.h.{l}.attn.masked_bias",
        "h.{l}.attn.bias",
        "h.{l}.attn.masked_bias",
    ],
    aside: &[],
};
