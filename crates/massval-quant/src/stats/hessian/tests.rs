//! Second moments against plain sums in `f64`.

use proptest::prelude::*;

use super::*;

fn rows(width: usize, tokens: usize, seed: u64) -> Vec<f32> {
    let value = |i: usize| {
        let bits = (seed | 1).wrapping_mul(i as u64 + 3).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let uniform = (bits >> 40) as f32 / (1 << 24) as f32 - 0.5;
        // One channel that dwarfs the others, as in real models.
        if i.is_multiple_of(width) { 200.0 * uniform + 90.0 } else { uniform }
    };
    (0..width * tokens).map(value).collect()
}

fn plain(rows: &[f32], width: usize) -> Vec<f64> {
    let mut sums = vec![0.0; width * width];
    for row in rows.chunks_exact(width) {
        for i in 0..width {
            for j in 0..width {
                sums[i * width + j] += f64::from(row[i]) * f64::from(row[j]);
            }
        }
    }
    let tokens = (rows.len() / width) as f64;
    sums.iter().map(|sum| sum / tokens).collect()
}

proptest! {
    #[test]
    fn streamed_moments_are_the_plain_ones(
        width in 1usize..40, tokens in 1usize..200, piece in 1usize..64, seed in any::<u64>(),
    ) {
        let rows = rows(width, tokens, seed);
        let mut seen = HessianAccumulator::new("w", width)?;
        let mut rest = seen.clone();
        for (i, rows) in rows.chunks(piece * width).enumerate() {
            if i % 2 == 0 { seen.push(rows)? } else { rest.push(rows)? }
        }
        seen.merge(&rest)?;
        let hessian = seen.finish()?;
        prop_assert_eq!(hessian.tokens(), tokens as u64);
        let plain = plain(&rows, width);
        for i in 0..width {
            for j in 0..width {
                let scale = (plain[i * width + i] * plain[j * width + j]).sqrt();
                let wrong = f64::from(hessian.values()[i * width + j]) - plain[i * width + j];
                prop_assert!(wrong.abs() <= 2e-6 * scale, "{i} {j}: {wrong} of {scale}");
            }
        }
    }

    #[test]
    fn an_error_is_that_of_the_outputs(
        width in 1usize..20, outputs in 1usize..6, tokens in 1usize..60, seed in any::<u64>(),
    ) {
        let x = rows(width, tokens, seed);
        let change: Vec<f32> = rows(width, outputs, seed ^ 99).iter().map(|v| v / 100.0).collect();
        let mut seen = HessianAccumulator::new("w", width)?;
        seen.push(&x)?;
        let errors = seen.finish()?.row_errors(&change)?;
        for (change, error) in change.chunks_exact(width).zip(errors) {
            let output = |x: &[f32]| -> f64 {
                x.iter().zip(change).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let plain = x.chunks_exact(width).map(|x| output(x).powi(2)).sum::<f64>();
            let plain = plain / tokens as f64;
            // Terms cancel: the error is compared with the largest of them.
            let size = |x: &[f32]| -> f64 {
                x.iter().zip(change).map(|(a, b)| f64::from((a * b).abs())).sum()
            };
            let scale = x.chunks_exact(width).map(|x| size(x).powi(2)).sum::<f64>();
            prop_assert!((error - plain).abs() <= 1e-5 * scale / tokens as f64);
        }
    }

    #[test]
    fn dividing_channels_is_dividing_activations(width in 1usize..20, seed in any::<u64>()) {
        let x = rows(width, 30, seed);
        let scales: Vec<f32> = (0..width).map(|i| 0.5 + i as f32).collect();
        let scaled: Vec<f32> =
            x.iter().enumerate().map(|(i, x)| x / scales[i % width]).collect();
        let mut seen = HessianAccumulator::new("w", width)?;
        seen.push(&x)?;
        let divided = seen.finish()?.divided(&scales)?;
        for (at, plain) in plain(&scaled, width).into_iter().enumerate() {
            let (i, j) = (at / width, at % width);
            let size = divided.values()[i * width + i] * divided.values()[j * width + j];
            let wrong = f64::from(divided.values()[at]) - plain;
            prop_assert!(wrong.abs() <= 1e-5 * f64::from(size.sqrt()));
        }
    }
}

#[test]
fn what_cannot_be_a_hessian_is_refused() -> Result<()> {
    let new = |values: [f32; 4], tokens| Hessian::new("w", 2, values.to_vec(), tokens);
    assert!(new([1.0, 2.0, 2.0, 4.0], 1).is_ok());
    assert_eq!(new([1.0; 4], 0), Err(Error::NoTokens { tensor: "w".into() }));
    let wrong = new([1.0, 2.0, 2.0, f32::NAN], 1).expect_err("not finite");
    assert!(matches!(wrong, Error::NonFiniteStatistic { channel: 1, .. }));
    assert!(new([1.0, 2.0, 3.0, 4.0], 1).is_err());
    assert!(new([1.0, 0.0, 0.0, -1.0], 1).is_err());
    assert!(Hessian::new("w", 3, vec![0.0; 4], 1).is_err());
    assert!(HessianAccumulator::new("w", usize::MAX).is_err());
    let empty = HessianAccumulator::new("w", 4)?;
    assert_eq!(empty.finish(), Err(Error::NoTokens { tensor: "w".into() }));
    let mut large = HessianAccumulator::new("w", 1)?;
    large.push(&[1e30, 1e30])?;
    assert!(matches!(large.finish(), Err(Error::NonFiniteStatistic { .. })));
    Ok(())
}
