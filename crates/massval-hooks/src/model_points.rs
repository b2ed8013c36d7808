//! Which hook points a model has.

use crate::{HookPoint, Site};

/// The hook points of one model: a number of layers, and the sites that its decoder offers.
///
/// ```
/// use massval_hooks::{HookPoint, ModelPoints, Site};
///
/// let points = ModelPoints::new(12, &[Site::ResidPre, Site::Q, Site::Logits]);
/// assert!(points.contains(HookPoint::layer(11, Site::Q)));
/// assert!(!points.contains(HookPoint::layer(12, Site::Q)));
/// assert_eq!(points.iter().count(), 12 * 2 + 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelPoints {
    layers: usize,
    sites: u32,
    norms_elsewhere: bool,
}

/// The bit of a site in a set of sites.
pub(crate) const fn bit(site: Site) -> u32 {
    1 << site as u32
}

impl ModelPoints {
    /// The points of a model of `layers` layers that offers `sites`; the order of `sites` is of
    /// no account.
    #[must_use]
    pub fn new(layers: usize, sites: &[Site]) -> Self {
        let sites = sites.iter().fold(0, |set, &site| set | bit(site));
        Self { layers, sites, norms_elsewhere: false }
    }

    /// The same points of a model that has norms behind attention and MLP.
    ///
    /// What its last projections give is then not yet what is added to the residual stream, and its
    /// second norm is not where the MLP begins: names of other spellings that mean those modules are
    /// refused, as they would give other numbers than in transformers.
    #[must_use]
    pub fn with_norms_behind(mut self) -> Self {
        self.norms_elsewhere = true;
        self
    }

    /// Whether a name of TransformerLens 3 or transformers for `site` holds in this model.
    pub(crate) fn means_module(&self, site: Site) -> bool {
        !self.norms_elsewhere || !matches!(site, Site::AttnOut | Site::MlpOut | Site::ResidMid)
    }

    /// The number of layers.
    #[must_use]
    pub const fn layers(&self) -> usize {
        self.layers
    }

    /// Whether the model offers this site (in each of its layers, if it is a site of a layer).
    #[must_use]
    pub const fn has(&self, site: Site) -> bool {
        self.sites & bit(site) != 0
    }

    /// Whether the model has this point.
    #[must_use]
    pub fn contains(&self, point: HookPoint) -> bool {
        let placed = match point.layer {
            Some(layer) => point.site.in_layer() && layer < self.layers,
            None => !point.site.in_layer(),
        };
        placed && self.has(point.site)
    }

    /// The sites, in the order of a forward pass.
    pub fn sites(&self) -> impl Iterator<Item = Site> + '_ {
        Site::ALL.into_iter().filter(|&site| self.has(site))
    }

    /// The points, in the order of a forward pass.
    pub fn iter(&self) -> impl Iterator<Item = HookPoint> + '_ {
        let global = |site: Site| self.has(site).then(|| HookPoint::global(site));
        let in_layers = (0..self.layers).flat_map(|layer| {
            let sites = self.sites().filter(|site| site.in_layer());
            sites.map(move |site| HookPoint::layer(layer, site))
        });
        global(Site::Embed)
            .into_iter()
            .chain(in_layers)
            .chain(global(Site::LnFinal))
            .chain(global(Site::Logits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_once_in_forward_order() {
        let points = ModelPoints::new(3, &Site::ALL);
        let listed: Vec<HookPoint> = points.iter().collect();
        assert_eq!(listed.len(), 3 * 17 + 3);
        assert!(listed.is_sorted_by(|a, b| a < b));
        assert!(listed.iter().all(|&point| points.contains(point)));
    }

    #[test]
    fn a_misplaced_site_is_in_no_model() {
        let points = ModelPoints::new(3, &Site::ALL);
        assert!(!points.contains(HookPoint { layer: None, site: Site::Q }));
        assert!(!points.contains(HookPoint { layer: Some(0), site: Site::Embed }));
    }

    #[test]
    fn nothing_is_in_the_empty_model() {
        let points = ModelPoints::default();
        assert_eq!(points.iter().count(), 0);
        assert!(!points.contains(HookPoint::global(Site::Embed)));
    }
}
