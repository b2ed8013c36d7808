//! From findings to rows of a weight.

use std::collections::BTreeSet;

use massval_detect::{Finding, RopeBands};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A projection whose outputs RoPE turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Projection {
    /// Queries.
    Q,
    /// Keys; heads are KV heads.
    K,
}

impl Projection {
    /// The projection that a site shows: as it comes, normed, or turned; none for other sites.
    pub fn of_site(site: &str) -> Option<Self> {
        match site {
            "q" | "q_normed" | "rot_q" => Some(Self::Q),
            "k" | "k_normed" | "rot_k" => Some(Self::K),
            _ => None,
        }
    }

    /// `q` or `k`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q => "q",
            Self::K => "k",
        }
    }
}

/// How the rows of a projection make up heads.
#[derive(Debug, Clone, Copy)]
pub struct HeadLayout<'a> {
    heads: usize,
    head_dim: usize,
    bands: Option<&'a RopeBands>,
}

impl<'a> HeadLayout<'a> {
    /// `heads` of `head_dim` channels; `bands` says which of them turn together, none without RoPE.
    ///
    /// # Errors
    /// [`Error::Shape`] if there is no head or channel, or `bands` is of another head size.
    pub fn new(heads: usize, head_dim: usize, bands: Option<&'a RopeBands>) -> Result<Self> {
        crate::weight::elements("heads of a projection", heads, head_dim)?;
        if let Some(bands) = bands {
            crate::error::same("rotary pairs", "channels of a head", head_dim, bands.head_dim())?;
        }
        Ok(Self { heads, head_dim, bands })
    }

    /// Rows of the projection's weight.
    pub const fn outputs(&self) -> usize {
        self.heads * self.head_dim
    }

    fn partner(&self, channel: usize) -> Option<usize> {
        self.bands.and_then(|bands| bands.partner(channel))
    }

    /// A channel that stands for it and its partner: the lower of the two.
    fn unit(&self, channel: usize) -> usize {
        self.partner(channel).map_or(channel, |partner| partner.min(channel))
    }
}

/// Rows of a projection's weight that are kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProtectedRows(BTreeSet<usize>);

impl ProtectedRows {
    /// Any set of rows.
    pub const fn new(rows: BTreeSet<usize>) -> Self {
        Self(rows)
    }

    /// The rows, ascending.
    pub const fn rows(&self) -> &BTreeSet<usize> {
        &self.0
    }

    /// A flag for each of `outputs` rows, as [`crate::KvScheme::round`] takes them for keys.
    pub fn flags(&self, outputs: usize) -> Vec<bool> {
        (0..outputs).map(|row| self.0.contains(&row)).collect()
    }
}

/// The rows of one layer's projection in which there are massive values, with their rotary partners.
///
/// Findings of other layers, of the other projection and of other sites (such as `v`) are none of its
/// business.
///
/// # Errors
/// [`Error::Outside`] if a finding names a head or channel that is not there.
pub fn massive_rows(
    findings: &[Finding],
    layer: usize,
    projection: Projection,
    layout: &HeadLayout<'_>,
) -> Result<ProtectedRows> {
    let mut rows = BTreeSet::new();
    let here = |finding: &&Finding| {
        finding.layer == layer && Projection::of_site(&finding.site) == Some(projection)
    };
    for finding in findings.iter().filter(here) {
        let (head, channel) = (finding.head, finding.channel);
        inside("head", head, layout.heads)?;
        inside("channel", channel, layout.head_dim)?;
        for channel in [Some(channel), layout.partner(channel)].into_iter().flatten() {
            rows.insert(head * layout.head_dim + channel);
        }
    }
    Ok(ProtectedRows(rows))
}

/// As many other rows: in each head as many pairs, and as many channels that do not turn, drawn from those
/// that are not in `massive`.
///
/// The draw depends on seed, layer, projection and head alone.
///
/// # Errors
/// [`Error::TooFewChannels`] if a head has not as many others, [`Error::Outside`] if a row is not there.
pub fn random_rows(
    massive: &ProtectedRows,
    layer: usize,
    projection: Projection,
    layout: &HeadLayout<'_>,
    seed: u64,
) -> Result<ProtectedRows> {
    if let Some(&row) = massive.0.last() {
        inside("row", row, layout.outputs())?;
    }
    let mut rows = BTreeSet::new();
    for head in 0..layout.heads {
        let start = head * layout.head_dim;
        let taken: BTreeSet<usize> = massive
            .0
            .range(start..start + layout.head_dim)
            .map(|row| layout.unit(row - start))
            .collect();
        let mut rng = generator(seed, layer, projection, head);
        for turns in [true, false] {
            let kind = |unit: &usize| layout.partner(*unit).is_some() == turns;
            let wanted = taken.iter().filter(|unit| kind(unit)).count();
            let units = (0..layout.head_dim).filter(|&channel| layout.unit(channel) == channel);
            let mut others: Vec<usize> =
                units.filter(kind).filter(|unit| !taken.contains(unit)).collect();
            if others.len() < wanted {
                let (projection, left) = (projection.name(), others.len());
                return Err(Error::TooFewChannels { layer, projection, head, wanted, left });
            }
            let (drawn, _) = others.partial_shuffle(&mut rng, wanted);
            for &mut unit in drawn {
                rows.extend(
                    [Some(unit), layout.partner(unit)].into_iter().flatten().map(|c| start + c),
                );
            }
        }
    }
    Ok(ProtectedRows(rows))
}

fn generator(seed: u64, layer: usize, projection: Projection, head: usize) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    let place = [seed, layer as u64, projection as u64, head as u64];
    for (bytes, number) in bytes.chunks_exact_mut(8).zip(place) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}

fn inside(what: &'static str, index: usize, count: usize) -> Result<()> {
    if index < count { Ok(()) } else { Err(Error::Outside { what, index, count }) }
}

#[cfg(test)]
mod tests {
    use massval_detect::PairLayout;
    use proptest::prelude::*;

    use super::*;

    fn finding(layer: usize, site: &str, head: usize, channel: usize) -> Finding {
        let (norm, ratio, site) = (9.0, 6.0, site.to_owned());
        Finding { layer, site, head, channel, norm, ratio, pair: None, period: None }
    }

    fn rows(list: &[usize]) -> ProtectedRows {
        ProtectedRows(list.iter().copied().collect())
    }

    #[test]
    fn partners_are_protected_in_either_layout_and_beyond_partial_rotation() -> Result<()> {
        let found = [
            finding(2, "rot_q", 1, 1),
            finding(2, "q", 0, 5),
            finding(2, "rot_k", 0, 0),
            finding(3, "q", 0, 2),
            finding(2, "v", 0, 3),
        ];
        let bands = |rotary, layout| RopeBands::new(8, rotary, 1e4, layout).expect("valid bands");
        for (bands, q, k) in [
            (Some(bands(8, PairLayout::HalfSplit)), vec![1, 5, 9, 13], vec![0, 4]),
            (Some(bands(8, PairLayout::Interleaved)), vec![4, 5, 8, 9], vec![0, 1]),
            (Some(bands(4, PairLayout::HalfSplit)), vec![5, 9, 11], vec![0, 2]),
            (None, vec![5, 9], vec![0]),
        ] {
            let layout = HeadLayout::new(2, 8, bands.as_ref())?;
            assert_eq!(massive_rows(&found, 2, Projection::Q, &layout)?, rows(&q));
            assert_eq!(massive_rows(&found, 2, Projection::K, &layout)?, rows(&k));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn the_control_is_as_large_head_by_head_and_shares_nothing(
            channels in prop::collection::vec((0usize..3, 0usize..16), 0..8), seed in any::<u64>(),
            interleaved in any::<bool>(),
        ) {
            let pairs = if interleaved { PairLayout::Interleaved } else { PairLayout::HalfSplit };
            let bands = RopeBands::new(16, 10, 1e4, pairs)?;
            let layout = HeadLayout::new(3, 16, Some(&bands))?;
            let found: Vec<Finding> =
                channels.iter().map(|&(head, channel)| finding(0, "k", head, channel)).collect();
            let massive = massive_rows(&found, 0, Projection::K, &layout)?;
            let drawn = match random_rows(&massive, 0, Projection::K, &layout, seed) {
                Err(Error::TooFewChannels { wanted, left, .. }) => {
                    prop_assert!(wanted > left);
                    return Ok(());
                }
                drawn => drawn?,
            };
            prop_assert!(drawn.rows().is_disjoint(massive.rows()));
            for head in 0..3 {
                for channels in [0..10, 10..16] {
                    let range = head * 16 + channels.start..head * 16 + channels.end;
                    let count = |rows: &ProtectedRows| rows.rows().range(range.clone()).count();
                    prop_assert_eq!(count(&drawn), count(&massive));
                }
            }
            for &row in drawn.rows() {
                let partner = layout.partner(row % 16).map(|c| row / 16 * 16 + c);
                prop_assert!(partner.is_none_or(|partner| drawn.rows().contains(&partner)));
            }
            prop_assert_eq!(random_rows(&massive, 0, Projection::K, &layout, seed)?, drawn);
        }
    }

    #[test]
    fn seeds_layers_and_projections_draw_apart() -> Result<()> {
        let layout = HeadLayout::new(1, 64, None)?;
        let massive = rows(&[1, 2, 3, 4, 5, 6]);
        let draw =
            |layer, projection, seed| random_rows(&massive, layer, projection, &layout, seed);
        let first = draw(0, Projection::Q, 0)?;
        assert_ne!(first, draw(0, Projection::Q, 1)?);
        assert_ne!(first, draw(1, Projection::Q, 0)?);
        assert_ne!(first, draw(0, Projection::K, 0)?);
        Ok(())
    }

    #[test]
    fn what_is_not_there_is_refused() -> Result<()> {
        let layout = HeadLayout::new(2, 8, None)?;
        for found in [finding(0, "q", 2, 0), finding(0, "q", 0, 8)] {
            let rows = massive_rows(&[found], 0, Projection::Q, &layout);
            assert!(matches!(rows, Err(Error::Outside { .. })));
        }
        assert!(random_rows(&rows(&[16]), 0, Projection::Q, &layout, 0).is_err());
        let bands = RopeBands::new(16, 16, 1e4, PairLayout::HalfSplit).expect("valid bands");
        assert!(HeadLayout::new(2, 8, Some(&bands)).is_err());
        assert!(HeadLayout::new(0, 8, None).is_err());
        Ok(())
    }
}
