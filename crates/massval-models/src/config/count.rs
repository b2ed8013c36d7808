//! How many parameters a decoder has.

use super::{DecoderConfig, MlpKind, NormKind, PositionEncoding, QkNorm};

impl DecoderConfig {
    /// Number of parameters: weights and biases, a tied head counted once.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let d = self.d_model as u64;
        let embed = self.vocab_size as u64 * self.embedding.width as u64;
        let projections = if self.embedding.width == self.d_model {
            0
        } else {
            2 * d * self.embedding.width as u64
        };
        let positions = match self.position {
            PositionEncoding::Learned { positions, offset } => (positions + offset) as u64 * d,
            _ => 0,
        };
        let head = when(!self.tied_head, embed) + when(self.bias.head, self.vocab_size as u64);
        let outer_norms = u64::from(self.embedding.norm) + u64::from(self.final_norm);
        embed
            + projections
            + when(self.embedding.learned_scale, 1)
            + positions
            + head
            + outer_norms * self.norm_parameters(d)
            + self.layers as u64 * self.block_parameters()
    }

    /// Number of parameters of one block.
    #[must_use]
    pub fn block_parameters(&self) -> u64 {
        let (d, bias) = (self.d_model as u64, &self.bias);
        let q = (self.heads * self.head_dim) as u64;
        let kv = (self.kv_heads * self.head_dim) as u64;
        let qk_norm = match self.attention.qk_norm {
            None => 0,
            Some(QkNorm::PerHead) => 2 * self.norm_parameters(self.head_dim as u64),
            Some(QkNorm::AllHeads) => self.norm_parameters(q) + self.norm_parameters(kv),
        };
        let attention = d * (q + 2 * kv)
            + when(bias.qkv, q + 2 * kv)
            + q * d
            + when(bias.attn_out, d)
            + when(self.attention.kv_bias, 2 * kv)
            + qk_norm;
        self.block.norms() as u64 * self.norm_parameters(d) + attention + self.mlp_parameters()
    }

    fn mlp_parameters(&self) -> u64 {
        let (d, m) = (self.d_model as u64, self.d_mlp as u64);
        let one = |inner: u64| (inner + 1) * d * m + when(self.bias.mlp, inner * m + d);
        match self.mlp {
            MlpKind::Plain => one(1),
            MlpKind::Gated => one(2),
            MlpKind::Experts { count, .. } => count as u64 * (one(2) + d),
        }
    }

    fn norm_parameters(&self, width: u64) -> u64 {
        match self.norm {
            NormKind::LayerNormFixed => 0,
            NormKind::LayerNorm => width + when(self.bias.norm, width),
            NormKind::RmsNorm | NormKind::RmsNormPlusOne => width,
            NormKind::DynamicTanh => width + when(self.bias.norm, width) + 1,
        }
    }
}

fn when(flag: bool, count: u64) -> u64 {
    if flag { count } else { 0 }
}
