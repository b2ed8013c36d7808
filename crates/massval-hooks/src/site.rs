//! The named places in a model where an activation exists, and the shape it has there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, suggest};

/// A named place in a model where an activation exists.
///
/// Sites stand in the order in which a forward pass reaches them; all but [`Site::Embed`],
/// [`Site::LnFinal`] and [`Site::Logits`] exist once per layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Site {
    /// `embed`: the token embeddings.
    Embed,
    /// `resid_pre`: the residual stream that enters a layer.
    ResidPre,
    /// `q`: queries as projected.
    Q,
    /// `k`: keys as projected.
    K,
    /// `v`: values as projected.
    V,
    /// `q_normed`: queries after QK-norm.
    QNormed,
    /// `k_normed`: keys after QK-norm.
    KNormed,
    /// `rot_q`: queries after rotation.
    RotQ,
    /// `rot_k`: keys after rotation.
    RotK,
    /// `attn_scores`: what the softmax gets.
    AttnScores,
    /// `pattern`: what the softmax gives.
    Pattern,
    /// `z`: the heads' weighted values.
    Z,
    /// `attn_out`: what attention adds to the residual stream.
    AttnOut,
    /// `resid_mid`: the residual stream between attention and MLP.
    ResidMid,
    /// `mlp_pre`: the input of the MLP's activation function.
    MlpPre,
    /// `mlp_post`: the input of the MLP's down projection.
    MlpPost,
    /// `mlp_out`: what the MLP adds to the residual stream.
    MlpOut,
    /// `resid_post`: the residual stream that leaves a layer.
    ResidPost,
    /// `ln_final`: the output of the final norm.
    LnFinal,
    /// `logits`: one score per vocabulary entry.
    Logits,
}

impl Site {
    /// Every site, in the order of a forward pass.
    pub const ALL: [Site; 20] = [
        Site::Embed,
        Site::ResidPre,
        Site::Q,
        Site::K,
        Site::V,
        Site::QNormed,
        Site::KNormed,
        Site::RotQ,
        Site::RotK,
        Site::AttnScores,
        Site::Pattern,
        Site::Z,
        Site::AttnOut,
        Site::ResidMid,
        Site::MlpPre,
        Site::MlpPost,
        Site::MlpOut,
        Site::ResidPost,
        Site::LnFinal,
        Site::Logits,
    ];

    /// The site's name, as written in results and accepted by [`str::parse`].
    ///
    /// ```
    /// assert_eq!(massval_hooks::Site::RotQ.name(), "rot_q");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Site::Embed => "embed",
            Site::ResidPre => "resid_pre",
            Site::Q => "q",
            Site::K => "k",
            Site::V => "v",
            Site::QNormed => "q_normed",
            Site::KNormed => "k_normed",
            Site::RotQ => "rot_q",
            Site::RotK => "rot_k",
            Site::AttnScores => "attn_scores",
            Site::Pattern => "pattern",
            Site::Z => "z",
            Site::AttnOut => "attn_out",
            Site::ResidMid => "resid_mid",
            Site::MlpPre => "mlp_pre",
            Site::MlpPost => "mlp_post",
            Site::MlpOut => "mlp_out",
            Site::ResidPost => "resid_post",
            Site::LnFinal => "ln_final",
            Site::Logits => "logits",
        }
    }

    /// Whether the site exists once per layer, rather than once per model.
    #[must_use]
    pub const fn in_layer(self) -> bool {
        !matches!(self, Site::Embed | Site::LnFinal | Site::Logits)
    }

    /// The layout of the activation at this site.
    #[must_use]
    pub const fn dims(self) -> SiteDims {
        match self {
            Site::Q | Site::QNormed | Site::RotQ | Site::Z => SiteDims::Heads { kv: false },
            Site::K | Site::V | Site::KNormed | Site::RotK => SiteDims::Heads { kv: true },
            Site::AttnScores | Site::Pattern => SiteDims::Scores,
            Site::MlpPre | Site::MlpPost => SiteDims::Mlp,
            Site::Logits => SiteDims::Vocab,
            Site::Embed
            | Site::ResidPre
            | Site::AttnOut
            | Site::ResidMid
            | Site::MlpOut
            | Site::ResidPost
            | Site::LnFinal => SiteDims::Hidden,
        }
    }

    /// One sentence that says where the site sits in the computation.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Site::Embed => "token embeddings, before learned positions are added",
            Site::ResidPre => "residual stream that enters the layer, before its first norm",
            Site::Q => "queries after projection, bias and head split, before QK-norm and rotation",
            Site::K => {
                "keys after projection, bias and head split, before QK-norm and rotation, per KV head"
            }
            Site::V => "values after projection, bias and head split, per KV head",
            Site::QNormed => "queries after QK-norm, before rotation",
            Site::KNormed => "keys after QK-norm, before rotation, per KV head",
            Site::RotQ => "queries after rotation (RoPE), as attention uses them",
            Site::RotK => {
                "keys after rotation (RoPE), as attention and the cache use them, per KV head"
            }
            Site::AttnScores => "attention scores after scaling, soft cap and mask, before softmax",
            Site::Pattern => "attention probabilities after softmax, each query's keys sum to 1",
            Site::Z => "heads' weighted sums of values, before the output projection",
            Site::AttnOut => "what attention adds to the residual stream, after output projection",
            Site::ResidMid => "residual stream after attention was added, before the MLP's norm",
            Site::MlpPre => "input of the MLP's activation function (the gate, where there is one)",
            Site::MlpPost => "input of the MLP's down projection, after activation and gating",
            Site::MlpOut => "what the MLP adds to the residual stream, after the down projection",
            Site::ResidPost => "residual stream that leaves the layer",
            Site::LnFinal => "output of the final norm, the input of the language-model head",
            Site::Logits => "scores over the vocabulary, after any final soft cap",
        }
    }

    /// Why a model may have no such site.
    pub(crate) const fn absence(self) -> &'static str {
        match self {
            Site::RotQ | Site::RotK => "this model has no rotary positions (RoPE)",
            Site::QNormed | Site::KNormed => "this model has no QK-norm",
            Site::MlpPre | Site::MlpPost => {
                "a token of this model goes through several MLPs (experts); `mlp_out` is their sum"
            }
            Site::ResidMid => {
                "no residual stream exists between this model's attention and MLP (they run in parallel)"
            }
            _ => "this model does not offer it",
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Site {
    type Err = Error;

    /// Reads a site's name.
    ///
    /// # Errors
    /// [`Error::UnknownSite`] with the nearest name, when there is no such site.
    fn from_str(name: &str) -> Result<Self> {
        Site::ALL.into_iter().find(|site| site.name() == name).ok_or_else(|| Error::UnknownSite {
            name: name.to_owned(),
            nearest: suggest::nearest(name, Site::ALL.iter().map(|s| s.name().to_owned())),
        })
    }
}

/// The layout of an activation; what the axes are called depends on nothing but the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SiteDims {
    /// `[batch, seq, d_model]`
    Hidden,
    /// `[batch, heads, seq, head_dim]`
    Heads {
        /// Whether the heads are the KV heads, counted before any repetition.
        kv: bool,
    },
    /// `[batch, heads, seq, keys]`, with one entry of `keys` for every cached or current token.
    Scores,
    /// `[batch, seq, d_mlp]`
    Mlp,
    /// `[batch, seq, vocab]`
    Vocab,
}

impl SiteDims {
    /// The names of the axes, outermost first.
    #[must_use]
    pub const fn axes(self) -> &'static [&'static str] {
        match self {
            SiteDims::Hidden => &["batch", "seq", "d_model"],
            SiteDims::Heads { kv: false } => &["batch", "heads", "seq", "head_dim"],
            SiteDims::Heads { kv: true } => &["batch", "kv_heads", "seq", "head_dim"],
            SiteDims::Scores => &["batch", "heads", "seq", "keys"],
            SiteDims::Mlp => &["batch", "seq", "d_mlp"],
            SiteDims::Vocab => &["batch", "seq", "vocab"],
        }
    }

    /// The number of axes: 3 for [`Activation::Hidden`](crate::Activation::Hidden), 4 for
    /// [`Activation::Heads`](crate::Activation::Heads).
    #[must_use]
    pub const fn rank(self) -> usize {
        self.axes().len()
    }
}

impl fmt::Display for SiteDims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("[{}]", self.axes().join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_stand_in_order() {
        for (i, site) in Site::ALL.into_iter().enumerate() {
            assert_eq!(site as usize, i);
            assert_eq!(site.name().parse::<Site>().unwrap(), site);
            assert_eq!(serde_json::to_value(site).unwrap(), site.name());
        }
    }

    #[test]
    fn unknown_site_names_the_nearest() {
        let error = "rot_qq".parse::<Site>().unwrap_err();
        assert_eq!(error.to_string(), "unknown site `rot_qq`: did you mean `rot_q`?");
    }

    #[test]
    fn layouts_name_their_axes() {
        assert_eq!(Site::RotK.dims().to_string(), "[batch, kv_heads, seq, head_dim]");
        assert_eq!(Site::MlpPost.dims().rank(), 3);
    }
}
