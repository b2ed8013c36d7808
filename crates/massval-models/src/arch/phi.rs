//! Phi-2: a parallel block with one LayerNorm, partial RoPE, biases everywhere, the head included.
//! Phi-3 and Phi-4: Llama with fused projections, and LongRoPE.

use super::fields::Fields;
use super::llama::{self, Defaults};
use super::names::{FusedOrder, MlpNames, NormNames, Qkv, WeightNames};
use super::rope::Family;
use crate::Result;
use crate::config::{BiasConfig, BlockOrder, DecoderConfig, MlpKind, NormKind, QkNorm};

const PARTIAL: &str = "partial_rotary_factor";

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let defaults = Defaults {
        activation: Some(("hidden_act", "gelu_new")),
        eps: Some(("layer_norm_eps", 1e-5)),
        rope: Family { partial: Some((PARTIAL, 0.5)), ..Family::LLAMA },
        ..Defaults::of("phi")
    };
    let mut config = llama::like(fields, &defaults)?;
    config.block = BlockOrder::ParallelOneNorm;
    config.norm = NormKind::LayerNorm;
    config.mlp = MlpKind::Plain;
    config.bias = BiasConfig { head: true, ..BiasConfig::ALL };
    config.attention.qk_norm = fields.bool("qk_layernorm", false)?.then_some(QkNorm::PerHead);
    Ok(config)
}

pub(super) fn config3(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let defaults = Defaults {
        eps: Some(("rms_norm_eps", 1e-5)),
        rope: Family { partial: Some((PARTIAL, 1.0)), yarn_means_longrope: true, ..Family::LLAMA },
        ..Defaults::of("phi3")
    };
    let config = llama::like(fields, &defaults)?;
    llama::with_window(fields, "sliding_window", None, config)
}

pub(super) fn names(_: &DecoderConfig) -> WeightNames {
    WeightNames {
        final_norm: "final_layernorm",
        norms: NormNames { attn: Some("layers.{l}.input_layernorm"), ..NormNames::default() },
        qk_norm: Some(("layers.{l}.self_attn.q_layernorm", "layers.{l}.self_attn.k_layernorm")),
        attn_out: "layers.{l}.self_attn.dense",
        mlp: MlpNames::Plain { up: "layers.{l}.mlp.fc1", down: "layers.{l}.mlp.fc2" },
        ..llama::NAMES
    }
}

pub(super) fn names3(_: &DecoderConfig) -> WeightNames {
    WeightNames {
        qkv: Qkv::Fused { name: "layers.{l}.self_attn.qkv_proj", order: FusedOrder::Blocks },
        mlp: MlpNames::FusedGate {
            gate_up: "layers.{l}.mlp.gate_up_proj",
            down: "layers.{l}.mlp.down_proj",
        },
        ..llama::NAMES
    }
}
