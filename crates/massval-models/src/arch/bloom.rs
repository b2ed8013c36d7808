//! BLOOM: ALiBi, a norm after the embedding, Q, K and V fused head by head.

use super::fields::Fields;
use super::names::{FusedOrder, MlpNames, NormNames, Prefix, Qkv, Stored, WeightNames};
use super::read::{self, Shape};
use crate::Result;
use crate::config::{AlibiConfig, DecoderConfig, PositionEncoding};

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let d_model = either(fields, "hidden_size", "n_embed")?;
    let shape = Shape {
        architecture: "bloom",
        vocab_size: fields.size("vocab_size")?,
        d_model,
        layers: match fields.has("num_hidden_layers") {
            true => read::layers(fields, "num_hidden_layers")?,
            false => read::layers(fields, "n_layer")?,
        },
        heads: either(fields, "n_head", "num_attention_heads")?,
        d_mlp: 4 * d_model,
    };
    let eps = fields.positive("layer_norm_epsilon", Some(1e-5))?;
    let mut config = shape.gpt(fields, ["hidden_size", "n_head"], eps)?;
    read::only(fields, "apply_residual_connection_post_layernorm", false)?;
    // Sums over the shards of the training machine, one after the other: rounding, not arithmetic.
    fields.bool("slow_but_exact", false)?;
    config.embedding.norm = true;
    config.position = PositionEncoding::Alibi(AlibiConfig::from_power_below(config.heads));
    config.max_positions = fields.opt_size("seq_length")?;
    config.tied_head = fields.bool("tie_word_embeddings", true)?;
    Ok(config)
}

/// A size under either of two names.
fn either(fields: &Fields<'_>, name: &str, other: &str) -> Result<usize> {
    match (fields.opt_size(name)?, fields.opt_size(other)?) {
        (Some(a), Some(b)) if a != b => {
            Err(fields.error(name, format!("{a} here, {b} in {other}")))
        }
        (Some(size), _) | (None, Some(size)) => Ok(size),
        (None, None) => fields.size(name),
    }
}

pub(super) fn names(_: &DecoderConfig) -> WeightNames {
    WeightNames {
        prefixes: &[Prefix { body: "transformer.", head: "" }, Prefix { body: "", head: "" }],
        embed: "word_embeddings",
        embed_norm: Some("word_embeddings_layernorm"),
        projections: None,
        positions: None,
        final_norm: "ln_f",
        head: "lm_head",
        linear: Stored::OutIn,
        norms: NormNames {
            attn: Some("h.{l}.input_layernorm"),
            mlp: Some("h.{l}.post_attention_layernorm"),
            ..NormNames::default()
        },
        qkv: Qkv::Fused { name: "h.{l}.self_attention.query_key_value", order: FusedOrder::Groups },
        qk_norm: None,
        attn_out: "h.{l}.self_attention.dense",
        mlp: MlpNames::Plain { up: "h.{l}.mlp.dense_h_to_4h", down: "h.{l}.mlp.dense_4h_to_h" },
        derivable: &[],
        aside: &[],
    }
}
