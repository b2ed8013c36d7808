//! When a channel counts as massive.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::error::positive;
use crate::norms::mean;
use crate::{ChannelNorms, Error, Result};

/// The rule by which channel norms are massive. The default is the paper's: five times the head's mean.
///
/// | written | massive iff | `ratio` of a finding |
/// |---|---|---|
/// | `head-mean:5` | `M[h,d] > 5 * mean of M[h,:]` | `M[h,d]` / mean of the head |
/// | `layer-mean:5` | `M[h,d] > 5 * mean of M` | `M[h,d]` / mean of all heads |
/// | `top-k:2` | among the 2 largest of the head, ties to the lower channel | `M[h,d]` / mean of the head |
/// | `mad:6` | `M[h,d] > median + 6 * MAD` of the head | `(M[h,d] - median) / MAD` |
///
/// So the ratio is the number that the parameter is compared with, except for `top-k`. MAD is the plain
/// median absolute deviation; where it is zero (more than half of a head's norms are equal) the mean
/// absolute deviation takes its place. Comparisons are strict and in `f64`.
/// A norm of zero is never massive, so an all-zero head has no massive value under any criterion, not
/// even `top-k`.
///
/// ```
/// use massval_detect::{ChannelNorms, Criterion};
/// let mut norms = vec![1.0; 64];
/// norms[40] = 20.0;
/// let norms = ChannelNorms::new(1, 64, 10, norms)?;
/// let found = Criterion::default().find(&norms);
/// assert_eq!((found.len(), found[0].channel), (1, 40));
/// assert_eq!("head-mean:5".parse::<Criterion>()?, Criterion::default());
/// # Ok::<(), massval_detect::Error>(())
/// ```
///
/// Source: *Massive Values in Self-Attention Modules*, definition 1 (`head-mean`, lambda 5); its code
/// disrupts the `top-k` instead, and an independent replication counts by `layer-mean`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Criterion {
    /// More than `lambda` times the mean norm of the head.
    HeadMean {
        /// The factor, greater than 0.
        #[serde(deserialize_with = "read_positive")]
        lambda: f64,
    },
    /// More than `lambda` times the mean norm of all heads of the layer.
    LayerMean {
        /// The factor, greater than 0.
        #[serde(deserialize_with = "read_positive")]
        lambda: f64,
    },
    /// The `k` largest norms of each head.
    TopK {
        /// How many of each head, at least 1.
        #[serde(deserialize_with = "read_count")]
        k: usize,
    },
    /// More than `k` median absolute deviations above the head's median.
    Mad {
        /// How many deviations, greater than 0.
        #[serde(deserialize_with = "read_positive")]
        k: f64,
    },
}

/// A channel that a criterion found massive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MassiveValue {
    /// The head, from 0.
    pub head: usize,
    /// The channel within the head, from 0.
    pub channel: usize,
    /// Its norm `M[h,d]`.
    pub norm: f32,
    /// How far it stands out; [`Criterion`] says of what.
    pub ratio: f32,
}

impl Default for Criterion {
    fn default() -> Self {
        Self::HeadMean { lambda: 5.0 }
    }
}

impl Criterion {
    /// The criterion, if its parameter makes sense.
    ///
    /// Parsing and reading from a file check this; values built by hand are the caller's.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the factor is not finite or not above 0, or `k` is 0.
    pub fn validate(self) -> Result<Self> {
        match self {
            Self::HeadMean { lambda } | Self::LayerMean { lambda } => positive("lambda", lambda)?,
            Self::Mad { k } => positive("k", k)?,
            Self::TopK { k: 0 } => {
                return Err(Error::Parameter { name: "k", value: 0.0, expected: "at least 1" });
            }
            Self::TopK { .. } => {}
        }
        Ok(self)
    }

    /// The massive values among `norms`, by head, then by channel.
    pub fn find(&self, norms: &ChannelNorms) -> Vec<MassiveValue> {
        let layer_mean = norms.mean();
        let mut found = Vec::new();
        for (head, row) in norms.iter_heads().enumerate() {
            let mut keep = |channel: usize, norm: f32, ratio: f64| {
                if norm > 0.0 {
                    found.push(MassiveValue { head, channel, norm, ratio: ratio as f32 });
                }
            };
            match *self {
                Self::HeadMean { lambda } => above(row, 0.0, mean(row), lambda, keep),
                Self::LayerMean { lambda } => above(row, 0.0, layer_mean, lambda, keep),
                Self::Mad { k } => {
                    let (median, deviation) = robust(row);
                    above(row, median, deviation, k, keep);
                }
                Self::TopK { k } => {
                    let mean = mean(row);
                    for channel in largest(row, k) {
                        keep(channel, row[channel], f64::from(row[channel]) / mean);
                    }
                }
            }
        }
        found
    }
}

/// Reports every norm above `centre + factor * scale`.
fn above(row: &[f32], centre: f64, scale: f64, factor: f64, mut keep: impl FnMut(usize, f32, f64)) {
    for (channel, &norm) in row.iter().enumerate() {
        let excess = f64::from(norm) - centre;
        if excess > factor * scale {
            keep(channel, norm, excess / scale);
        }
    }
}

/// The channels of the `k` largest norms in ascending order; of equal norms the lower channel wins.
fn largest(row: &[f32], k: usize) -> Vec<usize> {
    let mut channels: Vec<usize> = (0..row.len()).collect();
    channels.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
    channels.truncate(k);
    channels.sort_unstable();
    channels
}

/// Median and median absolute deviation, or the mean absolute deviation where that is zero.
fn robust(row: &[f32]) -> (f64, f64) {
    let mut values: Vec<f64> = row.iter().map(|&norm| f64::from(norm)).collect();
    let centre = median(&mut values);
    for value in &mut values {
        *value = (*value - centre).abs();
    }
    let deviation = median(&mut values);
    if deviation > 0.0 {
        return (centre, deviation);
    }
    (centre, values.iter().sum::<f64>() / values.len() as f64)
}

/// The median of a non-empty slice: the middle value, or the mean of the two in the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeadMean { lambda } => write!(f, "head-mean:{}", Number(*lambda)),
            Self::LayerMean { lambda } => write!(f, "layer-mean:{}", Number(*lambda)),
            Self::TopK { k } => write!(f, "top-k:{k}"),
            Self::Mad { k } => write!(f, "mad:{}", Number(*k)),
        }
    }
}

/// A number without hundreds of digits.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            x if x == 0.0 || (1e-6..1e9).contains(&x.abs()) => write!(f, "{x}"),
            x => write!(f, "{x:e}"),
        }
    }
}

impl FromStr for Criterion {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        let unknown = || Error::Unknown {
            what: "criterion",
            given: given.to_owned(),
            known: "head-mean:5, layer-mean:5, top-k:2, mad:6 (with any number)",
        };
        let (kind, number) = given.split_once(':').ok_or_else(unknown)?;
        let real = || number.parse::<f64>().map_err(|_| unknown());
        match kind {
            "head-mean" => Self::HeadMean { lambda: real()? },
            "layer-mean" => Self::LayerMean { lambda: real()? },
            "top-k" => Self::TopK { k: number.parse().map_err(|_| unknown())? },
            "mad" => Self::Mad { k: real()? },
            _ => return Err(unknown()),
        }
        .validate()
    }
}

fn read_positive<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(input)?;
    positive("the criterion's parameter", value).map_err(de::Error::custom)?;
    Ok(value)
}

fn read_count<'de, D: Deserializer<'de>>(input: D) -> Result<usize, D::Error> {
    let k = usize::deserialize(input)?;
    if k == 0 { Err(de::Error::custom("k = 0: must be at least 1")) } else { Ok(k) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norms(rows: &[&[f32]]) -> ChannelNorms {
        ChannelNorms::new(rows.len(), rows[0].len(), 1, rows.concat()).expect("valid norms")
    }

    fn places(found: &[MassiveValue]) -> Vec<(usize, usize)> {
        found.iter().map(|value| (value.head, value.channel)).collect()
    }

    #[test]
    fn the_comparison_is_strict() {
        // Mean 2, so 6 is exactly three times the mean.
        let norms = norms(&[&[6.0, 1.0, 0.5, 0.5]]);
        assert!(Criterion::HeadMean { lambda: 3.0 }.find(&norms).is_empty());
        let found = Criterion::HeadMean { lambda: 2.99 }.find(&norms);
        assert_eq!(found, [MassiveValue { head: 0, channel: 0, norm: 6.0, ratio: 3.0 }]);
    }

    #[test]
    fn the_layer_mean_looks_across_heads() {
        let norms = norms(&[&[1.0, 1.0], &[9.0, 9.0]]);
        assert!(Criterion::HeadMean { lambda: 1.5 }.find(&norms).is_empty());
        let found = Criterion::LayerMean { lambda: 1.5 }.find(&norms);
        assert_eq!(places(&found), [(1, 0), (1, 1)]);
        assert_eq!(found[0].ratio, 1.8);
    }

    #[test]
    fn top_k_takes_the_lower_channel_of_equals() {
        let norms = norms(&[&[1.0, 3.0, 3.0, 3.0], &[5.0, 0.0, 0.0, 0.0]]);
        assert_eq!(places(&Criterion::TopK { k: 2 }.find(&norms)), [(0, 1), (0, 2), (1, 0)]);
        assert_eq!(Criterion::TopK { k: 9 }.find(&norms).len(), 5, "zeros are never massive");
    }

    #[test]
    fn mad_is_measured_in_deviations() {
        // Median 3, deviations 2 1 0 1 97, MAD 1.
        let norms = norms(&[&[1.0, 2.0, 3.0, 4.0, 100.0]]);
        let found = Criterion::Mad { k: 6.0 }.find(&norms);
        assert_eq!(found, [MassiveValue { head: 0, channel: 4, norm: 100.0, ratio: 97.0 }]);
    }

    #[test]
    fn mad_works_where_most_norms_are_equal() {
        let mut row = [1.0f32; 32];
        row[7] = 50.0;
        let found = Criterion::Mad { k: 6.0 }.find(&norms(&[&row]));
        assert_eq!(places(&found), [(0, 7)]);
        assert!((found[0].ratio - 32.0).abs() < 1e-4, "49 against a mean deviation of 49/32");
    }

    #[test]
    fn a_dead_head_has_nothing_massive() {
        let norms = norms(&[&[0.0; 4], &[0.0; 4]]);
        for criterion in ["head-mean:0.1", "layer-mean:0.1", "top-k:4", "mad:0.1"] {
            let criterion: Criterion = criterion.parse().expect("known");
            assert!(criterion.find(&norms).is_empty(), "{criterion}");
        }
    }

    #[test]
    fn names_and_json_round_trip() {
        for name in ["head-mean:5", "layer-mean:2.5", "top-k:3", "mad:6"] {
            let criterion: Criterion = name.parse().expect("known");
            assert_eq!(criterion.to_string(), name);
            let json = serde_json::to_string(&criterion).expect("json");
            assert_eq!(serde_json::from_str::<Criterion>(&json).expect("json"), criterion);
        }
        let json = serde_json::to_string(&Criterion::default()).expect("json");
        assert_eq!(json, r#"{"kind":"head-mean","lambda":5.0}"#);
    }

    #[test]
    fn senseless_criteria_are_refused() {
        for name in [
            "",
            "head-mean",
            "head-mean:",
            "head-mean:0",
            "mad:-1",
            "mad:nan",
            "mad:inf",
            "top-k:0",
            "top-k:1.5",
            "z:1",
        ] {
            assert!(name.parse::<Criterion>().is_err(), "{name}");
        }
        for json in [
            r#"{"kind":"top-k","k":0}"#,
            r#"{"kind":"mad","k":-2}"#,
            r#"{"kind":"mad","k":2,"x":1}"#,
        ] {
            assert!(serde_json::from_str::<Criterion>(json).is_err(), "{json}");
        }
    }
}
