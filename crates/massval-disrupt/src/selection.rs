//! Which channels of a head are disrupted.

use std::fmt;
use std::str::FromStr;

use massval_detect::{ChannelNorms, Criterion};
use massval_hooks::{HookPoint, Site};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::random::Draw;
use crate::{Error, Result};

/// Which channels of each head are disrupted, judged by the norms of the prompt that is being read.
///
/// | written | selects, of each head |
/// |---|---|
/// | `head-mean:5`, `layer-mean:5`, `mad:6`, `top-k:2` | what the [`Criterion`] finds massive |
/// | `bottom-k:2` | the channels of the 2 smallest norms: the reference's "non-massive" |
/// | `random-k:2` | 2 drawn from all but the 2 largest: a matched control |
/// | `random-like:head-mean:5` | as many as the criterion finds, drawn from the others |
/// | `near-k:2`, `near-k:2:8` | 2 drawn from the 8 (default 4 k) ranks after the 2 largest: a control matched in norm rank |
/// | `channels:L.H.C,..` | these channels, `layer.head.channel` |
/// | `per-position:22` | at each position the 22 channels whose norm over the heads is largest, in all heads: the axis bug of the reference's Gemma2 |
///
/// What is drawn depends on the seed, the layer, the site and the head, not on the prompt, except that the
/// prompt's own largest channels are passed over. Equal norms: the lower channel wins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Selection {
    /// What a criterion finds.
    Massive {
        /// The criterion.
        criterion: Criterion,
    },
    /// The smallest norms.
    BottomK {
        /// How many of each head.
        k: usize,
    },
    /// Drawn from all but the `k` largest.
    RandomK {
        /// How many of each head.
        k: usize,
    },
    /// As many as a criterion finds, drawn from the others.
    RandomLike {
        /// The criterion.
        criterion: Criterion,
    },
    /// Drawn from the norm ranks just below the `k` largest.
    NearK {
        /// How many of each head.
        k: usize,
        /// Of how many ranks.
        window: usize,
    },
    /// A list.
    Channels {
        /// The channels.
        channels: Vec<ChannelRef>,
        /// Where the list is from: a findings file and its hash.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// The norm taken over the heads, position by position.
    PerPosition {
        /// How many channels of each position.
        k: usize,
    },
}

/// One channel of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelRef {
    /// The layer.
    pub layer: usize,
    /// The site; every site of the intervention if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Site>,
    /// The head, at K and V the KV head.
    pub head: usize,
    /// The channel.
    pub channel: usize,
}

impl Selection {
    /// The `k` largest norms of each head: what the reference disrupts.
    #[must_use]
    pub fn top(k: usize) -> Self {
        Self::Massive { criterion: Criterion::TopK { k } }
    }

    /// How many channels of each head it asks for, if that is fixed.
    #[must_use]
    pub const fn k(&self) -> Option<usize> {
        match self {
            Self::Massive { criterion: Criterion::TopK { k } }
            | Self::RandomLike { criterion: Criterion::TopK { k } }
            | Self::BottomK { k }
            | Self::RandomK { k }
            | Self::NearK { k, .. }
            | Self::PerPosition { k } => Some(*k),
            _ => None,
        }
    }

    /// Checks the numbers against the size of a head.
    pub(crate) fn check(&self, head_dim: usize) -> Result<()> {
        let parameter = |name: &'static str, value: usize, expected: String| {
            Err(Error::Parameter { name, value: value.to_string(), expected })
        };
        let taken = match self {
            Self::RandomK { k } | Self::RandomLike { criterion: Criterion::TopK { k } } => {
                k.saturating_mul(2)
            }
            Self::NearK { k, window } => k.saturating_add(*window),
            _ => self.k().unwrap_or(1),
        };
        match self.k() {
            Some(0) => return parameter("k", 0, "at least 1".into()),
            Some(k) if taken > head_dim => {
                let most = match self {
                    Self::RandomK { .. } | Self::RandomLike { .. } => head_dim / 2,
                    Self::NearK { window, .. } => head_dim.saturating_sub(*window),
                    _ => head_dim,
                };
                let why = match self {
                    Self::RandomK { .. } | Self::RandomLike { .. } => {
                        ", and as many others are passed over".to_owned()
                    }
                    Self::NearK { window, .. } => format!(", and {window} ranks are drawn from"),
                    _ => String::new(),
                };
                let expected = format!("at most {most}: a head has {head_dim} channels{why}");
                return parameter("k", k, expected);
            }
            _ => {}
        }
        match self {
            Self::NearK { k, window } if window < k => {
                parameter("window", *window, format!("at least k = {k}"))
            }
            Self::Massive { criterion } | Self::RandomLike { criterion } => {
                criterion.validate()?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The channels of each head, ascending. `norms` are those of one prompt at `point`.
    ///
    /// Not for [`Selection::Channels`] and [`Selection::PerPosition`], which do not look at a head's norms.
    pub(crate) fn choose(
        &self,
        norms: &ChannelNorms,
        point: HookPoint,
        seed: u64,
    ) -> Vec<Vec<usize>> {
        let found = |criterion: &Criterion| {
            let mut heads = vec![Vec::new(); norms.heads()];
            for value in criterion.find(norms) {
                if let Some(head) = heads.get_mut(value.head) {
                    head.push(value.channel);
                }
            }
            heads
        };
        match self {
            Self::Massive { criterion } => found(criterion),
            Self::RandomLike { criterion } => {
                let mut heads = found(criterion);
                for (head, row) in heads.iter_mut().enumerate() {
                    let count = row.len();
                    let rest = shuffled(norms.head_dim(), point, head, seed)
                        .into_iter()
                        .filter(|channel| !row.contains(channel))
                        .take(count);
                    *row = ascending(rest.collect());
                }
                heads
            }
            _ => norms
                .iter_heads()
                .enumerate()
                .map(|(head, row)| self.choose_by_rank(row, point, head, seed))
                .collect(),
        }
    }

    fn choose_by_rank(&self, row: &[f32], point: HookPoint, head: usize, seed: u64) -> Vec<usize> {
        let mut ranked: Vec<usize> = (0..row.len()).collect();
        ascending(match *self {
            Self::BottomK { k } => {
                ranked.sort_by(|&a, &b| row[a].total_cmp(&row[b]));
                ranked.truncate(k);
                ranked
            }
            Self::RandomK { k } => {
                ranked.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
                let largest = &ranked[..k.min(row.len())];
                let order = shuffled(row.len(), point, head, seed);
                order.into_iter().filter(|channel| !largest.contains(channel)).take(k).collect()
            }
            Self::NearK { k, window } => {
                ranked.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
                let order = shuffled(window, point, head, seed);
                let after = |rank: &usize| ranked.get(k + rank).copied();
                order.iter().filter_map(after).take(k).collect()
            }
            _ => Vec::new(),
        })
    }
}

fn ascending(mut channels: Vec<usize>) -> Vec<usize> {
    channels.sort_unstable();
    channels
}

/// `0..count` in an order that the seed, the point and the head decide (Fisher-Yates).
fn shuffled(count: usize, point: HookPoint, head: usize, seed: u64) -> Vec<usize> {
    let mut rng = Draw::at(seed, point).head(head).rng();
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, rng.random_range(0..=last));
    }
    order
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Massive { criterion } => write!(f, "{criterion}"),
            Self::BottomK { k } => write!(f, "bottom-k:{k}"),
            Self::RandomK { k } => write!(f, "random-k:{k}"),
            Self::RandomLike { criterion } => write!(f, "random-like:{criterion}"),
            Self::NearK { k, window } => write!(f, "near-k:{k}:{window}"),
            Self::PerPosition { k } => write!(f, "per-position:{k}"),
            Self::Channels { channels, source: Some(source) } => {
                write!(f, "{} channels of {source}", channels.len())
            }
            Self::Channels { channels, source: None } => {
                f.write_str("channels:")?;
                for (index, c) in channels.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{}.{}.{}", c.layer, c.head, c.channel)?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for Selection {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        let unknown = || Error::Unknown {
            what: "selection",
            given: given.to_owned(),
            known: "top-k:2, head-mean:5, layer-mean:5, mad:6, bottom-k:2, random-k:2, \
                    random-like:head-mean:5, near-k:2, channels:3.0.61,3.1.60, per-position:22"
                .into(),
        };
        let (kind, rest) = given.split_once(':').ok_or_else(unknown)?;
        let number = |text: &str| text.parse().ok().filter(|&k: &usize| k > 0).ok_or_else(unknown);
        Ok(match kind {
            "bottom-k" => Self::BottomK { k: number(rest)? },
            "random-k" => Self::RandomK { k: number(rest)? },
            "per-position" => Self::PerPosition { k: number(rest)? },
            "random-like" => Self::RandomLike { criterion: rest.parse().map_err(|_| unknown())? },
            "near-k" => match rest.split_once(':') {
                Some((k, window)) => Self::NearK { k: number(k)?, window: number(window)? },
                None => {
                    let k = number(rest)?;
                    Self::NearK { k, window: k.saturating_mul(4) }
                }
            },
            "channels" => {
                let channels: Option<Vec<ChannelRef>> = rest.split(',').map(read_channel).collect();
                Self::Channels { channels: channels.ok_or_else(unknown)?, source: None }
            }
            _ => Self::Massive { criterion: given.parse().map_err(|_| unknown())? },
        })
    }
}

fn read_channel(text: &str) -> Option<ChannelRef> {
    let mut parts = text.trim().split('.').map(|part| part.parse().ok());
    let (layer, head, channel) = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(ChannelRef { layer, site: None, head, channel })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINT: HookPoint = HookPoint { layer: Some(3), site: Site::RotK };

    fn norms(heads: usize) -> ChannelNorms {
        let values = (0..heads * 16).map(|i| ((i * 7) % 16) as f32 + 1.0).collect();
        ChannelNorms::new(heads, 16, 4, values).expect("valid norms")
    }

    fn ranks(norms: &ChannelNorms, head: usize, channels: &[usize]) -> Vec<usize> {
        let row: Vec<f32> = norms.iter_heads().nth(head).expect("a head").to_vec();
        channels.iter().map(|&c| row.iter().filter(|&&norm| norm > row[c]).count()).collect()
    }

    fn chosen(text: &str, heads: usize, seed: u64) -> Vec<Vec<usize>> {
        text.parse::<Selection>().expect("readable").choose(&norms(heads), POINT, seed)
    }

    #[test]
    fn each_selection_takes_the_ranks_that_it_names() {
        let norms = norms(2);
        for seed in 0..20 {
            for head in 0..2 {
                let rank = |text: &str| {
                    let mut ranks = ranks(&norms, head, &chosen(text, 2, seed)[head]);
                    ranks.sort_unstable();
                    ranks
                };
                assert_eq!(rank("top-k:3"), [0, 1, 2]);
                assert_eq!(rank("bottom-k:3"), [13, 14, 15]);
                let random = rank("random-k:3");
                assert!(random.len() == 3 && random[0] >= 3, "{random:?}");
                let like = rank("random-like:top-k:3");
                assert!(like.len() == 3 && like[0] >= 3, "{like:?}");
                let near = rank("near-k:3:5");
                assert!(near.len() == 3 && near[0] >= 3 && near[2] < 8, "{near:?}");
            }
        }
    }

    #[test]
    fn draws_depend_on_seed_head_and_place_alone() {
        assert_eq!(chosen("random-k:4", 3, 7), chosen("random-k:4", 3, 7));
        assert_ne!(chosen("random-k:4", 3, 7), chosen("random-k:4", 3, 8));
        let few = chosen("random-k:4", 1, 7);
        assert_eq!(few[0], chosen("random-k:4", 3, 7)[0], "other heads do not matter");
        let other = HookPoint { layer: Some(4), site: Site::RotK };
        let selection = Selection::RandomK { k: 4 };
        assert_ne!(selection.choose(&norms(1), other, 7), few);
    }

    /// What is drawn is part of a published result: it may not change with a dependency.
    #[test]
    fn draws_stay_what_they_are() {
        assert_eq!(shuffled(8, POINT, 1, 178), GOLDEN);
    }
    const GOLDEN: [usize; 8] = [2, 1, 6, 5, 0, 7, 4, 3];

    #[test]
    fn names_and_json_round_trip() {
        for text in [
            "top-k:2",
            "head-mean:5",
            "bottom-k:2",
            "random-k:2",
            "random-like:head-mean:5",
            "near-k:2:8",
            "channels:3.0.61,3.1.60",
            "per-position:22",
        ] {
            let selection: Selection = text.parse().expect("readable");
            assert_eq!(selection.to_string(), text);
            let json = serde_json::to_string(&selection).expect("json");
            assert_eq!(serde_json::from_str::<Selection>(&json).expect("json"), selection);
        }
        assert_eq!("near-k:2".parse::<Selection>().expect("readable").to_string(), "near-k:2:8");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["", "top", "top-k:0", "bottom-k:0", "random-k:x", "channels:1.2", "near-k:1:"]
        {
            assert!(text.parse::<Selection>().is_err(), "{text}");
        }
        for (text, head_dim) in
            [("top-k:65", 64), ("random-k:33", 64), ("near-k:2:63", 64), ("near-k:4:2", 64)]
        {
            let selection: Selection = text.parse().expect("readable");
            assert!(selection.check(head_dim).is_err(), "{text}");
        }
        let error = "top-k:65".parse::<Selection>().unwrap().check(64).unwrap_err().to_string();
        assert_eq!(error, "k = 65: must be at most 64: a head has 64 channels");
    }
}
