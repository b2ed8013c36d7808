//! Checks of a result of `massval perplexity`.

use super::{arms, confidence, finite, header, interval, provenance, share};
use crate::error::{Error, Result};
use crate::schema::{PerplexityArm, PerplexityResult, ResultKind};

/// Relative distance at which a perplexity still is the exponential of its mean.
const PRECISION: f64 = 1e-6;

/// Checks the result; see [`PerplexityResult::validate`].
pub(in crate::schema) fn perplexity(result: &PerplexityResult) -> Result<()> {
    header(result.schema_version, result.kind, ResultKind::Perplexity)?;
    provenance(&result.provenance)?;
    confidence(result.confidence)?;
    if result.definition.trim().is_empty() {
        return Err(Error::field("definition", "is empty; a perplexity without one says nothing"));
    }
    if result.window.tokens == 0 || result.window.stride == 0 {
        return Err(Error::field("window", "has no token or no stride"));
    }
    if result.arms.is_empty() {
        return Err(Error::field("arms", "is empty"));
    }
    arms(|i| format!("arms[{i}].arm"), result.arms.iter().map(|arm| &arm.arm))?;
    result.arms.iter().enumerate().try_for_each(|(i, arm)| check_arm(&format!("arms[{i}]"), arm))
}

fn check_arm(field: &str, arm: &PerplexityArm) -> Result<()> {
    let name = |name: &str| format!("{field}.{name}");
    finite(name("mean_nll"), arm.mean_nll)?;
    finite(name("perplexity"), arm.perplexity)?;
    // Written so that an overflow of the exponential fails, too.
    let expected = arm.mean_nll.exp();
    let agrees = (arm.perplexity - expected).abs() <= PRECISION * expected && expected.is_finite();
    if !agrees {
        let reason =
            format!("is {}, the mean of {} nats gives {expected}", arm.perplexity, arm.mean_nll);
        return Err(Error::field(name("perplexity"), reason));
    }
    let mut tokens = Some(0usize);
    for (i, window) in arm.windows.iter().enumerate() {
        finite(format!("{field}.windows[{i}].mean_nll"), window.mean_nll)?;
        tokens = tokens.and_then(|sum| sum.checked_add(window.tokens));
    }
    if arm.tokens == 0 || tokens != Some(arm.tokens) {
        let reason =
            format!("is {}, the windows hold {}", arm.tokens, tokens.unwrap_or(usize::MAX));
        return Err(Error::field(name("tokens"), reason));
    }
    arm.interval.map_or(Ok(()), |ends| interval(&name("interval"), ends))?;
    arm.kl_nats.map_or(Ok(()), |x| finite(name("kl_nats"), x))?;
    arm.top1_agreement.map_or(Ok(()), |x| share(name("top1_agreement"), x))
}
