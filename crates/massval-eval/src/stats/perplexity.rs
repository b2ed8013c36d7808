//! Perplexities of the same windows of text in two arms.

use serde::{Deserialize, Serialize};

use super::{Bootstrap, Error, Interval, check_same, check_values};

/// What a model lost on one window of text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WindowLoss {
    /// Sum of the negative log-likelihoods of the predicted tokens, in nats.
    pub nll: f64,
    /// How many tokens were predicted.
    pub tokens: usize,
}

/// How two arms' perplexities differ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PerplexityDifference {
    /// The first arm's perplexity.
    pub first: Interval,
    /// The second arm's.
    pub second: Interval,
    /// Second less first.
    pub difference: Interval,
    /// Second over first; above 1 if the second arm is worse. Steadier than the difference when one
    /// of them is large.
    pub ratio: Interval,
}

fn rows(what: &'static str, windows: &[WindowLoss]) -> Result<Vec<[f64; 2]>, Error> {
    let losses: Vec<f64> = windows.iter().map(|w| w.nll).collect();
    check_values(what, &losses)?;
    if let Some(i) = windows.iter().position(|w| w.tokens == 0) {
        return Err(Error::Argument { what, why: format!("window {i} predicts no token") });
    }
    Ok(windows.iter().map(|w| [w.nll, w.tokens as f64]).collect())
}

fn check_finite(what: &'static str, interval: Interval) -> Result<Interval, Error> {
    match [interval.estimate, interval.low, interval.high].into_iter().find(|v| !v.is_finite()) {
        None => Ok(interval),
        Some(_) => {
            let why = "the perplexity is too large for a float; report the mean loss".into();
            Err(Error::Argument { what, why })
        }
    }
}

/// The perplexity over all windows, `exp(sum of nll / sum of tokens)`, with an interval from
/// drawing windows. Tokens of a window are not independent, windows nearly are.
///
/// # Errors
/// If there are no windows, one has no tokens or a loss that is not finite, the result overflows, or
/// the options are out of range.
pub fn perplexity(windows: &[WindowLoss], options: &Bootstrap) -> Result<Interval, Error> {
    const WHAT: &str = "bootstrap of a perplexity";
    options.check(WHAT)?;
    let rows = rows(WHAT, windows)?;
    let [interval] = options.intervals(&rows, |[nll, n]| [(nll / n).exp()]);
    check_finite(WHAT, interval)
}

/// How the perplexities of two arms over the same windows differ, with intervals from drawing
/// windows, the same ones for both arms.
///
/// # Errors
/// As [`perplexity`], and if the arms have different windows.
pub fn perplexity_difference(
    first: &[WindowLoss],
    second: &[WindowLoss],
    options: &Bootstrap,
) -> Result<PerplexityDifference, Error> {
    const WHAT: &str = "bootstrap of a perplexity difference";
    options.check(WHAT)?;
    check_same(WHAT, first.len(), second.len())?;
    if let Some(i) = first.iter().zip(second).position(|(a, b)| a.tokens != b.tokens) {
        let why = format!("window {i} has different numbers of tokens in the two arms");
        return Err(Error::Argument { what: WHAT, why });
    }
    let pairs = rows(WHAT, first)?.into_iter().zip(rows(WHAT, second)?);
    let rows: Vec<[f64; 3]> = pairs.map(|([a, n], [b, _])| [a, b, n]).collect();
    let intervals = options.intervals(&rows, |[a, b, n]| {
        let (x, y) = ((a / n).exp(), (b / n).exp());
        [x, y, y - x, ((b - a) / n).exp()]
    });
    for interval in intervals {
        check_finite(WHAT, interval)?;
    }
    let [first, second, difference, ratio] = intervals;
    Ok(PerplexityDifference { first, second, difference, ratio })
}
