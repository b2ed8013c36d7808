//! What a decoder is made of, said once for every architecture.

mod attention;
mod count;
mod position;
#[cfg(test)]
mod tests;
mod traits;

use massval_hooks::{ModelPoints, Site};
use serde::Serialize;

pub use attention::{AttentionConfig, QkNorm, Window};
pub use position::{AlibiConfig, AlibiOrigin, PositionEncoding, RopeConfig};
pub use traits::Traits;

/// A decoder-only transformer, described. An architecture's config reader produces it, the
/// [`Decoder`](crate::Decoder) is built from it; there is nothing else that tells one family
/// from another in the forward pass.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DecoderConfig {
    /// The architecture's name, as in [`arch::names`](crate::arch::names).
    pub architecture: String,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Query heads of a block.
    pub heads: usize,
    /// Key and value heads of a block; `heads` is a multiple of it.
    pub kv_heads: usize,
    /// Channels of a head.
    pub head_dim: usize,
    /// Width of the MLP's hidden layer; of one expert's, where there are experts.
    pub d_mlp: usize,
    /// How tokens enter the residual stream.
    pub embedding: EmbeddingConfig,
    /// How a block joins norms, attention, MLP and the residual stream.
    pub block: BlockOrder,
    /// The normalisation of every block, of Q and K where they are normalised, and of the final norm.
    pub norm: NormKind,
    /// The constant under the norm's square root.
    pub norm_eps: f64,
    /// Whether a norm follows the last block.
    pub final_norm: bool,
    /// How positions enter.
    pub position: PositionEncoding,
    /// The rotary positions of the layers that look through a window, where they have their own.
    pub local_rope: Option<RopeConfig>,
    /// The longest sequence that the model was made for, where its config says so.
    pub max_positions: Option<usize>,
    /// What attention does with Q, K and the scores.
    pub attention: AttentionConfig,
    /// The shape of the MLP.
    pub mlp: MlpKind,
    /// The MLP's activation function.
    pub activation: ActivationKind,
    /// Which linear layers carry a bias.
    pub bias: BiasConfig,
    /// The head shares the embedding's weights.
    pub tied_head: bool,
    /// Logits go through `cap * tanh(logit / cap)`.
    pub logit_soft_cap: Option<f64>,
}

/// How tokens enter the residual stream. The site `embed` is what comes out of all of this.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EmbeddingConfig {
    /// Columns of the embedding; apart from `d_model`, a linear layer leads from one to the other,
    /// and another one back before the head.
    pub width: usize,
    /// Embeddings are multiplied with it.
    pub scale: Option<f64>,
    /// They are multiplied with a weight, one for all.
    pub learned_scale: bool,
    /// A norm of the model's kind follows the embedding.
    pub norm: bool,
}

impl EmbeddingConfig {
    /// The embedding as it is.
    pub(crate) const fn plain(width: usize) -> Self {
        Self { width, scale: None, learned_scale: false, norm: false }
    }
}

/// How a block joins norms, attention, MLP and the residual stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BlockOrder {
    /// `x + attn(norm(x))`, then `x + mlp(norm(x))`.
    PreNorm,
    /// `x + norm(attn(x))`, then `x + norm(mlp(x))`.
    OutputNorm,
    /// `x + norm(attn(norm(x)))`, then `x + norm(mlp(norm(x)))`.
    SandwichNorm,
    /// `norm(x + attn(x))`, then `norm(x + mlp(x))`: the stream itself is normalised, so
    /// `resid_mid` and `resid_post` come out of a norm.
    StreamNorm,
    /// `x + attn(n) + mlp(n)` with one `n = norm(x)`.
    ParallelOneNorm,
    /// `x + attn(norm(x)) + mlp(norm'(x))`.
    ParallelTwoNorms,
}

impl BlockOrder {
    /// Whether attention and MLP read the same residual stream.
    #[must_use]
    pub const fn is_parallel(self) -> bool {
        matches!(self, Self::ParallelOneNorm | Self::ParallelTwoNorms)
    }

    /// Norms of a block, those of Q and K not counted.
    #[must_use]
    pub const fn norms(self) -> usize {
        match self {
            Self::ParallelOneNorm => 1,
            Self::SandwichNorm => 4,
            _ => 2,
        }
    }
}

/// The normalisation layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NormKind {
    /// `x / sqrt(mean(x^2) + eps) * weight`.
    RmsNorm,
    /// `x / sqrt(mean(x^2) + eps) * (1 + weight)`.
    RmsNormPlusOne,
    /// `(x - mean(x)) / sqrt(var(x) + eps) * weight + bias`.
    LayerNorm,
    /// `(x - mean(x)) / sqrt(var(x) + eps)`: nothing is learned.
    LayerNormFixed,
    /// `tanh(alpha x) * weight + bias` with one alpha per norm (DyT, 2503.10622): no statistics.
    DynamicTanh,
}

/// The shape of the MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MlpKind {
    /// `down(act(gate(x)) * up(x))`.
    Gated,
    /// `down(act(up(x)))`.
    Plain,
    /// Several gated MLPs. A token goes to those `per_token` of them that a linear router gives the
    /// largest probabilities; their outputs are summed, weighted with these probabilities divided by
    /// their sum.
    Experts {
        /// How many there are.
        count: usize,
        /// How many a token goes to.
        per_token: usize,
    },
}

/// The MLP's activation function, by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ActivationKind {
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * Phi(x)`, with the error function.
    Gelu,
    /// `x * Phi(x)`, with the tanh approximation.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
}

impl ActivationKind {
    /// The activation of Hugging Face's name for it (`hidden_act`, `activation_function`).
    pub(crate) fn from_hf(name: &str) -> Option<Self> {
        Some(match name {
            "silu" | "swish" => Self::Silu,
            "gelu" => Self::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Self::GeluTanh,
            "relu" => Self::Relu,
            _ => return None,
        })
    }
}

/// Which linear layers carry a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BiasConfig {
    /// The projections to Q, K and V.
    pub qkv: bool,
    /// The attention's output projection.
    pub attn_out: bool,
    /// Both layers of the MLP.
    pub mlp: bool,
    /// The norms (a LayerNorm's beta).
    pub norm: bool,
    /// The head.
    pub head: bool,
}

impl BiasConfig {
    /// No bias anywhere.
    pub(crate) const NONE: Self =
        Self { qkv: false, attn_out: false, mlp: false, norm: false, head: false };
    /// A bias everywhere but in the head.
    pub(crate) const ALL: Self =
        Self { qkv: true, attn_out: true, mlp: true, norm: true, head: false };
}

impl DecoderConfig {
    /// The sites that this model has: `rot_q` and `rot_k` only with rotary positions, `q_normed` and
    /// `k_normed` only with QK-norm, `resid_mid` only where attention comes before the MLP, `mlp_pre`
    /// and `mlp_post` only where there is one MLP for all tokens.
    ///
    /// ```
    /// # use massval_models::{arch, DecoderConfig};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let json = r#"{"model_type": "gpt2", "vocab_size": 64, "n_positions": 32, "n_embd": 16,
    ///                "n_layer": 2, "n_head": 2}"#;
    /// let config = arch::read_config("config.json".as_ref(), json)?;
    /// assert!(!config.sites().contains(&massval_hooks::Site::RotQ));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn sites(&self) -> Vec<Site> {
        let has = |site: &Site| match site {
            Site::RotQ | Site::RotK => self.rope().is_some(),
            Site::QNormed | Site::KNormed => self.attention.qk_norm.is_some(),
            Site::ResidMid => !self.block.is_parallel(),
            Site::MlpPre | Site::MlpPost => !matches!(self.mlp, MlpKind::Experts { .. }),
            _ => true,
        };
        Site::ALL.into_iter().filter(has).collect()
    }

    /// The hook points that this model has.
    #[must_use]
    pub fn hook_points(&self) -> ModelPoints {
        let points = ModelPoints::new(self.layers, &self.sites());
        match self.block {
            BlockOrder::OutputNorm | BlockOrder::SandwichNorm => points.with_norms_behind(),
            _ => points,
        }
    }

    /// The rotary positions, when the model has them; see also [`rope_at`](Self::rope_at).
    #[must_use]
    pub fn rope(&self) -> Option<&RopeConfig> {
        match &self.position {
            PositionEncoding::Rope(rope) => Some(rope),
            _ => None,
        }
    }

    /// The rotary positions of one layer: layers with a window may have their own.
    #[must_use]
    pub fn rope_at(&self, layer: usize) -> Option<&RopeConfig> {
        let local = self.local_rope.as_ref().filter(|_| self.window_at(layer).is_some());
        local.or_else(|| self.rope())
    }

    /// How many tokens a query of this layer sees, its own included; `None` if all up to its own.
    #[must_use]
    pub fn window_at(&self, layer: usize) -> Option<usize> {
        let window = self.attention.window.as_ref()?;
        window.layers.get(layer).copied().unwrap_or(false).then_some(window.size)
    }

    /// How many tokens a sequence may have; `None` if the config sets no limit.
    #[must_use]
    pub fn positions(&self) -> Option<usize> {
        match self.position {
            PositionEncoding::Learned { positions, .. } => Some(positions),
            _ => self.max_positions,
        }
    }
}
