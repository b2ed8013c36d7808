//! Which arms are compared with which, and what may be said of them.

use massval_eval::stats::{Bootstrap, Finding};
use massval_eval::{Arm, Column, Compared, KvRounding, Summary, Task};
use massval_report::schema::{ArmRole, Comparison, EffectSize, Interval};

use crate::Result;
use crate::arms::{fixed_k, role};

/// Every arm against the undisturbed model, and the massive arms against their controls, on every column.
///
/// The p-values of one column are corrected together for their number (Holm); only what survives is called an
/// effect.
pub(crate) fn comparisons(
    tasks: &[Task<'_>],
    arms: &[Arm],
    summary: &Summary,
    bootstrap: &Bootstrap,
) -> Result<Vec<Comparison>> {
    let mut all = Vec::new();
    for task in tasks {
        for column in &task.columns {
            let mut family = Vec::new();
            for (baseline, arm, control) in pairs(arms) {
                let names = [baseline, arm, control].map(|arm| arm.name.as_str());
                if let Some(compared) = summary.compare(task, column, names, bootstrap)? {
                    family.push(comparison(column, names, &compared));
                }
            }
            holm(&mut family, 1.0 - bootstrap.level);
            all.extend(family);
        }
    }
    Ok(all)
}

/// Baseline, arm, and what the arm is compared with.
fn pairs(arms: &[Arm]) -> Vec<(&Arm, &Arm, &Arm)> {
    let Some(baseline) = arms.iter().find(|arm| role(arm) == ArmRole::None) else {
        return Vec::new();
    };
    let mut pairs = Vec::new();
    for arm in arms.iter().filter(|arm| role(arm) != ArmRole::None) {
        pairs.push((baseline, arm, baseline));
        let controls = arms.iter().filter(|control| {
            role(arm) == ArmRole::Massive && matches(arm, control) || keeps_less(arm, control)
        });
        pairs.extend(controls.map(|control| (baseline, arm, control)));
    }
    pairs
}

/// Whether an arm is a control for a massive one: the same but for the channels, and as many of them.
fn matches(arm: &Arm, control: &Arm) -> bool {
    let (Some(a), Some(b)) = (&arm.intervention, &control.intervention) else { return false };
    let mut same = b.clone();
    same.selection = a.selection.clone();
    let drawn_alike = match (&a.selection, &b.selection) {
        (
            massval_disrupt::Selection::Massive { criterion: a },
            massval_disrupt::Selection::RandomLike { criterion: b },
        ) => a == b,
        _ => fixed_k(arm).is_some() && fixed_k(arm) == fixed_k(control),
    };
    same == *a && drawn_alike && matches!(role(control), ArmRole::Random | ArmRole::Bottom)
}

/// Whether an arm rounds like the control, but for its massive channels, which it keeps.
fn keeps_less(arm: &Arm, control: &Arm) -> bool {
    if arm.intervention != control.intervention {
        return false;
    }
    match (&arm.kv, &control.kv, &arm.weights, &control.weights) {
        (Some(a), Some(b), None, None) => {
            let is_massive = a.kept.as_ref().is_some_and(|kept| kept.what == "massive");
            let same = KvRounding { kept: a.kept.clone(), ..b.clone() };
            is_massive && a.kept != b.kept && same == *a
        }
        (None, None, Some(a), Some(b)) => {
            a.kept.as_deref() == Some("massive") && a.kept != b.kept && a.family == b.family
        }
        _ => false,
    }
}

fn comparison(column: &Column, [_, arm, against]: [&str; 3], compared: &Compared) -> Comparison {
    let Compared { effect, table, .. } = compared;
    // The statistics speak of what the arm loses; results of its accuracy less the other's.
    let interval = effect.newcombe.unwrap_or(effect.difference);
    Comparison {
        task: column.name.clone(),
        arm: arm.to_owned(),
        against: against.to_owned(),
        n: effect.items,
        difference: (table.first_only as f64 - table.second_only as f64) / effect.items as f64,
        interval: Interval { low: -interval.high, high: -interval.low },
        only_arm: table.first_only as usize,
        only_against: table.second_only as usize,
        p: effect.p_value,
        p_adjusted: None,
        effect_size: effect
            .cohens_h
            // Not minus nought.
            .map(|value| EffectSize { name: "Cohen's h".into(), value: 0.0 - value }),
        effect: effect.finding.is_effect(),
        verdict: verdict(effect.finding, against),
    }
}

fn verdict(finding: Finding, against: &str) -> String {
    match finding {
        Finding::LosesMore => format!("worse than {against}"),
        Finding::LosesLess => format!("better than {against}"),
        Finding::TooFew => "too few items to show a difference".to_owned(),
        _ => "no difference shown; the interval says how large it may be".to_owned(),
    }
}

/// Holm's correction: the smallest p times their number, the next times one less, and so on.
fn holm(family: &mut [Comparison], alpha: f64) {
    let mut order: Vec<usize> = (0..family.len()).collect();
    order.sort_by(|&a, &b| family[a].p.total_cmp(&family[b].p));
    let (count, mut largest) = (family.len(), 0.0f64);
    for (rank, index) in order.into_iter().enumerate() {
        let Some(comparison) = family.get_mut(index) else { continue };
        largest = largest.max((comparison.p * (count - rank) as f64).min(1.0));
        comparison.p_adjusted = Some(largest);
        if comparison.effect && largest >= alpha {
            comparison.effect = false;
            comparison.verdict =
                format!("not shown, once corrected for {count} comparisons on this task");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_p(p: f64) -> Comparison {
        Comparison {
            task: "t".into(),
            arm: "a".into(),
            against: "b".into(),
            n: 10,
            difference: 0.0,
            interval: Interval { low: -0.1, high: 0.1 },
            only_arm: 0,
            only_against: 0,
            p,
            p_adjusted: None,
            effect_size: None,
            effect: true,
            verdict: String::new(),
        }
    }

    /// The textbook's example: 0.01, 0.02, 0.03, 0.04 become 0.04, 0.06, 0.06, 0.06.
    #[test]
    fn p_values_are_corrected_together() {
        let mut family = [0.04, 0.01, 0.03, 0.02].map(with_p);
        holm(&mut family, 0.05);
        let adjusted: Vec<f64> = family.iter().filter_map(|c| c.p_adjusted).collect();
        for (found, expected) in adjusted.iter().zip([0.06, 0.04, 0.06, 0.06]) {
            assert!((found - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(family.map(|c| c.effect), [false, true, false, false]);
    }
}
