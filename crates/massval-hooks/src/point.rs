//! A site in a layer, and the canonical name it is stored under.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::names::{self, LAYER};
use crate::{Error, Result, Site, suggest};

/// A site in a layer, or a site of the model as a whole.
///
/// Its text form is the classic TransformerLens name; the logits, which had no hook of their own
/// there, are `hook_logits`. Points are ordered as a forward pass reaches them.
///
/// A site of a layer without a layer, or the other way round, is a point that no model has.
///
/// ```
/// use massval_hooks::{HookPoint, Site};
///
/// let point = HookPoint::layer(3, Site::RotQ);
/// assert_eq!(point.to_string(), "blocks.3.attn.hook_rot_q");
/// assert_eq!("blocks.3.attn.hook_rot_q".parse::<HookPoint>()?, point);
/// # Ok::<(), massval_hooks::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HookPoint {
    /// The layer, counted from 0; `None` for a site of the whole model.
    pub layer: Option<usize>,
    /// The site.
    pub site: Site,
}

impl HookPoint {
    /// The point of `site` in `layer`, or of the whole model where `layer` is `None`.
    ///
    /// # Errors
    /// [`Error::Misplaced`] if a site of a layer gets no layer, or a site of the model gets one.
    pub fn new(layer: Option<usize>, site: Site) -> Result<Self> {
        if layer.is_some() == site.in_layer() {
            Ok(Self { layer, site })
        } else {
            Err(Error::Misplaced { site, layer })
        }
    }

    /// The point of `site` in layer `layer`, counted from 0. For sites written in the code;
    /// [`HookPoint::new`] takes what comes from elsewhere.
    ///
    /// # Panics
    /// If the site is one of the whole model (`embed`, `ln_final`, `logits`).
    #[must_use]
    pub const fn layer(layer: usize, site: Site) -> Self {
        assert!(site.in_layer(), "HookPoint::layer with a site that is in no layer");
        Self { layer: Some(layer), site }
    }

    /// The point of `site` in the model as a whole. For sites written in the code;
    /// [`HookPoint::new`] takes what comes from elsewhere.
    ///
    /// # Panics
    /// If the site is one of a layer.
    #[must_use]
    pub const fn global(site: Site) -> Self {
        assert!(!site.in_layer(), "HookPoint::global with a site that is in a layer");
        Self { layer: None, site }
    }

    /// Where a forward pass meets this point: the embeddings, then layer by layer, then what
    /// follows the layers.
    fn position(&self) -> (u8, usize, Site) {
        match (self.layer, self.site) {
            (Some(layer), site) => (1, layer, site),
            (None, Site::Embed) => (0, 0, Site::Embed),
            (None, site) => (2, 0, site),
        }
    }
}

impl Ord for HookPoint {
    fn cmp(&self, other: &Self) -> Ordering {
        self.position().cmp(&other.position())
    }
}

impl PartialOrd for HookPoint {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = names::classic(self.site);
        match self.layer {
            Some(layer) => f.pad(&names::render(name, layer)),
            None => f.pad(name),
        }
    }
}

impl FromStr for HookPoint {
    type Err = Error;

    /// Reads a canonical name, exactly as `Display` writes it. Other spellings and globs need to
    /// know the model: see [`select`](crate::select).
    ///
    /// # Errors
    /// [`Error::UnknownHook`] with the nearest canonical name.
    fn from_str(name: &str) -> Result<Self> {
        Site::ALL.into_iter().find_map(|site| read_as(name, site)).ok_or_else(|| {
            let layer = suggest::layer_text(name);
            let candidates =
                Site::ALL.into_iter().map(|s| names::classic(s).replace(LAYER, &layer));
            Error::UnknownHook {
                pattern: name.to_owned(),
                nearest: suggest::nearest(name, candidates),
            }
        })
    }
}

/// Reads `name` as the canonical name of `site`, in whichever layer.
fn read_as(name: &str, site: Site) -> Option<HookPoint> {
    let Some((before, after)) = names::classic(site).split_once(LAYER) else {
        return (name == names::classic(site)).then_some(HookPoint { layer: None, site });
    };
    let digits = name.strip_prefix(before)?.strip_suffix(after)?;
    let layer = digits.parse::<usize>().ok()?;
    // One name per point: no sign, no leading zero.
    (layer.to_string() == digits).then_some(HookPoint { layer: Some(layer), site })
}

impl Serialize for HookPoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HookPoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_names_are_the_classic_ones() {
        let names: Vec<String> = Site::ALL
            .into_iter()
            .map(|site| HookPoint::new(site.in_layer().then_some(7), site).unwrap().to_string())
            .collect();
        assert_eq!(
            names,
            [
                "hook_embed",
                "blocks.7.hook_resid_pre",
                "blocks.7.attn.hook_q",
                "blocks.7.attn.hook_k",
                "blocks.7.attn.hook_v",
                "blocks.7.attn.hook_q_normed",
                "blocks.7.attn.hook_k_normed",
                "blocks.7.attn.hook_rot_q",
                "blocks.7.attn.hook_rot_k",
                "blocks.7.attn.hook_attn_scores",
                "blocks.7.attn.hook_pattern",
                "blocks.7.attn.hook_z",
                "blocks.7.hook_attn_out",
                "blocks.7.hook_resid_mid",
                "blocks.7.mlp.hook_pre",
                "blocks.7.mlp.hook_post",
                "blocks.7.hook_mlp_out",
                "blocks.7.hook_resid_post",
                "ln_final.hook_normalized",
                "hook_logits",
            ]
        );
    }

    #[test]
    fn only_canonical_names_are_read() {
        for name in ["blocks.+3.attn.hook_q", "blocks.03.attn.hook_q", "blocks..attn.hook_q", ""] {
            assert!(name.parse::<HookPoint>().is_err(), "{name}");
        }
        assert_eq!(
            "blocks.3.attn.hook_rotq".parse::<HookPoint>().unwrap_err().to_string(),
            "unknown hook point `blocks.3.attn.hook_rotq`: did you mean `blocks.3.attn.hook_rot_q`?"
        );
    }

    #[test]
    fn a_site_stands_where_it_belongs() {
        assert!(HookPoint::new(None, Site::Q).is_err());
        assert!(HookPoint::new(Some(0), Site::Logits).is_err());
    }

    #[test]
    fn points_are_ordered_as_they_are_reached() {
        let points = [
            HookPoint::global(Site::Embed),
            HookPoint::layer(0, Site::Q),
            HookPoint::layer(0, Site::ResidPost),
            HookPoint::layer(1, Site::ResidPre),
            HookPoint::global(Site::LnFinal),
            HookPoint::global(Site::Logits),
        ];
        assert!(points.is_sorted());
    }

    #[test]
    fn serde_keeps_the_name() {
        let point = HookPoint::layer(2, Site::K);
        let json = serde_json::to_string(&point).unwrap();
        assert_eq!(json, r#""blocks.2.attn.hook_k""#);
        assert_eq!(serde_json::from_str::<HookPoint>(&json).unwrap(), point);
        assert!(serde_json::from_str::<HookPoint>(r#""blocks.2.attn.hook_x""#).is_err());
    }
}
