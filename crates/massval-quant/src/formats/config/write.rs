//! The three methods' objects.

use serde_json::{Map, Value, json};

use super::{ActivationOrder, QuantizationConfig};
use crate::formats::Format;
use crate::{ActivationRange, Granularity};

pub(super) fn compressed(config: &QuantizationConfig) -> Value {
    let layout = &config.layout;
    let mut weights = json!({
        "num_bits": u64::from(layout.bits),
        "type": "int",
        "symmetric": layout.symmetric,
        "strategy": "channel",
        "group_size": null,
        "block_structure": null,
        "dynamic": false,
        "actorder": null,
        "observer": "minmax",
    });
    match layout.granularity {
        Granularity::Tensor => weights["strategy"] = "tensor".into(),
        Granularity::Channel => {}
        Granularity::Group(size) => {
            weights["strategy"] = "group".into();
            weights["group_size"] = size.get().into();
        }
    }
    match config.order {
        ActivationOrder::None => {}
        ActivationOrder::Groups => weights["actorder"] = "group".into(),
        ActivationOrder::Static => weights["actorder"] = "weight".into(),
    }
    let inputs = config.activations.map(|scheme| {
        let dynamic = scheme.range == ActivationRange::PerToken;
        json!({
            "num_bits": 8,
            "type": "int",
            "symmetric": true,
            "strategy": if dynamic { "token" } else { "tensor" },
            "group_size": null,
            "block_structure": null,
            "dynamic": dynamic,
            "actorder": null,
            "observer": if dynamic { Value::Null } else { "minmax".into() },
        })
    });
    json!({
        "quant_method": "compressed-tensors",
        "format": layout.format.name(),
        "quantization_status": "compressed",
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                "weights": weights,
                "input_activations": inputs,
                "output_activations": null,
            },
        },
        "ignore": config.ignore,
        "kv_cache_scheme": null,
        "global_compression_ratio": null,
    })
}

pub(super) fn awq(config: &QuantizationConfig) -> Value {
    // Zero points are always written, in the middle if need be: readers differ in what they do without.
    json!({
        "quant_method": "awq",
        "bits": u64::from(config.layout.bits),
        "group_size": group_size(config.layout.granularity),
        "zero_point": true,
        "version": "gemm",
        "modules_to_not_convert": config.ignore,
    })
}

pub(super) fn gptq(config: &QuantizationConfig) -> Value {
    let layout = &config.layout;
    let first = layout.format == Format::GptqV1;
    // The head is left out by `lm_head`; others by rules, of which a minus means "not this one".
    let others = config.ignore.iter().filter(|name| *name != "lm_head");
    let rules: Map<String, Value> = others.map(|name| (format!("-:{name}"), json!({}))).collect();
    let mut json = json!({
        "quant_method": "gptq",
        "bits": u64::from(layout.bits),
        "group_size": group_size(layout.granularity),
        "sym": layout.symmetric,
        "desc_act": config.order != ActivationOrder::None,
        "static_groups": config.order == ActivationOrder::Static,
        "lm_head": false,
        "true_sequential": config.true_sequential,
        "damp_percent": config.damping,
        "checkpoint_format": if first { "gptq" } else { "gptq_v2" },
        "pack_dtype": "int32",
    });
    if !rules.is_empty() {
        json["dynamic"] = Value::Object(rules);
    }
    json
}

/// -1 stands for a whole row.
fn group_size(granularity: Granularity) -> i64 {
    match granularity {
        Granularity::Group(size) => i64::try_from(size.get()).unwrap_or(i64::MAX),
        Granularity::Tensor | Granularity::Channel => -1,
    }
}
