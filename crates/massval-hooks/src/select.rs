//! From what a person writes to the hook points of a model.

use std::collections::BTreeSet;

use crate::names::{self, ELSEWHERE, HUGGING_FACE, LAYER, TRANSFORMER_LENS_3};
use crate::pattern::{Glob, Name, alternatives};
use crate::{Error, HookPoint, ModelPoints, Result, Site, suggest};

/// The points of a model that `pattern` names, in the order of a forward pass.
///
/// A pattern is one of
/// - a canonical name, `blocks.3.attn.hook_rot_q`;
/// - a TransformerLens-3 name, `blocks.3.attn.q.hook_out`, `blocks.3.hook_in`;
/// - a Hugging Face module path whose output is a hook point, `model.layers.3.self_attn.q_proj`,
///   `transformer.h.3.mlp`, `gpt_neox.layers.3.attention.dense`. The paths of every family work
///   on every model;
/// - a site, `rot_q`, for all layers,
///
/// and in each of them
/// - `*` stands for any run of characters, dots included, and `?` for any one character;
/// - `{q,k}` stands for either alternative, and `{l}` for every layer;
/// - a layer may be negative, counted from the last: `blocks.-1.hook_resid_post`;
/// - a layer may be a range: `2-5` and `2..=5` with its end, `2..5` without it, `-4--1` for the
///   last four.
///
/// Wildcards are matched against sites first, then against canonical names, then the other two
/// spellings, and the first of these in which anything matches is the one that counts. Of what a
/// wildcard matches, the model needs to have only some; what is spelled out it must have.
///
/// ```
/// use massval_hooks::{HookPoint, ModelPoints, Site, select};
///
/// let points = ModelPoints::new(4, &[Site::Q, Site::K, Site::RotQ, Site::RotK]);
/// assert_eq!(
///     select(&points, "blocks.2-3.attn.hook_rot_{q,k}")?,
///     [
///         HookPoint::layer(2, Site::RotQ),
///         HookPoint::layer(2, Site::RotK),
///         HookPoint::layer(3, Site::RotQ),
///         HookPoint::layer(3, Site::RotK),
///     ]
/// );
/// assert_eq!(select(&points, "rot_q")?.len(), 4);
/// let error = select(&points, "blocks.0.attn.hook_rotq").unwrap_err();
/// assert!(error.to_string().ends_with("did you mean `blocks.0.attn.hook_rot_q`?"));
/// # Ok::<(), massval_hooks::Error>(())
/// ```
///
/// # Errors
/// Every alternative must select something. [`Error::UnknownHook`] with the nearest name, if
/// there is none such in any model; [`Error::MissingSite`] if it exists, but not in this model;
/// [`Error::NotAHookPoint`] if it is a place in the code that has no hook point;
/// [`Error::LayerOutOfRange`] if the model has not so many layers; [`Error::InvalidPattern`] if
/// the pattern cannot be read.
pub fn select(points: &ModelPoints, pattern: &str) -> Result<Vec<HookPoint>> {
    let mut selected = BTreeSet::new();
    for alternative in alternatives(pattern)? {
        selected.extend(select_one(points, &alternative, pattern)?);
    }
    Ok(selected.into_iter().collect())
}

/// A name that a glob matched: its site, and its layer where it has one.
type Match = (Site, Option<usize>);

fn select_one(points: &ModelPoints, alternative: &str, pattern: &str) -> Result<Vec<HookPoint>> {
    let glob = Glob::parse(alternative, pattern)?;
    // A layer is looked for even in a model without layers: to say that it has none.
    let layers = points.layers().max(1);
    let own = [bare, classic].into_iter().map(|spelling| spelling(&glob, layers));
    let modules = [transformer_lens_3, hugging_face].into_iter();
    let modules = modules.map(|spelling| spelling(&glob, layers));
    let mut refused = None;
    let modules = modules.map(|mut matches| {
        let other = matches.iter().find(|(site, _)| !points.means_module(*site));
        refused = refused.or(other.map(|(site, _)| *site));
        matches.retain(|(site, _)| points.means_module(*site));
        matches
    });
    let matches = own.chain(modules).find(|matches| !matches.is_empty());
    if let (None, Some(site)) = (&matches, refused) {
        let reason = format!("this model has norms behind attention and MLP; ask for `{site}`");
        return Err(Error::NotAHookPoint { pattern: alternative.to_owned(), reason });
    }
    let Some(matches) = matches else {
        return Err(place_elsewhere(&glob, layers, alternative)
            .unwrap_or_else(|| unknown(points, alternative)));
    };
    let ranges = glob
        .layers()
        .map(|range| range.resolve(points.layers(), alternative))
        .collect::<Result<Vec<_>>>()?;
    let present: Vec<HookPoint> = matches
        .iter()
        .filter(|(_, layer)| layer.is_none_or(|n| ranges.iter().all(|range| range.contains(&n))))
        .filter_map(|&(site, layer)| HookPoint::new(layer, site).ok())
        .filter(|&point| points.contains(point))
        .collect();
    match matches.first() {
        Some(&(site, _)) if present.is_empty() => {
            let reason = if points.layers() == 0 && site.in_layer() {
                "this model has no layers"
            } else {
                site.absence()
            };
            Err(Error::MissingSite { pattern: alternative.to_owned(), site, reason })
        }
        _ => Ok(present),
    }
}

fn bare(glob: &Glob, layers: usize) -> Vec<Match> {
    let named = |site: &Site| glob.matches(&Name { text: site.name(), layer: None });
    let points = |site: Site| -> Vec<Match> {
        if site.in_layer() {
            (0..layers).map(|layer| (site, Some(layer))).collect()
        } else {
            vec![(site, None)]
        }
    };
    Site::ALL.into_iter().filter(named).flat_map(points).collect()
}

fn classic(glob: &Glob, layers: usize) -> Vec<Match> {
    let names = Site::ALL.into_iter().map(|site| (site, names::classic(site)));
    names.flat_map(|(site, name)| in_layers(glob, name, layers, site)).collect()
}

fn transformer_lens_3(glob: &Glob, layers: usize) -> Vec<Match> {
    let names = TRANSFORMER_LENS_3.iter();
    names.flat_map(|&(site, name)| in_layers(glob, name, layers, site)).collect()
}

fn hugging_face(glob: &Glob, layers: usize) -> Vec<Match> {
    let names = HUGGING_FACE.iter();
    names.flat_map(|&(site, name)| in_layers(glob, name, layers, site)).collect()
}

/// The layers in which `glob` matches `name`, each with what the name means.
fn in_layers<T: Copy>(
    glob: &Glob,
    name: &str,
    layers: usize,
    meaning: T,
) -> Vec<(T, Option<usize>)> {
    let Some((before, after)) = name.split_once(LAYER) else {
        let matched = glob.matches(&Name { text: name, layer: None });
        return matched.then_some((meaning, None)).into_iter().collect();
    };
    let matched = |layer: &usize| {
        let text = format!("{before}{layer}{after}");
        let span = before.len()..text.len() - after.len();
        glob.matches(&Name { text: &text, layer: Some(span) })
    };
    (0..layers).filter(matched).map(|layer| (meaning, Some(layer))).collect()
}

/// The error for a place that exists, but is no site.
fn place_elsewhere(glob: &Glob, layers: usize, alternative: &str) -> Option<Error> {
    let found = ELSEWHERE.iter().find(|(name, _)| !in_layers(glob, name, layers, ()).is_empty());
    found.map(|(_, reason)| Error::NotAHookPoint {
        pattern: alternative.to_owned(),
        reason: reason.replace(LAYER, &suggest::layer_text(alternative)),
    })
}

/// The error for a name that nothing has, with the nearest one that this model has.
fn unknown(points: &ModelPoints, alternative: &str) -> Error {
    let layer = suggest::layer_text(alternative);
    let sites = points.sites().map(|site| site.name().to_owned());
    let classic = points.sites().map(names::classic);
    let others = TRANSFORMER_LENS_3.iter().chain(HUGGING_FACE);
    let others = others.filter(|(site, _)| points.has(*site)).map(|&(_, name)| name);
    let full = classic.chain(others).map(|name| name.replace(LAYER, &layer));
    let nearest = suggest::nearest(alternative, sites.chain(full));
    Error::UnknownHook { pattern: alternative.to_owned(), nearest }
}
