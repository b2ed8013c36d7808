//! Checkpoints that are quantized: told by their config or their tensors' names, and refused unless their
//! format is known.
//!
//! Packed weights read as if they were plain would give a model of noise, or fail with a missing
//! tensor and say nothing of the reason.

use std::path::Path;

use massval_quant::formats::{ParsedConfig, QuantizationConfig};
use serde_json::{Map, Value};

use super::{Format, StoredType, Weights};
use crate::{Error, Result};

const INSTEAD: &str = "use the checkpoint it was made from, or a GGUF of it";
const FIELDS: [&str; 2] = ["quantization_config", "compression_config"];

/// How the methods' tensors end, and whose they are.
const ENDINGS: &[(&str, &str)] = &[
    (".qweight", "GPTQ or AWQ"),
    (".qzeros", "GPTQ or AWQ"),
    (".g_idx", "GPTQ"),
    (".weight_packed", "compressed-tensors"),
    (".weight_scale", "compressed-tensors or FP8"),
    (".weight_zero_point", "compressed-tensors"),
    (".weight_scale_inv", "FP8 with a scale for each block"),
    (".input_scale", "FP8"),
    (".SCB", "bitsandbytes (8 bits)"),
    (".weight_format", "bitsandbytes (8 bits)"),
    (".absmax", "bitsandbytes (4 bits)"),
    (".quant_map", "bitsandbytes (4 bits)"),
    (".quant_state.bitsandbytes__nf4", "bitsandbytes (4 bits)"),
    (".quant_state.bitsandbytes__fp4", "bitsandbytes (4 bits)"),
    ("_proj_blocks", "MXFP4"),
    (".W_q", "HQQ"),
];

/// How the weights are quantized, if a config says that they are: in one of the formats of
/// [`massval_quant::formats`].
///
/// # Errors
/// [`Error::Config`] that names the method, or the field, that is not read.
pub(crate) fn quantization(
    path: &Path,
    config: &Map<String, Value>,
) -> Result<Option<ParsedConfig>> {
    let mut found = None;
    for field in FIELDS {
        let Some(quantization) = config.get(field).filter(|value| !value.is_null()) else {
            continue;
        };
        let known = matches!(
            quantization.get("quant_method").and_then(Value::as_str),
            Some("compressed-tensors" | "awq" | "gptq")
        );
        if !known || field != FIELDS[0] {
            let what = format!(
                "the checkpoint is quantized by {}, which massval does not read; {INSTEAD}",
                method(quantization)
            );
            return Err(Error::config(path, field, what));
        }
        let parsed = QuantizationConfig::from_json(quantization).map_err(|error| match error {
            massval_quant::Error::Config { field: inner, reason } => {
                Error::config(path, format!("{field}.{inner}"), reason)
            }
            other => Error::config(path, field, other.to_string()),
        })?;
        found = Some(parsed);
    }
    Ok(found)
}

/// The method, and its bits where the config says them.
fn method(quantization: &Value) -> String {
    let text = |key: &str| quantization.get(key).and_then(Value::as_str);
    let flag = |key: &str| quantization.get(key).and_then(Value::as_bool).unwrap_or(false);
    let name = match text("quant_method") {
        Some("bitsandbytes") => "bitsandbytes".to_owned(),
        Some("awq") => "AWQ".to_owned(),
        Some("gptq") => "GPTQ".to_owned(),
        Some("compressed-tensors") => "compressed-tensors".to_owned(),
        Some("fp8" | "fbgemm_fp8") => "FP8".to_owned(),
        Some("mxfp4") => "MXFP4".to_owned(),
        Some(other) => format!("{:?}", other.chars().take(40).collect::<String>()),
        // bitsandbytes' first configs name no method.
        None if flag("load_in_8bit") || flag("load_in_4bit") => "bitsandbytes".to_owned(),
        None => "a method that it does not name".to_owned(),
    };
    let bits = ["bits", "w_bit"].iter().find_map(|key| quantization.get(*key)?.as_u64());
    let bits = bits.or_else(|| match (flag("load_in_4bit"), flag("load_in_8bit")) {
        (true, _) => Some(4),
        (_, true) => Some(8),
        _ => None,
    });
    match bits {
        Some(bits) => format!("{name} ({bits} bits)"),
        None => name,
    }
}

impl Weights {
    /// Refuses weights that were quantized and packed, as their names and types tell.
    ///
    /// # Errors
    /// [`Error::Unsupported`] that names the first such tensor, and whose it is.
    pub(crate) fn refuse_quantized(&self) -> Result<()> {
        if self.format == Format::Gguf {
            return Ok(()); // Its blocks carry their scales: these are read.
        }
        for entry in &self.entries {
            let (name, dtype) = (entry.info.name.as_str(), entry.info.dtype);
            let ending = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
            let what = match (ending, dtype) {
                (Some((_, whose)), _) => format!("tensor `{name}` is one of {whose}"),
                (None, StoredType::F8E4M3 | StoredType::F8E5M2) => {
                    format!("tensor `{name}` is stored as {dtype}")
                }
                (None, StoredType::I8 | StoredType::U8 | StoredType::I32)
                    if name.ends_with(".weight") =>
                {
                    format!("tensor `{name}` is stored as {dtype}")
                }
                _ => continue,
            };
            return Err(Error::Unsupported {
                path: self.path(entry).to_owned(),
                what: format!(
                    "{what}: the checkpoint is quantized, which massval does not read; {INSTEAD}"
                ),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(config: Value) -> String {
        let Value::Object(map) = config else { panic!("no object") };
        quantization(Path::new("config.json"), &map).unwrap_err().to_string()
    }

    #[test]
    fn a_config_that_says_so_is_refused_by_the_methods_name() {
        for (quantization, expected) in [
            (
                json!({"quant_method": "bitsandbytes", "load_in_4bit": true}),
                "by bitsandbytes (4 bits)",
            ),
            (json!({"load_in_8bit": true}), "by bitsandbytes (8 bits)"),
            (json!({"quant_method": "fp8", "weight_block_size": [128, 128]}), "by FP8,"),
            (json!({"quant_method": "a\nb"}), r#"by "a\nb","#),
            (json!({}), "by a method that it does not name"),
        ] {
            let error = refused(json!({"quantization_config": quantization}));
            assert!(error.contains("config.json: quantization_config") && !error.contains('\n'));
            assert!(error.contains(expected) && error.contains("GGUF"), "{error}");
        }
        assert!(refused(json!({"compression_config": {}})).contains("compression_config"));
    }

    #[test]
    fn a_config_that_says_nothing_is_not() {
        let config = json!({"quantization_config": null, "hidden_size": 1});
        assert_eq!(quantization(Path::new("c"), config.as_object().unwrap()).unwrap(), None);
    }

    #[test]
    fn a_known_method_is_read_and_its_fields_are_named() {
        let read = |quantization: Value| {
            let config = json!({"quantization_config": quantization});
            super::quantization(Path::new("config.json"), config.as_object().unwrap())
        };
        let known = json!({
            "quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": false, "sym": true,
        });
        assert!(read(known).unwrap().is_some());
        let beyond = json!({"quant_method": "gptq", "bits": 5, "group_size": 32, "sym": true});
        let error = read(beyond).unwrap_err().to_string();
        assert!(error.contains("config.json: quantization_config.bits"), "{error}");
    }
}
