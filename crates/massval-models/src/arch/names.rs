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
    /// One matrix.
    Fused { name: &'static str, order: FusedOrder },
}

/// The order of the outputs of a fused projection to Q, K and V.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FusedOrder {
    /// All of Q, all of K, all of V.
    Blocks,
    /// KV head by KV head: its query heads, its key, its value. With as many KV heads as heads that is
    /// `q k v q k v ..`, with a single one `q q .. k v`.
    Groups,
}

/// The norms of a block; which ones there are follows from the block's order.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NormNames {
    /// Before attention; after it on the stream, where the stream itself is normalised.
    pub(crate) attn: Option<&'static str>,
    /// Of what attention adds to the stream.
    pub(crate) attn_out: Option<&'static str>,
    /// Before the MLP; after it on the stream, where the stream itself is normalised.
    pub(crate) mlp: Option<&'static str>,
    /// Of what the MLP adds to the stream.
    pub(crate) mlp_out: Option<&'static str>,
}

/// The matrices of an MLP.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MlpNames {
    Plain {
        up: &'static str,
        down: &'static str,
    },
    Gated {
        gate: &'static str,
        up: &'static str,
        down: &'static str,
    },
    /// Gate and linear half in one matrix, the gate's outputs first.
    FusedGate {
        gate_up: &'static str,
        down: &'static str,
    },
    /// `{e}` is the expert.
    Experts {
        router: &'static str,
        gate: &'static str,
        up: &'static str,
        down: &'static str,
    },
}

/// What only massval's own architecture has: the keys and values of the attention bias, `[kv_heads, head_dim]`, and
/// what embeddings are multiplied with, `[1]`.
pub(crate) const KEY_BIAS: &str = "layers.{l}.attn.key_bias";
pub(crate) const VALUE_BIAS: &str = "layers.{l}.attn.value_bias";
pub(crate) const EMBED_SCALE: &str = "embed_scale";

/// What may stand before the names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prefix {
    /// Before every name but the head's.
    pub(crate) body: &'static str,
    /// Before the head's name.
    pub(crate) head: &'static str,
}

/// The names of an architecture's tensors, without `.weight` and `.bias`; `{l}` is the layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WeightNames {
    /// The first under which the embedding is found is used.
    pub(crate) prefixes: &'static [Prefix],
    pub(crate) embed: &'static str,
    pub(crate) embed_norm: Option<&'static str>,
    /// Between an embedding of another width and the stream, in and out.
    pub(crate) projections: Option<(&'static str, &'static str)>,
    pub(crate) positions: Option<&'static str>,
    pub(crate) final_norm: &'static str,
    /// Of the head, where it is not tied.
    pub(crate) head: &'static str,
    pub(crate) linear: Stored,
    pub(crate) norms: NormNames,
    pub(crate) qkv: Qkv,
    pub(crate) qk_norm: Option<(&'static str, &'static str)>,
    pub(crate) attn_out: &'static str,
    pub(crate) mlp: MlpNames,
    /// Full names of tensors that can be computed from the config: buffers of old checkpoints.
    pub(crate) derivable: &'static [&'static str],
    /// How the full names of tensors begin that belong to another part of the model, such as an image
    /// encoder: they are left unused on purpose.
    pub(crate) aside: &'static [&'static str],
}
