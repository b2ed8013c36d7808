//! Llama and what has its shape: RMSNorm, half-split RoPE, grouped queries, gated MLP.

use super::names::{MlpNames, NormNames, Prefix, Qkv, Stored, WeightNames};
use super::rope::{self, Extent, Family};
use super::{fields::Fields, read};
use crate::Result;
use crate::config::{
    AttentionConfig, BiasConfig, BlockOrder, DecoderConfig, EmbeddingConfig, MlpKind, NormKind,
    PositionEncoding,
};

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let attention_bias = fields.bool("attention_bias", false)?;
    let mlp_bias = fields.bool("mlp_bias", false)?;
    let defaults = Defaults { max_positions: Some(2048), ..Defaults::of("llama") };
    let config = like(fields, &defaults)?;
    let bias = BiasConfig {
        qkv: attention_bias,
        attn_out: attention_bias,
        mlp: mlp_bias,
        ..BiasConfig::NONE
    };
    Ok(DecoderConfig { bias, ..config })
}

/// What a family with Llama's field names has where a field is absent.
pub(super) struct Defaults {
    pub(super) architecture: &'static str,
    pub(super) activation: Option<(&'static str, &'static str)>,
    pub(super) eps: Option<(&'static str, f64)>,
    pub(super) max_positions: Option<usize>,
    pub(super) tied: bool,
    pub(super) rope: Family,
}

impl Defaults {
    pub(super) fn of(architecture: &'static str) -> Self {
        Self {
            architecture,
            activation: Some(("hidden_act", "silu")),
            eps: Some(("rms_norm_eps", 1e-6)),
            max_positions: None,
            tied: false,
            rope: Family::LLAMA,
        }
    }
}

/// A decoder of Llama's shape, without biases, of the fields that Llama has in common with others.
pub(super) fn like(fields: &Fields<'_>, defaults: &Defaults) -> Result<DecoderConfig> {
    let d_model = fields.size("hidden_size")?;
    let heads = fields.size("num_attention_heads")?;
    let kv_heads = fields.opt_size("num_key_value_heads")?.unwrap_or(heads);
    let head_dim = match fields.opt_size("head_dim")? {
        Some(dim) => dim,
        None => read::head_dim(fields, "hidden_size", d_model, "num_attention_heads", heads)?,
    };
    let max_positions = fields.opt_size("max_position_embeddings")?.or(defaults.max_positions);
    let rope = defaults.rope.read(fields, Extent { head_dim, max_positions })?;
    let (act, default) = defaults.activation.unwrap_or(("hidden_act", "silu"));
    let (eps, default_eps) = defaults.eps.unwrap_or(("rms_norm_eps", 1e-6));
    Ok(DecoderConfig {
        architecture: defaults.architecture.to_owned(),
        vocab_size: fields.size("vocab_size")?,
        d_model,
        layers: read::layers(fields, "num_hidden_layers")?,
        heads,
        kv_heads,
        head_dim,
        d_mlp: fields.size("intermediate_size")?,
        embedding: EmbeddingConfig::plain(d_model),
        block: BlockOrder::PreNorm,
        norm: NormKind::RmsNorm,
        norm_eps: fields.positive(eps, Some(default_eps))?,
        final_norm: true,
        max_positions: rope::longest(&rope, max_positions),
        position: PositionEncoding::Rope(rope),
        local_rope: None,
        attention: AttentionConfig::scaled(head_dim),
        mlp: MlpKind::Gated,
        activation: read::activation(fields, act, default)?,
        bias: BiasConfig::NONE,
        tied_head: fields.bool("tie_word_embeddings", defaults.tied)?,
        logit_soft_cap: None,
    })
}

/// Adds a window of the size that `field` gives to every layer.
pub(super) fn with_window(
    fields: &Fields<'_>,
    field: &str,
    absent: Option<usize>,
    mut config: DecoderConfig,
) -> Result<DecoderConfig> {
    let size = if fields.has(field) { fields.opt_size(field)? } else { absent };
    config.attention.window = read::window(size, vec![true; config.layers]);
    Ok(config)
}

pub(super) const NAMES: WeightNames = WeightNames {
    prefixes: &[Prefix { body: "model.", head: "" }, Prefix { body: "", head: "" }],
    embed: "embed_tokens",
    embed_norm: None,
    projections: None,
    positions: None,
    final_norm: "norm",
    head: "lm_head",
    linear: Stored::OutIn,
    norms: NormNames {
        attn: Some("layers.{l}.input_layernorm"),
        attn_out: None,
        mlp: Some("layers.{l}.post_attention_layernorm"),
        mlp_out: None,
    },
    qkv: Qkv::Separate {
        q: "layers.{l}.self_attn.q_proj",
        k: "layers.{l}.self_attn.k_proj",
        v: "layers.{l}.self_attn.v_proj",
        permuted: false,
    },
    qk_norm: None,
    attn_out: "layers.{l}.self_attn.o_proj",
    mlp: MlpNames::Gated {
        gate: "layers.{l}.mlp.gate_proj",
        up: "layers.{l}.mlp.up_proj",
        down: "layers.{l}.mlp.down_proj",
    },
    derivable: &["model.rotary_emb.inv_freq", "model.layers.{l}.self_attn.rotary_emb.inv_freq"],
    aside: &[],
};
