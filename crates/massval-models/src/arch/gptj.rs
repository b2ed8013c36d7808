//! GPT-J: a parallel block with one norm, RoPE over neighbouring channels, biases in MLP and head.

use massval_detect::{PairLayout, RopeAngles};

use super::fields::Fields;
use super::gpt2;
use super::names::{MlpNames, NormNames, Qkv, Stored, WeightNames};
use super::read::{self, Shape};
use crate::Result;
use crate::config::{BiasConfig, BlockOrder, DecoderConfig, PositionEncoding, RopeConfig};

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let d_model = fields.size("n_embd")?;
    let shape = Shape {
        architecture: "gptj",
        vocab_size: fields.size("vocab_size")?,
        d_model,
        layers: read::layers(fields, "n_layer")?,
        heads: fields.size("n_head")?,
        d_mlp: fields.opt_size("n_inner")?.unwrap_or(4 * d_model),
    };
    let eps = fields.positive("layer_norm_epsilon", Some(1e-5))?;
    let config = shape.gpt(fields, ["n_embd", "n_head"], eps)?;
    let rotary_dim = fields.opt_size("rotary_dim")?.unwrap_or(64);
    let wrong = |error: massval_detect::Error| fields.error("rotary_dim", error.to_string());
    // The base stands in the code of transformers.
    let angles = RopeAngles::new(rotary_dim, 10_000.0, None).map_err(wrong)?;
    angles.bands(config.head_dim, 0, PairLayout::Interleaved).map_err(wrong)?;
    Ok(DecoderConfig {
        block: BlockOrder::ParallelOneNorm,
        position: PositionEncoding::Rope(RopeConfig::new(angles, PairLayout::Interleaved)),
        max_positions: Some(fields.opt_size("n_positions")?.unwrap_or(2048)),
        activation: read::activation(fields, "activation_function", "gelu_new")?,
        bias: BiasConfig { qkv: false, attn_out: false, head: true, ..BiasConfig::ALL },
        tied_head: fields.bool("tie_word_embeddings", false)?,
        ..config
    })
}

pub(super) fn names(_: &DecoderConfig) -> WeightNames {
    WeightNames {
        positions: None,
        linear: Stored::OutIn,
        norms: NormNames { attn: Some("h.{l}.ln_1"), ..NormNames::default() },
        qkv: Qkv::Separate {
            q: "h.{l}.attn.q_proj",
            k: "h.{l}.attn.k_proj",
            v: "h.{l}.attn.v_proj",
            permuted: false,
        },
        attn_out: "h.{l}.attn.out_proj",
        mlp: MlpNames::Plain { up: "h.{l}.mlp.fc_in", down: "h.{l}.mlp.fc_out" },
        ..gpt2::NAMES
    }
}
