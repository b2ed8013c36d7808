//! From the massive values of one layer and site to findings and figures.

use std::collections::BTreeMap;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::norms::mean;
use crate::{ChannelNorms, Error, FrequencyHalf, MassiveValue, Result, RopeBands};

/// A massive value with the place in the model where it was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The layer, from 0.
    pub layer: usize,
    /// The site, such as `q`, `rot_k` or `v`.
    pub site: String,
    /// The head, from 0; key-value heads for K and V.
    pub head: usize,
    /// The channel within the head, from 0.
    pub channel: usize,
    /// The channel's norm `M[h,d]`.
    pub norm: f32,
    /// How far it stands out, as the criterion defines it.
    pub ratio: f32,
    /// The rotary pair; none if the channel does not rotate or nothing is known of rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<usize>,
    /// Tokens for a full turn of that pair; none also if the pair stands still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<f64>,
}

impl Finding {
    /// Places a massive value in the model; `bands` adds its rotary pair.
    pub fn new(
        layer: usize,
        site: impl Into<String>,
        value: &MassiveValue,
        bands: Option<&RopeBands>,
    ) -> Self {
        let band = bands.and_then(|bands| bands.band(value.channel));
        Self {
            layer,
            site: site.into(),
            head: value.head,
            channel: value.channel,
            norm: value.norm,
            ratio: value.ratio,
            pair: band.map(|band| band.pair),
            period: band.map(|band| band.period_tokens).filter(|period| period.is_finite()),
        }
    }
}

/// What one site of one layer looks like as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSummary {
    /// The layer, from 0.
    pub layer: usize,
    /// The site, such as `q`, `rot_k` or `v`.
    pub site: String,
    /// How many heads the site has.
    pub heads: usize,
    /// Channels of each.
    pub head_dim: usize,
    /// Tokens that the norms were summed over.
    pub tokens: u64,
    /// Massive values found.
    pub count: usize,
    /// Heads with at least one.
    pub heads_hit: usize,
    /// The largest `M[h,d]` / mean of its head, massive or not and whatever the criterion, so that it
    /// compares between sites; 0 if every norm is 0.
    pub top_ratio: f32,
    /// The head where it is.
    pub top_head: usize,
    /// The channel where it is.
    pub top_channel: usize,
    /// The norm there.
    pub top_norm: f32,
    /// Mean of all norms.
    pub mean_norm: f32,
    /// Largest of all norms.
    pub max_norm: f32,
    /// Share of the rotary channels' squared norms that lies in the slower half of the rotary pairs;
    /// none without rotation, and if those norms are all 0.
    pub low_frequency_share: Option<f64>,
    /// How far the heads agree on the channels, from 0 to 1: the mean, over the channels that are massive
    /// in any head, of the share of heads in which they are. 1 means that every head has the same massive
    /// channels, `1 / heads` that no two heads share one; 0 if there is none. A mean over channels, unlike
    /// a mean over pairs of heads, needs no rule for heads without any.
    pub consistency: f64,
    /// Massive channels, and in how many heads each is massive.
    pub channels: BTreeMap<usize, usize>,
}

/// Sums up the norms and the massive values found among them.
///
/// ```
/// use massval_detect::{ChannelNorms, Criterion, summarize};
/// let mut norms = vec![1.0; 2 * 64];
/// norms[40] = 40.0;
/// norms[64 + 40] = 30.0;
/// let norms = ChannelNorms::new(2, 64, 12, norms)?;
/// let summary = summarize(3, "rot_k", &norms, &Criterion::default().find(&norms), None)?;
/// assert_eq!((summary.count, summary.heads_hit, summary.top_channel), (2, 2, 40));
/// assert_eq!(summary.consistency, 1.0);
/// # Ok::<(), massval_detect::Error>(())
/// ```
///
/// # Errors
/// [`Error::Mismatch`] if `bands` is of another head size, [`Error::Outside`] if a massive value is not of
/// these norms.
pub fn summarize(
    layer: usize,
    site: impl Into<String>,
    norms: &ChannelNorms,
    massive: &[MassiveValue],
    bands: Option<&RopeBands>,
) -> Result<SiteSummary> {
    let mut channels: BTreeMap<usize, usize> = BTreeMap::new();
    let mut hit = vec![false; norms.heads()];
    for value in massive {
        if norms.get(value.head, value.channel).is_none() {
            let (head, channel) = (value.head, value.channel);
            return Err(Error::Outside {
                head,
                channel,
                heads: norms.heads(),
                head_dim: norms.head_dim(),
            });
        }
        *channels.entry(value.channel).or_default() += 1;
        hit[value.head] = true;
    }
    let top = Top::of(norms);
    let places = (channels.len() * norms.heads()).max(1);
    Ok(SiteSummary {
        layer,
        site: site.into(),
        heads: norms.heads(),
        head_dim: norms.head_dim(),
        tokens: norms.tokens(),
        count: massive.len(),
        heads_hit: hit.into_iter().filter(|&hit| hit).count(),
        top_ratio: top.ratio as f32,
        top_head: top.head,
        top_channel: top.channel,
        top_norm: top.norm,
        mean_norm: norms.mean() as f32,
        max_norm: norms.values().iter().copied().fold(0.0, f32::max),
        low_frequency_share: match bands {
            Some(bands) => low_frequency_share(norms, bands)?,
            None => None,
        },
        consistency: channels.values().sum::<usize>() as f64 / places as f64,
        channels,
    })
}

/// Energy of every rotary pair, `M[h,j]^2 + M[h,partner of j]^2`, of shape `[heads, pairs]`.
///
/// Rotation leaves it unchanged, so it is equal before and after RoPE up to rounding; single norms are not.
///
/// # Errors
/// [`Error::Mismatch`] if `bands` is of another head size.
pub fn pair_energy(norms: &ChannelNorms, bands: &RopeBands) -> Result<Array2<f32>> {
    bands.check_head_dim(norms.head_dim())?;
    let values = norms.as_array();
    Ok(Array2::from_shape_fn((norms.heads(), bands.pairs()), |(head, pair)| {
        let square = |channel: usize| f64::from(values[[head, channel]]).powi(2);
        bands.channels(pair).map_or(0.0, |(a, b)| square(a) + square(b)) as f32
    }))
}

/// Share of the squared norms of rotary channels in the slower half of the pairs.
fn low_frequency_share(norms: &ChannelNorms, bands: &RopeBands) -> Result<Option<f64>> {
    bands.check_head_dim(norms.head_dim())?;
    let (mut low, mut all) = (0.0, 0.0);
    for row in norms.iter_heads() {
        for (channel, &norm) in row.iter().enumerate() {
            if let Some(band) = bands.band(channel) {
                let square = f64::from(norm).powi(2);
                all += square;
                if band.half == FrequencyHalf::Low {
                    low += square;
                }
            }
        }
    }
    Ok((all > 0.0).then(|| low / all))
}

/// The entry that stands out most from its head.
#[derive(Default)]
struct Top {
    head: usize,
    channel: usize,
    norm: f32,
    ratio: f64,
}

impl Top {
    fn of(norms: &ChannelNorms) -> Self {
        let mut top = Self::default();
        for (head, row) in norms.iter_heads().enumerate() {
            let mean = mean(row);
            for (channel, &norm) in row.iter().enumerate() {
                let ratio = f64::from(norm) / mean;
                // False for the NaN of a head that is all zero.
                if ratio > top.ratio {
                    top = Self { head, channel, norm, ratio };
                }
            }
        }
        top
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Criterion, PairLayout};

    fn norms(rows: &[&[f32]]) -> ChannelNorms {
        ChannelNorms::new(rows.len(), rows[0].len(), 5, rows.concat()).expect("valid norms")
    }

    #[test]
    fn figures_of_a_small_site() -> Result<()> {
        let norms = norms(&[&[1.0, 1.0, 9.0, 1.0], &[1.0, 1.0, 6.0, 8.0], &[1.0, 1.0, 1.0, 1.0]]);
        let massive = Criterion::HeadMean { lambda: 1.4 }.find(&norms);
        let bands = RopeBands::new(4, 4, 10_000.0, PairLayout::Interleaved)?;
        let summary = summarize(7, "q", &norms, &massive, Some(&bands))?;
        assert_eq!((summary.layer, summary.site.as_str(), summary.tokens), (7, "q", 5));
        assert_eq!((summary.count, summary.heads_hit), (3, 2));
        assert_eq!((summary.top_head, summary.top_channel, summary.top_norm), (0, 2, 9.0));
        assert_eq!((summary.top_ratio, summary.max_norm), (3.0, 9.0));
        assert_eq!(summary.channels, BTreeMap::from([(2, 2), (3, 1)]));
        assert_eq!(summary.consistency, 0.5, "channel 2 in 2 of 3 heads, channel 3 in 1 of 3");
        // Pair 1 (channels 2 and 3) is the slow one: 82 + 100 + 2 of 2 + 2 + 2 more.
        assert_eq!(summary.low_frequency_share, Some(184.0 / 190.0));
        Ok(())
    }

    #[test]
    fn a_quiet_site_has_a_summary_too() -> Result<()> {
        let norms = norms(&[&[0.0; 4], &[0.0; 4]]);
        let bands = RopeBands::new(4, 2, 10_000.0, PairLayout::HalfSplit)?;
        let summary = summarize(0, "v", &norms, &[], Some(&bands))?;
        assert_eq!((summary.count, summary.consistency, summary.top_ratio), (0, 0.0, 0.0));
        assert_eq!(summary.low_frequency_share, None);
        assert_eq!(summarize(0, "v", &norms, &[], None)?.low_frequency_share, None);
        Ok(())
    }

    #[test]
    fn what_does_not_fit_together_is_refused() -> Result<()> {
        let norms = norms(&[&[1.0; 4]]);
        let bands = RopeBands::new(8, 8, 10_000.0, PairLayout::HalfSplit)?;
        assert!(summarize(0, "q", &norms, &[], Some(&bands)).is_err());
        assert!(pair_energy(&norms, &bands).is_err());
        for (head, channel) in [(1, 0), (0, 4)] {
            let value = MassiveValue { head, channel, norm: 1.0, ratio: 9.0 };
            assert!(summarize(0, "q", &norms, &[value], None).is_err());
        }
        Ok(())
    }

    #[test]
    fn findings_and_summaries_round_trip_as_json() -> Result<(), Box<dyn std::error::Error>> {
        let norms = norms(&[&[1.0, 1.0, 9.0, 1.0]]);
        let massive = Criterion::HeadMean { lambda: 2.0 }.find(&norms);
        let bands = RopeBands::new(4, 4, 10_000.0, PairLayout::HalfSplit)?;
        let finding = Finding::new(2, "rot_k", &massive[0], Some(&bands));
        assert_eq!((finding.pair, finding.channel), (Some(0), 2));
        let json = serde_json::to_string(&finding)?;
        assert_eq!(serde_json::from_str::<Finding>(&json)?, finding);
        let plain = Finding::new(2, "v", &massive[0], None);
        let json = serde_json::to_string(&plain)?;
        assert!(!json.contains("pair"));
        assert_eq!(serde_json::from_str::<Finding>(&json)?, plain);
        let summary = summarize(2, "rot_k", &norms, &massive, Some(&bands))?;
        assert_eq!(
            serde_json::from_str::<SiteSummary>(&serde_json::to_string(&summary)?)?,
            summary
        );
        Ok(())
    }

    #[test]
    fn a_pair_that_stands_still_has_no_period() -> Result<()> {
        let bands = RopeBands::from_inv_freq(2, vec![0.0], PairLayout::HalfSplit)?;
        let value = MassiveValue { head: 0, channel: 1, norm: 1.0, ratio: 9.0 };
        let finding = Finding::new(0, "q", &value, Some(&bands));
        assert_eq!((finding.pair, finding.period), (Some(0), None));
        Ok(())
    }
}
