//! Rotary parameters that must be read, and those that must be refused with the field's name.

use std::path::Path;

use massval_detect::RopeScaling;
use serde_json::{Map, Value, json};

use super::*;

const HEAD_DIM: usize = 8;
const EXTENT: Extent = Extent { head_dim: HEAD_DIM, max_positions: Some(256) };

fn map(config: &Value) -> Map<String, Value> {
    config.as_object().unwrap().clone()
}

fn read_as(family: &Family, config: &Value) -> Result<RopeConfig> {
    let map = map(config);
    family.read(&Fields::new(Path::new("config.json"), &map), EXTENT)
}

fn parsed(config: &Value) -> RopeConfig {
    read_as(&Family::LLAMA, config).unwrap()
}

fn refused(family: &Family, config: &Value) -> String {
    let error = read_as(family, config).err().map(|error| error.to_string());
    error.unwrap_or_else(|| panic!("accepted: {config}"))
}

/// What the reader should have made of it.
fn scaled(theta: f64, scaling: RopeScaling) -> RopeConfig {
    RopeConfig::new(RopeAngles::new(HEAD_DIM, theta, Some(scaling)).unwrap(), PairLayout::HalfSplit)
}

fn unscaled(theta: f64) -> RopeConfig {
    RopeConfig::new(RopeAngles::new(HEAD_DIM, theta, None).unwrap(), PairLayout::HalfSplit)
}

fn yarn(factor: f64) -> RopeScaling {
    RopeScaling::Yarn {
        factor,
        beta_fast: 32.0,
        beta_slow: 1.0,
        original_max_position: 64,
        truncate: true,
        mscale: None,
        mscale_all_dim: None,
        attention_factor: None,
    }
}

fn longrope(factor: f64, original_max_position: usize) -> RopeScaling {
    RopeScaling::Longrope {
        short_factor: vec![1.0; 4],
        long_factor: vec![1.0, 2.0, 4.0, 8.0],
        factor,
        original_max_position,
        attention_factor: None,
    }
}

/// A LongRoPE table with further fields.
fn long(more: Value) -> Value {
    let mut table = json!({"short_factor": [1, 1, 1, 1], "long_factor": [1, 2, 4, 8]});
    table.as_object_mut().unwrap().extend(map(&more));
    table
}

#[test]
fn every_kind_is_read_in_every_spelling() {
    let kinds = [
        (json!({"rope_type": "linear", "factor": 4}), RopeScaling::Linear { factor: 4.0 }),
        (
            json!({"rope_type": "dynamic", "factor": 2.0, "original_max_position_embeddings": 64}),
            RopeScaling::DynamicNtk { factor: 2.0, max_position: 256 },
        ),
        (
            json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                   "high_freq_factor": 4.0, "original_max_position_embeddings": 64}),
            RopeScaling::Llama3 {
                factor: 8.0,
                low_freq_factor: 1.0,
                high_freq_factor: 4.0,
                original_max_position: 64,
            },
        ),
        (
            json!({"rope_type": "yarn", "factor": 16.0, "original_max_position_embeddings": 64.0,
                   "finetuned": true, "beta_fast": null}),
            yarn(16.0),
        ),
        (
            json!({"rope_type": "yarn", "original_max_position_embeddings": 64, "beta_fast": 16,
                   "beta_slow": 2, "truncate": false, "mscale": 1.0, "mscale_all_dim": 0.5,
                   "attention_factor": 1.5}),
            RopeScaling::Yarn {
                factor: 4.0,
                beta_fast: 16.0,
                beta_slow: 2.0,
                original_max_position: 64,
                truncate: false,
                mscale: Some(1.0),
                mscale_all_dim: Some(0.5),
                attention_factor: Some(1.5),
            },
        ),
        (
            long(json!({"rope_type": "longrope", "original_max_position_embeddings": 64})),
            longrope(4.0, 64),
        ),
        (long(json!({"rope_type": "su", "factor": 2.0})), longrope(2.0, 256)),
        (
            json!({"rope_type": "proportional", "partial_rotary_factor": 0.5}),
            RopeScaling::Proportional { factor: 1.0, proportion: 0.5 },
        ),
    ];
    for (table, scaling) in kinds {
        let expected = scaled(5e5, scaling);
        let mut new = table.clone();
        new["rope_theta"] = json!(5e5);
        let mut oldest = table.clone();
        let kind = oldest.as_object_mut().unwrap().remove("rope_type").unwrap();
        oldest["type"] = kind.clone();
        let mut both = new.clone();
        both["type"] = kind;
        for config in [
            json!({"rope_parameters": new}),
            json!({"rope_parameters": table, "rope_theta": 5e5}),
            json!({"rope_scaling": table, "rope_theta": 5e5}),
            json!({"rope_scaling": oldest, "rope_theta": 5e5, "rope_parameters": null}),
            json!({"rope_parameters": both}),
            json!({"rope_parameters": new, "rope_scaling": oldest, "rope_theta": 5e5}),
        ] {
            assert_eq!(parsed(&config), expected, "{config}");
        }
    }
}

#[test]
fn without_a_word_rope_is_plain() {
    let plain = unscaled(10_000.0);
    for config in [
        json!({}),
        json!({"rope_scaling": null}),
        json!({"rope_scaling": {}}),
        json!({"rope_parameters": {"rope_type": "default", "rope_theta": 10000}}),
        json!({"rope_scaling": {"type": "default"}, "original_max_position_embeddings": 64}),
        json!({"partial_rotary_factor": 1.0}),
    ] {
        assert_eq!(parsed(&config), plain, "{config}");
    }
    assert_eq!((plain.attention_factor(), plain.changes_beyond()), (1.0, None));
}

#[test]
fn the_length_chooses_the_frequencies() {
    let config = json!({"original_max_position_embeddings": 64,
                        "rope_scaling": long(json!({"type": "longrope"}))});
    let rope = parsed(&config);
    assert_eq!(rope, scaled(1e4, longrope(4.0, 64)));
    assert_eq!(rope.changes_beyond(), Some(64));
    assert_eq!(*rope.inv_freq_at(64), *rope.inv_freq());
    assert_eq!(rope.inv_freq_at(65)[3], rope.inv_freq()[3] / 8.0);
    assert_eq!(rope.attention_factor(), (1.0 + 4f64.ln() / 64f64.ln()).sqrt());
}

#[test]
fn families_have_names_and_defaults_of_their_own() {
    let neox = Family {
        theta: ("rotary_emb_base", 10_000.0),
        partial: Some(("rotary_pct", 0.25)),
        ..Family::LLAMA
    };
    assert_eq!(read_as(&neox, &json!({})).unwrap().rotary_dim(), 2);
    let old = read_as(&neox, &json!({"rotary_pct": 0.5, "rotary_emb_base": 1000})).unwrap();
    assert_eq!((old.rotary_dim(), old.theta()), (4, 1000.0));
    let new = json!({"rope_parameters": {"rope_theta": 1000, "partial_rotary_factor": 0.5}});
    assert_eq!(read_as(&neox, &new).unwrap(), old);

    let phi3 = Family { yarn_means_longrope: true, ..Family::LLAMA };
    let yarn = json!({"rope_scaling": long(json!({"type": "yarn", "rope_type": "longrope"}))});
    assert_eq!(read_as(&phi3, &yarn).unwrap().scaling().map(RopeScaling::name), Some("longrope"));

    let qwen2_vl = Family { three_axes: true, ..Family::LLAMA };
    for kind in ["mrope", "axial", "default"] {
        let table = json!({"type": kind, "rope_type": "default", "mrope_section": [2, 1, 1]});
        assert_eq!(read_as(&qwen2_vl, &json!({"rope_scaling": table})).unwrap().scaling(), None);
    }
    let table = json!({"type": "mrope", "mrope_section": [2, 1, 2]});
    assert!(refused(&qwen2_vl, &json!({"rope_scaling": table})).contains("mrope_section"));
}

#[test]
fn refusals_name_the_field() {
    let table = |table: Value| json!({"rope_scaling": table});
    let yarn = |more: Value| {
        let mut yarn = map(&json!({"type": "yarn", "factor": 4.0}));
        yarn.extend(map(&more));
        json!({"rope_scaling": yarn})
    };
    for (config, field, what) in [
        (json!({"rope_theta": -1}), "rope_theta", "not positive"),
        (json!({"rope_theta": "1e4"}), "rope_theta", "not a number"),
        (table(json!({"rope_theta": 0})), "rope_scaling.rope_theta", "not positive"),
        (table(json!("yarn")), "rope_scaling", "object"),
        (table(json!({"type": 3})), "rope_scaling.type", "string"),
        (table(json!({"type": "ntk"})), "rope_scaling.rope_type", "default, linear, dynamic"),
        (table(json!({"type": "mrope"})), "rope_scaling.rope_type", "unknown RoPE"),
        (table(json!({"type": "linear", "rope_type": "yarn"})), "rope_type", "in type"),
        (table(json!({"type": "linear", "factor": 0})), "rope_scaling.factor", "not positive"),
        (table(json!({"type": "linear", "factor": "4"})), "rope_scaling.factor", "not a number"),
        (table(json!({"type": "linear", "factor": 2, "alpha": 1})), "alpha", "of linear RoPE"),
        (table(json!({"factor": 4.0})), "rope_scaling.factor", "of default RoPE"),
        (table(json!({"type": "dynamic"})), "rope_scaling.factor", "missing"),
        (table(json!({"type": "llama3", "factor": 2})), "low_freq_factor", "missing"),
        (
            table(json!({"type": "llama3", "factor": 2, "low_freq_factor": 4,
                         "high_freq_factor": 1})),
            "rope_scaling",
            "high_freq_factor",
        ),
        (table(json!({"type": "yarn"})), "rope_scaling.factor", "missing"),
        (yarn(json!({"beta_fast": 0.5})), "rope_scaling", "beta_fast"),
        (yarn(json!({"beta_slow": -1})), "rope_scaling.beta_slow", "not positive"),
        (yarn(json!({"attention_factor": 0})), "rope_scaling.attention_factor", "not positive"),
        (yarn(json!({"truncate": 1})), "rope_scaling.truncate", "true or false"),
        (yarn(json!({"mscale": -99, "mscale_all_dim": 1})), "rope_scaling", "attention_factor"),
        (
            yarn(json!({"original_max_position_embeddings": 64.5})),
            "original_max_position_embeddings",
            "not a size",
        ),
        (table(json!({"type": "longrope"})), "rope_scaling.short_factor", "missing"),
        (
            table(long(json!({"type": "su", "long_factor": [1, 2]}))),
            "long_factor",
            "2 factors for 4",
        ),
        (
            table(long(json!({"type": "su", "long_factor": [1, 2, 3, 0]}))),
            "long_factor",
            "positive",
        ),
        (table(long(json!({"type": "su", "long_mscale": 1.2}))), "long_mscale", "of longrope"),
        (json!({"partial_rotary_factor": 0.5}), "partial_rotary_factor", "whole heads"),
        (json!({"partial_rotary_factor": 1e300}), "partial_rotary_factor", "beyond 1"),
        (
            json!({"original_max_position_embeddings": 32, "rope_scaling":
                   {"type": "yarn", "factor": 2, "original_max_position_embeddings": 64}}),
            "rope_scaling.original_max_position_embeddings",
            "32 at the top",
        ),
        (
            json!({"rope_theta": 1e4, "rope_parameters": {"rope_theta": 1e5}}),
            "rope_theta",
            "in rope_parameters",
        ),
        (
            json!({"rope_parameters": {"rope_type": "default"}, "rope_scaling":
                   {"type": "linear", "factor": 2}}),
            "rope_scaling",
            "remove one",
        ),
        (
            json!({"rope_parameters": {"full_attention": {"rope_theta": 1e6}}}),
            "rope_parameters.full_attention",
            "one kind of layer",
        ),
    ] {
        let line = refused(&Family::LLAMA, &config);
        assert!(line.contains(field) && line.contains(what), "{config}: {line}");
    }
    for (head_dim, field) in [(1 << 31, "head_dim"), (7, "rotary_dim")] {
        let map = Map::new();
        let fields = Fields::new(Path::new("config.json"), &map);
        let error = Family::LLAMA.read(&fields, Extent { head_dim, ..EXTENT }).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
    }
    // Where the config has no limit, a kind that needs one says so.
    let map = map(&json!({"rope_scaling": {"type": "dynamic", "factor": 2}}));
    let fields = Fields::new(Path::new("config.json"), &map);
    let extent = Extent { max_positions: None, ..EXTENT };
    let error = Family::LLAMA.read(&fields, extent).unwrap_err().to_string();
    assert!(error.contains("max_position_embeddings"), "{error}");
}

const GEMMA3: [LayerKind; 2] = [
    LayerKind { name: "full_attention", theta: ("rope_theta", 1e6), scaled: true },
    LayerKind { name: "sliding_attention", theta: ("rope_local_base_freq", 1e4), scaled: false },
];

fn layers(config: &Value) -> Result<[RopeConfig; 2]> {
    let map = map(config);
    Family::LLAMA.read_layers(&Fields::new(Path::new("config.json"), &map), EXTENT, &GEMMA3)
}

#[test]
fn each_kind_of_layer_has_its_own_rope() {
    let linear = scaled(1e6, RopeScaling::Linear { factor: 8.0 });
    assert_eq!(layers(&json!({})).unwrap(), [unscaled(1e6), unscaled(1e4)]);
    for config in [
        json!({"rope_theta": 1e6, "rope_local_base_freq": 1e4,
               "rope_scaling": {"rope_type": "linear", "factor": 8.0}}),
        json!({"rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}}),
        json!({"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0}}}),
    ] {
        assert_eq!(layers(&config).unwrap(), [linear.clone(), unscaled(1e4)], "{config}");
    }
    for (config, field, what) in [
        (
            json!({"rope_parameters": {"full_atention": {"rope_type": "default"}}}),
            "rope_parameters.full_atention",
            "known types are full_attention, sliding_attention",
        ),
        (json!({"rope_parameters": {"rope_type": "default"}}), "rope_type", "per layer type"),
        (json!({"rope_parameters": {"full_attention": null}}), "full_attention", "null"),
        (json!({"rope_parameters": {"full_attention": 1}}), "full_attention", "object"),
        (
            json!({"rope_parameters": {"sliding_attention": {"factor": 2}}}),
            "rope_parameters.sliding_attention.factor",
            "of default RoPE",
        ),
        (
            json!({"rope_local_base_freq": 2e4,
                   "rope_parameters": {"sliding_attention": {"rope_theta": 1e4}}}),
            "rope_local_base_freq",
            "in rope_parameters.sliding_attention",
        ),
        (
            json!({"rope_parameters": {"full_attention": {"rope_type": "default"}},
                   "rope_scaling": {"rope_type": "default"}}),
            "rope_scaling",
            "remove one",
        ),
        (
            json!({"rope_scaling": {"full_attention": {"rope_type": "default"}}}),
            "rope_scaling.full_attention",
            "not a field",
        ),
    ] {
        let error = layers(&config).err().map(|error| error.to_string());
        let line = error.unwrap_or_else(|| panic!("accepted: {config}"));
        assert!(line.contains(field) && line.contains(what), "{config}: {line}");
    }
}
