//! Reads rotary positions from a config, in both of transformers' spellings.

use massval_detect::{PairLayout, RopeBands, RopeScaling};
use serde_json::{Map, Value};

use super::fields::Fields;
use crate::Result;
use crate::config::RopeConfig;

/// `rope_theta` and `rope_scaling` (transformers 4), or both inside `rope_parameters`
/// (transformers 5); `type` or `rope_type`.
pub(super) fn read(
    fields: &Fields<'_>,
    head_dim: usize,
    max_positions: usize,
) -> Result<RopeConfig> {
    let (name, table) = match (object(fields, "rope_parameters")?, object(fields, "rope_scaling")?)
    {
        (Some(table), _) => ("rope_parameters", Some(table)),
        (None, table) => ("rope_scaling", table),
    };
    let inner = |key: &str| table.and_then(|t| t.get(key)).filter(|v| !v.is_null());
    let number = |key: &str| match inner(key) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(x) if x.is_finite() => Ok(Some(x)),
            _ => Err(fields.error(&format!("{name}.{key}"), format!("{value} is not a number"))),
        },
    };
    let need =
        |key: &str| number(key)?.ok_or_else(|| fields.error(&format!("{name}.{key}"), "missing"));

    let outer = fields.opt_f64("rope_theta")?;
    let outer_theta = outer.is_some();
    let theta = match (outer, number("rope_theta")?) {
        (Some(a), Some(b)) if a != b => {
            return Err(fields.error("rope_theta", format!("{a} here, {b} in {name}")));
        }
        (a, b) => b.or(a).unwrap_or(10_000.0),
    };
    let outer = fields.opt_f64("partial_rotary_factor")?;
    let factor = number("partial_rotary_factor")?.or(outer).unwrap_or(1.0);
    // transformers truncates, too.
    let rotary_dim = (head_dim as f64 * factor) as usize;

    let kind = inner("rope_type")
        .or_else(|| inner("type"))
        .map_or("default", |v| v.as_str().unwrap_or("?"));
    let scaling = match kind {
        "default" => None,
        "linear" => Some(RopeScaling::Linear { factor: need("factor")? }),
        "llama3" => Some(RopeScaling::Llama3 {
            factor: need("factor")?,
            low_freq_factor: need("low_freq_factor")?,
            high_freq_factor: need("high_freq_factor")?,
            original_max_position: need("original_max_position_embeddings")? as usize,
        }),
        other => {
            let what = format!("unknown RoPE kind {other:?}; known are default, linear, llama3");
            return Err(fields.error(&format!("{name}.rope_type"), what));
        }
    };
    let theta_at = if outer_theta { "rope_theta" } else { name };
    let wrong = |error: massval_detect::Error| fields.error(theta_at, error.to_string());
    // Checks theta and the dimensions, scaled or not.
    let plain =
        RopeBands::new(head_dim, rotary_dim, theta, PairLayout::HalfSplit).map_err(wrong)?;
    let inv_freq = match &scaling {
        None => plain.inv_freq().to_vec(),
        Some(scaling) => scaling.inv_freq(rotary_dim, theta, max_positions).map_err(wrong)?,
    };
    Ok(RopeConfig { theta, rotary_dim, inv_freq, scaling: scaling.map(|_| kind.to_owned()) })
}

fn object<'a>(fields: &Fields<'a>, name: &str) -> Result<Option<&'a Map<String, Value>>> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(fields.error(name, "is not an object")),
    }
}
