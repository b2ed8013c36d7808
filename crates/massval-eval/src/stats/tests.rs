//! Tests of statistics. Numbers named so come from SciPy 1.x and statsmodels 0.14 in Python.

use proptest::prelude::*;

use super::bootstrap::quantile;
use super::*;

fn close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} against {b}");
}

fn ends(interval: Interval, low: f64, high: f64, tolerance: f64) {
    close(interval.low, low, tolerance);
    close(interval.high, high, tolerance);
}

#[test]
fn wilson_equals_statsmodels() {
    // proportion_confint(x, n, alpha=1-level, method="wilson")
    let cases = [
        (0, 10, 0.95, 0.0, 0.27753279986288926),
        (3, 10, 0.95, 0.10779126740630104, 0.6032218525388546),
        (25, 25, 0.95, 0.8668077490609515, 1.0),
        (187, 200, 0.95, 0.891980920700931, 0.9616236453508471),
        (50, 100, 0.90, 0.4188477961125295, 0.5811522038874706),
        (1, 1, 0.99, 0.13097754328018574, 1.0),
    ];
    for (x, n, level, low, high) in cases {
        ends(wilson(x, n, level).unwrap(), low, high, 1e-12);
    }
}

#[test]
fn newcombe_equals_statsmodels_and_the_paper() {
    // confint_proportions_2indep(..., method="newcomb", compare="diff")
    ends(
        newcombe((56, 70), (48, 80), 0.95).unwrap(),
        0.05243147240236498,
        0.33387265403690614,
        1e-12,
    );
    ends(newcombe((10, 10), (0, 10), 0.95).unwrap(), 0.6075093504305241, 1.0, 1e-12);
    ends(newcombe((9, 10), (3, 10), 0.95).unwrap(), 0.1705227239345029, 0.809017973535488, 1e-12);
    // The formulas of the paper for paired data, in Python on statsmodels' Wilson limits. The first
    // two are known examples: 0.0569 to 0.3404, and -0.507 to -0.026.
    let paired = [
        ((36, 12, 2, 0), 0.05692958400323875, 0.3404276029749408),
        ((1, 1, 7, 12), -0.506920226686141, -0.025559124164859837),
        ((43, 0, 12, 2), -0.3327922959225448, -0.09974929186684414),
        ((0, 20, 0, 0), 0.7721346162421941, 1.0),
        ((90, 9, 1, 100), 0.008095774989524782, 0.07157045811331515),
    ];
    for ((both, first_only, second_only, neither), low, high) in paired {
        let table = PairedTable { both, first_only, second_only, neither };
        ends(newcombe_paired(&table, 0.95).unwrap(), low, high, 1e-12);
    }
}

#[test]
fn mcnemar_equals_statsmodels() {
    // mcnemar([[0, b], [c, 0]], exact=True); mid-p from scipy.stats.binom.
    let cases = [
        (9, 1, 0.021484375, 0.01171875),
        (0, 6, 0.03125, 0.015625),
        (5, 5, 1.0, 1.0),
        (30, 12, 0.007915897334896727, 0.00540157265459129),
        (200, 150, 0.008720036530555947, 0.007524139788171171),
        (1, 0, 1.0, 0.5),
        (0, 0, 1.0, 1.0),
    ];
    for (first_only, second_only, exact, mid_p) in cases {
        let table = PairedTable { both: 3, first_only, second_only, neither: 4 };
        let test = mcnemar(&table).unwrap();
        close(test.exact, exact, 1e-11);
        close(test.mid_p, mid_p, 1e-11);
    }
}

#[test]
fn effect_sizes_and_chance_equal_python() {
    // proportion_effectsize
    close(cohens_h(0.9, 0.5).unwrap(), 0.9272952180016121, 1e-12);
    close(cohens_h(1.0, 0.0).unwrap(), std::f64::consts::PI, 1e-12);
    assert!(cohens_h(1.1, 0.0).is_err() && cohens_h(0.0, f64::NAN).is_err());
    // binomtest(..., alternative="greater")
    close(above_chance(103, 200, 0.5).unwrap(), 0.36188551315640355, 1e-11);
    close(above_chance(30, 40, 0.5).unwrap(), 0.0011107168866146822, 1e-11);
    close(above_chance(10, 10, 0.2).unwrap(), 1.024e-7, 1e-15);
    close(above_chance(0, 5, 0.5).unwrap(), 1.0, 0.0);
    assert!(above_chance(6, 5, 0.5).is_err() && above_chance(1, 5, 1.5).is_err());
}

#[test]
fn tables_count_pairs() {
    let table = PairedTable::from_outcomes(
        &[true, true, false, false, true],
        &[true, false, true, false, true],
    );
    let want = PairedTable { both: 2, first_only: 1, second_only: 1, neither: 1 };
    assert_eq!(table.unwrap(), want);
    assert!(matches!(PairedTable::from_outcomes(&[true], &[]), Err(Error::Lengths { .. })));
    assert!(matches!(PairedTable::from_outcomes(&[], &[]), Err(Error::Empty { .. })));
}

/// Every resample of `values`, sorted by its mean: what the bootstrap samples from.
fn all_means(values: &[f64]) -> Vec<f64> {
    let n = values.len();
    let mut means: Vec<f64> = (0..n.pow(n as u32))
        .map(|mut code| {
            let mut sum = 0.0;
            for _ in 0..n {
                sum += values[code % n];
                code /= n;
            }
            sum / n as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    means
}

#[test]
fn bootstrap_approaches_all_resamples() {
    let values = [0.3, -1.2, 2.5, 0.9, 4.0, -0.4];
    let all = all_means(&values);
    let options = Bootstrap { resamples: 200_000, seed: 5, level: 0.9 };
    let interval = mean(&values, None, &options).unwrap();
    close(interval.estimate, values.iter().sum::<f64>() / 6.0, 1e-12);
    ends(interval, quantile(&all, 0.05), quantile(&all, 0.95), 0.02);
}

#[test]
fn bootstrap_equals_scipy() {
    let values: Vec<f64> =
        (0..40).map(|i| 0.1 * f64::from(i * i % 17) - 0.4 + 0.05 * f64::from(i)).collect();
    // scipy.stats.bootstrap(..., np.mean, n_resamples=200000, method="percentile")
    let interval = mean(&values, None, &Bootstrap::default()).unwrap();
    close(interval.estimate, 1.35, 1e-12);
    ends(interval, 1.0975, 1.59875, 0.01);
}

#[test]
fn seeds_repeat_and_differ() {
    let values = [0.3, -1.2, 2.5, 0.9, 4.0, -0.4, 1.0];
    let run = |seed| mean(&values, None, &Bootstrap { resamples: 500, seed, level: 0.95 }).unwrap();
    assert_eq!(run(1), run(1));
    assert_ne!((run(1).low, run(1).high), (run(2).low, run(2).high));
}

#[test]
fn items_of_a_cluster_are_drawn_together() {
    // Twins that always agree are one item each: as wide as without the twins.
    let single: Vec<f64> = (0..30).map(|i| f64::from(i * i % 17)).collect();
    let twins: Vec<f64> = single.iter().flat_map(|v| [*v, *v]).collect();
    let names: Vec<usize> = (0..30).flat_map(|i| [i * 7, i * 7]).collect();
    let options = Bootstrap::default();
    let clustered = mean(&twins, Some(&names), &options).unwrap();
    assert_eq!(clustered, mean(&single, None, &options).unwrap());
    let naive = mean(&twins, None, &options).unwrap();
    assert!(naive.high - naive.low < 0.8 * (clustered.high - clustered.low));
    // Twins that cancel leave nothing to vary.
    let opposed: Vec<f64> = (0..30).flat_map(|_| [0.0, 1.0]).collect();
    let interval = mean(&opposed, Some(&names), &options).unwrap();
    assert_eq!((interval.low, interval.high), (0.5, 0.5));
    assert!(mean(&twins, Some(&[1, 2]), &options).is_err());
}

#[test]
fn sign_flip_equals_scipy() {
    let d = [1.0, 0.5, -0.25, 2.0, 0.75, -1.5, 0.3, 0.9];
    // permutation_test((d, zeros), mean of the difference, permutation_type="samples", exact)
    close(sign_flip(&d, None, &Bootstrap::default()).unwrap(), 0.25, 1e-12);
    // Two copies in clusters of two: the same test.
    let twice: Vec<f64> = d.iter().flat_map(|v| [*v, *v]).collect();
    let names: Vec<usize> = (0..8).flat_map(|i| [i, i]).collect();
    close(sign_flip(&twice, Some(&names), &Bootstrap::default()).unwrap(), 0.25, 1e-12);
    assert_eq!(sign_flip(&[0.0, 0.0], None, &Bootstrap::default()).unwrap(), 1.0);
}

#[test]
fn random_flips_approach_mcnemar() {
    // For differences of -1, 0 and 1 the sign-flip test is McNemar's exact test.
    let mut d = vec![1.0; 15];
    d.extend([-1.0; 6]);
    d.extend([0.0; 50]);
    let table = PairedTable { both: 50, first_only: 15, second_only: 6, neither: 0 };
    let options = Bootstrap { resamples: 100_000, ..Bootstrap::default() };
    let p = sign_flip(&d, None, &options).unwrap();
    close(p, mcnemar(&table).unwrap().exact, 0.005);
    let extreme = sign_flip(&[1.0; 60], None, &Bootstrap::default()).unwrap();
    close(extreme, 1.0 / 10_001.0, 1e-12);
}

fn outcomes(right: usize, n: usize) -> Vec<f64> {
    (0..n).map(|i| f64::from(u8::from(i < right))).collect()
}

#[test]
fn an_effect_needs_interval_and_test() {
    let options = Bootstrap { resamples: 2000, ..Bootstrap::default() };
    let compare = |arm: usize, control: usize, n: usize| {
        compare_arms(&outcomes(n, n), &outcomes(arm, n), &outcomes(control, n), None, &options)
            .unwrap()
    };
    let strong = compare(5, 45, 50);
    assert_eq!(strong.finding, Finding::LosesMore);
    assert_eq!((strong.test, strong.items, strong.units), (Test::McNemarExact, 50, 50));
    close(strong.drop.estimate, 0.9, 1e-12);
    close(strong.control_drop.estimate, 0.1, 1e-12);
    close(strong.difference.estimate, 0.8, 1e-12);
    assert!(strong.cohens_h.unwrap() > 1.5 && strong.newcombe.unwrap().low > 0.6);
    assert_eq!(compare(45, 5, 50).finding, Finding::LosesLess);

    // The bootstrap alone would call these effects: its interval excludes 0.
    let three = compare(45, 50, 50);
    assert!(three.difference.excludes_zero() && three.p_value > 0.05);
    assert_eq!(three.finding, Finding::NoneShown);
    let few = compare(0, 5, 5);
    assert_eq!((few.difference.low, few.finding), (1.0, Finding::TooFew));
    assert_eq!(compare(0, 6, 6).finding, Finding::LosesMore);
    let same = compare(25, 25, 50);
    assert_eq!((same.finding, same.p_value), (Finding::NoneShown, 1.0));
    assert!(!same.finding.is_effect() && strong.finding.is_effect());
}

#[test]
fn clusters_and_graded_scores_take_the_sign_flip() {
    let options = Bootstrap { resamples: 2000, ..Bootstrap::default() };
    let (base, arm, control) = (outcomes(10, 10), outcomes(0, 10), outcomes(10, 10));
    let names: Vec<usize> = (0..10).map(|i| i / 2).collect();
    let outcome = compare_arms(&base, &arm, &control, Some(&names), &options).unwrap();
    // Five pairs: the least p is 1/16.
    assert_eq!(
        (outcome.units, outcome.test, outcome.finding),
        (5, Test::SignFlip, Finding::TooFew)
    );
    assert_eq!(outcome.p_value, 0.0625);
    assert!(outcome.newcombe.is_none());
    let graded: Vec<f64> = (0..30).map(|i| 0.5 + 0.01 * f64::from(i)).collect();
    let lower: Vec<f64> = graded.iter().map(|v| v - 0.3).collect();
    let outcome = compare_arms(&graded, &lower, &graded, None, &options).unwrap();
    assert_eq!((outcome.test, outcome.finding), (Test::SignFlip, Finding::LosesMore));
    assert!(outcome.cohens_h.is_none());
    // So few resamples that p cannot fall below 1/11.
    let rough = Bootstrap { resamples: 10, ..options };
    let outcome = compare_arms(&graded, &lower, &graded, None, &rough).unwrap();
    assert_eq!(outcome.finding, Finding::TooFew);
}

#[test]
fn no_effect_is_found_where_there_is_none() {
    // Both arms right by the same coin: at most about 5% of runs may find something.
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    let options = Bootstrap { resamples: 300, ..Bootstrap::default() };
    let mut flips =
        || (0..60).map(|_| f64::from(u8::from(rng.random::<bool>()))).collect::<Vec<_>>();
    let found = (0..200)
        .filter(|_| {
            let (a, b) = (flips(), flips());
            compare_arms(&a, &a, &b, None, &options).unwrap().finding.is_effect()
        })
        .count();
    assert!(found <= 16, "{found} of 200");
}

#[test]
fn perplexities_over_windows() {
    let window = |nll, tokens| WindowLoss { nll, tokens };
    let first = [window(200.0, 100), window(330.0, 100), window(70.0, 50)];
    let second = [window(300.0, 100), window(430.0, 100), window(120.0, 50)];
    let outcome = perplexity_difference(&first, &second, &Bootstrap::default()).unwrap();
    close(outcome.first.estimate, (600.0f64 / 250.0).exp(), 1e-12);
    close(outcome.second.estimate, (850.0f64 / 250.0).exp(), 1e-12);
    close(outcome.difference.estimate, outcome.second.estimate - outcome.first.estimate, 1e-12);
    // Every window loses 1 nat per token: the ratio does not vary.
    ends(outcome.ratio, 1.0f64.exp(), 1.0f64.exp(), 1e-9);
    assert!(outcome.first.low < outcome.first.estimate);
    let alone = perplexity(&first, &Bootstrap::default()).unwrap();
    assert_eq!(alone, outcome.first);

    assert!(perplexity(&[], &Bootstrap::default()).is_err());
    assert!(perplexity(&[window(1.0, 0)], &Bootstrap::default()).is_err());
    assert!(perplexity(&[window(f64::NAN, 1)], &Bootstrap::default()).is_err());
    assert!(perplexity(&[window(1e6, 1)], &Bootstrap::default()).is_err());
    assert!(perplexity_difference(&first, &second[..2], &Bootstrap::default()).is_err());
    let other = [window(1.0, 100), window(1.0, 100), window(1.0, 51)];
    assert!(perplexity_difference(&first, &other, &Bootstrap::default()).is_err());
}

#[test]
fn nothing_and_nonsense_are_errors() {
    let options = Bootstrap::default();
    assert!(matches!(wilson(0, 0, 0.95), Err(Error::Empty { .. })));
    assert!(wilson(2, 1, 0.95).is_err());
    for level in [0.0, 1.0, -1.0, f64::NAN] {
        assert!(wilson(1, 2, level).is_err());
        assert!(mean(&[1.0], None, &Bootstrap { level, ..options }).is_err());
    }
    assert!(mean(&[1.0], None, &Bootstrap { resamples: 0, ..options }).is_err());
    assert!(matches!(mean(&[], None, &options), Err(Error::Empty { .. })));
    let error = mean(&[1.0, f64::INFINITY], None, &options).unwrap_err();
    assert!(error.to_string().contains("item 1 is inf"), "{error}");
    assert!(matches!(mean_difference(&[1.0], &[], None, &options), Err(Error::Lengths { .. })));
    assert!(compare_arms(&[1.0], &[f64::NAN], &[1.0], None, &options).is_err());
    assert!(sign_flip(&[], None, &options).is_err());
    let empty = PairedTable { both: 0, first_only: 0, second_only: 0, neither: 0 };
    assert!(mcnemar(&empty).is_err() && newcombe_paired(&empty, 0.95).is_err());
}

proptest! {
    #[test]
    fn intervals_hold_their_estimate(x in 0u64..40, n in 1u64..40, y in 0u64..40, m in 1u64..40) {
        let (x, y) = (x.min(n), y.min(m));
        for interval in [wilson(x, n, 0.9).unwrap(), newcombe((x, n), (y, m), 0.9).unwrap()] {
            prop_assert!(interval.low <= interval.estimate && interval.estimate <= interval.high);
        }
    }

    #[test]
    fn swapping_the_arms_turns_the_paired_interval_around(
        both in 0u64..20, first_only in 0u64..20, second_only in 0u64..20, neither in 1u64..20,
    ) {
        let table = PairedTable { both, first_only, second_only, neither };
        let swapped = PairedTable { first_only: second_only, second_only: first_only, ..table };
        let a = newcombe_paired(&table, 0.95).unwrap();
        let b = newcombe_paired(&swapped, 0.95).unwrap();
        prop_assert!((a.low + b.high).abs() < 1e-12 && (a.high + b.low).abs() < 1e-12);
        prop_assert_eq!(mcnemar(&table).unwrap().exact, mcnemar(&swapped).unwrap().exact);
    }

    #[test]
    fn mcnemar_equals_counting_all_outcomes(first_only in 0u64..8, second_only in 0u64..8) {
        let table = PairedTable { both: 1, first_only, second_only, neither: 0 };
        let n = first_only + second_only;
        let off = first_only.abs_diff(second_only);
        // Every way in which the discordant items could have fallen.
        let as_far = (0u32..1 << n).filter(|ways| {
            let first = u64::from(ways.count_ones());
            first.abs_diff(n - first) >= off
        });
        let p = as_far.count() as f64 / f64::from(1u32 << n);
        prop_assert!((mcnemar(&table).unwrap().exact - p).abs() < 1e-12);
    }
}
