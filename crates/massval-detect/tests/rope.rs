//! Rotary pairs: what rotation leaves unchanged, and the angles that transformers computes.

use massval_detect::{
    HeadsView, PairLayout, RopeBands, RopeScaling, TokenSelection, channel_norms, pair_energy,
};
use proptest::prelude::*;

/// Rotates every pair of `[heads, seq, head_dim]` by position times its angle.
fn rotate(data: &mut [f32], seq: usize, bands: &RopeBands) {
    for (row, values) in data.chunks_exact_mut(bands.head_dim()).enumerate() {
        let position = (row % seq) as f64;
        for (pair, angle) in bands.inv_freq().iter().enumerate() {
            let (a, b) = bands.channels(pair).expect("a pair");
            let (sin, cos) = (position * angle).sin_cos();
            let (x, y) = (f64::from(values[a]), f64::from(values[b]));
            values[a] = (x * cos - y * sin) as f32;
            values[b] = (y * cos + x * sin) as f32;
        }
    }
}

proptest! {
    #[test]
    fn rotation_keeps_the_energy_of_a_pair(
        heads in 1usize..4,
        seq in 1usize..20,
        pairs in 1usize..8,
        still in 0usize..5,
        interleaved in any::<bool>(),
        values in prop::collection::vec(-9f32..9.0, 4 * 20 * 21),
    ) {
        let layout = if interleaved { PairLayout::Interleaved } else { PairLayout::HalfSplit };
        let head_dim = 2 * pairs + still;
        let bands = RopeBands::new(head_dim, 2 * pairs, 10_000.0, layout).expect("valid");
        let mut data = values[..heads * seq * head_dim].to_vec();
        let norms = |data: &[f32]| {
            let view = HeadsView::contiguous(data, [1, heads, seq, head_dim]).expect("valid");
            channel_norms(&view, &TokenSelection::all()).expect("tokens")
        };
        let before = norms(&data);
        rotate(&mut data, seq, &bands);
        let after = norms(&data);
        let energies = pair_energy(&before, &bands).expect("same size");
        prop_assert_eq!(energies.dim(), (heads, pairs));
        for (a, b) in energies.iter().zip(&pair_energy(&after, &bands).expect("same size")) {
            prop_assert!((a - b).abs() <= 1e-5 * a.max(1.0), "{} and {}", a, b);
        }
        for head in 0..heads {
            for channel in 2 * pairs..head_dim {
                prop_assert_eq!(before.get(head, channel), after.get(head, channel));
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct Golden {
    scaling: RopeScaling,
    rotary_dim: usize,
    theta: f64,
    seq_len: usize,
    inv_freq: Vec<f64>,
}

/// `goldens/rope.py` made the file; transformers computes in `f32`.
#[test]
fn scaled_angles_equal_those_of_transformers() {
    let cases: Vec<Golden> = serde_json::from_str(include_str!("goldens/rope.json")).expect("json");
    assert_eq!(cases.len(), 9);
    for case in cases {
        let found =
            case.scaling.inv_freq(case.rotary_dim, case.theta, case.seq_len).expect("valid");
        assert_eq!(found.len(), case.inv_freq.len());
        for (pair, (found, expected)) in found.iter().zip(&case.inv_freq).enumerate() {
            let error = (found - expected).abs() / expected;
            assert!(error < 2e-6, "{:?}, pair {pair}: {found} for {expected}", case.scaling);
        }
    }
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
fn scalings_round_trip_as_json_and_refuse_nonsense() {
    let yarn = RopeScaling::Yarn {
        factor: 4.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
        original_max_position: 4096,
        truncate: true,
    };
    let json = serde_json::to_string(&yarn).expect("json");
    assert_eq!(serde_json::from_str::<RopeScaling>(&json).expect("json"), yarn);
    let llama3 = |low_freq_factor, high_freq_factor| RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor,
        high_freq_factor,
        original_max_position: 8192,
    };
    for bad in [
        RopeScaling::Linear { factor: 0.0 },
        RopeScaling::Ntk { factor: f64::NAN },
        RopeScaling::DynamicNtk { factor: 2.0, max_position: 0 },
        llama3(4.0, 4.0),
        RopeScaling::Longrope {
            short_factor: vec![1.0; 3],
            long_factor: vec![1.0; 4],
            original_max_position: 16,
        },
    ] {
        assert!(bad.inv_freq(8, 10_000.0, 8).is_err(), "{bad:?}");
    }
    assert!(RopeScaling::Ntk { factor: 2.0 }.inv_freq(2, 10_000.0, 8).is_err());
    assert!(llama3(1.0, 4.0).inv_freq(0, 10_000.0, 8).is_err());
}
