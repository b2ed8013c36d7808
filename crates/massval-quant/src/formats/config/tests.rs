//! Configs of our own read back, those of others understood or refused.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Bits, Granularity};

fn layout(format: Format) -> Layout {
    let granularity = Granularity::group(128).expect("128 is a group");
    Layout { format, bits: format.bits()[0], granularity, symmetric: true }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        format in proptest::sample::select(Format::ALL.to_vec()), size in 0usize..3, bits in 0usize..4,
        symmetric in any::<bool>(), order in 0usize..3, dynamic in proptest::option::of(any::<bool>()),
        others in any::<bool>(), own in proptest::option::of((0usize..4, 0usize..3)),
    ) {
        let granularity = [Granularity::Channel, Granularity::group(32)?, Granularity::group(128)?];
        let layout = Layout {
            format,
            bits: format.bits()[bits % format.bits().len()],
            granularity: granularity[size],
            symmetric: symmetric && format != Format::AwqGemm,
        };
        let mut config = QuantizationConfig::new(layout);
        let orders = [ActivationOrder::None, ActivationOrder::Static, ActivationOrder::Groups];
        if format != Format::AwqGemm {
            let possible = if format == Format::IntQuantized { 2 } else { 3 };
            config.order = orders[order % possible];
        }
        if format == Format::IntQuantized {
            config.activations = dynamic.map(|dynamic| match dynamic {
                true => ActivationScheme::per_token(),
                false => ActivationScheme::per_tensor(),
            });
        }
        if matches!(format, Format::GptqV1 | Format::GptqV2) {
            config.damping = Some(0.01);
            config.true_sequential = others;
        }
        if others {
            config.ignore.push("model.layers.0.mlp.down_proj".to_owned());
        }
        if let Some((bits, size)) = own && format != Format::AwqGemm {
            let bits = format.bits()[bits % format.bits().len()];
            let own = Layout { bits, granularity: granularity[size], ..layout };
            let name = LinearPattern::name("model.layers.1.mlp.up_proj");
            let linears = vec![name, LinearPattern::expression(r".*\.2\.")?];
            let rules = vec![LayoutRule { linears, layout: own }];
            config.rules = if own == layout { vec![] } else { rules };
            prop_assert_eq!(config.layout_of("model.layers.1.mlp.up_proj"), own);
            prop_assert_eq!(config.layout_of("model.layers.2.mlp.up_proj"), own);
            prop_assert_eq!(config.layout_of("model.layers.1.mlp.up_proj_2"), layout);
        }
        let parsed = QuantizationConfig::from_json(&config.to_json()?)?;
        prop_assert_eq!(parsed, ParsedConfig { config, unread: vec![] });
    }
}

#[test]
fn what_a_format_has_no_place_for_is_refused() {
    let config = |format| QuantizationConfig::new(layout(format));
    let rounded = |format| QuantizationConfig {
        activations: Some(ActivationScheme::per_token()),
        ..config(format)
    };
    assert!(rounded(Format::PackQuantized).to_json().is_err());
    assert!(rounded(Format::GptqV2).to_json().is_err());
    let ordered = |format| QuantizationConfig { order: ActivationOrder::Groups, ..config(format) };
    assert!(ordered(Format::AwqGemm).to_json().is_err());
    assert!(ordered(Format::GptqV1).to_json().is_ok());
    for (format, bits) in [(Format::PackQuantized, Bits::Three), (Format::AwqGemm, Bits::Eight)] {
        assert!(QuantizationConfig::new(Layout { bits, ..layout(format) }).to_json().is_err());
    }
    let with = |format, own| {
        let linears = vec![LinearPattern::name("a.b")];
        let rules = vec![LayoutRule { linears, layout: own }];
        QuantizationConfig { rules, ..config(format) }
    };
    let eight = |format| Layout { bits: Bits::Eight, ..layout(format) };
    assert!(with(Format::PackQuantized, eight(Format::PackQuantized)).to_json().is_ok());
    assert!(with(Format::PackQuantized, eight(Format::GptqV1)).to_json().is_err());
    let error = with(Format::AwqGemm, layout(Format::AwqGemm)).to_json().expect_err("no place");
    assert!(error.to_string().contains("some linears"), "{error}");
    let two = Layout { bits: Bits::Two, ..layout(Format::PackQuantized) };
    assert!(with(Format::PackQuantized, two).to_json().is_err());
    let granularity = Granularity::Tensor;
    let tensor = Layout { granularity, ..layout(Format::GptqV1) };
    assert!(QuantizationConfig::new(tensor).to_json().is_err());
}

#[test]
fn configs_of_other_programs_are_understood() -> Result<()> {
    let auto_gptq = json!({
        "bits": 4, "group_size": 128, "damp_percent": 0.1, "desc_act": true, "static_groups": false,
        "sym": true, "true_sequential": true, "model_name_or_path": null, "model_file_base_name": "model",
        "quant_method": "gptq",
    });
    let parsed = QuantizationConfig::from_json(&auto_gptq)?;
    assert_eq!(parsed.config.layout.format, Format::GptqV1);
    assert_eq!(parsed.config.order, ActivationOrder::Groups);
    assert_eq!(parsed.unread, ["model_file_base_name"]);
    let own_file = json!({ "bits": 3, "group_size": -1, "desc_act": false });
    let parsed = QuantizationConfig::from_json(&own_file)?;
    assert_eq!(parsed.config.layout.granularity, Granularity::Channel);
    let auto_awq = json!({
        "quant_method": "awq", "zero_point": true, "q_group_size": 64, "w_bit": 4, "version": "GEMM",
        "modules_to_not_convert": null, "do_fuse": false,
    });
    let parsed = QuantizationConfig::from_json(&auto_awq)?;
    assert_eq!(parsed.config.layout.granularity, Granularity::group(64)?);
    assert_eq!(parsed.unread, ["do_fuse"]);
    Ok(())
}

#[test]
fn what_is_not_understood_names_its_field() -> Result<()> {
    let ours = |format| QuantizationConfig::new(layout(format)).to_json();
    let cases = [
        (
            Format::PackQuantized,
            "/config_groups/group_0/weights/type",
            json!("float"),
            "weights.type",
        ),
        (Format::PackQuantized, "/config_groups/group_0/weights/num_bits", json!(5), "num_bits"),
        (Format::PackQuantized, "/config_groups/group_0/weights/dynamic", json!(true), "dynamic"),
        (
            Format::PackQuantized,
            "/config_groups/group_0/weights/strategy",
            json!("block"),
            "strategy",
        ),
        (
            Format::PackQuantized,
            "/config_groups/group_0/weights/group_size",
            json!(0),
            "group_size",
        ),
        (Format::PackQuantized, "/config_groups/group_0/weights/actorder", json!("up"), "actorder"),
        (
            Format::PackQuantized,
            "/config_groups/group_0/output_activations",
            json!({"a": 1}),
            "output",
        ),
        (Format::PackQuantized, "/config_groups", json!({}), "config_groups"),
        (Format::PackQuantized, "/kv_cache_scheme", json!({"num_bits": 8}), "kv_cache_scheme"),
        (Format::PackQuantized, "/format", json!("marlin-24"), "format"),
        (Format::PackQuantized, "/quantization_status", json!("frozen"), "quantization_status"),
        (Format::PackQuantized, "/ignore", json!([1]), "ignore"),
        (Format::PackQuantized, "/config_groups/group_0/targets", json!(["re:("]), "targets"),
        (Format::GptqV1, "/dynamic", json!({ "+:(?=a)": { "bits": 8 } }), "dynamic.+:(?=a)"),
        (Format::GptqV1, "/dynamic", json!({ "a": { "bits": 5 } }), "dynamic.a.bits"),
        (Format::GptqV1, "/dynamic", json!({ "a": 8 }), "dynamic.a"),
        (Format::AwqGemm, "/version", json!("marlin"), "version"),
        (Format::AwqGemm, "/group_size", json!(null), "group_size"),
        (Format::GptqV1, "/checkpoint_format", json!("marlin"), "checkpoint_format"),
        (Format::GptqV1, "/bits", json!("four"), "bits"),
        (Format::GptqV1, "/quant_method", json!("bitnet"), "quant_method"),
        (Format::GptqV1, "/pack_dtype", json!("int16"), "pack_dtype"),
    ];
    for (format, pointer, value, named) in cases {
        let mut json = ours(format)?;
        match json.pointer_mut(pointer) {
            Some(field) => *field = value,
            None => json[pointer.trim_start_matches('/')] = value,
        }
        let error = QuantizationConfig::from_json(&json).expect_err(pointer);
        assert!(error.to_string().contains(named), "{pointer}: {error}");
    }
    let mut rules = ours(Format::GptqV2)?;
    rules["dynamic"] = json!({ "-:.*down.*": {} });
    let parsed = QuantizationConfig::from_json(&rules)?;
    assert_eq!(parsed.config.ignore, ["lm_head", "re:.*down.*"]);
    assert_eq!(parsed.config.to_json()?["dynamic"], rules["dynamic"]);
    for json in [json!(null), json!([]), json!({}), json!({ "quant_method": 3 })] {
        assert!(QuantizationConfig::from_json(&json).is_err());
    }
    Ok(())
}

#[test]
fn linears_of_their_own_go_by_the_rules_of_each_method() -> Result<()> {
    let group = |targets: serde_json::Value, bits: u32, size: usize| {
        json!({
            "targets": targets,
            "weights": {
                "num_bits": bits, "type": "int", "symmetric": true, "strategy": "group", "group_size": size,
            },
        })
    };
    // A name counts before an expression, an expression before the class, wherever they stand.
    let mut compressed = json!({
        "quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["lm_head"],
        "config_groups": {
            "group_0": group(json!(["re:.*mlp"]), 8, 64),
            "group_1": group(json!(["Linear"]), 4, 64),
            "group_2": group(json!(["layers.0.mlp.up"]), 8, 32),
        },
    });
    let config = QuantizationConfig::from_json(&compressed)?.config;
    let of = |config: &QuantizationConfig, linear: &str| {
        let layout = config.layout_of(linear);
        let Granularity::Group(size) = layout.granularity else { panic!("{linear}: no group") };
        (layout.bits, size.get())
    };
    assert_eq!(of(&config, "layers.0.mlp.up"), (Bits::Eight, 32));
    assert_eq!(of(&config, "layers.0.mlp.down"), (Bits::Eight, 64));
    assert_eq!(of(&config, "layers.0.attn.q"), (Bits::Four, 64));

    let groups = &mut compressed["config_groups"];
    groups["group_3"] = group(json!(["Embedding"]), 8, 64);
    let error = QuantizationConfig::from_json(&compressed).expect_err("another class");
    assert!(error.to_string().contains("class"), "{error}");
    // Expressions alone, all of which say the same.
    compressed["config_groups"] = json!({
        "group_0": group(json!(["re:.*mlp"]), 4, 64), "group_1": group(json!(["re:.*attn"]), 4, 64),
    });
    let config = QuantizationConfig::from_json(&compressed)?.config;
    assert_eq!((config.rules.len(), of(&config, "x")), (0, (Bits::Four, 64)));
    let activations = json!({ "num_bits": 8, "dynamic": true, "strategy": "token" });
    compressed["config_groups"]["group_1"]["input_activations"] = activations;
    assert!(QuantizationConfig::from_json(&compressed).is_err());

    // The first rule counts; what it does not say is as for the rest.
    let gptq = json!({
        "quant_method": "gptq", "bits": 4, "group_size": 128, "sym": true, "desc_act": false,
        "dynamic": {
            "-:.*k_proj": {}, "+:^layers\\.1\\.up$": { "bits": 8 },
            ".*\\.1\\.": { "bits": 3, "group_size": 32, "desc_act": false },
        },
    });
    let config = QuantizationConfig::from_json(&gptq)?.config;
    assert_eq!(of(&config, "layers.1.up"), (Bits::Eight, 128));
    assert_eq!(of(&config, "layers.1.up_2"), (Bits::Three, 32));
    assert_eq!(of(&config, "layers.11.up"), (Bits::Four, 128));
    assert_eq!(config.ignore, ["lm_head", "re:.*k_proj"]);
    Ok(())
}

#[test]
fn packed_zero_points_are_dequantized_while_they_are_loaded() -> Result<()> {
    let symmetric = layout(Format::PackQuantized);
    let plain = Layout { symmetric: false, ..symmetric };
    let json = |layout: Layout| QuantizationConfig::new(layout).to_json();
    assert_eq!(json(plain)?["dequantize"], true);
    assert_eq!(json(symmetric)?.get("dequantize"), None);
    assert_eq!(json(Layout { format: Format::GptqV2, ..plain })?.get("dequantize"), None);
    // That way knows one group: it would read the other's words wrongly and say nothing.
    let linears = vec![LinearPattern::name("a.b")];
    let rules = vec![LayoutRule { linears, layout: Layout { bits: Bits::Eight, ..plain } }];
    let mixed = QuantizationConfig { rules, ..QuantizationConfig::new(plain) };
    assert_eq!(mixed.to_json()?.get("dequantize"), None);
    Ok(())
}
