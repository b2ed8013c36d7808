//! Scaled RoPE: the angles and factors that transformers computes, and what holds for any parameters.

use massval_detect::{FrequencyHalf, PairLayout, RopeAngles, RopeBands, RopeScaling};
use proptest::prelude::*;

#[derive(serde::Deserialize)]
struct Golden {
    scaling: RopeScaling,
    rotary_dim: usize,
    theta: f64,
    seq_len: usize,
    inv_freq: Vec<f64>,
    attention_factor: f64,
    last: Option<Last>,
}

/// Of the last position, by pair.
#[derive(serde::Deserialize)]
struct Last {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

/// `goldens/rope.py` made the file.
fn goldens() -> Vec<Golden> {
    let cases: Vec<Golden> = serde_json::from_str(include_str!("goldens/rope.json")).expect("json");
    assert_eq!(cases.len(), 36);
    cases
}

/// transformers computes in `f32`: three roundings and a power, whose exponent is rounded, too.
#[test]
fn scaled_angles_equal_those_of_transformers() {
    for case in goldens() {
        let Golden { scaling, rotary_dim, theta, seq_len, .. } = case;
        let angles = RopeAngles::new(rotary_dim, theta, Some(scaling.clone())).expect("valid");
        let found = angles.at(seq_len);
        assert_eq!(*found, scaling.inv_freq(rotary_dim, theta, seq_len).expect("valid"));
        assert_eq!(found.len(), case.inv_freq.len());
        for (pair, (found, expected)) in found.iter().zip(&case.inv_freq).enumerate() {
            let error = (found - expected).abs() / expected.max(f64::MIN_POSITIVE);
            assert!(error < 5e-7, "{scaling:?}, pair {pair}: {found} for {expected}");
        }
        let error = (angles.attention_factor() - case.attention_factor).abs();
        assert!(error < 1e-15, "{scaling:?}: {}", angles.attention_factor());
    }
}

/// What the forward pass of a fresh module multiplies with, its choice of angles and the factor included.
#[test]
fn cosines_and_sines_equal_those_of_a_forward_pass() {
    let mut passes = 0;
    for case in goldens() {
        let Some(last) = case.last else { continue };
        passes += 1;
        let angles = RopeAngles::new(case.rotary_dim, case.theta, Some(case.scaling.clone()));
        let angles = angles.expect("valid");
        let (position, factor) = ((case.seq_len - 1) as f64, angles.attention_factor());
        for (pair, angle) in angles.at(case.seq_len).iter().enumerate() {
            let (sin, cos) = (position * angle).sin_cos();
            // The rounding of an angle of up to 200 radians.
            for (found, expected) in [(cos, last.cos[pair]), (sin, last.sin[pair])] {
                let error = (found * factor - f64::from(expected)).abs();
                assert!(error < 3e-5, "{:?}, pair {pair}: {found} for {expected}", case.scaling);
            }
        }
    }
    assert_eq!(passes, 10);
}

/// The point of NTK scaling: the fastest pair keeps its angle, the slowest is slowed by the factor.
#[test]
fn ntk_scaling_spares_the_fast_pairs() {
    let plain = RopeBands::new(64, 64, 10_000.0, PairLayout::HalfSplit).expect("valid");
    let scaled = RopeScaling::Ntk { factor: 4.0 }.inv_freq(64, 10_000.0, 1).expect("valid");
    assert_eq!(scaled[0], 1.0);
    assert!((plain.inv_freq()[31] / scaled[31] - 4.0).abs() < 1e-9);
}

#[test]
fn bands_of_a_longer_sequence_are_of_its_angles() {
    let scaling = RopeScaling::Longrope {
        short_factor: vec![1.0, 1.0],
        long_factor: vec![64.0, 1.0],
        factor: 2.0,
        original_max_position: 8,
        attention_factor: None,
    };
    let angles = RopeAngles::new(4, 100.0, Some(scaling)).expect("valid");
    let halves = |seq_len| {
        let bands = angles.bands(6, seq_len, PairLayout::HalfSplit).expect("valid");
        assert_eq!((bands.rotary_dim(), bands.partner(0), bands.band(4)), (4, Some(2), None));
        [0, 1].map(|channel| bands.band(channel).map(|band| band.half))
    };
    assert_eq!(halves(8), [Some(FrequencyHalf::High), Some(FrequencyHalf::Low)]);
    // Slowed by 64, the first pair is behind the second, which has a tenth of its angle.
    assert_eq!(halves(9), [Some(FrequencyHalf::Low), Some(FrequencyHalf::High)]);
    assert!(angles.bands(3, 8, PairLayout::HalfSplit).is_err());
}

#[test]
fn pairs_that_stand_still_are_not_among_the_fast_ones() {
    let scaling = RopeScaling::Proportional { factor: 1.0, proportion: 0.25 };
    let angles = RopeAngles::new(16, 10_000.0, Some(scaling)).expect("valid");
    let bands = angles.bands(16, 1, PairLayout::HalfSplit).expect("valid");
    let high = (0..8).filter(|&c| bands.band(c).is_some_and(|b| b.half == FrequencyHalf::High));
    assert_eq!(high.collect::<Vec<_>>(), [0]);
    assert_eq!(bands.partner(7), Some(15));
}

fn yarn(factor: f64, beta_fast: f64, beta_slow: f64) -> RopeScaling {
    RopeScaling::Yarn {
        factor,
        beta_fast,
        beta_slow,
        original_max_position: 64,
        truncate: true,
        mscale: None,
        mscale_all_dim: None,
        attention_factor: None,
    }
}

fn llama3(factor: f64, low_freq_factor: f64, high_freq_factor: f64) -> RopeScaling {
    let original_max_position = 64;
    RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position }
}

fn longrope(short: Vec<f64>, long: Vec<f64>, factor: f64) -> RopeScaling {
    RopeScaling::Longrope {
        short_factor: short,
        long_factor: long,
        factor,
        original_max_position: 64,
        attention_factor: None,
    }
}

#[test]
fn scalings_round_trip_as_json() {
    let mut given = yarn(4.0, 16.0, 2.0);
    if let RopeScaling::Yarn { mscale, truncate, .. } = &mut given {
        (*mscale, *truncate) = (Some(0.7), false);
    }
    for scaling in [given, longrope(vec![1.0], vec![2.0], 3.0), llama3(8.0, 1.0, 4.0)] {
        let json = serde_json::to_string(&scaling).expect("json");
        assert_eq!(serde_json::from_str::<RopeScaling>(&json).expect("json"), scaling);
    }
    let short = r#"{"kind": "yarn", "factor": 4.0, "original_max_position": 64}"#;
    assert_eq!(serde_json::from_str::<RopeScaling>(short).expect("json"), yarn(4.0, 32.0, 1.0));
    let misspelt = r#"{"kind": "yarn", "factor": 4.0, "original_max_position": 64, "m_scale": 1}"#;
    assert!(serde_json::from_str::<RopeScaling>(misspelt).is_err());
}

#[test]
fn parameters_that_make_no_sense_are_refused_by_name() {
    let ones = || vec![1.0; 4];
    for (scaling, name) in [
        (RopeScaling::Linear { factor: 0.0 }, "factor"),
        (RopeScaling::Linear { factor: 1e-320 }, "inv_freq"),
        (RopeScaling::Ntk { factor: f64::NAN }, "factor"),
        (RopeScaling::DynamicNtk { factor: 2.0, max_position: 0 }, "max_position"),
        (llama3(8.0, 4.0, 4.0), "high_freq_factor"),
        (llama3(8.0, 0.0, 4.0), "low_freq_factor"),
        (llama3(-8.0, 1.0, 4.0), "factor"),
        (yarn(4.0, 1.0, 2.0), "beta_fast"),
        (yarn(4.0, 1.0, -2.0), "beta_slow"),
        (longrope(vec![1.0; 3], ones(), 2.0), "short factors"),
        (longrope(ones(), vec![1.0; 5], 2.0), "long factors"),
        (longrope(ones(), vec![1.0, 1.0, 0.0, 1.0], 2.0), "LongRoPE factor"),
        (longrope(ones(), vec![1e-320; 4], 2.0), "inv_freq"),
        (RopeScaling::Proportional { factor: 1.0, proportion: 1.5 }, "proportion"),
    ] {
        let error = RopeAngles::new(8, 10_000.0, Some(scaling.clone())).expect_err("nonsense");
        assert!(error.to_string().contains(name), "{scaling:?}: {error}");
    }
    let ntk = Some(RopeScaling::Ntk { factor: 2.0 });
    assert!(RopeAngles::new(2, 10_000.0, ntk).is_err());
    assert!(RopeAngles::new(8, 1.0, Some(yarn(4.0, 32.0, 1.0))).is_err());
    for (rotary_dim, theta) in [(0, 1e4), (8, 0.0), (8, f64::NAN), (8, f64::INFINITY)] {
        assert!(RopeAngles::new(rotary_dim, theta, None).is_err());
    }
}

#[test]
fn attention_factors_that_are_not_positive_are_refused() {
    let mut given = yarn(4.0, 32.0, 1.0);
    let RopeScaling::Yarn { attention_factor, .. } = &mut given else { unreachable!() };
    *attention_factor = Some(0.0);
    let mut negative = yarn(4.0, 32.0, 1.0);
    let RopeScaling::Yarn { mscale, mscale_all_dim, .. } = &mut negative else { unreachable!() };
    (*mscale, *mscale_all_dim) = (Some(-100.0), Some(1.0));
    let mut one_position = longrope(vec![1.0], vec![1.0], 2.0);
    let RopeScaling::Longrope { original_max_position, .. } = &mut one_position else {
        unreachable!()
    };
    *original_max_position = 1;
    for scaling in [given, negative, one_position] {
        assert!(scaling.attention_factor().is_err(), "{scaling:?}");
    }
}

/// Any scaling by `factor` of 8 pairs, with 64 positions as its training length.
fn scalings(factor: impl Strategy<Value = f64>) -> impl Strategy<Value = RopeScaling> {
    (factor, 0usize..7, 0.5..4.0, 0.0..30.0, any::<bool>(), 0.0..=1.0).prop_map(
        |(factor, kind, low, width, rounded, proportion)| match kind {
            0 => RopeScaling::Linear { factor },
            1 => RopeScaling::Ntk { factor },
            2 => RopeScaling::DynamicNtk { factor, max_position: 64 },
            3 => llama3(factor, low, low + width + 0.1),
            4 => {
                let mut scaling = yarn(factor, low + width, low);
                if let RopeScaling::Yarn { truncate, .. } = &mut scaling {
                    *truncate = rounded;
                }
                scaling
            }
            5 => longrope(vec![1.0; 8], vec![factor; 8], factor),
            _ => RopeScaling::Proportional { factor, proportion },
        },
    )
}

proptest! {
    /// A scaling that stretches never makes a pair faster, nor slower than fully stretched.
    #[test]
    fn scaled_angles_stay_between_slowed_and_plain(
        scaling in scalings(1.0..64.0),
        theta in 10.0..1e6,
        seq_len in 1usize..1000,
    ) {
        let plain = RopeAngles::new(16, theta, None).expect("valid");
        let angles = RopeAngles::new(16, theta, Some(scaling.clone())).expect("valid");
        prop_assert!(angles.attention_factor() >= 1.0);
        let stretch = match scaling {
            RopeScaling::Linear { factor } | RopeScaling::Ntk { factor } => factor,
            RopeScaling::DynamicNtk { factor, .. } => {
                factor * (seq_len as f64 / 64.0).max(1.0) - (factor - 1.0)
            }
            RopeScaling::Llama3 { factor, .. } | RopeScaling::Yarn { factor, .. } => factor,
            RopeScaling::Longrope { factor, .. } => factor,
            _ => f64::INFINITY,
        };
        let scaled = angles.at(seq_len);
        prop_assert_eq!(scaled.len(), 8);
        for (pair, (scaled, plain)) in scaled.iter().zip(plain.trained()).enumerate() {
            prop_assert!(*scaled <= plain * (1.0 + 1e-12), "pair {}", pair);
            prop_assert!(*scaled >= plain / stretch * (1.0 - 1e-12), "pair {}", pair);
        }
    }

    /// By a factor of 1 nothing changes, but that proportional RoPE holds the last pairs still.
    #[test]
    fn a_factor_of_one_changes_nothing(
        scaling in scalings(Just(1.0)),
        theta in 10.0..1e6,
        seq_len in 1usize..65,
    ) {
        let plain = RopeAngles::new(16, theta, None).expect("valid");
        let angles = RopeAngles::new(16, theta, Some(scaling)).expect("valid");
        prop_assert_eq!(angles.attention_factor(), 1.0);
        for (scaled, plain) in angles.at(seq_len).iter().zip(plain.trained()) {
            prop_assert!(*scaled == 0.0 || (scaled - plain).abs() <= 1e-15 * plain.max(1e-3));
        }
    }

    /// Up to its limit the length does not matter; beyond it only to dynamic NTK, whose angles then shrink.
    #[test]
    fn angles_change_with_the_length_only_beyond_the_limit(
        scaling in scalings(1.5..64.0),
        lengths in (0usize..300, 0usize..300),
    ) {
        let angles = RopeAngles::new(16, 10_000.0, Some(scaling.clone())).expect("valid");
        let (short, long) = (lengths.0.min(lengths.1), lengths.0.max(lengths.1));
        let limit = angles.changes_beyond().unwrap_or(usize::MAX);
        let (at_short, at_long) = (angles.at(short), angles.at(long));
        if long <= limit {
            prop_assert_eq!(&*at_long, angles.trained());
        } else {
            prop_assert!(&*at_long != angles.trained());
        }
        let grows = matches!(scaling, RopeScaling::DynamicNtk { .. });
        if short > limit && !grows {
            prop_assert_eq!(&at_short, &at_long);
        }
        for (short, long) in at_short.iter().zip(at_long.iter()) {
            prop_assert!(long <= short);
        }
    }
}
