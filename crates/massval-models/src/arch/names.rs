//! Where an architecture keeps its weights: the second half of what an architecture is.

/// How a linear layer's matrix is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// `[out, in]`, as PyTorch's `Linear`.
    OutIn,
    /// `[in, out]`, as GPT-2's `Conv1D`.
    InOut,
}

/// How the projections to Q, K and V are stored.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Qkv {
    /// Three matrices.
    Separate {
        q: &'static str,
        k: &'static str,
        v: &'static str,
        /// Rows of Q and K lie in llama.cpp's interleaved order and must be put back.
        permuted: bool,
    },
    /// One matrix, Q's columns first, then K's, then V's.
    Fused(&'static str),
}

/// The names of an architecture's tensors, without `.weight` and `.bias`; `{l}` is the layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WeightNames {
    /// What may stand before every name; the first one under which the embedding is found is used.
    pub(crate) prefixes: &'static [&'static str],
    pub(crate) embed: &'static str,
    pub(crate) positions: Option<&'static str>,
    pub(crate) final_norm: &'static str,
    /// Of the head, where it is not tied. Never prefixed.
    pub(crate) head: &'static str,
    pub(crate) linear: Stored,
    pub(crate) attn_norm: &'static str,
    pub(crate) qkv: Qkv,
    pub(crate) attn_out: &'static str,
    pub(crate) mlp_norm: &'static str,
    pub(crate) gate: Option<&'static str>,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
    /// Full names of tensors that can be computed from the config: buffers of old checkpoints.
    pub(crate) derivable: &'static [&'static str],
}
