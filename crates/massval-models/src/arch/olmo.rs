//! OLMo-1: Llama with LayerNorms that learn nothing, and Q, K and V perhaps clipped. OLMo-2: norms on
//! what attention and MLP add, and QK-norm over all heads.

use super::fields::Fields;
use super::llama::{self, Defaults};
use super::names::{NormNames, WeightNames};
use super::read;
use crate::Result;
use crate::config::{BiasConfig, BlockOrder, DecoderConfig, NormKind, QkNorm};

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let defaults = Defaults { max_positions: Some(2048), ..Defaults::of("olmo") };
    let mut config = biased(fields, llama::like(fields, &defaults)?)?;
    config.norm = NormKind::LayerNormFixed;
    config.norm_eps = 1e-5; // in the code of transformers; its config has no field for it
    config.attention.clip_qkv = read::opt_positive(fields, "clip_qkv")?;
    Ok(config)
}

pub(super) fn config2(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let eps = Some(("rms_norm_eps", 1e-5));
    let defaults = Defaults { eps, max_positions: Some(2048), ..Defaults::of("olmo2") };
    let mut config = biased(fields, llama::like(fields, &defaults)?)?;
    config.block = BlockOrder::OutputNorm;
    config.attention.qk_norm = Some(QkNorm::AllHeads);
    Ok(config)
}

fn biased(fields: &Fields<'_>, config: DecoderConfig) -> Result<DecoderConfig> {
    let bias = fields.bool("attention_bias", false)?;
    let bias = BiasConfig { qkv: bias, attn_out: bias, ..BiasConfig::NONE };
    Ok(DecoderConfig { bias, ..config })
}

pub(super) fn names2(_: &DecoderConfig) -> WeightNames {
    WeightNames {
        norms: NormNames {
            attn: None,
            attn_out: Some("layers.{l}.post_attention_layernorm"),
            mlp: None,
            mlp_out: Some("layers.{l}.post_feedforward_layernorm"),
        },
        qk_norm: Some(("layers.{l}.self_attn.q_norm", "layers.{l}.self_attn.k_norm")),
        ..llama::NAMES
    }
}
