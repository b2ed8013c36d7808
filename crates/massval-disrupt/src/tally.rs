//! What an intervention did: how many channels it selected, and how much of the norms they held.

use std::ops::Range;

use massval_hooks::Site;
use serde::{Deserialize, Serialize};

use crate::{Error, Intervention, Result, Selection, When};

/// What an intervention did at one site.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteTally {
    /// The site.
    pub site: Site,
    /// How many heads of how many layers and prompts it looked at.
    pub heads: u64,
    /// How many channels it selected in them, all together.
    pub channels: u64,
    /// Sum over those heads of the share of the squared norm that the selected channels held.
    pub share_sum: f64,
    /// At how many tokens of the prompts it wrote, counted once per layer.
    pub tokens: u64,
}

impl SiteTally {
    pub(crate) const fn new(site: Site) -> Self {
        Self { site, heads: 0, channels: 0, share_sum: 0.0, tokens: 0 }
    }

    /// Channels that were selected in a head, on average.
    #[must_use]
    pub fn channels_per_head(&self) -> f64 {
        self.channels as f64 / self.heads.max(1) as f64
    }

    /// Share of a head's squared norm that the selected channels held, on average: between 0 and 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.share_sum / self.heads.max(1) as f64
    }

    /// Adds what was counted elsewhere, site by site.
    pub fn add(total: &mut Vec<Self>, more: &[Self]) {
        for more in more {
            match total.iter_mut().find(|tally| tally.site == more.site) {
                None => total.push(*more),
                Some(tally) => {
                    tally.heads += more.heads;
                    tally.channels += more.channels;
                    tally.share_sum += more.share_sum;
                    tally.tokens += more.tokens;
                }
            }
        }
    }
}

impl Intervention {
    /// Checks the books of a whole run.
    ///
    /// # Errors
    /// [`Error::SelectsNothing`] if it never selected a channel, or never wrote at a token: what was measured
    /// is the undisturbed model.
    pub fn check(&self, tally: &[SiteTally]) -> Result<()> {
        self.check_selected(tally)?;
        if self.when != When::Decode && tally.iter().all(|site| site.tokens == 0) {
            return Err(self.out_of_reach());
        }
        Ok(())
    }

    /// Checks that it selected channels in the prompts that were read so far.
    ///
    /// # Errors
    /// [`Error::SelectsNothing`] if it did not, with the threshold to lower.
    pub fn check_selected(&self, tally: &[SiteTally]) -> Result<()> {
        if tally.iter().any(|site| site.channels > 0) {
            return Ok(());
        }
        let hint = match &self.selection {
            Selection::Massive { criterion } | Selection::RandomLike { criterion } => {
                format!(
                    "no norm of any prompt that was read meets {criterion}; lower its threshold"
                )
            }
            _ => "it chose no channel in any prompt that was read".to_owned(),
        };
        Err(Error::SelectsNothing { intervention: self.to_string(), hint })
    }

    /// Whether it writes at some token of a prompt of so many tokens, whose evidence stands at `evidence`.
    #[must_use]
    pub fn reaches(&self, tokens: usize, evidence: Option<&Range<usize>>) -> bool {
        self.when == When::Decode || !self.positions.range(tokens, evidence).is_empty()
    }

    /// What to say if it [reaches](Self::reaches) no prompt.
    #[must_use]
    pub fn out_of_reach(&self) -> Error {
        let hint = "its positions lie outside every prompt".to_owned();
        Error::SelectsNothing { intervention: self.to_string(), hint }
    }
}
