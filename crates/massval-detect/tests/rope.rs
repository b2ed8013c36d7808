//! Rotary pairs: what rotation leaves unchanged, and the bands of any angles.

use massval_detect::{
    FrequencyHalf, HeadsView, PairLayout, RopeBands, TokenSelection, channel_norms, pair_energy,
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

    /// Every channel's band says what the angles say, in whatever order a scaling left them.
    #[test]
    fn bands_follow_the_angles(
        angles in prop::collection::vec(prop_oneof![Just(0.0), Just(0.5), 1e-6..1.0], 1..20),
        still in 0usize..5,
        interleaved in any::<bool>(),
    ) {
        let layout = if interleaved { PairLayout::Interleaved } else { PairLayout::HalfSplit };
        let head_dim = 2 * angles.len() + still;
        let bands = RopeBands::from_inv_freq(head_dim, angles.clone(), layout).expect("valid");
        let turning = angles.iter().filter(|angle| **angle > 0.0).count();
        for channel in 0..head_dim {
            let pair = match layout {
                PairLayout::HalfSplit => channel % angles.len(),
                PairLayout::Interleaved => channel / 2,
            };
            let Some(band) = bands.band(channel) else {
                prop_assert!(channel >= 2 * angles.len());
                continue;
            };
            prop_assert_eq!((band.pair, band.inv_freq), (pair, angles[pair]));
            if angles[pair] > 0.0 {
                prop_assert!((band.period_tokens * angles[pair] - std::f64::consts::TAU).abs() < 1e-9);
            } else {
                prop_assert!(band.period_tokens.is_infinite());
            }
            // Of pairs with the same angle the first counts as the faster one.
            let faster = (0..angles.len())
                .filter(|&p| angles[p] > angles[pair] || (angles[p] == angles[pair] && p < pair))
                .count();
            let high = angles[pair] > 0.0 && faster < turning / 2;
            let half = if high { FrequencyHalf::High } else { FrequencyHalf::Low };
            prop_assert_eq!(band.half, half);
        }
    }
}
