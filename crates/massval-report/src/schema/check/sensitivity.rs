//! Checks of a result of `massval sensitivity`.

use std::collections::HashSet;

use super::{confidence, finite, header, interval_of, provenance, share};
use crate::error::{Error, Result};
use crate::schema::{Predictors, ResultKind, SensitivityResult, SensitivityUnit};

/// Checks the result; see [`SensitivityResult::validate`].
pub(in crate::schema) fn sensitivity(result: &SensitivityResult) -> Result<()> {
    header(result.schema_version, result.kind, ResultKind::Sensitivity)?;
    provenance(&result.provenance)?;
    confidence(result.confidence)?;
    if result.units.is_empty() {
        return Err(Error::field("units", "is empty"));
    }
    let mut names = HashSet::new();
    for (i, unit) in result.units.iter().enumerate() {
        let field = format!("units[{i}]");
        if !names.insert(unit.name.as_str()) {
            let reason = format!("two are named `{}`", unit.name);
            return Err(Error::field(format!("{field}.name"), reason));
        }
        check_unit(&field, unit)?;
    }
    let measured = result.units.iter().filter(|unit| unit.after.is_some()).count();
    if (measured > 0) != result.perplexity.is_some() {
        let reason = format!("is at odds with {measured} units that were measured");
        return Err(Error::field("perplexity", reason));
    }
    result.perplexity.map_or(Ok(()), |x| finite("perplexity", x))?;
    for (i, agreement) in result.agreement.iter().enumerate() {
        let name = |name: &str| format!("agreement[{i}].{name}");
        if agreement.n < 2 || agreement.n > measured {
            let reason = format!("is {}, {measured} were measured", agreement.n);
            return Err(Error::field(name("n"), reason));
        }
        for (which, value, ends) in [
            ("spearman", agreement.spearman, agreement.spearman_interval),
            ("kendall", agreement.kendall, agreement.kendall_interval),
        ] {
            finite(name(which), value)?;
            // A percentile interval need not hold the estimate; its ends must be in order.
            let middle = value.clamp(ends.low.min(ends.high), ends.high.max(ends.low));
            interval_of(&name(&format!("{which}_interval")), middle, ends)?;
        }
    }
    Ok(())
}

fn check_unit(field: &str, unit: &SensitivityUnit) -> Result<()> {
    for name in Predictors::NAMES {
        unit.before.get(name).map_or(Ok(()), |x| finite(format!("{field}.before.{name}"), x))?;
    }
    unit.before
        .massive_share
        .map_or(Ok(()), |x| share(format!("{field}.before.massive_share"), x))?;
    let Some(after) = &unit.after else { return Ok(()) };
    finite(format!("{field}.after.kl_nats"), after.kl_nats)?;
    finite(format!("{field}.after.perplexity"), after.perplexity)?;
    after
        .score_correlation
        .map_or(Ok(()), |x| finite(format!("{field}.after.score_correlation"), x))
}
