//! GPTQ against the algorithm written plainly in `f64`.

use proptest::prelude::*;

use super::*;
use crate::stats::HessianAccumulator;
use crate::{Bits, Grid, rtn};

fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let value = |i: usize| {
        let bits = (seed | 1).wrapping_mul(i as u64 + 5).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (bits >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(value).collect()
}

/// Activations that depend on each other, one channel of them dead.
fn activations(seed: u64, width: usize, tokens: usize) -> Vec<f32> {
    let mut rows = numbers(seed, width * tokens);
    for row in rows.chunks_exact_mut(width) {
        for i in 1..width {
            row[i] += 0.8 * row[i - 1];
        }
        row[width / 2] = 0.0;
        row[width / 3] *= 5.0;
    }
    rows
}

fn hessian(rows: &[f32], width: usize) -> Result<Hessian> {
    let mut seen = HessianAccumulator::new("w", width)?;
    seen.push(rows)?;
    seen.finish()
}

/// The inverse of a symmetric positive matrix, by Gauss and Jordan.
fn inverse(mut a: Vec<f64>, n: usize) -> Vec<f64> {
    let mut b: Vec<f64> = (0..n * n).map(|i| f64::from(u8::from(i / n == i % n))).collect();
    for pivot in 0..n {
        let by = a[pivot * n + pivot];
        for k in 0..n {
            a[pivot * n + k] /= by;
            b[pivot * n + k] /= by;
        }
        for row in (0..n).filter(|&row| row != pivot) {
            let factor = a[row * n + pivot];
            for k in 0..n {
                a[row * n + k] -= factor * a[pivot * n + k];
                b[row * n + k] -= factor * b[pivot * n + k];
            }
        }
    }
    b
}

struct Plain {
    codes: Vec<u8>,
    values: Vec<f64>,
    loss: f64,
    /// The least distance of a weight from the middle between two codes, in steps.
    margin: f64,
}

/// Optimal brain quantization with a fixed order: each column's error goes to the columns not yet rounded by
/// the inverse of *their* Hessian, computed anew for each column (GPTQ, Eq. 2).
fn plain(weight: &[f32], hessian: &Hessian, scheme: &WeightScheme, options: &GptqOptions) -> Plain {
    let n = hessian.width();
    let diagonal: Vec<f64> = hessian.diagonal().map(f64::from).collect();
    let live = diagonal.iter().filter(|&&d| d > 0.0).count();
    let mean = diagonal.iter().sum::<f64>() / live as f64;
    let mut order: Vec<usize> = (0..n).collect();
    if options.order == ColumnOrder::Activation {
        order.sort_by(|&a, &b| diagonal[b].total_cmp(&diagonal[a]));
    }
    let entry = |i: usize, j: usize| {
        let value = f64::from(hessian.values()[order[i] * n + order[j]]);
        let dead = if value == 0.0 { mean } else { value };
        if i == j { dead + options.damping * mean } else { value }
    };
    let length = scheme.granularity.length("w", n).expect("divides");
    let mut result = Plain {
        codes: vec![0; weight.len()],
        values: vec![0.0; weight.len()],
        loss: 0.0,
        margin: 1.0,
    };
    for (output, row) in weight.chunks_exact(n).enumerate() {
        let start: Vec<f32> =
            row.iter().zip(&diagonal).map(|(&w, &d)| if d == 0.0 { 0.0 } else { w }).collect();
        let mut w: Vec<f64> = order.iter().map(|&i| start[i].into()).collect();
        let mut grid = Grid::fit(&start, scheme).expect("small values");
        for j in 0..n {
            if options.static_groups {
                let group = order[j] / length * length;
                grid = Grid::fit(&start[group..group + length], scheme).expect("small values");
            } else if j % length == 0 {
                let group: Vec<f32> = w[j..j + length].iter().map(|&x| x as f32).collect();
                grid = Grid::fit(&group, scheme).expect("small values");
            }
            let (scale, zero) = (f64::from(grid.scale()), f64::from(grid.zero()));
            let exact = w[j] / scale + zero;
            let max = f64::from(scheme.bits.max_code());
            if (0.0..max).contains(&exact) {
                result.margin = result.margin.min((exact.fract() - 0.5).abs());
            }
            let code = (w[j] / scale).round_ties_even() + zero;
            let code = code.clamp(0.0, max);
            let q = scale * (code - zero);
            let rest = n - j;
            let block = (0..rest * rest).map(|i| entry(j + i / rest, j + i % rest)).collect();
            let inverse = inverse(block, rest);
            for k in j..n {
                w[k] -= (w[j] - q) / inverse[0] * inverse[k - j] * f64::from(u8::from(k > j));
            }
            result.loss += (w[j] - q).powi(2) / inverse[0];
            result.codes[output * n + order[j]] = code as u8;
            result.values[output * n + order[j]] = q;
        }
    }
    result
}

fn schemes() -> impl Strategy<Value = (WeightScheme, usize)> {
    let bits = proptest::sample::select(vec![Bits::Two, Bits::Three, Bits::Four]);
    (bits, 0usize..4, any::<bool>(), any::<bool>()).prop_map(
        |(bits, kind, asymmetric, searched)| {
            let length = [12, 6, 4, 3][kind];
            let granularity = match length {
                12 => Granularity::Channel,
                _ => Granularity::group(length).expect("not 0"),
            };
            let scheme = WeightScheme::new(bits, granularity);
            let scheme = if asymmetric { scheme.asymmetric() } else { scheme };
            (if searched { scheme.searched() } else { scheme }, length)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn codes_and_loss_are_those_of_the_plain_algorithm(
        (scheme, _) in schemes(), seed in any::<u64>(), outputs in 1usize..20, block in 1usize..20,
        activation in any::<bool>(), static_groups in any::<bool>(),
    ) {
        let width = 12;
        let values = numbers(seed ^ 3, width * outputs);
        let weight = Weight::new("w", [outputs, width], &values)?;
        let hessian = hessian(&activations(seed, width, 40), width)?;
        let order = if activation { ColumnOrder::Activation } else { ColumnOrder::Natural };
        let options = GptqOptions { block, order, static_groups, ..GptqOptions::default() };
        let found = gptq(&weight, &hessian, &scheme, &options)?;
        let plain = plain(&values, &hessian, &scheme, &options);
        prop_assume!(plain.margin > 1e-7);
        prop_assert_eq!(found.linear.codes(), &plain.codes[..]);
        prop_assert!((found.report.loss - plain.loss).abs() <= 1e-6 * plain.loss);
        for (a, b) in found.linear.dequantize().iter().zip(&plain.values) {
            prop_assert!((f64::from(*a) - b).abs() <= 1e-6);
        }
        prop_assert_eq!(found.report.dead_inputs, 1);
    }

    #[test]
    fn the_loss_is_the_damped_error_of_the_outputs(
        (scheme, _) in schemes(), seed in any::<u64>(), damping in 0.001f64..0.5,
    ) {
        let (width, outputs) = (12, 5);
        let values = numbers(seed, width * outputs);
        let weight = Weight::new("w", [outputs, width], &values)?;
        let hessian = hessian(&activations(seed ^ 8, width, 30), width)?;
        let options = GptqOptions { damping, ..GptqOptions::default() };
        let report = gptq(&weight, &hessian, &scheme, &options)?.report;
        let linear = gptq(&weight, &hessian, &scheme, &options)?.linear;
        let mean = hessian.diagonal().map(f64::from).sum::<f64>() / (width - 1) as f64;
        let mut damped = 0.0;
        for (at, (q, w)) in linear.dequantize().iter().zip(&values).enumerate() {
            // A dead input's weight is zero before the sweep begins.
            if at % width != width / 2 {
                damped += damping * mean * f64::from(q - w).powi(2);
            }
        }
        let loss = report.output.error + damped;
        prop_assert!((report.loss - loss).abs() <= 1e-4 * loss, "{} {loss}", report.loss);
    }
}

#[test]
fn the_error_is_below_that_of_rounding_to_nearest() -> Result<()> {
    let (width, outputs) = (96, 40);
    let values = numbers(3, width * outputs);
    let weight = Weight::new("w", [outputs, width], &values)?;
    let hessian = hessian(&activations(7, width, 300), width)?;
    for bits in [Bits::Two, Bits::Three, Bits::Four] {
        let scheme = WeightScheme::new(bits, Granularity::group(32)?).asymmetric();
        let nearest = rtn(&weight, &scheme)?.dequantize();
        let nearest = hessian.output_error(&weight, &nearest)?.relative();
        for order in [ColumnOrder::Natural, ColumnOrder::Activation] {
            for static_groups in [false, true] {
                let options = GptqOptions { order, static_groups, ..GptqOptions::default() };
                let error = gptq(&weight, &hessian, &scheme, &options)?.report.output.relative();
                assert!(error < 0.6 * nearest, "{bits} {options:?}: {error} {nearest}");
            }
        }
    }
    Ok(())
}

#[test]
fn blocks_change_nothing_but_rounding() -> Result<()> {
    let (width, outputs) = (64, 33);
    let values = numbers(5, width * outputs);
    let weight = Weight::new("w", [outputs, width], &values)?;
    let hessian = hessian(&activations(2, width, 200), width)?;
    for length in [4, 16, 64] {
        let scheme = WeightScheme::new(Bits::Four, Granularity::group(length)?);
        let run = |block| {
            let options = GptqOptions { block, ..GptqOptions::default() };
            gptq(&weight, &hessian, &scheme, &options).map(|found| found.linear)
        };
        let whole = run(1024)?;
        for block in [1, 5, 16, 48] {
            assert_eq!(run(block)?, whole, "groups of {length}, blocks of {block}");
        }
    }
    Ok(())
}

#[test]
fn activation_order_comes_with_a_group_index_unless_groups_are_static() -> Result<()> {
    let width = 12;
    let values = numbers(5, width * 3);
    let weight = Weight::new("w", [3, width], &values)?;
    let hessian = hessian(&activations(2, width, 50), width)?;
    let scheme = WeightScheme::new(Bits::Four, Granularity::group(4)?);
    let options = GptqOptions { order: ColumnOrder::Activation, ..GptqOptions::default() };
    let ordered = gptq(&weight, &hessian, &scheme, &options)?.linear;
    let index = ordered.group_index().expect("channels are out of order");
    let diagonal: Vec<f32> = hessian.diagonal().collect();
    for (a, b) in (0..width).flat_map(|a| (0..width).map(move |b| (a, b))) {
        assert!(index[a] >= index[b] || diagonal[a] >= diagonal[b]);
    }
    let fixed = GptqOptions { static_groups: true, ..options };
    assert_eq!(gptq(&weight, &hessian, &scheme, &fixed)?.linear.group_index(), None);
    Ok(())
}

#[test]
fn dead_inputs_are_zeroed_or_rounded() -> Result<()> {
    let width = 12;
    let values = numbers(5, width * 3);
    let weight = Weight::new("w", [3, width], &values)?;
    let hessian = hessian(&activations(2, width, 50), width)?;
    let scheme = WeightScheme::new(Bits::Eight, Granularity::Channel);
    let run = |dead_inputs| {
        let options = GptqOptions { dead_inputs, ..GptqOptions::default() };
        gptq(&weight, &hessian, &scheme, &options).map(|found| found.linear.dequantize())
    };
    let (zeroed, rounded) = (run(DeadInputs::Zero)?, run(DeadInputs::Round)?);
    for at in (width / 2..values.len()).step_by(width) {
        assert_eq!(zeroed[at], 0.0);
        assert!((rounded[at] - values[at]).abs() < 0.01);
    }
    Ok(())
}

#[test]
fn impossible_tasks_are_refused() -> Result<()> {
    let values = numbers(5, 36);
    let weight = Weight::new("w", [3, 12], &values)?;
    let hessian = hessian(&activations(2, 12, 50), 12)?;
    let scheme = WeightScheme::new(Bits::Four, Granularity::group(5)?);
    let options = GptqOptions::default();
    assert!(matches!(gptq(&weight, &hessian, &scheme, &options), Err(Error::Group { .. })));
    for options in [
        GptqOptions { damping: -0.1, ..options },
        GptqOptions { damping: f64::NAN, ..options },
        GptqOptions { block: 0, ..options },
    ] {
        assert!(matches!(GptqSolver::new(&hessian, &options), Err(Error::Parameter { .. })));
    }
    let dead = Hessian::new("w", 12, vec![0.0; 144], 1)?;
    assert!(matches!(GptqSolver::new(&dead, &options), Err(Error::DeadInputs { .. })));
    let narrow = Weight::new("w", [4, 9], &values)?;
    let scheme = WeightScheme::new(Bits::Four, Granularity::Channel);
    assert!(matches!(gptq(&narrow, &hessian, &scheme, &options), Err(Error::Shape { .. })));
    Ok(())
}
