//! Where and when an intervention acts: layers, heads, the part of the run, positions.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use massval_hooks::Phase;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Some of the layers or heads: `all`, or a list such as `0,3,8-11,-1`.
///
/// Ranges include their end; a negative number counts from the last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Indices {
    /// Inclusive ranges; empty = all.
    ranges: Vec<(i64, i64)>,
}

impl Indices {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Whether nothing is left out.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The indices among `0..count`, ascending; the first that does not exist as an error.
    pub(crate) fn resolve(&self, count: usize) -> Result<Vec<usize>, i64> {
        if self.is_all() {
            return Ok((0..count).collect());
        }
        let total = i64::try_from(count).unwrap_or(i64::MAX);
        let mut wanted = vec![false; count];
        for &(from, to) in &self.ranges {
            let at = |index: i64| if index < 0 { index + total } else { index };
            for (written, index) in [(from, at(from)), (to, at(to))] {
                if !(0..total).contains(&index) {
                    return Err(written);
                }
            }
            let (Ok(low), Ok(high)) = (usize::try_from(at(from)), usize::try_from(at(to))) else {
                return Err(from);
            };
            if low > high {
                return Err(from);
            }
            wanted[low..=high].fill(true);
        }
        Ok(wanted.iter().enumerate().filter_map(|(i, &is)| is.then_some(i)).collect())
    }
}

impl From<Vec<usize>> for Indices {
    /// These; all of them if the list is empty.
    fn from(list: Vec<usize>) -> Self {
        let at = |index: usize| i64::try_from(index).unwrap_or(i64::MAX);
        Self { ranges: list.into_iter().map(|index| (at(index), at(index))).collect() }
    }
}

impl fmt::Display for Indices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.pad("all");
        }
        let written: Vec<String> = self
            .ranges
            .iter()
            .map(|&(from, to)| if from == to { from.to_string() } else { format!("{from}-{to}") })
            .collect();
        f.pad(&written.join(","))
    }
}

impl FromStr for Indices {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        if given == "all" {
            return Ok(Self::all());
        }
        let unknown = || Error::Unknown {
            what: "list of layers or heads",
            given: given.to_owned(),
            known: "all, 3, 0,3,8-11, -1 (the last), -4--1 (the last four)".into(),
        };
        let number = |text: &str| text.trim().parse::<i64>().map_err(|_| unknown());
        let mut ranges = Vec::new();
        for part in given.split(',') {
            let part = part.trim();
            // The first character may be a sign; a dash after it separates.
            let dash = part.char_indices().skip(1).find(|&(_, c)| c == '-').map(|(at, _)| at);
            let (from, to) = match dash {
                Some(at) => (number(&part[..at])?, number(&part[at + 1..])?),
                None => (number(part)?, number(part)?),
            };
            if (from < 0) == (to < 0) && from > to {
                return Err(unknown());
            }
            ranges.push((from, to));
        }
        Ok(Self { ranges })
    }
}

impl TryFrom<String> for Indices {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Indices> for String {
    fn from(indices: Indices) -> Self {
        indices.to_string()
    }
}

/// The part of a run in which an intervention acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// While the prompt is read (the papers').
    #[default]
    Prefill,
    /// While tokens are generated.
    Decode,
    /// Always.
    Both,
}

impl When {
    pub(crate) const fn holds(self, phase: Phase) -> bool {
        matches!(
            (self, phase),
            (Self::Both, _) | (Self::Prefill, Phase::Prefill) | (Self::Decode, Phase::Decode)
        )
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::Both => "both",
        })
    }
}

impl FromStr for When {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        match given {
            "prefill" => Ok(Self::Prefill),
            "decode" => Ok(Self::Decode),
            "both" => Ok(Self::Both),
            _ => Err(Error::Unknown {
                what: "part of a run",
                given: given.to_owned(),
                known: "prefill, decode, both".into(),
            }),
        }
    }
}

/// The tokens at which something is written. The values, and what is massive, are always those of
/// the whole prompt.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Positions {
    /// All of them.
    #[default]
    All,
    /// The first token of the prompt, where attention sinks.
    First,
    /// The tokens that hold the item's evidence.
    Evidence,
    /// The prompt's tokens from `start` to before `end`.
    Span {
        /// The first token, from 0.
        start: usize,
        /// One past the last.
        end: usize,
    },
}

impl Positions {
    /// The positions in a prompt of `tokens` tokens whose evidence is at `evidence`.
    pub(crate) fn range(&self, tokens: usize, evidence: Option<&Range<usize>>) -> Range<usize> {
        match self {
            Self::All => 0..tokens,
            Self::First => 0..tokens.min(1),
            Self::Evidence => evidence.map_or(0..0, |span| span.start..span.end.min(tokens)),
            Self::Span { start, end } => (*start).min(tokens)..(*end).min(tokens),
        }
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.pad("all"),
            Self::First => f.pad("first"),
            Self::Evidence => f.pad("evidence"),
            Self::Span { start, end } => write!(f, "{start}..{end}"),
        }
    }
}

impl FromStr for Positions {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        let span = |(start, end): (&str, &str)| {
            let (start, end) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
            (start < end).then_some(Self::Span { start, end })
        };
        match given {
            "all" => Ok(Self::All),
            "first" => Ok(Self::First),
            "evidence" => Ok(Self::Evidence),
            _ => given.split_once("..").and_then(span).ok_or_else(|| Error::Unknown {
                what: "choice of positions",
                given: given.to_owned(),
                known: "all, first, evidence, 10..20 (without the end)".into(),
            }),
        }
    }
}

impl TryFrom<String> for Positions {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Positions> for String {
    fn from(positions: Positions) -> Self {
        positions.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str, count: usize) -> Result<Vec<usize>, i64> {
        text.parse::<Indices>().expect("readable").resolve(count)
    }

    #[test]
    fn indices_count_from_either_end() {
        assert_eq!(resolved("all", 3).unwrap(), [0, 1, 2]);
        assert_eq!(resolved("0,2-4,-1", 8).unwrap(), [0, 2, 3, 4, 7]);
        assert_eq!(resolved("-4--1", 8).unwrap(), [4, 5, 6, 7]);
        assert_eq!(resolved("5--1", 8).unwrap(), [5, 6, 7]);
        assert_eq!(resolved("8", 8).unwrap_err(), 8);
        assert_eq!(resolved("-9", 8).unwrap_err(), -9);
        assert_eq!(resolved("7--3", 8).unwrap_err(), 7, "a range that runs backwards");
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["all", "3", "0,2-4,-1", "-4--1"] {
            assert_eq!(text.parse::<Indices>().unwrap().to_string(), text);
        }
        for text in ["all", "first", "evidence", "3..9"] {
            assert_eq!(text.parse::<Positions>().unwrap().to_string(), text);
        }
        for text in ["prefill", "decode", "both"] {
            assert_eq!(text.parse::<When>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["", "a", "1,,2", "4-2", "1-", "--"] {
            assert!(text.parse::<Indices>().is_err(), "{text}");
        }
        for text in ["", "5..5", "9..3", "a..b", "last"] {
            assert!(text.parse::<Positions>().is_err(), "{text}");
        }
    }

    #[test]
    fn positions_stay_inside_the_prompt() {
        let span = Positions::Span { start: 4, end: 40 };
        assert_eq!(span.range(10, None), 4..10);
        assert_eq!(Positions::Evidence.range(10, Some(&(2..5))), 2..5);
        assert_eq!(Positions::Evidence.range(10, None), 0..0);
    }
}
