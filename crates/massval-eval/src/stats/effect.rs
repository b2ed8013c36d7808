//! Whether an arm loses more than its control.

use std::fmt;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::bootstrap::clustered;
use super::{
    Bootstrap, Error, Interval, PairedTable, check_same, check_values, cohens_h, mcnemar,
    mean_difference, newcombe_paired,
};

/// An arm's drop against its matched control's drop, over the same items.
///
/// A drop is the baseline's score less the arm's. The baseline cancels in the difference of the
/// drops, which is what interval and test are about: the control's score less the arm's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Comparison {
    /// How many items there are.
    pub items: usize,
    /// How many independent units: clusters, or items without clusters.
    pub units: usize,
    /// How much the arm (massive values disrupted) loses; paired bootstrap.
    pub drop: Interval,
    /// How much the control (as many other channels disrupted) loses; paired bootstrap.
    pub control_drop: Interval,
    /// The first less the second; paired bootstrap.
    pub difference: Interval,
    /// The same by [Newcombe's paired interval](newcombe_paired), which does not shrink to a point
    /// when all items agree; for scores of 0 and 1 without clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newcombe: Option<Interval>,
    /// Effect size: [Cohen's h](cohens_h) of the control's accuracy less the arm's; for scores of 0
    /// and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohens_h: Option<f64>,
    /// Which test was made.
    pub test: Test,
    /// Its two-sided p-value, not corrected for making several comparisons.
    pub p_value: f64,
    /// What may be said.
    pub finding: Finding,
}

/// A test of a paired difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Test {
    /// McNemar's exact test; for scores of 0 and 1 without clusters.
    McNemarExact,
    /// [Random changes of sign](sign_flip) of the units' differences; for all else.
    SignFlip,
}

/// What a comparison allows to say. It is an effect only if every interval excludes 0 *and* the test
/// rejects at one less the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// The arm loses more than its control.
    LosesMore,
    /// The arm loses less than its control.
    LosesLess,
    /// No difference is shown. That is not a proof that there is none: the interval says how large
    /// it may be.
    NoneShown,
    /// So few items (or resamples) that the test could not reject whatever the answers.
    TooFew,
}

impl Finding {
    /// Whether a difference may be called an effect.
    pub fn is_effect(self) -> bool {
        matches!(self, Self::LosesMore | Self::LosesLess)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LosesMore => "loses more than its control",
            Self::LosesLess => "loses less than its control",
            Self::NoneShown => "no difference to its control shown",
            Self::TooFew => "too few items to show a difference",
        })
    }
}

/// Compares an arm with its control on the same items, in the same order. To compare with the
/// baseline itself, pass the baseline as the control.
///
/// `clusters` names for each item what it belongs to, where items come in pairs or groups.
///
/// ```
/// use massval_eval::stats::{Bootstrap, Finding, compare_arms};
///
/// let baseline = [1.0; 20];
/// let (mut massive, mut control) = ([0.0; 20], [1.0; 20]);
/// (massive[3], control[4]) = (1.0, 0.0);
/// let outcome = compare_arms(&baseline, &massive, &control, None, &Bootstrap::default())?;
/// assert!((outcome.difference.estimate - 0.9).abs() < 1e-12);
/// assert_eq!(outcome.finding, Finding::LosesMore);
/// # Ok::<(), massval_eval::stats::Error>(())
/// ```
///
/// # Errors
/// If there are no items, a score is not finite, the lengths differ, or the options are out of range.
pub fn compare_arms(
    baseline: &[f64],
    arm: &[f64],
    control: &[f64],
    clusters: Option<&[usize]>,
    options: &Bootstrap,
) -> Result<Comparison, Error> {
    let drop = mean_difference(baseline, arm, clusters, options)?;
    let control_drop = mean_difference(baseline, control, clusters, options)?;
    let difference = mean_difference(control, arm, clusters, options)?;
    let binary = |values: &[f64]| values.iter().all(|v| *v == 0.0 || *v == 1.0);
    let binary = binary(arm) && binary(control);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let h = binary.then(|| cohens_h(mean(control), mean(arm))).transpose()?;
    let alpha = 1.0 - options.level;
    let (newcombe, test, p_value, units, least) = if binary && clusters.is_none() {
        let right = |values: &[f64]| values.iter().map(|v| *v == 1.0).collect::<Vec<_>>();
        let table = PairedTable::from_outcomes(&right(control), &right(arm))?;
        let interval = newcombe_paired(&table, options.level)?;
        let least = least_p(arm.len());
        (Some(interval), Test::McNemarExact, mcnemar(&table)?.exact, arm.len(), least)
    } else {
        let differences: Vec<f64> = control.iter().zip(arm).map(|(c, a)| c - a).collect();
        let units = units(&differences, clusters)?.len();
        let p = sign_flip(&differences, clusters, options)?;
        let least = if units <= EXACT_UNITS {
            least_p(units)
        } else {
            1.0 / (f64::from(options.resamples) + 1.0)
        };
        (None, Test::SignFlip, p, units, least)
    };
    let intervals = [Some(difference), newcombe];
    let excluded = intervals.iter().flatten().all(Interval::excludes_zero);
    let finding = if least >= alpha {
        Finding::TooFew
    } else if !excluded || p_value >= alpha {
        Finding::NoneShown
    } else if difference.estimate > 0.0 {
        Finding::LosesMore
    } else {
        Finding::LosesLess
    };
    Ok(Comparison {
        items: arm.len(),
        units,
        drop,
        control_drop,
        difference,
        newcombe,
        cohens_h: h,
        test,
        p_value,
        finding,
    })
}

/// The smallest two-sided p-value that so many units can give: all signs alike.
fn least_p(units: usize) -> f64 {
    0.5f64.powi(i32::try_from(units).unwrap_or(i32::MAX) - 1)
}

/// Up to so many units all changes of sign are tried, 65,536 at most.
const EXACT_UNITS: usize = 16;

fn units(differences: &[f64], clusters: Option<&[usize]>) -> Result<Vec<f64>, Error> {
    const WHAT: &str = "sign-flip test";
    check_values(WHAT, differences)?;
    if let Some(clusters) = clusters {
        check_same(WHAT, differences.len(), clusters.len())?;
    }
    let rows = clustered(WHAT, differences.iter().map(|d| [*d]).collect(), clusters)?;
    Ok(rows.into_iter().map(|[d]| d).collect())
}

/// The two-sided p-value of the sign-flip test (Fisher's randomisation test of paired samples): how
/// often random signs make the sum of the units' differences as far from 0 as it is. Units are
/// clusters, or items without clusters.
///
/// All changes of sign are tried for up to 16 units; beyond, `options.resamples` random ones, which
/// count the observed one in (Phipson and Smyth 2010), so that p is never 0.
///
/// # Errors
/// If there are no differences, one is not finite, the clusters are not as many, or the options are
/// out of range.
pub fn sign_flip(
    differences: &[f64],
    clusters: Option<&[usize]>,
    options: &Bootstrap,
) -> Result<f64, Error> {
    options.check("sign-flip test")?;
    let units = units(differences, clusters)?;
    let observed = units.iter().sum::<f64>().abs();
    // Sums in another order may differ in their last bits.
    let slack = units.iter().map(|d| d.abs()).sum::<f64>() * 1e-12;
    let as_far = |sum: f64| sum.abs() >= observed - slack;
    if units.len() <= EXACT_UNITS {
        let all = 1u32 << units.len();
        let sum = |signs: u32| {
            let signed = |(i, d): (usize, &f64)| if signs >> i & 1 == 1 { -d } else { *d };
            units.iter().enumerate().map(signed).sum::<f64>()
        };
        let hits = (0..all).filter(|signs| as_far(sum(*signs))).count();
        return Ok(hits as f64 / f64::from(all));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut hits = 1u64;
    for _ in 0..options.resamples {
        let sum: f64 = units.iter().map(|d| if rng.random::<bool>() { *d } else { -d }).sum();
        hits += u64::from(as_far(sum));
    }
    Ok(hits as f64 / (f64::from(options.resamples) + 1.0))
}
