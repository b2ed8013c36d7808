//! Where llama.cpp puts the tensors of each family.

use crate::arch::names::{FusedOrder, MlpNames, NormNames, Prefix, Qkv, Stored, WeightNames};
use crate::config::{BlockOrder, DecoderConfig, MlpKind};

const QKV: Qkv = separate(false);
const PERMUTED: Qkv = separate(true);
/// The converter lays Q, K and V one after the other, whatever their order was.
const FUSED: Qkv = Qkv::Fused { name: "blk.{l}.attn_qkv", order: FusedOrder::Blocks };
const GATED: MlpNames =
    MlpNames::Gated { gate: "blk.{l}.ffn_gate", up: "blk.{l}.ffn_up", down: "blk.{l}.ffn_down" };
const PLAIN: MlpNames = MlpNames::Plain { up: "blk.{l}.ffn_up", down: "blk.{l}.ffn_down" };
const QK_NORM: Option<(&str, &str)> = Some(("blk.{l}.attn_q_norm", "blk.{l}.attn_k_norm"));
const TWO_NORMS: NormNames = NormNames {
    attn: Some("blk.{l}.attn_norm"),
    attn_out: None,
    mlp: Some("blk.{l}.ffn_norm"),
    mlp_out: None,
};
const OUTPUT_NORMS: NormNames = NormNames {
    attn: None,
    attn_out: Some("blk.{l}.post_attention_norm"),
    mlp: None,
    mlp_out: Some("blk.{l}.post_ffw_norm"),
};

const fn separate(permuted: bool) -> Qkv {
    Qkv::Separate { q: "blk.{l}.attn_q", k: "blk.{l}.attn_k", v: "blk.{l}.attn_v", permuted }
}

const BASE: WeightNames = WeightNames {
    prefixes: &[Prefix { body: "", head: "" }],
    embed: "token_embd",
    embed_norm: None,
    projections: None,
    positions: None,
    final_norm: "output_norm",
    head: "output",
    linear: Stored::OutIn,
    norms: TWO_NORMS,
    qkv: QKV,
    qk_norm: None,
    attn_out: "blk.{l}.attn_output",
    mlp: GATED,
    // Part of the config: `arch::gguf::rope` reads them.
    derivable: &["rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"],
    aside: &[],
};

pub(super) fn llama(config: &DecoderConfig) -> WeightNames {
    let mlp = match config.mlp {
        MlpKind::Experts { .. } => MlpNames::Experts {
            router: "blk.{l}.ffn_gate_inp",
            gate: "blk.{l}.ffn_gate_exps.{e}",
            up: "blk.{l}.ffn_up_exps.{e}",
            down: "blk.{l}.ffn_down_exps.{e}",
        },
        _ => GATED,
    };
    WeightNames { qkv: PERMUTED, mlp, ..BASE }
}

pub(super) fn qwen2(_: &DecoderConfig) -> WeightNames {
    BASE
}

pub(super) fn qwen3(_: &DecoderConfig) -> WeightNames {
    WeightNames { qk_norm: QK_NORM, ..BASE }
}

pub(super) fn gemma(_: &DecoderConfig) -> WeightNames {
    BASE
}

pub(super) fn gemma2(_: &DecoderConfig) -> WeightNames {
    let norms = NormNames { attn: TWO_NORMS.attn, mlp: TWO_NORMS.mlp, ..OUTPUT_NORMS };
    WeightNames { norms, ..BASE }
}

pub(super) fn gemma3(config: &DecoderConfig) -> WeightNames {
    WeightNames { qk_norm: QK_NORM, ..gemma2(config) }
}

pub(super) fn phi2(_: &DecoderConfig) -> WeightNames {
    WeightNames { mlp: PLAIN, ..BASE }
}

pub(super) fn phi3(_: &DecoderConfig) -> WeightNames {
    let mlp = MlpNames::FusedGate { gate_up: "blk.{l}.ffn_up", down: "blk.{l}.ffn_down" };
    WeightNames { qkv: FUSED, mlp, ..BASE }
}

/// With two norms, the one before attention is the second: the first is the one that all have.
pub(super) fn falcon(config: &DecoderConfig) -> WeightNames {
    let norms = match config.block {
        BlockOrder::ParallelTwoNorms => NormNames {
            attn: Some("blk.{l}.attn_norm_2"),
            mlp: Some("blk.{l}.attn_norm"),
            ..NormNames::default()
        },
        _ => TWO_NORMS,
    };
    WeightNames { qkv: FUSED, mlp: PLAIN, norms, ..BASE }
}

pub(super) fn olmo(_: &DecoderConfig) -> WeightNames {
    WeightNames { qkv: PERMUTED, ..BASE }
}

pub(super) fn olmo2(_: &DecoderConfig) -> WeightNames {
    WeightNames { norms: OUTPUT_NORMS, qk_norm: QK_NORM, ..BASE }
}

/// GPT-NeoX and MPT.
pub(super) fn two_norms(_: &DecoderConfig) -> WeightNames {
    WeightNames { qkv: FUSED, mlp: PLAIN, ..BASE }
}

pub(super) fn gpt2(config: &DecoderConfig) -> WeightNames {
    WeightNames { positions: Some("position_embd"), ..two_norms(config) }
}

pub(super) fn bloom(config: &DecoderConfig) -> WeightNames {
    WeightNames { embed_norm: Some("token_embd_norm"), ..two_norms(config) }
}
