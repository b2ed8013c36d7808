//! Which of several alternatives a model finds likeliest.

use massval_data::Role;
use serde::{Deserialize, Serialize};

use super::Error;

/// How likely one alternative is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChoiceScore {
    /// What it stands for.
    pub role: Role,
    /// Natural logarithm of its probability after the prompt, over all of its tokens.
    pub log_prob: f64,
    /// How many tokens it has.
    pub tokens: usize,
    /// How many bytes it has.
    pub bytes: usize,
}

/// The likeliest alternative by one measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pick {
    /// Its place among the alternatives. Of equals one that is not right, so that a tie is no
    /// success.
    pub winner: usize,
    /// What it stands for; in a conflict this says whether context or memory won.
    pub role: Role,
    /// The best right alternative's value less the best other one's: nats in all, per token or per
    /// byte. The answer is right if it is above 0.
    pub margin: f64,
    /// In a conflict: the same for the memory's alternatives against all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_margin: Option<f64>,
}

impl Pick {
    /// Whether a right alternative won.
    pub fn is_right(&self) -> bool {
        self.role == Role::Right
    }
}

/// The likeliest alternative by three measures, which differ in what they do to long ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChoiceScores {
    /// By the probability itself; favours short alternatives.
    pub sum: Pick,
    /// By the mean log-probability of a token.
    pub per_token: Pick,
    /// By the mean log-probability of a byte; does not depend on how the text is cut into tokens.
    pub per_byte: Pick,
}

/// Compares alternatives by likelihood.
///
/// ```
/// use massval_data::Role;
/// use massval_eval::score::{ChoiceScore, choose};
///
/// let scores = choose(&[
///     ChoiceScore { role: Role::Right, log_prob: -4.0, tokens: 4, bytes: 10 },
///     ChoiceScore { role: Role::Wrong, log_prob: -3.0, tokens: 1, bytes: 5 },
/// ])?;
/// assert!(!scores.sum.is_right());
/// assert_eq!(scores.per_token.margin, 2.0);
/// # Ok::<(), massval_eval::score::Error>(())
/// ```
///
/// # Errors
/// [`Error::Choice`] unless there are a right alternative and another one, all log-probabilities
/// are finite, and every alternative has tokens and bytes.
pub fn choose(choices: &[ChoiceScore]) -> Result<ChoiceScores, Error> {
    let fail = |what: String| Err(Error::Choice { what });
    for (i, choice) in choices.iter().enumerate() {
        if !choice.log_prob.is_finite() {
            return fail(format!(
                "alternative {i} has the log-probability {}; the model's logits are not finite",
                choice.log_prob
            ));
        }
        if choice.tokens == 0 || choice.bytes == 0 {
            return fail(format!(
                "alternative {i} has {} tokens and {} bytes; an empty one cannot be compared",
                choice.tokens, choice.bytes
            ));
        }
    }
    let rights = choices.iter().filter(|c| c.role == Role::Right).count();
    if rights == 0 || rights == choices.len() {
        return fail(format!(
            "{rights} of {} are right; at least one must be, and one not",
            choices.len()
        ));
    }
    Ok(ChoiceScores {
        sum: pick(choices, |c| c.log_prob),
        per_token: pick(choices, |c| c.log_prob / c.tokens as f64),
        per_byte: pick(choices, |c| c.log_prob / c.bytes as f64),
    })
}

fn pick(choices: &[ChoiceScore], value: impl Fn(&ChoiceScore) -> f64) -> Pick {
    let best = |keep: &dyn Fn(Role) -> bool| {
        choices.iter().filter(|c| keep(c.role)).map(&value).fold(f64::NEG_INFINITY, f64::max)
    };
    let margin = |role: Role| best(&|r| r == role) - best(&|r| r != role);
    // Least favourable first, so that the first of equals is the one to take.
    let rank = |role: Role| match role {
        Role::Right => 2,
        Role::Memory => 1,
        _ => 0,
    };
    let mut order: Vec<usize> = (0..choices.len()).collect();
    order.sort_by(|&a, &b| {
        let by_value = value(&choices[b]).total_cmp(&value(&choices[a]));
        by_value.then(rank(choices[a].role).cmp(&rank(choices[b].role)))
    });
    let winner = order.first().copied().unwrap_or(0);
    let conflict = choices.iter().any(|c| c.role == Role::Memory);
    Pick {
        winner,
        role: choices[winner].role,
        margin: margin(Role::Right),
        memory_margin: conflict.then(|| margin(Role::Memory)),
    }
}
