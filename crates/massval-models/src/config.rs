//! What a decoder is made of, said once for every architecture.

use std::borrow::Cow;

use massval_detect::RopeAngles;
use massval_hooks::Site;
use serde::Serialize;

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
    /// Width of the MLP's hidden layer.
    pub d_mlp: usize,
    /// The normalisation of every block and of the final norm.
    pub norm: NormKind,
    /// The constant under the norm's square root.
    pub norm_eps: f64,
    /// How positions enter.
    pub position: PositionEncoding,
    /// The longest sequence that the model was made for, where its config says so.
    pub max_positions: Option<usize>,
    /// The shape of the MLP.
    pub mlp: MlpKind,
    /// The MLP's activation function.
    pub activation: ActivationKind,
    /// Which linear layers carry a bias.
    pub bias: BiasConfig,
    /// The head shares the embedding's weights.
    pub tied_head: bool,
}

/// The normalisation layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NormKind {
    /// `x / sqrt(mean(x^2) + eps) * weight`.
    RmsNorm,
    /// `(x - mean(x)) / sqrt(var(x) + eps) * weight + bias`.
    LayerNorm,
}

/// How a model knows the order of its tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum PositionEncoding {
    /// Rotary positions: Q and K are turned, pair by pair.
    Rope(RopeConfig),
    /// A learned vector for each position, added to the embedding.
    Learned {
        /// Number of learned positions.
        positions: usize,
    },
    /// None: the causal mask alone.
    None,
}

/// Rotary positions with half-split pairs: channel `j` turns with `j + rotary_dim / 2`, as in
/// Hugging Face's `rotate_half`. Channels from `rotary_dim` on are not turned.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RopeConfig {
    /// The base of the frequencies.
    pub theta: f64,
    /// The first `rotary_dim` channels of a head are turned.
    pub rotary_dim: usize,
    /// Radians per token of each pair, after scaling; `rotary_dim / 2` of them. Of a sequence no
    /// longer than the model was trained on; [`Self::inv_freq_at`] has those of any length.
    pub inv_freq: Vec<f64>,
    /// The scaling's name, when the frequencies are scaled.
    pub scaling: Option<String>,
    /// What cosines and sines are multiplied with: 1, but for YaRN and LongRoPE.
    pub attention_factor: f64,
    #[serde(skip)]
    angles: RopeAngles,
}

impl RopeConfig {
    pub(crate) fn new(angles: RopeAngles) -> Self {
        Self {
            theta: angles.theta(),
            rotary_dim: angles.rotary_dim(),
            inv_freq: angles.trained().to_vec(),
            scaling: angles.scaling().map(|scaling| scaling.name().to_owned()),
            attention_factor: angles.attention_factor(),
            angles,
        }
    }

    /// Radians per token of each pair in a sequence of `seq_len` tokens, counted from its first,
    /// those in the cache included.
    #[must_use]
    pub fn inv_freq_at(&self, seq_len: usize) -> Cow<'_, [f64]> {
        self.angles.at(seq_len)
    }

    /// The longest sequence with the frequencies `inv_freq`; `None` if every one has them.
    #[must_use]
    pub fn changes_beyond(&self) -> Option<usize> {
        self.angles.changes_beyond()
    }
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
}

impl DecoderConfig {
    /// The sites that this model has: `rot_q` and `rot_k` only with rotary positions.
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
        let rotary = matches!(self.position, PositionEncoding::Rope(_));
        Site::ALL
            .iter()
            .copied()
            .filter(|site| match site {
                Site::RotQ | Site::RotK => rotary,
                Site::QNormed | Site::KNormed => false,
                _ => true,
            })
            .collect()
    }

    /// The rotary positions, when the model has them.
    #[must_use]
    pub fn rope(&self) -> Option<&RopeConfig> {
        match &self.position {
            PositionEncoding::Rope(rope) => Some(rope),
            _ => None,
        }
    }

    /// How many tokens a sequence may have; `None` if the config sets no limit.
    #[must_use]
    pub fn positions(&self) -> Option<usize> {
        match self.position {
            PositionEncoding::Learned { positions } => Some(positions),
            _ => self.max_positions,
        }
    }

    /// Number of parameters: weights and biases, a tied head counted once.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let (d, m) = (self.d_model as u64, self.d_mlp as u64);
        let q = (self.heads * self.head_dim) as u64;
        let kv = (self.kv_heads * self.head_dim) as u64;
        let on = |flag: bool, n: u64| if flag { n } else { 0 };
        let norm = d + on(self.bias.norm, d);
        let attention =
            d * (q + 2 * kv) + on(self.bias.qkv, q + 2 * kv) + q * d + on(self.bias.attn_out, d);
        let inner = if self.mlp == MlpKind::Gated { 2 } else { 1 };
        let mlp = (inner + 1) * d * m + on(self.bias.mlp, inner * m + d);
        let positions = match self.position {
            PositionEncoding::Learned { positions } => positions as u64 * d,
            _ => 0,
        };
        let embed = self.vocab_size as u64 * d;
        embed
            + positions
            + norm
            + on(!self.tied_head, embed)
            + self.layers as u64 * (2 * norm + attention + mlp)
    }
}
