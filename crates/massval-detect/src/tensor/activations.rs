//! Massive activations of burn tensors.
//!
//! Where host and device share memory the exact host path reads the tensor. Elsewhere three small things
//! come back: the largest value of each token, one count for each step of a bisection for the median, and
//! the rows of those few tokens that hold a massive activation. The bisection runs over bit patterns, which
//! order as the absolute values do, and so ends at the exact median after at most 31 steps.

use burn::tensor::{Bool, DType, Int, Tensor, TensorData};

use super::{failed, is_host, read};
use crate::activations::{
    HiddenView, Hit, MassiveActivationRule, SequenceRecord, locate, start_columns,
};
use crate::{Error, Result, TokenSelection};

/// Rows that are read back at a time.
const ROWS: usize = 256;
/// Massive activations that are kept of one sequence, as on the host.
const LIMIT: usize = 1 << 20;

/// Finds the massive activations of every sequence of `x`, `[batch, seq, d_model]`; one record for each.
///
/// The result equals that of [`locate`] on the same values as `f32`.
///
/// # Errors
/// As [`locate`], and [`Error::Device`] if the device fails.
pub fn locate_tensor(
    x: Tensor<3>,
    tokens: &TokenSelection,
    rule: MassiveActivationRule,
) -> Result<Vec<SequenceRecord>> {
    rule.validate()?;
    let x = x.detach().cast(DType::F32);
    if is_host(&x.device()) { on_host(x, tokens, rule) } else { on_device(x, tokens, rule) }
}

fn on_host(
    x: Tensor<3>,
    tokens: &TokenSelection,
    rule: MassiveActivationRule,
) -> Result<Vec<SequenceRecord>> {
    let shape = x.dims();
    let data = read(x)?;
    locate(&HiddenView::new(&data, shape)?, tokens, rule)
}

fn on_device(
    x: Tensor<3>,
    tokens: &TokenSelection,
    rule: MassiveActivationRule,
) -> Result<Vec<SequenceRecord>> {
    let [batch, seq, d_model] = x.dims();
    let starts = start_columns(tokens, batch, seq)?;
    let mut selected = vec![false; batch * seq];
    for run in tokens.runs(0, batch, seq)? {
        selected[run.sequence * seq..][run.columns].fill(true);
    }
    let counts: Vec<u64> = selected
        .chunks(seq.max(1))
        .map(|row| row.iter().filter(|&&real| real).count() as u64)
        .collect();
    if d_model == 0 || counts.len() < batch || counts.contains(&0) {
        // Nothing to compute: the host path says what is missing.
        return on_host(x, tokens, rule);
    }
    let dropped: Vec<bool> = selected.iter().map(|real| !real).collect();
    let dropped =
        Tensor::<3, Bool>::from_data(TensorData::new(dropped, [batch, seq, 1]), &x.device());
    let dropped = dropped.expand([batch, seq, d_model]);
    let real = x.clone().mask_fill(dropped.clone(), 0.0);
    if integers(real.clone().is_finite().bool_not().int().sum().unsqueeze())?.iter().any(|&n| n > 0)
    {
        // The host path finds out where.
        return on_host(x, tokens, rule);
    }
    let magnitudes = real.abs();
    let largest = read(magnitudes.clone().max_dim(2))?;
    // Tokens that do not count are below every threshold; they are subtracted again.
    let flat = magnitudes.mask_fill(dropped, -1.0).reshape([batch, seq * d_model]);
    let medians = medians(flat, &largest, &counts, [batch, seq, d_model])?;

    let mut records: Vec<SequenceRecord> = Vec::with_capacity(batch);
    let mut rows = Vec::new();
    for (sequence, &median) in medians.iter().enumerate() {
        let largest = &largest[sequence * seq..][..seq];
        rows.extend(
            (0..seq).filter(|&t| rule.hits(largest[t], median)).map(|t| sequence * seq + t),
        );
        let max = largest.iter().copied().fold(0.0, f32::max);
        records.push(SequenceRecord { tokens: counts[sequence], max, median, hits: Vec::new() });
    }
    let all = x.reshape([batch * seq, d_model]);
    for rows in rows.chunks(ROWS) {
        let index: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let index =
            Tensor::<1, Int>::from_data(TensorData::new(index, [rows.len()]), &all.device());
        let values = read(all.clone().select(0, index))?;
        for (&row, values) in rows.iter().zip(values.chunks_exact(d_model)) {
            let (record, token) = (&mut records[row / seq], row % seq);
            let start = starts[row / seq] == Some(token);
            let hits =
                values.iter().enumerate().filter(|(_, value)| rule.hits(**value, record.median));
            let hits: Vec<Hit> =
                hits.map(|(channel, &value)| Hit { token, channel, value, start }).collect();
            record.hits.extend(hits);
            if record.hits.len() > LIMIT {
                return Err(Error::TooManyHits { limit: LIMIT });
            }
        }
    }
    Ok(records)
}

/// The exact lower median of each row of `flat`, `[batch, seq * d_model]`.
fn medians(
    flat: Tensor<2>,
    largest: &[f32],
    counts: &[u64],
    shape: [usize; 3],
) -> Result<Vec<f32>> {
    let [batch, seq, d_model] = shape;
    let mut low = vec![0u32; batch];
    let mut high: Vec<u32> = largest
        .chunks_exact(seq)
        .map(|row| row.iter().copied().fold(0.0, f32::max).to_bits())
        .collect();
    // How many values at or below the median there must be, tokens that do not count included.
    let wanted: Vec<u64> = counts
        .iter()
        .map(|&count| {
            let (values, all) = (count * d_model as u64, (seq * d_model) as u64);
            values.div_ceil(2) + all - values
        })
        .collect();
    while low != high {
        let middle: Vec<u32> =
            low.iter().zip(&high).map(|(&low, &high)| low + (high - low) / 2).collect();
        let thresholds: Vec<f32> = middle.iter().copied().map(f32::from_bits).collect();
        let thresholds =
            Tensor::<2>::from_data(TensorData::new(thresholds, [batch, 1]), &flat.device());
        let below = flat.clone().lower_equal(thresholds.expand([batch, seq * d_model]));
        let below = integers(below.int().sum_dim(1))?;
        for sequence in 0..batch {
            if below[sequence] >= wanted[sequence] {
                high[sequence] = middle[sequence];
            } else if low[sequence] < high[sequence] {
                low[sequence] = middle[sequence] + 1;
            }
        }
    }
    Ok(low.into_iter().map(f32::from_bits).collect())
}

/// Reads counts back.
fn integers(tensor: Tensor<2, Int>) -> Result<Vec<u64>> {
    let values = tensor.try_into_vec_as::<i64>().map_err(failed)?;
    Ok(values.into_iter().map(|value| value.max(0) as u64).collect())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_device_path_finds_what_the_host_finds() -> Result<()> {
        let shape = [3, 5, 7];
        let mut data: Vec<f32> = (0..105).map(|i| ((i * 37 % 101) as f32 - 50.0) / 640.0).collect();
        for (at, value) in [(0, -900.0), (9, 350.5), (36, 120.0), (72, 2000.0), (104, 101.0)] {
            data[at] = value;
        }
        let mut mask = [true; 15];
        (mask[0], mask[9], mask[14]) = (false, false, false);
        let rule = MassiveActivationRule::default();
        for tokens in [
            TokenSelection::all(),
            TokenSelection::all().mask(&mask),
            TokenSelection::all().range(1..4).mask(&mask),
        ] {
            let x =
                Tensor::<3>::from_data(TensorData::new(data.clone(), shape), &Device::default());
            let expected = locate(&HiddenView::new(&data, shape)?, &tokens, rule)?;
            assert_eq!(on_device(x.clone(), &tokens, rule)?, expected);
            assert_eq!(locate_tensor(x, &tokens, rule)?, expected);
        }
        Ok(())
    }

    #[test]
    fn bad_input_is_named_as_on_the_host() {
        let rule = MassiveActivationRule::default();
        let mut data = vec![0.1f32; 12];
        data[7] = f32::NAN;
        let x = Tensor::<3>::from_data(TensorData::new(data, [1, 3, 4]), &Device::default());
        let error = on_device(x.clone(), &TokenSelection::all(), rule).unwrap_err();
        assert_eq!(error, Error::NonFiniteActivation { sequence: 0, token: 1, channel: 3 });
        assert!(on_device(x.clone(), &TokenSelection::all().range(2..), rule).is_ok());
        assert_eq!(on_device(x, &TokenSelection::all().skip_first(3), rule), Err(Error::NoTokens));
    }
}
