//! What attention does with Q, K and the scores.

use serde::Serialize;

/// What attention does with Q, K and the scores.
///
/// A score is `scale * q k`, soft-capped, plus the bias of [ALiBi](super::PositionEncoding::Alibi),
/// and minus infinity where the query must not look.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AttentionConfig {
    /// What `q k` is multiplied with; most often `1 / sqrt(head_dim)`.
    pub scale: f64,
    /// Scores go through `cap * tanh(score / cap)`, before the mask.
    pub soft_cap: Option<f64>,
    /// How Q and K are normalised before they are rotated.
    pub qk_norm: Option<QkNorm>,
    /// Q, K and V are cut to at most this absolute value, as part of their projection.
    pub clip_qkv: Option<f64>,
    /// Layers that see the latest tokens only.
    pub window: Option<Window>,
    /// Every query also sees one learned key with a learned value, which are not rotated (2402.17762, eq. 3).
    pub kv_bias: bool,
}

impl AttentionConfig {
    /// Scores over `sqrt(width)`, and nothing else.
    pub(crate) fn scaled(width: usize) -> Self {
        Self {
            scale: 1.0 / (width as f64).sqrt(),
            soft_cap: None,
            qk_norm: None,
            clip_qkv: None,
            window: None,
            kv_bias: false,
        }
    }
}

/// Over what Q and K are normalised; with the norm of the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum QkNorm {
    /// Each head for itself, all with one weight of `head_dim`.
    PerHead,
    /// All heads of a token together.
    AllHeads,
}

/// Layers whose queries see the latest tokens only.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Window {
    /// Tokens that a query sees, its own included.
    pub size: usize,
    /// For each layer, whether it looks through the window.
    pub layers: Vec<bool>,
}
