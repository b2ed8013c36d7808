//! What each arm disrupted, the same in tables and pages: channels of a head, and their share of its norm.

use crate::experiment::percent;
use crate::schema::{Arm, SiteSelected};
use crate::words::{NONE, plain};

/// Says what the columns of [`Selected`] are.
pub(crate) const LEGEND: &str = "Channels of a head that were disrupted, and the share of its squared norm that they held in %: \
     mean over layers, heads and prompts.";

/// A row for each arm that disrupted something, a column for each site.
pub(crate) struct Selected {
    /// Names of the sites, in the order in which arms name them.
    pub(crate) sites: Vec<String>,
    /// Name of each arm, and its cell for each site: `2.00 (61.3)`.
    pub(crate) rows: Vec<(String, Vec<String>)>,
}

/// What `arms` disrupted; `None` if nothing is known of it.
pub(crate) fn selected<'a>(arms: impl Iterator<Item = &'a Arm> + Clone) -> Option<Selected> {
    let sites = sites(arms.clone());
    if sites.is_empty() {
        return None;
    }
    let cell = |selected: Option<&SiteSelected>| match selected {
        Some(at) => format!("{:.2} ({})", at.channels_per_head, percent(at.share)),
        None => NONE.to_owned(),
    };
    let row = |arm: &Arm| {
        (plain(&arm.name), sites.iter().map(|site| cell(at(arm, site))).collect::<Vec<_>>())
    };
    let rows = arms.filter(|arm| !arm.selected.is_empty()).map(row).collect();
    Some(Selected { sites: sites.iter().map(|site| plain(site)).collect(), rows })
}

/// The sites at which any arm disrupted something.
pub(crate) fn sites<'a>(arms: impl Iterator<Item = &'a Arm>) -> Vec<&'a str> {
    let mut sites: Vec<&str> = Vec::new();
    for selected in arms.flat_map(|arm| &arm.selected) {
        if !sites.contains(&selected.site.as_str()) {
            sites.push(&selected.site);
        }
    }
    sites
}

/// What `arm` disrupted at a site.
pub(crate) fn at<'a>(arm: &'a Arm, site: &str) -> Option<&'a SiteSelected> {
    arm.selected.iter().find(|selected| selected.site == site)
}
