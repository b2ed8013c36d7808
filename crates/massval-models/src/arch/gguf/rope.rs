//! Rotary positions as a GGUF says them: keys, and tensors of factors.

use serde_json::{Map, Value, json};

use super::families::Family;
use super::keys::Keys;
use crate::Result;

/// llama.cpp's base where the file does not say.
const BASE: f64 = 10_000.0;

/// Base and width, for a family that has rotary positions.
pub(super) fn base(
    keys: &Keys<'_>,
    family: &Family,
    head_dim: u64,
    map: &mut Map<String, Value>,
) -> Result<()> {
    let spelling = &family.spelling;
    let rotary = keys.u64("rope.dimension_count")?.unwrap_or(head_dim);
    if let Some(theta) = spelling.theta {
        let base = keys.f64("rope.freq_base")?.unwrap_or(BASE);
        map.insert(theta.into(), json!(base));
    }
    match spelling.partial {
        Some(field) => {
            // The reader cuts the product with the width off; half a channel keeps it whole.
            let half = if rotary == head_dim { 0.0 } else { 0.5 };
            let partial = (rotary as f64 + half) / head_dim.max(1) as f64;
            map.insert(field.into(), json!(partial));
            Ok(())
        }
        None if spelling.theta.is_some() => keys.only("rope.dimension_count", rotary, head_dim),
        None => Ok(()),
    }
}

/// Scaling, as a family with Llama's fields has it.
pub(super) fn scaling(keys: &Keys<'_>, map: &mut Map<String, Value>) -> Result<()> {
    let kind = "rope.scaling.type";
    let factor = || {
        let key = "rope.scaling.factor";
        keys.f64(key)?.ok_or_else(|| keys.missing(key))
    };
    let scaling = match keys.str(kind)? {
        None | Some("none" | "longrope") => factors(keys)?,
        Some("linear") => Some(json!({"rope_type": "linear", "factor": factor()?})),
        Some("yarn") => {
            let original = keys.need("rope.scaling.original_context_length")?;
            Some(json!({"rope_type": "yarn", "factor": factor()?,
                        "original_max_position_embeddings": original}))
        }
        Some(other) => {
            let what =
                format!("unknown RoPE scaling {other:?}; known are none, linear, yarn, longrope");
            return Err(keys.error(kind, what));
        }
    };
    if let Some(scaling) = scaling {
        map.insert("rope_scaling".into(), scaling);
    }
    Ok(())
}

/// Factors for each pair: one list (what Llama 3's scaling comes to), or a short and a long one.
fn factors(keys: &Keys<'_>) -> Result<Option<Value>> {
    if let Some(all) = keys.factors("rope_freqs.weight")? {
        // LongRoPE with one list for every length.
        return Ok(Some(json!({"rope_type": "longrope", "short_factor": all, "long_factor": all,
                              "factor": 1.0, "attention_factor": 1.0})));
    }
    let short = keys.factors("rope_factors_short.weight")?;
    let (Some(short), Some(long)) = (short, keys.factors("rope_factors_long.weight")?) else {
        return Ok(None);
    };
    let original = keys.need("rope.scaling.original_context_length")?;
    let attention = keys.f64("rope.scaling.attn_factor")?.unwrap_or(1.0);
    Ok(Some(json!({"rope_type": "longrope", "short_factor": short, "long_factor": long,
                   "attention_factor": attention, "original_max_position_embeddings": original})))
}
