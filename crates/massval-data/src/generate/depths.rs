//! How deep in its context an item hides the evidence.

use rand_chacha::rand_core::RngCore;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How deep in its context an item hides the evidence: 0 % first, 100 % last.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Depths {
    /// Drawn for each item, all places alike.
    #[default]
    Drawn,
    /// These, in percent, one item after the other: item `i` of `n` depths takes the `i mod n`-th.
    Cycle(Vec<f64>),
}

/// The depth of one item.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Depth {
    /// This many percent.
    Percent(f64),
    /// Drawn, all 64-bit numbers alike.
    Drawn(u64),
}

impl Depths {
    /// Always the same depth, in percent.
    #[must_use]
    pub fn at(percent: f64) -> Self {
        Self::Cycle(vec![percent])
    }

    /// Refuses what is no depth.
    pub(crate) fn check(&self, task: &str) -> Result<()> {
        let Self::Cycle(percents) = self else { return Ok(()) };
        let what = if percents.is_empty() {
            "no depth is given; name at least one, or let them be drawn".to_owned()
        } else if let Some(wrong) = percents.iter().find(|p| !(0.0..=100.0).contains(*p)) {
            format!("a depth of {wrong} %; depths go from 0 to 100")
        } else {
            return Ok(());
        };
        Err(Error::Options { task: task.to_owned(), what })
    }

    /// The depth of item `index`. Takes one draw whatever the variant, so that what is drawn after
    /// it does not depend on the depths.
    pub(crate) fn of_item(&self, index: usize, rng: &mut impl RngCore) -> Depth {
        let drawn = rng.next_u64();
        match self {
            Self::Cycle(percents) if !percents.is_empty() => {
                Depth::Percent(percents[index % percents.len()])
            }
            _ => Depth::Drawn(drawn),
        }
    }
}

impl Depth {
    /// The place among `0..=last` that is nearest to the depth.
    pub(crate) fn place(self, last: usize) -> usize {
        let place = match self {
            Self::Percent(percent) => (percent / 100.0 * last as f64).round() as usize,
            // the drawn part of all places
            Self::Drawn(drawn) => ((u128::from(drawn) * (last as u128 + 1)) >> 64) as usize,
        };
        place.min(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_from_first_to_last() {
        let places = [0.0, 24.0, 26.0, 50.0, 100.0].map(|p| Depth::Percent(p).place(2));
        assert_eq!(places, [0, 0, 1, 1, 2]);
        let third = u64::MAX / 3;
        let drawn = [0, third, third + 1, 2 * third, 2 * third + 2, u64::MAX];
        assert_eq!(drawn.map(|drawn| Depth::Drawn(drawn).place(2)), [0, 0, 1, 1, 2, 2]);
        assert_eq!(Depth::Percent(70.0).place(0), 0);
    }

    #[test]
    fn what_is_no_depth_is_refused() {
        for (depths, named) in [
            (Depths::Cycle(vec![]), "no depth"),
            (Depths::Cycle(vec![50.0, 100.5]), "100.5 %"),
            (Depths::at(-1.0), "-1 %"),
            (Depths::at(f64::NAN), "NaN %"),
        ] {
            let message = depths.check("passkey").unwrap_err().to_string();
            assert!(message.starts_with("passkey: ") && message.contains(named), "{message}");
        }
        assert!(Depths::Cycle(vec![0.0, 100.0]).check("passkey").is_ok());
    }
}
