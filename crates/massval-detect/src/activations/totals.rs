//! What many sequences show at one layer: existence, and hits by token and by channel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{MassiveActivationRule, SequenceRecord};
use crate::{Error, Result};

/// Adds up the records of one layer over many sequences.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivationAccumulator {
    rule: MassiveActivationRule,
    sequences: u64,
    sequences_hit: u64,
    max: f32,
    sum_of_max: f64,
    sum_of_median: f64,
    tokens: BTreeMap<usize, u64>,
    channels: BTreeMap<usize, [Sum; 2]>,
}

/// A count and a sum of signed values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sum {
    count: u64,
    sum: f64,
}

impl Sum {
    fn mean(self) -> Option<SignedMean> {
        (self.count > 0)
            .then(|| SignedMean { count: self.count, mean: self.sum / self.count as f64 })
    }
}

/// What a layer shows over all sequences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationSummary {
    /// The layer, from 0.
    pub layer: usize,
    /// Sequences that were looked at.
    pub sequences: u64,
    /// Sequences with at least one massive activation.
    pub sequences_hit: u64,
    /// Mean over sequences of the largest absolute value.
    pub mean_max: f64,
    /// Mean over sequences of the median absolute value.
    pub mean_median: f64,
    /// The largest absolute value of all.
    pub max: f32,
    /// The existence test on those two means.
    pub exists: bool,
    /// Massive activations, all sequences together.
    pub hits: u64,
    /// Hits by the token's position, in ascending order.
    pub tokens: Vec<TokenHits>,
    /// Hits by channel, in ascending order, with their signed means.
    pub channels: Vec<ChannelHits>,
}

/// Massive activations at one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenHits {
    /// The position, from 0.
    pub token: usize,
    /// How many there are, all sequences and channels together.
    pub count: u64,
}

/// Massive activations in one channel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelHits {
    /// The channel of the residual stream, from 0.
    pub channel: usize,
    /// Those at the first real token of a sequence, if any.
    pub start: Option<SignedMean>,
    /// Those at other tokens, if any.
    pub other: Option<SignedMean>,
}

/// A mean that keeps the sign.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedMean {
    /// How many values it is the mean of.
    pub count: u64,
    /// The mean.
    pub mean: f64,
}

impl ActivationAccumulator {
    /// An accumulator that has seen nothing.
    pub fn new(rule: MassiveActivationRule) -> Self {
        Self {
            rule,
            sequences: 0,
            sequences_hit: 0,
            max: 0.0,
            sum_of_max: 0.0,
            sum_of_median: 0.0,
            tokens: BTreeMap::new(),
            channels: BTreeMap::new(),
        }
    }

    /// How many sequences it has seen.
    pub fn sequences(&self) -> u64 {
        self.sequences
    }

    /// Adds the record of one sequence.
    pub fn record(&mut self, record: &SequenceRecord) {
        self.sequences += 1;
        self.sequences_hit += u64::from(!record.hits.is_empty());
        self.max = self.max.max(record.max);
        self.sum_of_max += f64::from(record.max);
        self.sum_of_median += f64::from(record.median);
        for hit in &record.hits {
            *self.tokens.entry(hit.token).or_default() += 1;
            let sum = &mut self.channels.entry(hit.channel).or_default()[usize::from(!hit.start)];
            sum.count += 1;
            sum.sum += f64::from(hit.value);
        }
    }

    /// Adds what another accumulator of the same layer has seen.
    ///
    /// # Errors
    /// [`Error::Parameter`] if it followed another rule.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.rule != other.rule {
            let value = other.rule.abs;
            return Err(Error::Parameter {
                name: "abs and ratio",
                value,
                expected: "the same in both",
            });
        }
        self.sequences += other.sequences;
        self.sequences_hit += other.sequences_hit;
        self.max = self.max.max(other.max);
        self.sum_of_max += other.sum_of_max;
        self.sum_of_median += other.sum_of_median;
        for (&token, &count) in &other.tokens {
            *self.tokens.entry(token).or_default() += count;
        }
        for (&channel, sums) in &other.channels {
            for (sum, other) in self.channels.entry(channel).or_default().iter_mut().zip(sums) {
                sum.count += other.count;
                sum.sum += other.sum;
            }
        }
        Ok(())
    }

    /// What the layer shows.
    ///
    /// # Errors
    /// [`Error::NoTokens`] if no sequence was recorded.
    pub fn finish(&self, layer: usize) -> Result<ActivationSummary> {
        if self.sequences == 0 {
            return Err(Error::NoTokens);
        }
        let mean_max = self.sum_of_max / self.sequences as f64;
        let mean_median = self.sum_of_median / self.sequences as f64;
        let tokens = self.tokens.iter().map(|(&token, &count)| TokenHits { token, count });
        let channels = self.channels.iter().map(|(&channel, [start, other])| ChannelHits {
            channel,
            start: start.mean(),
            other: other.mean(),
        });
        Ok(ActivationSummary {
            layer,
            sequences: self.sequences,
            sequences_hit: self.sequences_hit,
            mean_max,
            mean_median,
            max: self.max,
            exists: self.rule.exists(mean_max, mean_median),
            hits: self.tokens.values().sum(),
            tokens: tokens.collect(),
            channels: channels.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activations::Hit;

    fn record(max: f32, median: f32, hits: &[(usize, usize, f32)]) -> SequenceRecord {
        let hit = |&(token, channel, value)| Hit { token, channel, value, start: token == 0 };
        SequenceRecord { tokens: 8, max, median, hits: hits.iter().map(hit).collect() }
    }

    fn records() -> [SequenceRecord; 3] {
        [
            record(500.0, 0.25, &[(0, 7, -500.0), (0, 9, 300.0), (5, 7, 400.0)]),
            record(300.0, 0.25, &[(0, 7, -300.0)]),
            record(100.0, 0.25, &[]),
        ]
    }

    #[test]
    fn hits_are_counted_by_token_channel_and_bucket() -> Result<()> {
        let mut layer = ActivationAccumulator::new(MassiveActivationRule::default());
        records().iter().for_each(|record| layer.record(record));
        let summary = layer.finish(4)?;
        assert_eq!(
            (summary.layer, summary.sequences, summary.sequences_hit, summary.hits),
            (4, 3, 2, 4)
        );
        assert_eq!((summary.mean_max, summary.mean_median, summary.max), (300.0, 0.25, 500.0));
        assert!(summary.exists);
        let token = |token, count| TokenHits { token, count };
        assert_eq!(summary.tokens, [token(0, 3), token(5, 1)]);
        let mean = |count, mean| Some(SignedMean { count, mean });
        let seven = ChannelHits { channel: 7, start: mean(2, -400.0), other: mean(1, 400.0) };
        let nine = ChannelHits { channel: 9, start: mean(1, 300.0), other: None };
        assert_eq!(summary.channels, [seven, nine]);
        let json = serde_json::to_string(&summary).expect("json");
        assert_eq!(serde_json::from_str::<ActivationSummary>(&json).expect("json"), summary);
        Ok(())
    }

    #[test]
    fn merging_equals_recording_everything_in_one() -> Result<()> {
        let rule = MassiveActivationRule::default();
        let (mut whole, mut left, mut right) = (
            ActivationAccumulator::new(rule),
            ActivationAccumulator::new(rule),
            ActivationAccumulator::new(rule),
        );
        for (i, record) in records().iter().enumerate() {
            whole.record(record);
            if i == 1 { left.record(record) } else { right.record(record) }
        }
        left.merge(&right)?;
        assert_eq!(left, whole);
        let other = ActivationAccumulator::new(MassiveActivationRule { abs: 50.0, ratio: 1000.0 });
        assert!(left.merge(&other).is_err());
        assert_eq!(other.finish(0), Err(Error::NoTokens));
        Ok(())
    }
}
