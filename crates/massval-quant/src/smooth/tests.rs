//! Smoothing on numbers small enough to follow.

use super::*;
use crate::activation::int8_weights;
use crate::fold::{NormGain, divide_norm};
use crate::stats::ChannelAccumulator;

fn stats(rows: &[f32], width: usize) -> Result<ChannelStats> {
    let mut seen = ChannelAccumulator::new("w", width)?;
    seen.push(rows)?;
    seen.finish()
}

#[test]
fn scales_are_equation_four() -> Result<()> {
    let (a, b) = ([0.5, -2.0, 0.1, 0.0], [1.0; 4]);
    let weights = [Weight::new("a", [1, 4], &a)?, Weight::new("b", [1, 4], &b)?];
    let stats = stats(&[16.0, -1.0, 0.0, 9.0], 4)?;
    assert_eq!(column_abs_max(&weights)?, [1.0, 2.0, 1.0, 1.0]);
    let scales = smooth_scales(&weights, &stats, Alpha::default())?;
    assert_eq!(scales, [4.0, 1.0 / 2f32.sqrt(), 1.0, 3.0]);
    let all = smooth_scales(&weights, &stats, Alpha::new(1.0)?)?;
    assert_eq!(all, [16.0, 1.0, 1.0, 9.0]);
    Ok(())
}

#[test]
fn smoothing_leaves_float_outputs_and_helps_rounded_ones() -> Result<()> {
    let width = 16;
    let value = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
    let rows: Vec<f32> =
        (0..width * 64).map(|i| if i % width == 5 { 100.0 * value(i) } else { value(i) }).collect();
    let values: Vec<f32> = (0..width * 8).map(|i| value(i + 77)).collect();
    let weights = [Weight::new("w", [8, width], &values)?];
    let stats = stats(&rows, width)?;
    let alphas = [Alpha::new(0.3)?, Alpha::new(0.5)?, Alpha::new(0.8)?];
    let activations = ActivationScheme::per_tensor();
    let found = search_alpha(&weights, &stats, &rows, &alphas, &int8_weights(), &activations)?;
    assert!(found.errors.iter().all(|&error| error < found.unsmoothed / 3.0), "{found:?}");
    let at = alphas.iter().position(|&alpha| alpha == found.best).expect("one of them");
    assert!(found.errors.iter().all(|&error| error >= found.errors[at]));

    // In f64: the norm divided, the columns multiplied.
    let scales = smooth_scales(&weights, &stats, found.best)?;
    let mut norm = vec![1.5f64; width];
    divide_norm("n", NormGain::Weight, &mut norm, None, &scales)?;
    let mut folded: Vec<f64> = values.iter().map(|&x| x.into()).collect();
    multiply_columns("w", &mut folded, &scales)?;
    for x in rows.chunks_exact(width) {
        for (w, f) in values.chunks_exact(width).zip(folded.chunks_exact(width)) {
            let terms = x.iter().zip(w).map(|(&x, &w)| f64::from(x) * 1.5 * f64::from(w));
            let after = x.iter().zip(&norm).zip(f).map(|((&x, n), f)| f64::from(x) * n * f);
            assert!((terms.sum::<f64>() - after.sum::<f64>()).abs() < 1e-10);
        }
    }
    Ok(())
}

#[test]
fn what_does_not_belong_together_is_refused() -> Result<()> {
    let values = [1.0; 6];
    let (three, two) = (Weight::new("a", [2, 3], &values)?, Weight::new("b", [3, 2], &values)?);
    let stats = stats(&[1.0, 2.0, 3.0], 3)?;
    assert!(smooth_scales(&[], &stats, Alpha::default()).is_err());
    assert!(smooth_scales(&[three, two], &stats, Alpha::default()).is_err());
    assert!(smooth_scales(&[two], &stats, Alpha::default()).is_err());
    assert!(Alpha::new(1.1).is_err() && Alpha::new(f32::NAN).is_err());
    let (weights, dynamic) = (int8_weights(), ActivationScheme::per_token());
    let search = |rows: &[f32], alphas: &[Alpha]| {
        search_alpha(&[three], &stats, rows, alphas, &weights, &dynamic)
    };
    assert!(matches!(search(&[], &[Alpha::default()]), Err(Error::NoTokens { .. })));
    assert!(matches!(search(&[1.0; 3], &[]), Err(Error::NoTokens { .. })));
    assert!(search(&[1.0; 4], &[Alpha::default()]).is_err());
    Ok(())
}
