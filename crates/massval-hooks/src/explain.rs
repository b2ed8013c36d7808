//! What a hook point is and under which names it is known, for a person to read.

use serde::Serialize;

use crate::names::{self, HUGGING_FACE, TRANSFORMER_LENS_3};
use crate::{HookPoint, ModelPoints, SiteDims};

/// Whose name for a hook point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Spelling {
    /// TransformerLens up to version 2: the canonical names.
    Classic,
    /// The `TransformerBridge` of TransformerLens 3.
    #[serde(rename = "transformer_lens_3")]
    TransformerLens3,
    /// The path of the module, in Hugging Face transformers, whose output it is.
    HuggingFace,
}

/// One name of a hook point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Alias {
    /// Whose name it is.
    pub spelling: Spelling,
    /// The name, with the layer filled in.
    pub name: String,
}

/// A hook point explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The hook point; its text form is the canonical name.
    pub point: HookPoint,
    /// The layout of the activation there.
    pub dims: SiteDims,
    /// One sentence that says where it sits.
    pub description: &'static str,
    /// Its names: see [`aliases`].
    pub aliases: Vec<Alias>,
}

/// All names of a point: the canonical one first, then TransformerLens 3's, then the module paths
/// of the families. [`select`](crate::select) takes each of them, unless the model has norms behind
/// attention and MLP: see [`ModelPoints::explain`].
///
/// TransformerLens 3 uses the canonical name where no other is listed; a point without a module
/// path, such as `rot_q`, is the output of no module.
///
/// ```
/// use massval_hooks::{HookPoint, Site, aliases};
///
/// let names: Vec<String> =
///     aliases(HookPoint::layer(3, Site::ResidPost)).into_iter().map(|alias| alias.name).collect();
/// assert_eq!(
///     names,
///     [
///         "blocks.3.hook_resid_post",
///         "blocks.3.hook_out",
///         "model.layers.3",
///         "model.decoder.layers.3",
///         "transformer.h.3",
///         "transformer.blocks.3",
///         "gpt_neox.layers.3",
///     ]
/// );
/// ```
#[must_use]
pub fn aliases(point: HookPoint) -> Vec<Alias> {
    let layer = point.layer.unwrap_or_default();
    let alias = |spelling, name| Alias { spelling, name: names::render(name, layer) };
    let of_site = |table: &'static [(_, &'static str)], spelling| {
        let names = table.iter().filter(move |(site, _)| *site == point.site);
        names.map(move |&(_, name)| alias(spelling, name))
    };
    std::iter::once(alias(Spelling::Classic, names::classic(point.site)))
        .chain(of_site(TRANSFORMER_LENS_3, Spelling::TransformerLens3))
        .chain(of_site(HUGGING_FACE, Spelling::HuggingFace))
        .collect()
}

/// What a point is: its layout, where it sits, its names.
///
/// ```
/// use massval_hooks::{HookPoint, Site, explain};
///
/// let scores = explain(HookPoint::layer(0, Site::AttnScores));
/// assert_eq!(scores.dims.to_string(), "[batch, heads, seq, keys]");
/// assert_eq!(
///     scores.description,
///     "attention scores after scaling, soft cap and mask, before softmax"
/// );
/// ```
#[must_use]
pub fn explain(point: HookPoint) -> Explanation {
    let site = point.site;
    Explanation {
        point,
        dims: site.dims(),
        description: site.description(),
        aliases: aliases(point),
    }
}

impl ModelPoints {
    /// What a point of this model is, with the names that it has in this model.
    #[must_use]
    pub fn explain(&self, point: HookPoint) -> Explanation {
        let mut explanation = explain(point);
        if !self.means_module(point.site) {
            explanation.aliases.retain(|alias| alias.spelling == Spelling::Classic);
        }
        explanation
    }
}
