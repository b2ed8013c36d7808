//! Checks that a result's fields agree with each other, before it is written or used.

mod disrupt;
mod perplexity;
mod scan;
mod sensitivity;

use std::collections::HashSet;

pub(super) use disrupt::disrupt;
pub(super) use perplexity::perplexity;
pub(super) use scan::{detect, scan};
pub(super) use sensitivity::sensitivity;

use super::{Arm, ArmRole, Interval, Provenance, ResultKind, SCHEMA_VERSION};
use crate::error::{Error, Result};

/// Distance at which two ways to compute a share still agree: rounding, no more.
const ROUNDING: f64 = 1e-9;

fn header(version: u32, kind: ResultKind, expected: ResultKind) -> Result<()> {
    if version != SCHEMA_VERSION {
        let reason = format!("is {version}, this version of massval writes {SCHEMA_VERSION}");
        return Err(Error::field("schema_version", reason));
    }
    if kind != expected {
        let reason = format!("is `{}`, expected `{}`", kind.as_str(), expected.as_str());
        return Err(Error::field("kind", reason));
    }
    Ok(())
}

fn provenance(run: &Provenance) -> Result<()> {
    let input = &run.input;
    match &input.pieces {
        Some(pieces) if pieces.len() != input.tokens.len() => {
            let reason = format!("{} pieces for {} tokens", pieces.len(), input.tokens.len());
            Err(Error::field("provenance.input.pieces", reason))
        }
        _ => Ok(()),
    }
}

fn confidence(level: f64) -> Result<()> {
    if level > 0.0 && level < 1.0 {
        return Ok(());
    }
    Err(Error::field("confidence", format!("is {level}, a level lies between 0 and 1")))
}

/// Arms have names of their own, at most one is the baseline, and the others say what they did.
fn arms<'a>(field: impl Fn(usize) -> String, arms: impl Iterator<Item = &'a Arm>) -> Result<()> {
    let mut names = HashSet::new();
    let mut baseline: Option<&str> = None;
    for (i, arm) in arms.enumerate() {
        let wrong =
            |name: &str, reason: String| Err(Error::field(format!("{}.{name}", field(i)), reason));
        if !names.insert(arm.name.as_str()) {
            return wrong("name", format!("two arms are named `{}`", arm.name));
        }
        match (arm.role, &arm.intervention, baseline) {
            (ArmRole::None, Some(_), _) => {
                return wrong("intervention", "an arm of role `none` has one".to_owned());
            }
            (ArmRole::None, None, Some(first)) => {
                return wrong("role", format!("is `none`, as is that of `{first}`"));
            }
            (ArmRole::None, None, None) => baseline = Some(&arm.name),
            (role, None, _) => {
                return wrong("intervention", format!("is missing for role `{}`", role.as_str()));
            }
            (_, Some(_), _) => {}
        }
        for (j, selected) in arm.selected.iter().enumerate() {
            let name = |name: &str| format!("{}.selected[{j}].{name}", field(i));
            finite(name("channels_per_head"), selected.channels_per_head)?;
            share(name("share"), selected.share)?;
        }
        arm.massive_norm.map_or(Ok(()), |x| finite(format!("{}.massive_norm", field(i)), x))?;
        for (j, rounded) in arm.rounded.iter().enumerate() {
            let name = |name: &str| format!("{}.rounded[{j}].{name}", field(i));
            share(name("exact"), rounded.exact)?;
            finite(name("relative_error"), rounded.relative_error)?;
        }
    }
    Ok(())
}

fn finite(field: impl Into<String>, value: f64) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    // JSON has no such number: it would be written as `null` and could not be read back.
    let reason = format!("is {value}, leave out what could not be measured");
    Err(Error::field(field, reason))
}

fn share(field: impl Into<String>, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::field(field, format!("is {value}, a share lies between 0 and 1")))
}

/// The ends are finite and in order.
fn interval(field: &str, interval: Interval) -> Result<()> {
    finite(format!("{field}.low"), interval.low)?;
    finite(format!("{field}.high"), interval.high)?;
    if interval.low <= interval.high {
        return Ok(());
    }
    let reason = format!("{} to {} is upside down", interval.low, interval.high);
    Err(Error::field(field, reason))
}

/// [`interval`], and `value` lies within.
fn interval_of(field: &str, value: f64, ends: Interval) -> Result<()> {
    interval(field, ends)?;
    if ends.low - ROUNDING <= value && value <= ends.high + ROUNDING {
        return Ok(());
    }
    let reason = format!("{} to {} does not hold {value}", ends.low, ends.high);
    Err(Error::field(field, reason))
}
