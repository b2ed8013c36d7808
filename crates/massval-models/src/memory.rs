//! What a model takes in memory: all of it, or layer by layer.

use burn::tensor::DType;
use serde::Serialize;

use crate::config::DecoderConfig;
use crate::load::Checkpoint;

/// The program itself, its threads, the tokenizer.
const PROGRAM: u64 = 64 << 20;

/// What a model takes in memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MemoryNeed {
    /// All weights.
    pub weights: u64,
    /// Those outside of the blocks: embedding, head, final norm.
    pub outside: u64,
    /// One block.
    pub block: u64,
    /// One block as it lies in the checkpoint, which is mapped while it is read.
    pub stored_block: u64,
    /// The hidden states of one token in the widest place of a pass.
    pub token: u64,
}

impl MemoryNeed {
    /// With all weights in memory, and passes over so many tokens.
    #[must_use]
    pub fn resident(&self, tokens: usize) -> u64 {
        self.weights + self.token * tokens as u64 + PROGRAM
    }

    /// With one block in memory at a time.
    #[must_use]
    pub fn streamed(&self, tokens: usize) -> u64 {
        self.outside + self.block + self.stored_block + self.token * tokens as u64 + PROGRAM
    }
}

impl DecoderConfig {
    /// Numbers that a token has in memory where a pass is widest: the stream, its norm, and what the MLP or the
    /// attention makes of them.
    fn widest(&self) -> usize {
        let attention = 2 * (self.heads + self.kv_heads) * self.head_dim;
        3 * self.d_model + (2 * self.d_mlp).max(attention)
    }
}

impl Checkpoint {
    /// What the model takes in memory with weights and activations of this type; logits and caches not counted.
    #[must_use]
    pub fn memory(&self, dtype: DType) -> MemoryNeed {
        let (config, size) = (&self.config, dtype.size() as u64);
        let (all, block) = (config.parameters(), config.block_parameters());
        let blocks = block * config.layers as u64;
        let stored = self.bytes as f64 * block as f64 / all.max(1) as f64;
        MemoryNeed {
            weights: all * size,
            outside: all.saturating_sub(blocks) * size,
            block: block * size,
            stored_block: stored as u64,
            token: config.widest() as u64 * size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_block_is_less_than_all() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/models/llama-gqa-tied");
        let checkpoint = Checkpoint::inspect(path.as_ref()).unwrap();
        let need = checkpoint.memory(DType::F32);
        assert_eq!(need.weights, checkpoint.config.parameters() * 4);
        assert_eq!(need.outside + 3 * need.block, need.weights, "three layers");
        assert_eq!(need.resident(1) - need.streamed(1), 2 * need.block - need.stored_block);
        assert!(need.stored_block * 2 <= need.block + 2, "it is stored in bf16");
        assert_eq!(checkpoint.memory(DType::F16).weights * 2, need.weights);
    }
}
