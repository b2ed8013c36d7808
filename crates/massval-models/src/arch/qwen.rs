//! Qwen2 (and 1.5, 2.5): Llama with biases on Q, K and V, and perhaps windows in the upper layers.
//! Qwen3: QK-norm instead of the biases. Qwen2-VL: the text decoder of an image model.

use super::fields::Fields;
use super::llama::{self, Defaults};
use super::names::{Prefix, WeightNames};
use super::read;
use super::rope::Family;
use crate::Result;
use crate::config::{BiasConfig, DecoderConfig, QkNorm};

const QKV_BIAS: BiasConfig = BiasConfig { qkv: true, ..BiasConfig::NONE };

pub(super) fn config(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let config = llama::like(fields, &Defaults::of("qwen2"))?;
    windows(fields, DecoderConfig { bias: QKV_BIAS, ..config }, 28)
}

pub(super) fn config3(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let given = fields.has("head_dim");
    let mut config = llama::like(fields, &Defaults::of("qwen3"))?;
    if !given {
        return Err(fields.error("head_dim", "missing; a positive number is needed"));
    }
    config.attention.qk_norm = Some(QkNorm::PerHead);
    let bias = fields.bool("attention_bias", false)?;
    config.bias = BiasConfig { qkv: bias, attn_out: bias, ..BiasConfig::NONE };
    windows(fields, config, 28)
}

/// The image positions (`mrope`) count like others where there is text alone.
pub(super) fn config_vl(fields: &Fields<'_>) -> Result<DecoderConfig> {
    let rope = Family { theta: ("rope_theta", 1e6), three_axes: true, ..Family::LLAMA };
    let defaults = Defaults { eps: Some(("rms_norm_eps", 1e-5)), rope, ..Defaults::of("qwen2_vl") };
    let config = llama::like(fields, &defaults)?;
    windows(fields, DecoderConfig { bias: QKV_BIAS, ..config }, 80)
}

/// Layers from `max_window_layers` on look through the window, where it is switched on.
fn windows(
    fields: &Fields<'_>,
    mut config: DecoderConfig,
    default_first: usize,
) -> Result<DecoderConfig> {
    let on = fields.bool("use_sliding_window", false)?;
    let size = match fields.has("sliding_window") {
        true => fields.opt_size("sliding_window")?,
        false => Some(4096),
    };
    let first = match fields.get("max_window_layers").map(|v| (v, v.as_u64())) {
        None => default_first,
        Some((_, Some(first))) => usize::try_from(first).unwrap_or(usize::MAX),
        Some((v, None)) => {
            return Err(fields.error("max_window_layers", format!("{v} is not a number of layers")));
        }
    };
    let layers = match read::windowed_layers(fields, config.layers)? {
        Some(layers) => layers,
        None => (0..config.layers).map(|layer| on && size.is_some() && layer >= first).collect(),
    };
    let size = size.filter(|_| on);
    if size.is_none() && layers.contains(&true) {
        let what = "sliding_attention, but use_sliding_window is off or sliding_window absent";
        return Err(fields.error("layer_types", what));
    }
    config.attention.window = read::window(size, layers);
    Ok(config)
}

pub(super) fn names3(_: &DecoderConfig) -> WeightNames {
    WeightNames {
        qk_norm: Some(("layers.{l}.self_attn.q_norm", "layers.{l}.self_attn.k_norm")),
        ..llama::NAMES
    }
}

pub(super) fn names_vl(_: &DecoderConfig) -> WeightNames {
    WeightNames {
        prefixes: &[
            Prefix { body: "model.", head: "" },
            Prefix { body: "model.language_model.", head: "" },
        ],
        aside: &["visual.", "model.visual."],
        ..llama::NAMES
    }
}
