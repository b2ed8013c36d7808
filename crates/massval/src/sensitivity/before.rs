//! What a text shows of layers and linears before anything is quantized.

use std::collections::BTreeMap;

use massval_detect::{ChannelNorms, Criterion};
use massval_eval::TextWindow;
use massval_hooks::Site;
use massval_models::{Batch, Decoder, LinearAt, LinearGroup, LinearRole};
use massval_quant::{Weight, WeightScheme, rtn};
use massval_report::schema::Predictors;

use super::SensitivityOptions;
use super::unit::Unit;
use crate::Result;
use crate::surviving::attention_norms;

/// Fills in what is known of each unit.
pub(super) fn foretell(
    decoder: &Decoder,
    windows: &[TextWindow],
    options: &SensitivityOptions,
    criterion: &Criterion,
    units: &mut [Unit],
) -> Result<()> {
    let norms = norms(decoder, windows)?;
    let linears = linears(decoder, windows, &options.scheme)?;
    for unit in units {
        let mut before = Predictors::default();
        let of_unit = || unit.linears.iter().filter_map(|at| linears.get(at));
        let count = of_unit().count().max(1) as f64;
        before.kurtosis = of_unit().map(|linear| linear.kurtosis).fold(0.0, f64::max);
        before.weight_range = of_unit().map(|linear| linear.range).sum::<f64>() / count;
        before.output_error = of_unit().map(|linear| linear.error).sum::<f64>() / count;
        let own: Vec<&ChannelNorms> = [LinearRole::Q, LinearRole::K]
            .into_iter()
            .filter(|&role| unit.has(role))
            .filter_map(|role| norms.get(&(unit.layer, role)))
            .collect();
        if !own.is_empty() {
            let massive: Vec<(f64, f64)> =
                own.iter().map(|norms| share(norms, criterion)).collect();
            before.massive_values = Some(massive.iter().map(|(count, _)| count).sum());
            before.massive_share =
                Some(massive.iter().map(|(_, share)| share).sum::<f64>() / own.len() as f64);
        }
        unit.shown.before = before;
    }
    Ok(())
}

/// How many massive values there are, and what share of the squared norm they hold.
fn share(norms: &ChannelNorms, criterion: &Criterion) -> (f64, f64) {
    let massive = criterion.find(norms);
    let square = |norm: f32| f64::from(norm).powi(2);
    let all: f64 = (0..norms.heads())
        .filter_map(|head| norms.head(head))
        .flat_map(|head| head.iter().map(|&norm| square(norm)))
        .sum();
    // A sum of nothing is -0.
    let held: f64 = 0.0 + massive.iter().map(|value| square(value.norm)).sum::<f64>();
    (massive.len() as f64, if all > 0.0 { (held / all).min(1.0) } else { 0.0 })
}

/// Norms of Q and K in every layer.
fn norms(
    decoder: &Decoder,
    windows: &[TextWindow],
) -> Result<BTreeMap<(usize, LinearRole), ChannelNorms>> {
    let role = |site| match site {
        Site::Q | Site::RotQ => LinearRole::Q,
        _ => LinearRole::K,
    };
    let norms = attention_norms(decoder, windows)?.into_iter();
    Ok(norms.map(|(at, norms)| ((at.layer.unwrap_or_default(), role(at.site)), norms)).collect())
}

/// What is known of a linear.
struct Known {
    kurtosis: f64,
    range: f64,
    error: f64,
}

/// Of every linear that the text reaches.
fn linears(
    decoder: &Decoder,
    windows: &[TextWindow],
    scheme: &WeightScheme,
) -> Result<BTreeMap<LinearAt, Known>> {
    let sequences = windows.iter().map(|window| Batch::single(&window.tokens));
    let mut walk = decoder.walk(sequences.collect::<Result<_, _>>()?)?;
    let mut known = BTreeMap::new();
    let experts = decoder.config().linears().into_iter().filter(|at| at.expert.is_some()).count();
    while walk.enter()? {
        while let Some(group) = walk.group() {
            let layer = walk.layer();
            let mut moments = Moments::default();
            for rows in walk.inputs() {
                moments.push(&rows?, decoder.config().linear_shape(group.roles()[0])[1]);
            }
            let routed = experts > 0 && matches!(group, LinearGroup::GateUp | LinearGroup::Down);
            for &role in group.roles().iter().filter(|_| !routed) {
                let at = LinearAt::new(layer, role);
                if !decoder.config().linears().contains(&at) {
                    continue;
                }
                let weight = walk.weight(role)?;
                let shape = decoder.config().linear_shape(role);
                let name = at.to_string();
                let weight = Weight::new(&name, shape, &weight)?;
                let rounded = rtn(&weight, scheme)?.dequantize();
                known.insert(
                    at,
                    Known {
                        kurtosis: moments.kurtosis(),
                        range: range(&weight),
                        error: moments.error(&weight, &rounded),
                    },
                );
            }
            walk.go_on()?;
        }
    }
    Ok(known)
}

/// Largest magnitude over root mean square, mean over the rows.
fn range(weight: &Weight<'_>) -> f64 {
    let of_row = |row: &[f32]| {
        let largest = row.iter().fold(0.0f32, |a, x| a.max(x.abs()));
        let power: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / row.len() as f64;
        if power > 0.0 { f64::from(largest) / power.sqrt() } else { 0.0 }
    };
    weight.rows().map(of_row).sum::<f64>() / weight.outputs() as f64
}

/// Sums over the inputs of a group of linears.
#[derive(Debug, Default)]
struct Moments {
    /// Of all entries: how many, their sum, and the sums of their powers up to the fourth.
    sums: [f64; 5],
    /// Squares by channel.
    squares: Vec<f64>,
}

impl Moments {
    /// Adds rows of `width` channels.
    fn push(&mut self, rows: &[f32], width: usize) {
        self.squares.resize(width, 0.0);
        for row in rows.chunks_exact(width.max(1)) {
            for (&x, square) in row.iter().zip(&mut self.squares) {
                let x = f64::from(x);
                let power = x * x;
                *square += power;
                for (sum, term) in
                    self.sums.iter_mut().zip([1.0, x, power, power * x, power * power])
                {
                    *sum += term;
                }
            }
        }
    }

    /// Fourth central moment over the squared second.
    fn kurtosis(&self) -> f64 {
        let [count, ..] = self.sums;
        let [_, mean, second, third, fourth] = self.sums.map(|sum| sum / count.max(1.0));
        let variance = second - mean * mean;
        let central =
            fourth - 4.0 * mean * third + 6.0 * mean.powi(2) * second - 3.0 * mean.powi(4);
        if variance > 0.0 { (central / variance.powi(2)).max(1.0) } else { 1.0 }
    }

    /// Squared error of the outputs over their squares, as if channels were uncorrelated.
    fn error(&self, weight: &Weight<'_>, rounded: &[f32]) -> f64 {
        let (mut error, mut power) = (0.0, 0.0);
        for (row, rounded) in weight.rows().zip(rounded.chunks_exact(weight.inputs())) {
            for ((&w, &r), square) in row.iter().zip(rounded).zip(&self.squares) {
                error += square * f64::from(w - r).powi(2);
                power += square * f64::from(w).powi(2);
            }
        }
        if power > 0.0 { error / power } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kurtosis_is_the_textbooks() {
        let mut moments = Moments::default();
        // Nine zeros and a one, shifted: fourth moment 0.0657, variance 0.09.
        moments.push(&[5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 6.0], 5);
        assert!((moments.kurtosis() - 0.0657 / 0.0081).abs() < 1e-6, "{}", moments.kurtosis());
        let mut even = Moments::default();
        even.push(&[-1.0, 1.0], 1);
        assert!((even.kurtosis() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn errors_weigh_by_how_active_a_channel_is() -> Result<()> {
        let mut moments = Moments::default();
        moments.push(&[1.0, 10.0], 2);
        let weight = Weight::new("w", [1, 2], &[1.0, 1.0])?;
        assert!((moments.error(&weight, &[0.0, 1.0]) - 1.0 / 101.0).abs() < 1e-12);
        assert!((moments.error(&weight, &[1.0, 0.0]) - 100.0 / 101.0).abs() < 1e-12);
        assert!((range(&weight) - 1.0).abs() < 1e-12);
        Ok(())
    }
}
