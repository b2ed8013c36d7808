//! Channels that must share a scale because one row writes several of them.

use serde::{Deserialize, Serialize};

use crate::error::same;
use crate::{Error, Result};

/// Which input channels of a linear share a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ChannelTies {
    /// None: each input has a scale of its own.
    #[default]
    Free,
    /// Those that are copies of one channel of V: the output projection under grouped-query attention. Its
    /// query heads `g r` to `g r + r - 1` read KV head `g`.
    Heads {
        /// Heads of V.
        kv_heads: usize,
        /// Query heads that read each, `r`.
        repeats: usize,
        /// Channels of a head.
        head_dim: usize,
    },
}

impl ChannelTies {
    /// How many different scales `inputs` channels have.
    ///
    /// # Errors
    /// [`Error::Shape`] if the heads do not make up the inputs.
    pub fn count(self, name: &str, inputs: usize) -> Result<usize> {
        let Self::Heads { kv_heads, repeats, head_dim } = self else { return Ok(inputs) };
        let written = kv_heads.saturating_mul(head_dim);
        same(name, "inputs of all heads", written.saturating_mul(repeats), inputs)?;
        Ok(written)
    }

    /// The scale that an input channel has.
    pub(crate) fn scale_of(self, input: usize) -> usize {
        match self {
            Self::Free => input,
            Self::Heads { repeats, head_dim, .. } => {
                let (head, channel) = (input / head_dim, input % head_dim);
                head / repeats * head_dim + channel
            }
        }
    }

    /// The mean over the channels that share a scale.
    pub(crate) fn mean(self, name: &str, values: &[f32]) -> Result<Vec<f32>> {
        let mut sums = vec![0.0f64; self.count(name, values.len())?];
        for (input, &value) in values.iter().enumerate() {
            sums[self.scale_of(input)] += f64::from(value);
        }
        let shared = values.len() / sums.len().max(1);
        Ok(sums.iter().map(|sum| (sum / shared as f64) as f32).collect())
    }

    /// The scale of each input channel.
    pub(crate) fn spread(self, inputs: usize, scales: &[f32]) -> Vec<f32> {
        (0..inputs).map(|input| scales[self.scale_of(input)]).collect()
    }
}

/// What to do with the output projection if V has fewer heads than Q.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupedHeads {
    /// Leave it unscaled, as the authors' program does.
    Skip,
    /// One scale for all query heads that read the same channel of V, from the mean of their statistics.
    #[default]
    Tie,
}

/// How the inputs of the output projection share scales with V's `value_outputs` rows.
///
/// `None` says that the projection is to be left alone: heads are grouped, and `grouped` is
/// [`GroupedHeads::Skip`]. With as many V rows as inputs, every channel is free.
///
/// # Errors
/// [`Error::Shape`] if heads of `head_dim` do not make up both, or V's heads do not divide the query heads.
pub fn value_output_ties(
    name: &str,
    value_outputs: usize,
    inputs: usize,
    head_dim: usize,
    grouped: GroupedHeads,
) -> Result<Option<ChannelTies>> {
    let whole = |what, count: usize| {
        let heads = count / head_dim.max(1);
        same(name, what, heads.max(1) * head_dim, count)?;
        Ok::<_, Error>(heads)
    };
    let kv_heads = whole("rows of V in whole heads", value_outputs)?;
    let heads = whole("inputs in whole heads", inputs)?;
    let repeats = heads / kv_heads;
    same(name, "query heads for the heads of V", repeats.max(1) * kv_heads, heads)?;
    Ok(match grouped {
        _ if repeats == 1 => Some(ChannelTies::Free),
        GroupedHeads::Skip => None,
        GroupedHeads::Tie => Some(ChannelTies::Heads { kv_heads, repeats, head_dim }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_heads_share_the_scales_of_their_value_head() -> Result<()> {
        let ties = value_output_ties("o", 4, 12, 2, GroupedHeads::Tie)?.expect("tied");
        assert_eq!(ties, ChannelTies::Heads { kv_heads: 2, repeats: 3, head_dim: 2 });
        assert_eq!(
            ties.spread(12, &[1.0, 2.0, 3.0, 4.0]),
            [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0, 3.0, 4.0]
        );
        let values: Vec<f32> = (0..12u8).map(f32::from).collect();
        assert_eq!(ties.mean("o", &values)?, [2.0, 3.0, 8.0, 9.0]);
        assert_eq!(value_output_ties("o", 4, 12, 2, GroupedHeads::Skip)?, None);
        let free = value_output_ties("o", 12, 12, 2, GroupedHeads::Skip)?;
        assert_eq!(free, Some(ChannelTies::Free));
        Ok(())
    }

    #[test]
    fn heads_that_do_not_fit_are_refused() {
        for (rows, inputs, head_dim) in [(4, 10, 2), (4, 12, 3), (8, 4, 2), (0, 4, 2), (4, 4, 0)] {
            let ties = value_output_ties("o", rows, inputs, head_dim, GroupedHeads::Tie);
            assert!(ties.is_err(), "{rows} {inputs} {head_dim}: {ties:?}");
        }
        let ties = ChannelTies::Heads { kv_heads: 2, repeats: 2, head_dim: 2 };
        assert!(ties.count("o", 9).is_err());
    }
}
