//! The kinds of RoPE: which fields each reads, and what it assumes where they are absent.

use massval_detect::RopeScaling;
use serde_json::Value;

use super::Family;
use super::table::Table;
use crate::Result;

/// The kinds by the names that configs use; `su` is LongRoPE's first one.
const KNOWN: &str = "default, linear, dynamic, llama3, yarn, longrope (su), proportional";

/// The table's kind: `rope_type`, or `type` as it was called first. Both may stand there.
pub(super) fn kind<'a>(table: &Table<'a>, family: &Family) -> Result<&'a str> {
    let canonical = |name: &'a str| match name {
        "su" => "longrope",
        "yarn" if family.yarn_means_longrope => "longrope",
        "mrope" | "axial" if family.three_axes => "default",
        other => other,
    };
    let (new, old) = (table.text("rope_type")?, table.text("type")?);
    match (new.map(canonical), old.map(canonical)) {
        (Some(new), Some(old)) if new != old => {
            Err(table.error("rope_type", format!("{new:?} here, {old:?} in type")))
        }
        (new, old) => Ok(new.or(old).unwrap_or("default")),
    }
}

/// What a kind is made of besides the table.
pub(super) struct Context {
    pub(super) rotary_dim: usize,
    pub(super) max_positions: Option<usize>,
    /// `original_max_position_embeddings` at the top of the config.
    pub(super) original: Option<usize>,
    /// The part of a head that turns.
    pub(super) proportion: f64,
}

/// Reads the scaling of a table, and refuses fields that its kind does not have.
pub(super) fn scaling(
    table: &Table<'_>,
    family: &Family,
    context: &Context,
) -> Result<Option<RopeScaling>> {
    let kind = kind(table, family)?;
    let given = original(table, context)?;
    let max_positions = || {
        context.max_positions.ok_or_else(|| {
            table.error("rope_type", format!("{kind} RoPE needs max_position_embeddings"))
        })
    };
    // As transformers: without a word about it, the model was trained on all of its positions.
    let trained = || given.map_or_else(max_positions, Ok);
    // The factor that a config leaves out because two lengths say it.
    let ratio =
        given.zip(context.max_positions).map(|(original, max)| max as f64 / original as f64);
    let scaling = match kind {
        "default" => {
            if family.three_axes {
                sections(table, context.rotary_dim / 2)?;
            }
            None
        }
        "linear" => Some(RopeScaling::Linear { factor: table.needed("factor")? }),
        "dynamic" => Some(RopeScaling::DynamicNtk {
            factor: table.needed("factor")?,
            // Not the original length: transformers does not look at it here.
            max_position: max_positions()?,
        }),
        "llama3" => Some(RopeScaling::Llama3 {
            factor: table.needed("factor")?,
            low_freq_factor: table.needed("low_freq_factor")?,
            high_freq_factor: table.needed("high_freq_factor")?,
            original_max_position: trained()?,
        }),
        "yarn" => {
            // Of its authors' configs; it says how the weights were made.
            table.get("finetuned");
            Some(RopeScaling::Yarn {
                factor: factor(table, ratio)?,
                beta_fast: table.positive("beta_fast")?.unwrap_or(32.0),
                beta_slow: table.positive("beta_slow")?.unwrap_or(1.0),
                original_max_position: trained()?,
                truncate: table.flag("truncate")?.unwrap_or(true),
                mscale: table.number("mscale")?,
                mscale_all_dim: table.number("mscale_all_dim")?,
                attention_factor: table.positive("attention_factor")?,
            })
        }
        "longrope" => Some(RopeScaling::Longrope {
            short_factor: table.factors("short_factor", context.rotary_dim / 2)?,
            long_factor: table.factors("long_factor", context.rotary_dim / 2)?,
            factor: factor(table, Some(ratio.unwrap_or(1.0)))?,
            original_max_position: trained()?,
            attention_factor: table.positive("attention_factor")?,
        }),
        "proportional" => Some(RopeScaling::Proportional {
            factor: table.positive("factor")?.unwrap_or(1.0),
            proportion: context.proportion,
        }),
        other => {
            let what = format!("unknown RoPE kind {other:?}; known are {KNOWN}");
            return Err(table.error("rope_type", what));
        }
    };
    table.finish(&format!("{kind} RoPE"))?;
    Ok(scaling)
}

/// The length of the first training, from the table or the top of the config.
fn original(table: &Table<'_>, context: &Context) -> Result<Option<usize>> {
    let key = "original_max_position_embeddings";
    match (table.count(key)?, context.original) {
        (Some(here), Some(top)) if here != top => {
            Err(table.error(key, format!("{here} here, {top} at the top of the config")))
        }
        (here, top) => Ok(here.or(top)),
    }
}

fn factor(table: &Table<'_>, otherwise: Option<f64>) -> Result<f64> {
    match table.positive("factor")?.or(otherwise) {
        Some(factor) => Ok(factor),
        None => table.needed("factor"),
    }
}

/// How the pairs are shared out among time, height and width. A text's positions are the same on all three axes, so
/// that nothing but their sum is to be checked.
fn sections(table: &Table<'_>, pairs: usize) -> Result<()> {
    table.get("mrope_interleaved");
    let Some(value) = table.get("mrope_section") else { return Ok(()) };
    let sizes: Option<Vec<u64>> =
        value.as_array().and_then(|list| list.iter().map(Value::as_u64).collect());
    let sum = sizes.and_then(|sizes| sizes.iter().try_fold(0u64, |sum, &n| sum.checked_add(n)));
    match sum {
        Some(sum) if sum == pairs as u64 => Ok(()),
        _ => {
            Err(table.error("mrope_section", format!("is not a division of {pairs} rotary pairs")))
        }
    }
}
