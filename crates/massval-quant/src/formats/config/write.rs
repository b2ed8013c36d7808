//! The three methods' objects.

use serde_json::{Map, Value, json};

use super::{ActivationOrder, LayoutRule, QuantizationConfig};
use crate::formats::pattern::{MARK, exactly};
use crate::formats::{Format, Layout};
use crate::{ActivationRange, Granularity};

pub(super) fn compressed(config: &QuantizationConfig) -> Value {
    let group = |targets: &[String], layout: &Layout| {
        json!({
            "targets": targets,
            "weights": weights(layout, config.order),
            "input_activations": inputs(config),
            "output_activations": null,
        })
    };
    let mut groups = Map::new();
    groups.insert("group_0".to_owned(), group(&["Linear".to_owned()], &config.layout));
    for (at, LayoutRule { linears, layout }) in config.rules.iter().enumerate() {
        let targets: Vec<String> = linears.iter().map(ToString::to_string).collect();
        groups.insert(format!("group_{}", at + 1), group(&targets, layout));
    }
    let mut json = json!({
        "quant_method": "compressed-tensors",
        "format": config.layout.format.name(),
        "quantization_status": "compressed",
        "config_groups": groups,
        "ignore": config.ignore,
        "kv_cache_scheme": null,
        "global_compression_ratio": null,
    });
    // transformers (5.23) has room for packed zero points only where it dequantizes while it loads, and does so by the
    // first group alone.
    let packed = config.layout.format == Format::PackQuantized;
    if packed && !config.layout.symmetric && config.rules.is_empty() {
        json["dequantize"] = true.into();
    }
    json
}

fn weights(layout: &Layout, order: ActivationOrder) -> Value {
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
    match order {
        ActivationOrder::None => {}
        ActivationOrder::Groups => weights["actorder"] = "group".into(),
        ActivationOrder::Static => weights["actorder"] = "weight".into(),
    }
    weights
}

fn inputs(config: &QuantizationConfig) -> Value {
    let Some(scheme) = config.activations else { return Value::Null };
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
}

pub(super) fn awq(config: &QuantizationConfig) -> Value {
    let plain = |name: &String| name.strip_prefix(MARK).unwrap_or(name).to_owned();
    let ignored: Vec<String> = config.ignore.iter().map(plain).collect();
    // Zero points are always written, in the middle if need be: readers differ in what they do without.
    json!({
        "quant_method": "awq",
        "bits": u64::from(config.layout.bits),
        "group_size": group_size(config.layout.granularity),
        "zero_point": true,
        "version": "gemm",
        "modules_to_not_convert": ignored,
    })
}

pub(super) fn gptq(config: &QuantizationConfig) -> Value {
    let layout = &config.layout;
    let first = layout.format == Format::GptqV1;
    // The head is left out by `lm_head`; others by rules, of which a minus means "not this one".
    let others = config.ignore.iter().filter(|name| *name != "lm_head");
    let mut rules: Map<String, Value> =
        others.map(|name| (format!("-:{}", expression(name)), json!({}))).collect();
    for LayoutRule { linears, layout: own } in &config.rules {
        for pattern in linears {
            rules.insert(format!("+:{}", pattern.as_expression()), other_than(layout, own));
        }
    }
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

/// An entry of the linears that are not quantized, as an expression.
fn expression(entry: &str) -> String {
    entry.strip_prefix(MARK).map_or_else(|| exactly(entry), str::to_owned)
}

/// What a rule says anew.
fn other_than(layout: &Layout, own: &Layout) -> Value {
    let mut json = json!({});
    if own.bits != layout.bits {
        json["bits"] = u64::from(own.bits).into();
    }
    if own.granularity != layout.granularity {
        json["group_size"] = group_size(own.granularity).into();
    }
    if own.symmetric != layout.symmetric {
        json["sym"] = own.symmetric.into();
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
