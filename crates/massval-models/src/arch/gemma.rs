//! Gemma 1 to 3: norms that multiply by `1 + weight`, scaled embeddings, GELU; from 2 on four norms in
//! a block and windows in most layers, in 2 soft caps, in 3 QK-norm and other rotary positions in the
//! layers with a window.

use super::fields::Fields;
use super::llama::{self, Defaults};
use super::names::{NormNames, Prefix, WeightNames};
use super::read;
use super::rope::{self, Extent, Family, LayerKind};
use crate::Result;
use crate::config::{
    ActivationKind, AttentionConfig, BiasConfig, BlockOrder, DecoderConfig, EmbeddingConfig,
    MlpKind, NormKind, PositionEncoding, QkNorm,
};

/// The default of every Gemma for the MLP's activation.
const GELU: &str = "gelu_pytorch_tanh";

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    // `hidden_act` of the first releases says "gelu" and means the approximation; `hidden_activation`
    // came later. transformers 5 reads the former only, 4 preferred the latter.
    let activation = match fields.opt_str("hidden_activation")? {
        Some(_) => ("hidden_activation", GELU),
        None => ("hidden_act", GELU),
    };
    fields.get("hidden_act");
    let defaults = Defaults { activation: Some(activation), tied: true, ..Defaults::of("gemma") };
    let mut config = gemma(fields, llama::like(fields, &defaults)?)?;
    if config.activation == ActivationKind::Gelu {
        config.activation = ActivationKind::GeluTanh;
    }
    Ok(config)
}

pub(super) fn config2(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let defaults = Defaults {
        activation: Some(("hidden_activation", GELU)),
        tied: true,
        ..Defaults::of("gemma2")
    };
    fields.get("hidden_act"); // older than `hidden_activation`, and ignored by transformers
    let mut config = gemma(fields, llama::like(fields, &defaults)?)?;
    config.block = BlockOrder::SandwichNorm;
    config.attention.scale = query_scale(fields)?;
    config.attention.soft_cap = soft_cap(fields, "attn_logit_softcapping", Some(50.0))?;
    config.logit_soft_cap = soft_cap(fields, "final_logit_softcapping", Some(30.0))?;
    let layers = match read::windowed_layers(fields, config.layers)? {
        Some(layers) => layers,
        None => (0..config.layers).map(|layer| layer % 2 == 0).collect(),
    };
    let size = fields.opt_size("sliding_window")?.unwrap_or(4096);
    config.attention.window = read::window(Some(size), layers);
    Ok(config)
}

/// The text model. Published configs of the larger ones leave out what is as in transformers.
pub(super) fn config3(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let size = |name: &str, default: usize| -> Result<usize> {
        Ok(fields.opt_size(name)?.unwrap_or(default))
    };
    let d_model = size("hidden_size", 2304)?;
    let layers = match fields.has("num_hidden_layers") {
        true => read::layers(fields, "num_hidden_layers")?,
        false => 26,
    };
    let head_dim = size("head_dim", 256)?;
    let max_positions = Some(size("max_position_embeddings", 131_072)?);
    let mut attention = AttentionConfig::scaled(head_dim);
    attention.scale = query_scale(fields)?;
    attention.qk_norm = Some(QkNorm::PerHead);
    soft_cap(fields, "attn_logit_softcapping", None)?.map_or(Ok(()), |_| {
        // transformers reads it, and leaves it out of the attention.
        Err(fields.error("attn_logit_softcapping", "is set, which has no meaning in Gemma 3"))
    })?;
    let windowed = match read::windowed_layers(fields, layers)? {
        Some(layers) => layers,
        None => {
            let name = ["sliding_window_pattern", "_sliding_window_pattern"];
            let period = match (fields.opt_size(name[0])?, fields.opt_size(name[1])?) {
                (Some(period), _) | (None, Some(period)) => period,
                (None, None) => 6,
            };
            (1..=layers).map(|count| !count.is_multiple_of(period)).collect()
        }
    };
    attention.window = read::window(Some(size("sliding_window", 4096)?), windowed);
    let extent = Extent { head_dim, max_positions };
    let [rope, local] = Family::LLAMA.read_layers(fields, extent, &LAYER_KINDS)?;
    let config = DecoderConfig {
        architecture: "gemma3_text".to_owned(),
        vocab_size: size("vocab_size", 262_208)?,
        d_model,
        layers,
        heads: size("num_attention_heads", 8)?,
        kv_heads: size("num_key_value_heads", 4)?,
        head_dim,
        d_mlp: size("intermediate_size", 9216)?,
        embedding: EmbeddingConfig::plain(d_model),
        block: BlockOrder::SandwichNorm,
        norm: NormKind::RmsNormPlusOne,
        norm_eps: fields.positive("rms_norm_eps", Some(1e-6))?,
        final_norm: true,
        max_positions: rope::longest(&rope, max_positions),
        position: PositionEncoding::Rope(rope),
        local_rope: Some(local).filter(|_| attention.window.is_some()),
        attention,
        mlp: MlpKind::Gated,
        activation: read::activation(fields, "hidden_activation", GELU)?,
        bias: BiasConfig::NONE,
        tied_head: fields.bool("tie_word_embeddings", true)?,
        logit_soft_cap: soft_cap(fields, "final_logit_softcapping", None)?,
    };
    gemma(fields, config)
}

/// Gemma 3's layers that see everything, and those with a window.
const LAYER_KINDS: [LayerKind; 2] = [
    LayerKind { name: "full_attention", theta: ("rope_theta", 1e6), scaled: true },
    LayerKind { name: "sliding_attention", theta: ("rope_local_base_freq", 1e4), scaled: false },
];

/// What all of them share.
fn gemma(fields: &Fields<'_>, mut config: DecoderConfig) -> Result<DecoderConfig> {
    read::only(fields, "use_bidirectional_attention", false)?;
    config.norm = NormKind::RmsNormPlusOne;
    config.embedding.scale = Some((config.d_model as f64).sqrt());
    let bias = fields.bool("attention_bias", false)?;
    config.bias = BiasConfig { qkv: bias, attn_out: bias, ..BiasConfig::NONE };
    Ok(config)
}

fn query_scale(fields: &Fields<'_>) -> Result<f64> {
    Ok(fields.positive("query_pre_attn_scalar", Some(256.0))?.powf(-0.5))
}

/// `null` switches a cap off, an absent field means the default.
fn soft_cap(fields: &Fields<'_>, name: &str, absent: Option<f64>) -> Result<Option<f64>> {
    match fields.has(name) {
        true => read::opt_positive(fields, name),
        false => Ok(absent),
    }
}

pub(super) fn names2(_: &DecoderConfig) -> WeightNames {
    NAMES2
}

pub(super) fn names3(_: &DecoderConfig) -> WeightNames {
    WeightNames {
        qk_norm: Some(("layers.{l}.self_attn.q_norm", "layers.{l}.self_attn.k_norm")),
        prefixes: &[
            Prefix { body: "model.", head: "" },
            Prefix { body: "", head: "" },
            Prefix { body: "language_model.model.", head: "language_model." },
            Prefix { body: "model.language_model.", head: "" },
        ],
        aside: &[
            "vision_tower.",
            "multi_modal_projector.",
            "model.vision_tower.",
            "model.multi_modal_projector.",
        ],
        ..NAMES2
    }
}

const NAMES2: WeightNames = WeightNames {
    norms: NormNames {
        attn: Some("layers.{l}.input_layernorm"),
        attn_out: Some("layers.{l}.post_attention_layernorm"),
        mlp: Some("layers.{l}.pre_feedforward_layernorm"),
        mlp_out: Some("layers.{l}.post_feedforward_layernorm"),
    },
    ..llama::NAMES
};
