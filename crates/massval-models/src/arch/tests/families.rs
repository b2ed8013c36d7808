//! What the readers of single families make of their fields.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::config::{BlockOrder, DecoderConfig, MlpKind, PositionEncoding};

fn family(model_type: &str, fields: Value) -> Value {
    let mut config = with(llama(), "model_type", json!(model_type));
    for (name, value) in fields.as_object().expect("fields") {
        config[name] = value.clone();
    }
    config
}

fn config(model_type: &str, fields: Value) -> DecoderConfig {
    parsed(&family(model_type, fields)).unwrap_or_else(|e| panic!("{e}")).config
}

fn windows(config: &DecoderConfig) -> Vec<Option<usize>> {
    (0..config.layers).map(|layer| config.window_at(layer)).collect()
}

#[test]
fn both_spellings_of_a_fixture_are_one_model() {
    let mut seen = 0;
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models");
    for entry in std::fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(old) = std::fs::read_to_string(folder.join("config.rope_scaling.json")) else {
            continue;
        };
        let new = std::fs::read_to_string(folder.join("config.json")).unwrap();
        assert_eq!(read_config(&folder, &old).unwrap(), read_config(&folder, &new).unwrap());
        seen += 1;
    }
    assert!(seen >= 2, "{seen} fixtures in two spellings");
}

#[test]
fn windows_are_where_the_fields_put_them() {
    assert_eq!(windows(&config("mistral", json!({}))), [Some(4096); 2]);
    assert_eq!(windows(&config("mistral", json!({"sliding_window": null}))), [None; 2]);
    assert_eq!(windows(&config("mixtral", json!({}))), [None; 2]);
    let on = json!({"use_sliding_window": true, "sliding_window": 8, "max_window_layers": 1});
    assert_eq!(windows(&config("qwen2", on)), [None, Some(8)]);
    let off = json!({"use_sliding_window": false, "sliding_window": 8, "max_window_layers": 0});
    assert_eq!(windows(&config("qwen2", off)), [None; 2]);
    assert_eq!(windows(&config("gemma2", json!({"sliding_window": 8}))), [Some(8), None]);
    let gemma3 = config("gemma3_text", json!({"num_hidden_layers": 7, "sliding_window": 8}));
    assert_eq!(windows(&gemma3).iter().filter(|window| window.is_none()).count(), 1);
    assert_eq!(gemma3.window_at(5), None);
    assert_eq!(
        (gemma3.rope_at(5).unwrap().theta(), gemma3.rope_at(0).unwrap().theta()),
        (1e6, 1e4)
    );
}

#[test]
fn falcons_differ_in_their_fields_alone() {
    let falcon = |fields: Value| config("falcon", fields);
    let seven = falcon(json!({}));
    assert_eq!((seven.kv_heads, seven.block), (1, BlockOrder::ParallelOneNorm));
    let eleven = json!({"new_decoder_architecture": true, "num_kv_heads": 2,
                        "num_ln_in_parallel_attn": 1});
    let eleven = falcon(eleven);
    assert_eq!((eleven.kv_heads, eleven.block), (2, BlockOrder::ParallelOneNorm));
    let forty = falcon(json!({"new_decoder_architecture": true, "num_kv_heads": 2}));
    assert_eq!((forty.kv_heads, forty.block), (2, BlockOrder::ParallelTwoNorms));
}

#[test]
fn published_configs_that_leave_fields_out_are_completed_as_in_transformers() {
    let vicuna = json!({"model_type": "llava", "text_config": {
        "model_type": "llama", "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
        "vocab_size": 32064}});
    let llava = parsed(&vicuna).unwrap().config;
    assert_eq!((llava.layers, llava.d_model, llava.vocab_size), (32, 4096, 32064));
    assert_eq!(llava.architecture, "llava");
    let text = json!({"model_type": "gemma3_text", "hidden_size": 2560, "num_hidden_layers": 34,
                      "intermediate_size": 10240, "sliding_window": 1024,
                      "rope_scaling": {"factor": 8.0, "rope_type": "linear"}});
    let gemma = parsed(&json!({"model_type": "gemma3", "text_config": text})).unwrap().config;
    assert_eq!((gemma.heads, gemma.kv_heads, gemma.head_dim), (8, 4, 256));
    assert!(gemma.rope().unwrap().scaling().is_some());
}

#[test]
fn the_text_model_of_qwen2_vl_lies_flat_or_nested() {
    let rope = json!({"type": "mrope", "mrope_section": [1, 1, 2]});
    let flat = family("qwen2_vl", json!({"rope_scaling": rope, "vision_config": {"depth": 1}}));
    let text = family("qwen2_vl_text", json!({"rope_scaling": rope}));
    let nested = json!({"model_type": "qwen2_vl", "text_config": text});
    assert_eq!(parsed(&flat).unwrap().config, parsed(&nested).unwrap().config);
}

#[test]
fn the_oldest_name_of_longrope_is_read() {
    let factors = [1.0, 1.0, 2.0, 2.0];
    let scaling = json!({"type": "su", "short_factor": factors, "long_factor": factors});
    let phi = json!({"rope_scaling": scaling, "original_max_position_embeddings": 32});
    let phi = config("phi3", phi);
    let rope = phi.rope().unwrap();
    assert_eq!(rope.scaling().map(|scaling| scaling.name()), Some("longrope"));
    // 128 positions of 32: sqrt(1 + ln 4 / ln 32).
    assert!((rope.attention_factor() - 1.4f64.sqrt()).abs() < 1e-12);
}

#[test]
fn dynamic_ntk_goes_beyond_the_positions_of_its_training() {
    let scaling = json!({"rope_scaling": {"type": "dynamic", "factor": 4.0}});
    assert_eq!(config("llama", scaling).positions(), Some(512));
}

#[test]
fn experts_and_alibi_are_counted() {
    let mixtral = config("mixtral", json!({"num_local_experts": 4, "num_experts_per_tok": 3}));
    assert_eq!(mixtral.mlp, MlpKind::Experts { count: 4, per_token: 3 });
    let mpt = json!({"model_type": "mpt", "vocab_size": 64, "d_model": 32, "n_layers": 2,
                     "n_heads": 4});
    match parsed(&mpt).unwrap().config.position {
        PositionEncoding::Alibi(alibi) => assert_eq!(alibi.slopes.len(), 4),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_family_cannot_be_is_refused_by_field() {
    let neo = |fields: Value| {
        let mut config = json!({"model_type": "gpt_neo", "vocab_size": 64, "hidden_size": 32,
                                "num_layers": 2, "num_heads": 4});
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        config
    };
    let mpt = |attention: Value| {
        json!({"model_type": "mpt", "vocab_size": 64, "d_model": 32, "n_layers": 2, "n_heads": 4,
               "attn_config": attention})
    };
    let yarn = json!({"type": "yarn", "factor": 4.0, "colour": 1});
    for (config, field, what) in [
        (json!({"model_type": "jamba"}), "model_type", "Mamba"),
        (family("mixtral", json!({"num_experts_per_tok": 9})), "num_experts_per_tok", "9 of 8"),
        (family("mixtral", json!({"num_local_experts": 1 << 20})), "num_local_experts", "beyond"),
        (family("qwen3", json!({})), "head_dim", "missing"),
        (
            family("qwen2", json!({"layer_types": ["full_attention"]})),
            "layer_types",
            "1 entries for 2 layers",
        ),
        (
            family("qwen2", json!({"layer_types": ["full_attention", "linear_attention"]})),
            "layer_types",
            "unknown kind",
        ),
        (
            family("qwen2", json!({"layer_types": ["full_attention", "sliding_attention"]})),
            "layer_types",
            "use_sliding_window is off",
        ),
        (
            family("gemma2", json!({"use_bidirectional_attention": true})),
            "use_bidirectional_attention",
            "not supported",
        ),
        (
            family("gemma3_text", json!({"attn_logit_softcapping": 30.0})),
            "attn_logit_softcapping",
            "no meaning",
        ),
        (
            family("gemma3_text", json!({"rope_parameters": {"rope_theta": 1.0}})),
            "rope_parameters.rope_theta",
            "not a field",
        ),
        (family("falcon", json!({"alibi": true})), "alibi", "not supported"),
        (
            family("falcon", json!({"new_decoder_architecture": true, "parallel_attn": false})),
            "parallel_attn",
            "contradicts",
        ),
        (
            family("falcon", json!({"num_ln_in_parallel_attn": 3})),
            "num_ln_in_parallel_attn",
            "not supported",
        ),
        (family("phi", json!({"tie_word_embeddings": true})), "tie_word_embeddings", "bias"),
        (family("olmo", json!({"clip_qkv": -1.0})), "clip_qkv", "not positive"),
        (family("llama", json!({"rope_scaling": yarn})), "rope_scaling.colour", "of yarn RoPE"),
        (
            family("llama", json!({"rope_scaling": {"type": "mrope"}})),
            "rope_scaling.rope_type",
            "unknown RoPE",
        ),
        (
            family(
                "phi3",
                json!({"rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.0, 1.0, 1.0]}}),
            ),
            "rope_scaling.long_factor",
            "missing",
        ),
        (neo(json!({})), "attention_types", "does not give 2 layers"),
        (
            neo(json!({"attention_types": [[["global", "near"], 1]]})),
            "attention_types",
            "unknown kind",
        ),
        (
            neo(json!({"attention_types": [[["global"], 1_000_000_000]]})),
            "attention_types",
            "count",
        ),
        (
            neo(json!({"attention_types": [[["global", "local"], 1]],
                       "attention_layers": ["local", "global"]})),
            "attention_layers",
            "contradicts",
        ),
        (mpt(json!({"alibi": false})), "attn_config.alibi", "not supported"),
        (mpt(json!({"kv_n_heads": 2})), "attn_config.kv_n_heads", "not known"),
        (mpt(json!([])), "attn_config", "not an object"),
        (
            json!({"model_type": "bloom", "hidden_size": 32, "n_embed": 64}),
            "hidden_size",
            "64 in n_embed",
        ),
        (
            json!({"model_type": "gptj", "vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4,
                   "rotary_dim": 64}),
            "rotary_dim",
            "head_dim",
        ),
        (
            json!({"model_type": "llava", "text_config": {"model_type": "mamba"}}),
            "text_config.model_type",
            "unknown architecture",
        ),
    ] {
        let line = refused(&config);
        assert!(line.contains(field) && line.contains(what), "{field}, {what}: {line}");
    }
}
