//! Trainings that need no more words.

use massval_data::language::{LanguageConfig, Mix};

use crate::{Mitigations, ModelConfig, Norm, OptimizerConfig, Position, TrainConfig};

impl Default for ModelConfig {
    /// About a million parameters: 4 blocks of 128 channels, 2 heads of 64.
    fn default() -> Self {
        Self {
            layers: 4,
            d_model: 128,
            heads: 2,
            kv_heads: 2,
            d_mlp: 512,
            position: Position::Rope { theta: 10_000.0, fraction: 1.0 },
            norm: Norm::LayerNorm,
            gated: false,
            bias: true,
            kv_bias: false,
            sink: false,
            init_std: 0.05,
        }
    }
}

impl Default for TrainConfig {
    /// As [`TrainConfig::small`].
    fn default() -> Self {
        Self::small()
    }
}

impl TrainConfig {
    /// The preset of this name.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "tiny" => Some(Self::tiny()),
            "small" => Some(Self::small()),
            _ => None,
        }
    }

    /// About a million parameters, 32 rows of 64 tokens: what the embedded models are trained with.
    #[must_use]
    pub fn small() -> Self {
        Self {
            seed: 0,
            steps: 4000,
            batch: 32,
            parts: 1,
            model: ModelConfig::default(),
            optimizer: OptimizerConfig::default(),
            mitigations: Mitigations::default(),
            language: LanguageConfig {
                sequence: 64,
                // Facts are learned within hundreds of steps; copying from the context takes what is left.
                mix: Mix { facts: 2, filler: 1, repeat: 4, passkey: 3, key_value: 3, conflict: 1 },
                answer_weight: 4.0,
                ..LanguageConfig::default()
            },
            measure_every: 250,
            measure_items: 128,
            measure_disrupted: 0,
            checkpoint_every: 500,
        }
    }

    /// A pair of these is trained in a few minutes: to see that training works, not to learn from.
    #[must_use]
    pub fn tiny() -> Self {
        let small = Self::small();
        Self {
            steps: 300,
            batch: 16,
            model: ModelConfig { layers: 2, d_model: 64, heads: 2, d_mlp: 256, ..small.model },
            optimizer: OptimizerConfig { warmup: 30, ..small.optimizer },
            language: LanguageConfig { countries: 12, cities: 24, sequence: 48, ..small.language },
            measure_every: 100,
            measure_items: 32,
            checkpoint_every: 100,
            ..small
        }
    }
}
