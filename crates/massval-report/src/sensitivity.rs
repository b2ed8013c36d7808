//! Sensitivity to quantization in words and ranks, the same in tables and pages.

use serde_json::Value;

use crate::experiment::percent;
use crate::schema::{Agreement, Damage, Predictors, SensitivityResult, SensitivityUnit};
use crate::words::{NONE, plain, plural, short};

/// A column of what is told before, or of the damage after.
pub(crate) struct Column {
    pub(crate) title: &'static str,
    /// Title for narrow tables.
    pub(crate) short: &'static str,
    meaning: &'static str,
}

const fn column(title: &'static str, short: &'static str, meaning: &'static str) -> Column {
    Column { title, short, meaning }
}

/// What is told before, in the order of [`Predictors::NAMES`].
pub(crate) const BEFORE: [Column; 5] = [
    column("massive values", "massive", "massive values in Q and K"),
    column("massive share", "share", "their share of the squared norm in %"),
    column("kurtosis", "kurtosis", "of the inputs, 3 for a Gaussian"),
    column("weight range", "range", "of weights, largest over root mean square"),
    column(
        "output error",
        "error",
        "relative squared error of outputs in %, told from weights and channel statistics",
    ),
];

/// The damage after, in the order of [`damage_cells`].
pub(crate) const AFTER: [Column; 3] = [
    column("KL", "KL", "from the model left alone, nats, with this one rounded"),
    column("perplexity", "ppl", "of the text, with this one rounded"),
    column("logits", "logits", "correlation of attention logits with those before"),
];

/// The columns that a result has.
pub(crate) fn columns(result: &SensitivityResult) -> impl Iterator<Item = &'static Column> {
    let after: &[Column] = if measured(result) { &AFTER } else { &[] };
    BEFORE.iter().chain(after)
}

/// What the columns mean, under the titles that `title` takes.
pub(crate) fn legend(result: &SensitivityResult, title: fn(&Column) -> &'static str) -> String {
    let meaning = |column| format!("{}: {}", title(column), column.meaning);
    columns(result).map(meaning).collect::<Vec<_>>().join("; ") + "."
}

/// Whether damage was measured.
pub(crate) fn measured(result: &SensitivityResult) -> bool {
    result.perplexity.is_some()
}

/// What is ranked: layers, or linears.
pub(crate) fn thing(result: &SensitivityResult) -> &'static str {
    match result.units.iter().all(|unit| unit.name == format!("layer {}", unit.layer)) {
        true => "layer",
        false => "linear",
    }
}

/// What was read, and what was rounded and measured.
pub(crate) fn summary(result: &SensitivityResult) -> String {
    let (text, thing, rounding) = (plain(&result.text), thing(result), rounding(&result.scheme));
    let read = format!(
        "{} of {text}, of {} or less.",
        plural(result.windows, "window"),
        plural(result.window.tokens, "token")
    );
    match result.perplexity {
        Some(perplexity) => format!(
            "{read} Each {thing} was rounded by itself ({rounding}) and compared with the model left \
             alone, whose perplexity is {}.",
            short(perplexity)
        ),
        None => format!("{read} The output error is that of rounding {rounding}."),
    }
}

/// Method, bits and groups, as far as the value says them.
fn rounding(scheme: &Value) -> String {
    let granularity = scheme.get("granularity");
    let group = granularity.and_then(|granularity| granularity.get("group")?.as_u64());
    let rows = granularity.and_then(Value::as_str) == Some("channel");
    let bits = scheme.get("bits").and_then(Value::as_u64);
    let parts = [
        Some("to nearest".to_owned()),
        bits.map(|bits| format!("{bits} bits")),
        group.map(|size| format!("groups of {size}")),
        rows.then(|| "a scale for each output".to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The layers or linears, the most damaged or else the most suspect first.
pub(crate) fn ranked(result: &SensitivityResult) -> Vec<&SensitivityUnit> {
    let rank = |unit: &SensitivityUnit| match measured(result) {
        true => unit.after.map_or(f64::NEG_INFINITY, |after| after.kl_nats),
        false => unit.before.output_error,
    };
    let mut units: Vec<&SensitivityUnit> = result.units.iter().collect();
    units.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    units
}

/// What is told of a layer or linear, beside [`BEFORE`].
pub(crate) fn predictor_cells(before: &Predictors) -> [String; 5] {
    let none = || NONE.to_owned();
    [
        before.massive_values.map_or_else(none, |count| format!("{count:.0}")),
        before.massive_share.map_or_else(none, percent),
        short(before.kurtosis),
        short(before.weight_range),
        short(100.0 * before.output_error),
    ]
}

/// What rounding it did, beside [`AFTER`].
pub(crate) fn damage_cells(after: Option<&Damage>) -> [String; 3] {
    let Some(after) = after else { return [NONE; 3].map(str::to_owned) };
    let correlation = after.score_correlation;
    [
        nats(after.kl_nats),
        short(after.perplexity),
        correlation.map_or_else(|| NONE.to_owned(), |r| format!("{r:.5}")),
    ]
}

fn nats(kl: f64) -> String {
    if kl == 0.0 || kl >= 0.001 { format!("{kl:.4}") } else { format!("{kl:.1e}") }
}

/// How well each foretold the damage, the best first.
pub(crate) fn agreements(result: &SensitivityResult) -> Vec<&Agreement> {
    let mut all: Vec<&Agreement> = result.agreement.iter().collect();
    all.sort_by(|a, b| b.spearman.total_cmp(&a.spearman));
    all
}

/// A predictor's name with spaces.
pub(crate) fn predictor(name: &str) -> String {
    plain(name).replace('_', " ")
}

/// What the intervals of both rank correlations allow to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foretold {
    /// What was told high was damaged more.
    Yes,
    /// What was told high was damaged less.
    Reversed,
    /// An interval holds 0.
    Unclear,
}

impl Foretold {
    pub(crate) fn of(agreement: &Agreement) -> Self {
        let both = [agreement.spearman_interval, agreement.kendall_interval];
        if both.iter().all(|ends| ends.low > 0.0) {
            Self::Yes
        } else if both.iter().all(|ends| ends.high < 0.0) {
            Self::Reversed
        } else {
            Self::Unclear
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Yes => "foretold the damage",
            Self::Reversed => "told the reverse: the higher, the less damage",
            Self::Unclear => "cannot be told from chance: an interval holds 0",
        }
    }
}

/// The predictors that have no rank correlation.
pub(crate) fn unjudged(result: &SensitivityResult) -> Vec<String> {
    let judged = |name: &&str| result.agreement.iter().any(|a| a.predictor == *name);
    Predictors::NAMES.into_iter().filter(|name| !judged(name)).map(predictor).collect()
}

/// Ranks from 1 for the least; equal values share the mean of theirs.
pub(crate) fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |x: &f64| {
        let below = values.iter().filter(|y| *y < x).count();
        let equal = values.iter().filter(|y| *y == x).count();
        below as f64 + (equal as f64 + 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{only_told, sensitivity};

    #[test]
    fn equal_values_share_their_ranks() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, -2.0]), [3.5, 2.0, 3.5, 1.0]);
        assert_eq!(ranks(&[0.0, -0.0]), [1.5, 1.5]);
        assert_eq!(ranks(&[]), [0.0; 0]);
    }

    #[test]
    fn the_most_damaged_comes_first_and_the_unmeasured_last() {
        let mut result = sensitivity();
        let names = |result: &SensitivityResult| -> Vec<String> {
            ranked(result).iter().map(|unit| unit.name.clone()).collect()
        };
        assert_eq!(names(&result)[..2], ["layer 5", "layer 0"]);
        result.units[5].after = None;
        assert_eq!(names(&result)[5], "layer 5");
        assert_eq!(names(&only_told())[0], "layer 1");
    }

    #[test]
    fn the_summary_says_how_it_was_rounded() {
        let mut result = sensitivity();
        let said = |result: &SensitivityResult, words: &str| {
            let summary = summary(result);
            assert!(summary.contains(words), "{summary}");
        };
        said(&result, "Each layer was rounded by itself (to nearest, 3 bits, groups of 64) and");
        result.scheme = json!({"bits": 4, "granularity": "channel"});
        said(&result, "(to nearest, 4 bits, a scale for each output)");
        result.scheme = json!(null);
        said(&result, "(to nearest)");
        said(&only_told(), "is that of rounding to nearest, 3 bits, groups of 64.");
    }

    #[test]
    fn small_divergences_keep_their_size() {
        assert_eq!([0.0, 0.25, 9.91e-6].map(nats), ["0.0000", "0.2500", "9.9e-6"]);
    }

    #[test]
    fn an_interval_that_holds_0_tells_nothing() {
        use Foretold::{Reversed, Unclear, Yes};
        let mut result = sensitivity();
        let verdicts = |result: &SensitivityResult| -> Vec<Foretold> {
            result.agreement.iter().map(Foretold::of).collect()
        };
        assert_eq!(verdicts(&result), [Unclear, Yes, Reversed, Yes]);
        result.agreement[1].kendall_interval.low = -0.01;
        assert_eq!(verdicts(&result)[1], Unclear);
        assert_eq!(unjudged(&sensitivity()), ["massive share"]);
    }
}
