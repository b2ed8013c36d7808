//! The search against a plain one over activations in `f64`.

use proptest::prelude::*;

use super::*;
use crate::stats::{ChannelAccumulator, HessianAccumulator};
use crate::{Bits, Granularity};

const WIDTH: usize = 16;

fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let value = |i: usize| {
        let bits = (seed | 1).wrapping_mul(i as u64 + 11).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (bits >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(value).collect()
}

fn activations(seed: u64) -> Vec<f32> {
    let mut rows = numbers(seed, WIDTH * 50);
    rows.iter_mut().skip(3).step_by(WIDTH).for_each(|x| *x *= 30.0);
    rows
}

fn stats(rows: &[f32]) -> Result<(Hessian, Vec<f32>)> {
    let mut hessian = HessianAccumulator::new("w", WIDTH)?;
    hessian.push(rows)?;
    let mut channels = ChannelAccumulator::new("w", WIDTH)?;
    channels.push(rows)?;
    Ok((hessian.finish()?, channels.finish()?.abs_mean().to_vec()))
}

fn outputs(x: &[f32], weight: &[f32]) -> Vec<f64> {
    let dot = |w: &[f32]| w.iter().zip(x).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    weight.chunks_exact(WIDTH).map(dot).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn losses_are_mean_squared_errors_of_outputs(
        seed in any::<u64>(), duo in any::<bool>(),
        other in proptest::sample::select(vec![Bits::Three, Bits::Eight]),
    ) {
        let (a, b) = (numbers(seed ^ 1, WIDTH * 6), numbers(seed ^ 2, WIDTH * 2));
        let weights = [Weight::new("a", [6, WIDTH], &a)?, Weight::new("b", [2, WIDTH], &b)?];
        let rows = activations(seed);
        let (hessian, abs_mean) = stats(&rows)?;
        let granularity = Granularity::group(8)?;
        let schemes = [Bits::Three, other].map(|bits| WeightScheme::new(bits, granularity));
        let options = AwqOptions { ratios: 5, duo, keep_unscaled: true };
        let plain = |_: &[f32], rounded: &[Vec<f32>]| {
            let (mut sum, mut count) = (0.0, 0);
            for x in rows.chunks_exact(WIDTH) {
                for (weight, rounded) in weights.iter().zip(rounded) {
                    for (a, b) in outputs(x, weight.values()).iter().zip(outputs(x, rounded)) {
                        sum += (a - b).powi(2);
                        count += 1;
                    }
                }
            }
            Ok(sum / f64::from(count))
        };
        let ties = ChannelTies::Free;
        let found = search_scales(&weights, &hessian, &abs_mean, &schemes, ties, &options)?;
        let slow = search_scales_with(&weights, &abs_mean, &schemes, ties, &options, plain)?;
        for (a, b) in found.losses.iter().zip(&slow.losses) {
            prop_assert!((a - b).abs() <= 1e-4 * b);
        }
        prop_assert!(found.loss <= found.unscaled_loss);
        let least = found.losses.iter().copied().fold(found.unscaled_loss, f64::min);
        prop_assert_eq!(found.loss, least);
        // Close losses may be told apart differently; the one chosen must be as good.
        prop_assert!(found.loss <= slow.loss * (1.0 + 1e-4));
    }

    #[test]
    fn the_largest_times_the_smallest_scale_is_one(seed in any::<u64>(), ratio in 0.0f32..1.0) {
        let x: Vec<f32> = numbers(seed, 20).iter().map(|x| x.abs() * 40.0).collect();
        let w: Vec<f32> = numbers(seed ^ 5, 20).iter().map(|x| x.abs()).collect();
        let scales = scales_at(ratio, &x, Some(&w));
        let largest = scales.iter().copied().fold(0.0, f32::max);
        let smallest = scales.iter().copied().fold(f32::MAX, f32::min);
        prop_assert!((largest * smallest - 1.0).abs() < 1e-4);
    }
}

#[test]
fn a_channel_with_large_inputs_is_scaled_up_and_the_loss_falls() -> Result<()> {
    let values = numbers(9, WIDTH * 12);
    let weights = [Weight::new("w", [12, WIDTH], &values)?];
    let (hessian, abs_mean) = stats(&activations(4))?;
    let schemes = [WeightScheme::new(Bits::Three, Granularity::Channel).asymmetric()];
    let options = AwqOptions::default();
    let ties = ChannelTies::Free;
    let found = search_scales(&weights, &hessian, &abs_mean, &schemes, ties, &options)?;
    assert!(found.loss < 0.5 * found.unscaled_loss, "{found:?}");
    let largest = found.scales.iter().copied().fold(0.0, f32::max);
    assert_eq!((found.scales[3], found.losses.len()), (largest, 20));
    Ok(())
}

#[test]
fn tied_channels_get_one_scale() -> Result<()> {
    let values = numbers(21, WIDTH * 4);
    let weights = [Weight::new("o", [4, WIDTH], &values)?];
    let (hessian, abs_mean) = stats(&activations(8))?;
    let schemes = [WeightScheme::new(Bits::Two, Granularity::group(4)?)];
    let ties = ChannelTies::Heads { kv_heads: 2, repeats: 2, head_dim: 4 };
    let options = AwqOptions { keep_unscaled: false, ..AwqOptions::default() };
    let found = search_scales(&weights, &hessian, &abs_mean, &schemes, ties, &options)?;
    assert_eq!((found.shared.len(), found.scales.len()), (8, WIDTH));
    for input in 0..WIDTH {
        assert_eq!(found.scales[input], found.shared[ties.scale_of(input)]);
    }
    assert!(found.ratio.is_some());
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let values = numbers(1, WIDTH * 2);
    let weights = [Weight::new("w", [2, WIDTH], &values)?];
    let (hessian, abs_mean) = stats(&activations(1))?;
    let scheme = WeightScheme::new(Bits::Four, Granularity::Channel);
    let search = |weights: &[Weight<'_>], abs_mean: &[f32], scheme: &WeightScheme, ratios: u16| {
        let options = AwqOptions { ratios, ..AwqOptions::default() };
        let schemes = vec![*scheme; weights.len()];
        search_scales(weights, &hessian, abs_mean, &schemes, ChannelTies::Free, &options)
    };
    assert!(search(&weights, &abs_mean, &scheme, 1).is_ok());
    assert!(search(&[], &abs_mean, &scheme, 1).is_err());
    assert!(search(&weights, &abs_mean[1..], &scheme, 1).is_err());
    assert!(search(&weights, &[f32::NAN; WIDTH], &scheme, 1).is_err());
    assert!(search(&weights, &abs_mean, &scheme, 0).is_err());
    let groups = WeightScheme::new(Bits::Four, Granularity::group(5)?);
    assert!(matches!(search(&weights, &abs_mean, &groups, 1), Err(Error::Group { .. })));
    let narrow = [Weight::new("w", [4, WIDTH / 2], &values)?];
    assert!(search(&narrow, &abs_mean[..WIDTH / 2], &scheme, 1).is_err());
    let (ties, options) = (ChannelTies::Free, AwqOptions::default());
    assert!(search_scales(&weights, &hessian, &abs_mean, &[scheme; 2], ties, &options).is_err());
    Ok(())
}
