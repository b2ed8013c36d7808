//! Configs that must be read, and configs that must be refused with the field's name.

mod families;

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::config::PositionEncoding;

fn llama() -> Value {
    json!({"model_type": "llama", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48,
           "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
           "rms_norm_eps": 1e-5, "max_position_embeddings": 128})
}

fn with(mut config: Value, field: &str, value: Value) -> Value {
    config[field] = value;
    config
}

fn parsed(config: &Value) -> Result<Described> {
    let path = Path::new("folder/config.json");
    read(path, &parse(path, &config.to_string())?)
}

fn refused(config: &Value) -> String {
    let error = parsed(config).err().map(|e| e.to_string());
    error.unwrap_or_else(|| panic!("accepted: {config}"))
}

#[test]
fn both_spellings_of_rope_give_the_same() {
    let scaling = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 64});
    let old = with(with(llama(), "rope_theta", json!(5e5)), "rope_scaling", scaling.clone());
    let new = with(llama(), "rope_parameters", with(scaling, "rope_theta", json!(5e5)));
    let (old, new) = (parsed(&old).unwrap().config, parsed(&new).unwrap().config);
    assert_eq!(old, new);
    let rope = old.rope().unwrap();
    assert_eq!((rope.theta(), rope.scaling().map(|s| s.name())), (5e5, Some("llama3")));
    assert_eq!(rope.inv_freq().len(), 4);
}

#[test]
fn gpt2_with_rope_differs_in_its_positions_alone() {
    let gpt2 = json!({"model_type": "gpt2", "vocab_size": 64, "n_embd": 32, "n_layer": 2,
                      "n_head": 4, "n_positions": 16});
    let plain = parsed(&gpt2).unwrap().config;
    let mut rope = parsed(&with(gpt2, "model_type", json!("gpt2-rope"))).unwrap().config;
    assert!(rope.rope().is_some());
    rope.position = PositionEncoding::Learned { positions: 16, offset: 0 };
    rope.architecture = plain.architecture.clone();
    assert_eq!(plain, rope);
}

#[test]
fn refusals_name_the_field() {
    for (config, field, what) in [
        (with(llama(), "model_type", json!("llamma")), "model_type", "unknown architecture"),
        (with(llama(), "model_type", Value::Null), "model_type", "missing"),
        (with(llama(), "hidden_size", Value::Null), "hidden_size", "missing"),
        (with(llama(), "hidden_size", json!(-4)), "hidden_size", "not a size"),
        (with(llama(), "hidden_size", json!(33)), "hidden_size", "multiple"),
        (with(llama(), "num_hidden_layers", json!(1u64 << 40)), "num_hidden_layers", "not a size"),
        (with(llama(), "num_hidden_layers", json!(100_000)), "num_hidden_layers", "beyond"),
        (with(llama(), "num_key_value_heads", json!(3)), "num_key_value_heads", "share"),
        (with(llama(), "rms_norm_eps", json!(0.0)), "rms_norm_eps", "positive"),
        (with(llama(), "hidden_act", json!("sillu")), "hidden_act", "unknown activation"),
        (with(llama(), "rope_theta", json!(-1.0)), "rope", "theta"),
        (
            with(llama(), "rope_scaling", json!({"type": "yarrn"})),
            "rope_scaling.rope_type",
            "unknown RoPE",
        ),
        (
            with(llama(), "rope_scaling", json!({"type": "linear"})),
            "rope_scaling.factor",
            "missing",
        ),
        (with(llama(), "rope_scaling", json!([])), "rope_scaling", "object"),
        (with(llama(), "sliding_window", json!(64)), "sliding_window", "does not know"),
        (with(llama(), "qk_norm", json!(true)), "qk_norm", "does not know"),
        (
            with(llama(), "tie_word_embeddings", json!("yes")),
            "tie_word_embeddings",
            "true or false",
        ),
    ] {
        let line = refused(&config);
        assert!(line.starts_with("folder/config.json: "), "{line}");
        assert!(line.contains(field) && line.contains(what), "{line}");
    }
    let theta = with(
        with(llama(), "rope_theta", json!(1e4)),
        "rope_parameters",
        json!({"rope_theta": 1e5}),
    );
    assert!(refused(&theta).contains("rope_theta"));
}

#[test]
fn what_is_off_is_no_obstacle_and_what_is_unread_is_told() {
    let config = with(with(llama(), "sliding_window", Value::Null), "qk_norm", json!(false));
    let config =
        with(with(config, "torch_dtype", json!("bfloat16")), "favourite_colour", json!("blue"));
    assert_eq!(parsed(&config).unwrap().unread, ["favourite_colour"]);
}
