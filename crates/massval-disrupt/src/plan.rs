//! An intervention checked against a model: nothing in it is out of range, and no two parts of it
//! exclude each other.

use std::collections::BTreeMap;

use massval_hooks::{HookPoint, Site};

use crate::{Error, Intervention, Result, Selection, Target, When, place::Positions};

/// Which heads, and of an explicit list which channels, are meant at each hook point.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) at: BTreeMap<HookPoint, Vec<HeadPlan>>,
}

/// What is meant at a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeadPlan {
    /// Nothing.
    Skip,
    /// What the selection chooses.
    Choose,
    /// These channels.
    Listed(Vec<usize>),
}

impl Plan {
    pub(crate) fn new(intervention: &Intervention, target: &Target) -> Result<Self> {
        contradictions(intervention, target)?;
        intervention.operator.check()?;
        intervention.selection.check(target.head_dim)?;
        let layer_count = target.points.layers();
        let site = intervention.sites.first().copied().unwrap_or(Site::RotQ);
        let layers = intervention.layers.resolve(layer_count).map_err(|index| {
            Error::OutOfRange { what: "layer", index, site, count: layer_count }
        })?;
        let mut at = BTreeMap::new();
        for &site in &intervention.sites {
            let count = target.heads_at(site)?;
            let meant = intervention.heads.resolve(count).map_err(|index| Error::OutOfRange {
                what: "head",
                index,
                site,
                count,
            })?;
            for &layer in &layers {
                let mut heads = vec![HeadPlan::Skip; count];
                for &head in &meant {
                    if let Some(plan) = heads.get_mut(head) {
                        *plan = HeadPlan::Choose;
                    }
                }
                at.insert(HookPoint::layer(layer, site), heads);
            }
        }
        let mut plan = Self { at };
        if let Selection::Channels { channels, .. } = &intervention.selection {
            plan.list(intervention, channels, target)?;
        }
        Ok(plan)
    }

    /// Keeps of the planned heads those that a list names.
    fn list(
        &mut self,
        intervention: &Intervention,
        channels: &[crate::ChannelRef],
        target: &Target,
    ) -> Result<()> {
        let mut listed: BTreeMap<(HookPoint, usize), Vec<usize>> = BTreeMap::new();
        for channel in channels {
            let sites = match &channel.site {
                Some(site) => std::slice::from_ref(site),
                None => &intervention.sites,
            };
            for &site in sites {
                let heads = target.heads_at(site)?;
                for (what, index, count) in [
                    ("layer", channel.layer, target.points.layers()),
                    ("head", channel.head, heads),
                    ("channel", channel.channel, target.head_dim),
                ] {
                    if index >= count {
                        let index = i64::try_from(index).unwrap_or(i64::MAX);
                        return Err(Error::OutOfRange { what, index, site, count });
                    }
                }
                let point = HookPoint::layer(channel.layer, site);
                listed.entry((point, channel.head)).or_default().push(channel.channel);
            }
        }
        for (point, heads) in &mut self.at {
            for (index, head) in heads.iter_mut().enumerate() {
                if *head == HeadPlan::Choose {
                    *head = match listed.remove(&(*point, index)) {
                        Some(mut channels) => {
                            channels.sort_unstable();
                            channels.dedup();
                            HeadPlan::Listed(channels)
                        }
                        None => HeadPlan::Skip,
                    };
                }
            }
        }
        self.at.retain(|_, heads| heads.iter().any(|head| *head != HeadPlan::Skip));
        if self.at.is_empty() {
            return Err(Error::SelectsNothing {
                intervention: intervention.to_string(),
                hint: "none of the listed channels is at its sites, layers and heads".to_owned(),
            });
        }
        Ok(())
    }
}

fn contradictions(intervention: &Intervention, target: &Target) -> Result<()> {
    let Intervention { sites, when, positions, selection, operator, .. } = intervention;
    if sites.is_empty() {
        return Err(Error::contradiction("no site is named; choose among q, k, v, rot_q, rot_k"));
    }
    let cacheable = |site: &Site| matches!(site, Site::K | Site::KNormed | Site::RotK | Site::V);
    if !intervention.cached && !sites.iter().any(cacheable) {
        let what = "the cache is to keep keys and values as they were, but only queries are \
                    disrupted, which are never cached; leave one of the two out";
        return Err(Error::contradiction(what));
    }
    if *positions != Positions::All && *when != When::Prefill {
        return Err(Error::contradiction(format!(
            "positions `{positions}` are tokens of the prompt, but the intervention acts during \
             {when}; use `prefill` or positions `all`"
        )));
    }
    if intervention.partner {
        let Some(bands) = &target.bands else {
            let what = "the model has no RoPE, so a channel has no rotary partner";
            return Err(Error::contradiction(what));
        };
        if bands.head_dim() != target.head_dim {
            return Err(Error::contradiction("the rotary pairs are of heads of another size"));
        }
        if sites.contains(&Site::V) {
            return Err(Error::contradiction(
                "values do not rotate: a channel of V has no partner",
            ));
        }
    }
    if let Selection::PerPosition { .. } = selection {
        if operator.is_joint() || matches!(operator, crate::Operator::Permute) {
            return Err(Error::contradiction(format!(
                "`{operator}` needs the same channels at all positions; `{selection}` selects \
                 others at each"
            )));
        }
        if intervention.partner || *when != When::Prefill || !intervention.heads.is_all() {
            return Err(Error::contradiction(format!(
                "`{selection}` acts on all heads of the prompt, without partners"
            )));
        }
    }
    Ok(())
}
