//! What can go wrong between a name and an activation.

use burn::tensor::DType;

use crate::hook::HookFailure;
use crate::{HookPoint, Site};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with hooks and their names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No hook point of any model has such a name.
    #[error("unknown hook point `{pattern}`{}", did_you_mean(.nearest))]
    UnknownHook {
        /// What was asked for (one alternative of it, if it had braces).
        pattern: String,
        /// The name most like it, if any is.
        nearest: Option<String>,
    },
    /// There is no such site.
    #[error("unknown site `{name}`{}", did_you_mean(.nearest))]
    UnknownSite {
        /// What was asked for.
        name: String,
        /// The name most like it, if any is.
        nearest: Option<String>,
    },
    /// A pattern that cannot be read.
    #[error("hook pattern `{pattern}` cannot be read: {reason}")]
    InvalidPattern {
        /// What was asked for.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A layer that the model does not have.
    #[error("`{pattern}` asks for layer {layer}: {}", has_layers(.layers))]
    LayerOutOfRange {
        /// What was asked for.
        pattern: String,
        /// The layer, as it was written.
        layer: i64,
        /// The number of layers that the model has.
        layers: usize,
    },
    /// A site that exists in other models.
    #[error("`{pattern}` is the site `{site}`, but {reason}")]
    MissingSite {
        /// What was asked for.
        pattern: String,
        /// The site that is missing.
        site: Site,
        /// Why this model does not have it.
        reason: &'static str,
    },
    /// A place that exists in a model's code, but is none of the sites.
    #[error("`{pattern}` is not a hook point: {reason}")]
    NotAHookPoint {
        /// What was asked for.
        pattern: String,
        /// What is there, and what to ask for instead.
        reason: String,
    },
    /// A site of a layer without a layer, or the other way round.
    #[error("{}", misplaced(.site, .layer))]
    Misplaced {
        /// The site.
        site: Site,
        /// The layer that it was given.
        layer: Option<usize>,
    },
    /// A hook was added without any point to watch.
    #[error("hook `{hook}` was given no hook point: it would never fire")]
    NothingToWatch {
        /// The hook's name.
        hook: String,
    },
    /// An activation of the wrong rank.
    #[error("an activation of {found} axes where one of {expected} is needed")]
    Rank {
        /// The number of axes that the caller needs.
        expected: usize,
        /// The number of axes that there are.
        found: usize,
    },
    /// A model offered an activation of another rank than the site has.
    #[error("the model offered {found} axes at `{point}`, which has {layout}")]
    WrongActivation {
        /// The hook point.
        point: HookPoint,
        /// The layout that the site has.
        layout: crate::SiteDims,
        /// The number of axes that were offered.
        found: usize,
    },
    /// A hook returned an activation of another shape.
    #[error("hook `{hook}` changed the shape at `{point}` from {before:?} to {after:?}")]
    Reshaped {
        /// The hook's name.
        hook: String,
        /// The hook point.
        point: HookPoint,
        /// The shape it was given.
        before: Vec<usize>,
        /// The shape it returned.
        after: Vec<usize>,
    },
    /// A hook returned an activation of another element type.
    #[error("hook `{hook}` changed the type at `{point}` from {before:?} to {after:?}")]
    Retyped {
        /// The hook's name.
        hook: String,
        /// The hook point.
        point: HookPoint,
        /// The type it was given.
        before: DType,
        /// The type it returned.
        after: DType,
    },
    /// A hook failed.
    #[error("hook `{hook}` failed at `{point}`: {source}")]
    Failed {
        /// The hook's name.
        hook: String,
        /// The hook point.
        point: HookPoint,
        /// What the hook said.
        source: HookFailure,
    },
    /// The hook on the cache failed.
    #[error("hook `{hook}` failed at the keys and values of layer {layer}: {source}")]
    Cache {
        /// The hook's name.
        hook: String,
        /// The layer.
        layer: usize,
        /// What the hook said.
        source: HookFailure,
    },
    /// The hook on the cache was never called.
    #[error("hook `{hook}` never saw keys and values: no pass attended to any")]
    NoCache {
        /// The hook's name.
        hook: String,
    },
    /// Hooks that were added, but never called at some of their points.
    #[error("{}", never_fired(.silent))]
    NeverFired {
        /// Every hook with such points, and the points.
        silent: Vec<(String, Vec<HookPoint>)>,
    },
}

fn did_you_mean(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!(": did you mean `{name}`?"),
        None => String::new(),
    }
}

fn has_layers(layers: &usize) -> String {
    match layers {
        0 => "this model has no layers".to_owned(),
        1 => "this model has 1 layer, layer 0 (or -1)".to_owned(),
        n => format!("this model has {n} layers, 0 to {} (or -{n} to -1)", n - 1),
    }
}

fn misplaced(site: &Site, layer: &Option<usize>) -> String {
    match layer {
        Some(layer) => format!("site `{site}` is one of the whole model, not of layer {layer}"),
        None => format!("site `{site}` needs a layer"),
    }
}

/// How many points of one hook an error message names.
const POINTS_NAMED: usize = 3;

fn never_fired(silent: &[(String, Vec<HookPoint>)]) -> String {
    let hooks: Vec<String> = silent
        .iter()
        .map(|(hook, points)| {
            let named: Vec<String> =
                points.iter().take(POINTS_NAMED).map(|p| format!("`{p}`")).collect();
            let more = match points.len().saturating_sub(POINTS_NAMED) {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            format!("hook `{hook}` never fired at {}{more}", named.join(", "))
        })
        .collect();
    hooks.join("; ")
}
