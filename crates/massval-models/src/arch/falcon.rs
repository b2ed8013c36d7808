//! Falcon: attention and MLP in parallel, one KV head (7B) or a few (11B, 40B), fused group by group.

use super::fields::Fields;
use super::names::{FusedOrder, MlpNames, NormNames, Prefix, Qkv, Stored, WeightNames};
use super::read::{self, Shape};
use super::rope::{self, Extent, Family};
use crate::Result;
use crate::config::{BiasConfig, BlockOrder, DecoderConfig, PositionEncoding};

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let d_model = match fields.opt_size("n_embed")? {
        Some(width) => width,
        None => fields.size("hidden_size")?,
    };
    let shape = Shape {
        architecture: "falcon",
        vocab_size: fields.size("vocab_size")?,
        d_model,
        layers: read::layers(fields, "num_hidden_layers")?,
        heads: fields.size("num_attention_heads")?,
        d_mlp: fields.opt_size("ffn_hidden_size")?.unwrap_or(4 * d_model),
    };
    let eps = fields.positive("layer_norm_epsilon", Some(1e-5))?;
    let mut config = shape.gpt(fields, ["hidden_size", "num_attention_heads"], eps)?;
    if fields.bool("alibi", false)? {
        let what = "Falcons with ALiBi (falcon-rw) are not supported; those with RoPE are";
        return Err(fields.error("alibi", what));
    }
    let new = fields.bool("new_decoder_architecture", false)?;
    let multi_query = fields.bool("multi_query", true)?;
    let parallel = fields.bool("parallel_attn", true)?;
    let norms = fields.opt_size("num_ln_in_parallel_attn")?;
    let kv_heads = fields.opt_size("num_kv_heads")?.unwrap_or(config.heads);
    config.kv_heads = match (new, multi_query) {
        (true, _) => kv_heads,
        (false, true) => 1,
        (false, false) => config.heads,
    };
    config.block = match (new, parallel, norms) {
        (true, true, Some(1)) => BlockOrder::ParallelOneNorm,
        (true, true, None | Some(2)) => BlockOrder::ParallelTwoNorms,
        (false, true, None | Some(1)) => BlockOrder::ParallelOneNorm,
        (false, false, None | Some(1)) => BlockOrder::PreNorm,
        (true, false, _) => {
            return Err(fields.error("parallel_attn", "false contradicts new_decoder_architecture"));
        }
        (.., Some(count)) => {
            let what = format!("{count} is not supported in this kind of Falcon");
            return Err(fields.error("num_ln_in_parallel_attn", what));
        }
    };
    let positions = fields.opt_size("max_position_embeddings")?.unwrap_or(2048);
    let extent = Extent { head_dim: config.head_dim, max_positions: Some(positions) };
    let rope = Family::LLAMA.read(fields, extent)?;
    config.max_positions = rope::longest(&rope, Some(positions));
    config.position = PositionEncoding::Rope(rope);
    config.activation = read::activation(fields, "activation", "gelu")?;
    let bias = fields.bool("bias", false)?;
    config.bias = BiasConfig { qkv: bias, attn_out: bias, mlp: bias, norm: true, head: false };
    config.tied_head = fields.bool("tie_word_embeddings", true)?;
    Ok(config)
}

pub(super) fn names(config: &DecoderConfig) -> WeightNames {
    let norms = match config.block {
        BlockOrder::ParallelTwoNorms => NormNames {
            attn: Some("h.{l}.ln_attn"),
            mlp: Some("h.{l}.ln_mlp"),
            ..NormNames::default()
        },
        _ => NormNames {
            attn: Some("h.{l}.input_layernorm"),
            mlp: Some("h.{l}.post_attention_layernorm"),
            ..NormNames::default()
        },
    };
    WeightNames {
        prefixes: &[Prefix { body: "transformer.", head: "" }],
        embed: "word_embeddings",
        embed_norm: None,
        projections: None,
        positions: None,
        final_norm: "ln_f",
        head: "lm_head",
        linear: Stored::OutIn,
        norms,
        qkv: Qkv::Fused { name: "h.{l}.self_attention.query_key_value", order: FusedOrder::Groups },
        qk_norm: None,
        attn_out: "h.{l}.self_attention.dense",
        mlp: MlpNames::Plain { up: "h.{l}.mlp.dense_h_to_4h", down: "h.{l}.mlp.dense_4h_to_h" },
        derivable: &["transformer.h.{l}.self_attention.rotary_emb.inv_freq"],
        aside: &[],
    }
}
