//! Mistral: Llama with a window over all layers. Mixtral: its MLP is several experts.

use super::fields::Fields;
use super::llama::{self, Defaults};
use super::names::{MlpNames, WeightNames};
use super::read;
use super::rope::Family;
use crate::Result;
use crate::config::{DecoderConfig, MlpKind};

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let config = llama::like(fields, &Defaults::of("mistral"))?;
    llama::with_window(fields, "sliding_window", Some(4096), config)
}

pub(super) fn config_mixtral(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let defaults = Defaults {
        eps: Some(("rms_norm_eps", 1e-5)),
        rope: Family { theta: ("rope_theta", 1e6), ..Family::LLAMA },
        ..Defaults::of("mixtral")
    };
    let config = llama::like(fields, &defaults)?;
    let mut config = llama::with_window(fields, "sliding_window", None, config)?;
    let count = fields.opt_size("num_local_experts")?.unwrap_or(8);
    let per_token = fields.opt_size("num_experts_per_tok")?.unwrap_or(2);
    if count > MAX_EXPERTS {
        let what = format!("{count} is beyond {MAX_EXPERTS}, the largest allowed");
        return Err(fields.error("num_local_experts", what));
    }
    if per_token > count {
        let what = format!("{per_token} of {count} experts");
        return Err(fields.error("num_experts_per_tok", what));
    }
    read::only(fields, "norm_topk_prob", true)?;
    config.mlp = MlpKind::Experts { count, per_token };
    Ok(config)
}

const MAX_EXPERTS: usize = 1024;

pub(super) fn mixtral_names(_: &DecoderConfig) -> WeightNames {
    WeightNames {
        mlp: MlpNames::Experts {
            router: "layers.{l}.block_sparse_moe.gate",
            gate: "layers.{l}.block_sparse_moe.experts.{e}.w1",
            up: "layers.{l}.block_sparse_moe.experts.{e}.w3",
            down: "layers.{l}.block_sparse_moe.experts.{e}.w2",
        },
        ..llama::NAMES
    }
}
