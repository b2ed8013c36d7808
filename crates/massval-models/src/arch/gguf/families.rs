//! The families that llama.cpp exports: what their keys mean, and where their tensors are.
//!
//! Keys and transformations after llama.cpp's `convert_hf_to_gguf.py`; constants that a file leaves
//! out after its model code.

use serde_json::{Map, Value, json};

use super::keys::Keys;
use super::{names, rope};
use crate::Result;
use crate::arch::names::WeightNames;
use crate::config::DecoderConfig;

/// A family as llama.cpp exports it.
pub(super) struct Family {
    /// `general.architecture`
    pub(super) name: &'static str,
    /// The architecture whose config reader serves it.
    pub(super) model_type: &'static str,
    pub(super) spelling: Spelling,
    /// The reader wants the width of a head even where it follows from others.
    pub(super) says_head_dim: bool,
    /// Adds what the family has of its own.
    pub(super) adapt: fn(&Keys<'_>, &mut Map<String, Value>) -> Result<()>,
    pub(super) names: fn(&DecoderConfig) -> WeightNames,
}

/// What the config reader calls the fields. `None` where it has none.
#[derive(Clone, Copy)]
pub(super) struct Spelling {
    pub(super) layers: &'static str,
    pub(super) positions: &'static str,
    pub(super) width: &'static str,
    /// Absent: four times the width.
    pub(super) mlp: Option<&'static str>,
    pub(super) heads: &'static str,
    /// Absent: as many as heads.
    pub(super) kv_heads: Option<&'static str>,
    /// Absent: the width, divided among the heads.
    pub(super) head_dim: Option<&'static str>,
    pub(super) eps: &'static str,
    /// The key of the norm's constant.
    pub(super) eps_key: &'static str,
    pub(super) theta: Option<&'static str>,
    pub(super) partial: Option<&'static str>,
}

const RMS: &str = "attention.layer_norm_rms_epsilon";
const LAYER_NORM: &str = "attention.layer_norm_epsilon";

impl Spelling {
    const LLAMA: Self = Self {
        layers: "num_hidden_layers",
        positions: "max_position_embeddings",
        width: "hidden_size",
        mlp: Some("intermediate_size"),
        heads: "num_attention_heads",
        kv_heads: Some("num_key_value_heads"),
        head_dim: Some("head_dim"),
        eps: "rms_norm_eps",
        eps_key: RMS,
        theta: Some("rope_theta"),
        partial: Some("partial_rotary_factor"),
    };
    const PHI2: Self = Self { eps: "layer_norm_eps", eps_key: LAYER_NORM, ..Self::LLAMA };
    const GEMMA3: Self = Self { partial: None, ..Self::LLAMA };
    const FALCON: Self = Self {
        mlp: Some("ffn_hidden_size"),
        kv_heads: Some("num_kv_heads"),
        head_dim: None,
        eps: "layer_norm_epsilon",
        eps_key: LAYER_NORM,
        ..Self::LLAMA
    };
    const NEOX: Self = Self {
        kv_heads: None,
        head_dim: None,
        theta: Some("rotary_emb_base"),
        partial: Some("rotary_pct"),
        ..Self::PHI2
    };
    const GPT2: Self = Self {
        layers: "n_layer",
        positions: "n_positions",
        width: "n_embd",
        mlp: Some("n_inner"),
        heads: "n_head",
        kv_heads: None,
        head_dim: None,
        eps: "layer_norm_epsilon",
        eps_key: LAYER_NORM,
        theta: None,
        partial: None,
    };
    const BLOOM: Self =
        Self { positions: "seq_length", width: "hidden_size", mlp: None, ..Self::GPT2 };
    const MPT: Self = Self {
        layers: "n_layers",
        positions: "max_seq_len",
        width: "d_model",
        mlp: None,
        heads: "n_heads",
        ..Self::GPT2
    };
}

const LLAMA: Family = Family {
    name: "llama",
    model_type: "llama",
    spelling: Spelling::LLAMA,
    says_head_dim: false,
    adapt: llama,
    names: names::llama,
};

pub(super) static FAMILIES: &[Family] = &[
    LLAMA,
    Family {
        name: "qwen2",
        model_type: "qwen2",
        adapt: rope::scaling,
        names: names::qwen2,
        ..LLAMA
    },
    Family {
        name: "qwen3",
        model_type: "qwen3",
        says_head_dim: true,
        adapt: rope::scaling,
        names: names::qwen3,
        ..LLAMA
    },
    Family {
        name: "gemma",
        model_type: "gemma",
        adapt: rope::scaling,
        names: names::gemma,
        ..LLAMA
    },
    Family { name: "gemma2", model_type: "gemma2", adapt: gemma2, names: names::gemma2, ..LLAMA },
    Family {
        name: "gemma3",
        model_type: "gemma3_text",
        spelling: Spelling::GEMMA3,
        says_head_dim: true,
        adapt: gemma3,
        names: names::gemma3,
    },
    Family {
        name: "phi2",
        model_type: "phi",
        spelling: Spelling::PHI2,
        adapt: rope::scaling,
        names: names::phi2,
        ..LLAMA
    },
    Family { name: "phi3", model_type: "phi3", adapt: phi3, names: names::phi3, ..LLAMA },
    Family {
        name: "falcon",
        model_type: "falcon",
        spelling: Spelling::FALCON,
        adapt: falcon,
        names: names::falcon,
        ..LLAMA
    },
    Family {
        name: "olmo",
        model_type: "olmo",
        spelling: Spelling { eps_key: LAYER_NORM, ..Spelling::LLAMA },
        adapt: olmo,
        names: names::olmo,
        ..LLAMA
    },
    Family {
        name: "olmo2",
        model_type: "olmo2",
        adapt: rope::scaling,
        names: names::olmo2,
        ..LLAMA
    },
    Family {
        name: "gpt2",
        model_type: "gpt2",
        spelling: Spelling::GPT2,
        adapt: |_, _| Ok(()),
        names: names::gpt2,
        ..LLAMA
    },
    Family {
        name: "gptneox",
        model_type: "gpt_neox",
        spelling: Spelling::NEOX,
        adapt: gptneox,
        names: names::two_norms,
        ..LLAMA
    },
    Family {
        name: "bloom",
        model_type: "bloom",
        spelling: Spelling::BLOOM,
        adapt: |_, _| Ok(()),
        names: names::bloom,
        ..LLAMA
    },
    Family {
        name: "mpt",
        model_type: "mpt",
        spelling: Spelling::MPT,
        adapt: mpt,
        names: names::two_norms,
        ..LLAMA
    },
];

/// Llama, and what is exported as Llama: Mistral, and Mixtral where there are experts.
fn llama(keys: &Keys<'_>, map: &mut Map<String, Value>) -> Result<()> {
    rope::scaling(keys, map)?;
    match keys.u64("expert_count")? {
        None | Some(0) => {
            map.insert("attention_bias".into(), json!(keys.has_tensor("blk.0.attn_q.bias")));
            map.insert("mlp_bias".into(), json!(keys.has_tensor("blk.0.ffn_up.bias")));
        }
        Some(count) => {
            map.insert("model_type".into(), json!("mixtral"));
            map.insert("num_local_experts".into(), json!(count));
            map.insert("num_experts_per_tok".into(), json!(keys.need("expert_used_count")?));
        }
    }
    Ok(())
}

fn number(keys: &Keys<'_>, key: &str, field: &str, map: &mut Map<String, Value>) -> Result<()> {
    if let Some(value) = keys.f64(key)? {
        map.insert(field.to_owned(), json!(value));
    }
    Ok(())
}

/// The layers of the two models whose queries are scaled by the width shared out among the heads;
/// no key says so.
const GEMMA2_27B: u64 = 46;
const GEMMA3_27B: u64 = 62;

fn query_scale(keys: &Keys<'_>, large: u64, map: &mut Map<String, Value>) -> Result<()> {
    let shared = keys.need("embedding_length")? / keys.need("attention.head_count")?.max(1);
    let scalar = match keys.need("block_count")? == large {
        true => shared,
        false => keys.u64("attention.key_length")?.unwrap_or(shared),
    };
    map.insert("query_pre_attn_scalar".into(), json!(scalar));
    Ok(())
}

fn gemma2(keys: &Keys<'_>, map: &mut Map<String, Value>) -> Result<()> {
    rope::scaling(keys, map)?;
    number(keys, "attn_logit_softcapping", "attn_logit_softcapping", map)?;
    number(keys, "final_logit_softcapping", "final_logit_softcapping", map)?;
    if let Some(size) = keys.u64("attention.sliding_window")? {
        map.insert("sliding_window".into(), json!(size));
    }
    query_scale(keys, GEMMA2_27B, map)
}

/// Every sixth layer sees everything, the others turn by a base of 10,000: no key says so.
fn gemma3(keys: &Keys<'_>, map: &mut Map<String, Value>) -> Result<()> {
    rope::scaling(keys, map)?;
    map.insert("sliding_window".into(), json!(keys.need("attention.sliding_window")?));
    let local = keys.f64("rope.freq_base_swa")?.unwrap_or(10_000.0);
    map.insert("rope_local_base_freq".into(), json!(local));
    query_scale(keys, GEMMA3_27B, map)
}

fn phi3(keys: &Keys<'_>, map: &mut Map<String, Value>) -> Result<()> {
    rope::scaling(keys, map)?;
    // Zero is the converter's word for none.
    if let Some(size) = keys.u64("attention.sliding_window")?.filter(|size| *size > 0) {
        map.insert("sliding_window".into(), json!(size));
    }
    Ok(())
}

/// Whether a block has one norm or two, its tensors say. The number of KV heads is given in any case,
/// as in the configs of the newer ones.
fn falcon(keys: &Keys<'_>, map: &mut Map<String, Value>) -> Result<()> {
    let norms = if keys.has_tensor("blk.0.attn_norm_2.weight") { 2 } else { 1 };
    map.insert("new_decoder_architecture".into(), json!(true));
    map.insert("num_ln_in_parallel_attn".into(), json!(norms));
    map.insert("bias".into(), json!(keys.has_tensor("blk.0.attn_qkv.bias")));
    rope::scaling(keys, map)
}

fn olmo(keys: &Keys<'_>, map: &mut Map<String, Value>) -> Result<()> {
    // The reader has a constant, as transformers has.
    let eps = map.remove("rms_norm_eps").and_then(|eps| eps.as_f64()).unwrap_or_default();
    if (eps - 1e-5).abs() > 1e-9 {
        return Err(keys.error(LAYER_NORM, format!("{eps} is not supported, 1e-5 would be")));
    }
    if let Some(clip) = keys.f64("attention.clamp_kqv")?.filter(|clip| *clip != 0.0) {
        map.insert("clip_qkv".into(), json!(clip));
    }
    rope::scaling(keys, map)
}

fn gptneox(keys: &Keys<'_>, map: &mut Map<String, Value>) -> Result<()> {
    let parallel = keys.bool("use_parallel_residual")?.unwrap_or(true);
    map.insert("use_parallel_residual".into(), json!(parallel));
    rope::scaling(keys, map)
}

fn mpt(keys: &Keys<'_>, map: &mut Map<String, Value>) -> Result<()> {
    let bias = keys.f64("attention.max_alibi_bias")?.unwrap_or(0.0);
    let clip = keys.f64("attention.clamp_kqv")?.filter(|clip| *clip != 0.0);
    let attention = json!({"alibi": bias != 0.0, "alibi_bias_max": bias, "clip_qkv": clip});
    map.insert("attn_config".into(), attention);
    Ok(())
}
