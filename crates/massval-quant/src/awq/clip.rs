//! The search for the magnitude beyond which a group's weights are cut off.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{same, within};
use crate::matrix::{dot, multiply_block};
use crate::{Error, Grid, Hessian, Result, Weight, WeightScheme};

/// How a group's limit is searched for: `(1 - i / steps)` of its largest magnitude, for `i` from 0 to
/// `max_shrink * steps`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct ClipOptions {
    steps: u16,
    max_shrink: f32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    steps: u16,
    max_shrink: f32,
}

impl Default for ClipOptions {
    /// 20 steps, down to half, as the authors' program.
    fn default() -> Self {
        Self { steps: 20, max_shrink: 0.5 }
    }
}

impl ClipOptions {
    /// A search of `max_shrink * steps` limits.
    ///
    /// # Errors
    /// [`Error::Parameter`] if `steps` is 0 or `max_shrink` not from 0 to below 1.
    pub fn new(steps: u16, max_shrink: f32) -> Result<Self> {
        within("clip steps", steps.into(), 1.0..=65535.0, "at least 1")?;
        let largest = 1.0 - f64::EPSILON;
        within("max_shrink", max_shrink.into(), 0.0..=largest, "at least 0 and below 1")?;
        Ok(Self { steps, max_shrink })
    }

    fn factors(self) -> impl Iterator<Item = f32> {
        let steps = f32::from(self.steps);
        let count = (self.max_shrink * steps) as u16;
        (0..count.max(1)).map(move |i| 1.0 - f32::from(i) / steps)
    }
}

impl TryFrom<Fields> for ClipOptions {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        Self::new(fields.steps, fields.max_shrink)
    }
}

impl From<ClipOptions> for Fields {
    fn from(options: ClipOptions) -> Self {
        Self { steps: options.steps, max_shrink: options.max_shrink }
    }
}

/// The limit of each group of each row.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    limits: Vec<f32>,
    length: usize,
    /// Squared error of the groups' shares of the outputs without limits, summed, mean over tokens.
    pub unclipped_loss: f64,
    /// The same with the limits.
    pub loss: f64,
}

impl Clip {
    /// The limits, `[outputs, groups]`.
    pub fn limits(&self) -> &[f32] {
        &self.limits
    }

    /// How many groups are cut.
    pub fn cut(&self, weight: &Weight<'_>) -> usize {
        let groups = weight.values().chunks_exact(self.length);
        let cut = |(values, limit): (&[f32], &f32)| values.iter().any(|x| x.abs() > *limit);
        groups.zip(&self.limits).filter(|&pair| cut(pair)).count()
    }

    /// Cuts the weight `[outputs, inputs]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if it is of another shape than the one searched.
    pub fn apply(&self, name: &str, values: &mut [f32]) -> Result<()> {
        same(name, "values of the weight", self.limits.len() * self.length, values.len())?;
        for (values, &limit) in values.chunks_exact_mut(self.length).zip(&self.limits) {
            for value in values {
                *value = value.clamp(-limit, limit);
            }
        }
        Ok(())
    }
}

/// Searches the limits that make the squared error of each group's share of its output smallest.
///
/// `weight` is the scaled weight and `hessian` that of the scaled inputs ([`Hessian::divided`]). Each group is
/// looked at alone: with the group's block of the Hessian, `d H d^T` is the error that its change `d` makes.
/// The authors leave Q and K unclipped, since their product makes the damage hard to judge.
///
/// # Errors
/// [`Error::Shape`] if the inputs differ, [`Error::Group`] if groups do not divide them,
/// [`Error::ScaleOverflow`] if a range is too wide for the scales' type.
pub fn search_clip(
    weight: &Weight<'_>,
    hessian: &Hessian,
    scheme: &WeightScheme,
    options: &ClipOptions,
) -> Result<Clip> {
    let width = weight.inputs();
    same(weight.name(), "inputs", hessian.width(), width)?;
    let length = scheme.granularity.length(weight.name(), width)?;
    let groups = width / length;
    let tasks: Vec<(usize, usize)> = (0..groups)
        .flat_map(|group| (0..weight.outputs()).step_by(ROWS).map(move |first| (group, first)))
        .collect();
    let search = Search { weight, hessian, scheme, options, length };
    let found = tasks.par_iter().map(|&(group, first)| search.run(group, first));
    let found: Vec<Vec<Found>> = found.collect::<Result<_>>()?;
    let limits = vec![0.0; weight.outputs() * groups];
    let mut clip = Clip { limits, length, unclipped_loss: 0.0, loss: 0.0 };
    for ((group, first), found) in tasks.into_iter().zip(found) {
        for (row, found) in found.into_iter().enumerate() {
            clip.limits[(first + row) * groups + group] = found.limit;
            clip.unclipped_loss += found.unclipped;
            clip.loss += found.error;
        }
    }
    Ok(clip)
}

/// Rows searched together: their changes are multiplied by the Hessian's block at once.
const ROWS: usize = 128;

#[derive(Debug, Clone, Copy)]
struct Found {
    limit: f32,
    error: f64,
    unclipped: f64,
}

struct Search<'a> {
    weight: &'a Weight<'a>,
    hessian: &'a Hessian,
    scheme: &'a WeightScheme,
    options: &'a ClipOptions,
    length: usize,
}

impl Search<'_> {
    /// The limits of one group in some rows.
    fn run(&self, group: usize, first: usize) -> Result<Vec<Found>> {
        let (length, width) = (self.length, self.weight.inputs());
        let start = group * length;
        let rows: Vec<&[f32]> = self
            .weight
            .rows()
            .skip(first)
            .take(ROWS)
            .map(|row| &row[start..start + length])
            .collect();
        let largest: Vec<f32> =
            rows.iter().map(|row| row.iter().fold(0.0f32, |a, x| a.max(x.abs()))).collect();
        let block = &self.hessian.values()[start * width + start..];
        let mut changes = vec![0.0; rows.len() * length];
        let mut products = changes.clone();
        let mut found: Vec<Option<Found>> = vec![None; rows.len()];
        for factor in self.options.factors() {
            let each = rows.iter().zip(&largest).zip(changes.chunks_exact_mut(length));
            for (row, ((values, largest), change)) in each.enumerate() {
                let job = Change { values, limit: largest * factor, scheme: self.scheme, change };
                Arch::new().dispatch(job).ok_or_else(|| Error::ScaleOverflow {
                    tensor: self.weight.name().to_owned(),
                    row: first + row,
                    group,
                    scale_type: self.scheme.scale_type,
                })?;
            }
            multiply_block(&mut products, &changes, length, block, width);
            let pairs = products.chunks_exact(length).zip(changes.chunks_exact(length));
            for (row, (product, change)) in pairs.enumerate() {
                let error = dot(product, change).max(0.0);
                let limit = largest[row] * factor;
                match &mut found[row] {
                    None => found[row] = Some(Found { limit, error, unclipped: error }),
                    Some(best) if error < best.error => (best.limit, best.error) = (limit, error),
                    Some(_) => {}
                }
            }
        }
        Ok(found.into_iter().flatten().collect())
    }
}

/// The change that cutting and rounding make to a group.
struct Change<'a> {
    values: &'a [f32],
    limit: f32,
    scheme: &'a WeightScheme,
    change: &'a mut [f32],
}

impl WithSimd for Change<'_> {
    type Output = Option<()>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Option<()> {
        for (change, value) in self.change.iter_mut().zip(self.values) {
            *change = value.max(-self.limit).min(self.limit);
        }
        let grid = Grid::fit(self.change, self.scheme)?;
        for (change, value) in self.change.iter_mut().zip(self.values) {
            *change = grid.snap(*change) - value;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::HessianAccumulator;
    use crate::{Bits, Granularity};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn limits_are_those_of_a_search_over_tokens(
            values in prop::collection::vec(-1.0f32..1.0, 24),
            rows in prop::collection::vec(-3.0f32..3.0, 12 * 9),
        ) {
            let mut values = values;
            values[7] = 6.0; // A weight far from its group.
            let weight = Weight::new("w", [2, 12], &values)?;
            let mut seen = HessianAccumulator::new("w", 12)?;
            seen.push(&rows)?;
            let scheme = WeightScheme::new(Bits::Three, Granularity::group(4)?).asymmetric();
            let clip = search_clip(&weight, &seen.finish()?, &scheme, &ClipOptions::default())?;
            for (at, group) in values.chunks_exact(4).enumerate() {
                let start = at % 3 * 4;
                let error = |limit: f32| -> f64 {
                    let cut: Vec<f32> = group.iter().map(|x| x.clamp(-limit, limit)).collect();
                    let grid = Grid::fit(&cut, &scheme).expect("small values");
                    let share = |x: &[f32]| -> f64 {
                        let x = &x[start..start + 4];
                        let terms = cut.iter().zip(group).zip(x);
                        terms.map(|((c, w), x)| f64::from(grid.snap(*c) - w) * f64::from(*x)).sum()
                    };
                    rows.chunks_exact(12).map(|x| share(x).powi(2)).sum::<f64>() / 9.0
                };
                let largest = group.iter().fold(0.0f32, |a, x| a.max(x.abs()));
                let least = (0..10u8).map(|i| error(largest * (1.0 - f32::from(i) / 20.0)));
                let least = least.fold(f64::MAX, f64::min);
                let chosen = error(clip.limits()[at]);
                prop_assert!(chosen <= least + 1e-5 * (1.0 + least), "{chosen} > {least}");
            }
            prop_assert!(clip.loss <= clip.unclipped_loss);
            let mut cut = values.clone();
            clip.apply("w", &mut cut)?;
            let changed = values.chunks_exact(4).zip(cut.chunks_exact(4));
            prop_assert_eq!(changed.filter(|(a, b)| a != b).count(), clip.cut(&weight));
            prop_assert!(clip.apply("w", &mut cut[1..]).is_err());
        }
    }

    #[test]
    fn impossible_searches_are_refused() {
        for (steps, shrink) in [(0, 0.5), (20, 1.0), (20, -0.5), (20, f32::NAN)] {
            assert!(ClipOptions::new(steps, shrink).is_err());
        }
        let fields = r#"{"steps":20,"max_shrink":2.0}"#;
        assert!(serde_json::from_str::<ClipOptions>(fields).is_err());
    }
}
