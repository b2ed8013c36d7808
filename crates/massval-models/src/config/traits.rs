//! What a decoder is, in the words of a table.

use massval_detect::PairLayout;
use serde::{Deserialize, Serialize};

use super::{
    ActivationKind, AlibiOrigin, BlockOrder, DecoderConfig, MlpKind, NormKind, PositionEncoding,
    QkNorm, RopeConfig,
};

/// What tells one decoder from another, in a few words each.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Traits {
    /// How positions enter: `RoPE`, `partial`, `yarn`, `learned`, `ALiBi`.
    pub position: Vec<String>,
    /// The norm.
    pub norm: Vec<String>,
    /// How heads share keys, and what else is done to Q, K and the scores.
    pub attention: Vec<String>,
    /// How norms, attention and MLP are joined.
    pub block: Vec<String>,
    /// The MLP and its activation.
    pub mlp: Vec<String>,
}

impl DecoderConfig {
    /// The decoder's traits.
    ///
    /// ```
    /// # use massval_models::arch;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let json = r#"{"model_type": "gpt2", "vocab_size": 64, "n_embd": 16, "n_layer": 2, "n_head": 2}"#;
    /// let traits = arch::read_config("config.json".as_ref(), json)?.traits();
    /// assert_eq!((traits.position, traits.block), (vec!["learned".into()], vec!["pre-norm".into()]));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn traits(&self) -> Traits {
        let owned = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
        Traits {
            position: owned(self.position_words()),
            norm: owned(vec![match self.norm {
                NormKind::RmsNorm => "RMSNorm",
                NormKind::RmsNormPlusOne => "RMSNorm of 1 + weight",
                NormKind::LayerNorm => "LayerNorm",
                NormKind::LayerNormFixed => "LayerNorm without weights",
                NormKind::DynamicTanh => "DyT",
            }]),
            attention: owned(self.attention_words()),
            block: owned(self.block_words()),
            mlp: owned(self.mlp_words()),
        }
    }

    fn position_words(&self) -> Vec<&'static str> {
        let mut words = match &self.position {
            PositionEncoding::Rope(rope) => self.rope_words(rope),
            PositionEncoding::Learned { offset: 0, .. } => vec!["learned"],
            PositionEncoding::Learned { .. } => vec!["learned", "offset"],
            PositionEncoding::Alibi(alibi) => match alibi.origin {
                AlibiOrigin::First => vec!["ALiBi", "from the first token"],
                AlibiOrigin::Last => vec!["ALiBi", "from the last token"],
            },
            PositionEncoding::None => vec!["none"],
        };
        if self.local_rope.is_some() {
            words.push("another base in windows");
        }
        words
    }

    fn rope_words(&self, rope: &RopeConfig) -> Vec<&'static str> {
        let mut words = vec!["RoPE"];
        if rope.rotary_dim() < self.head_dim {
            words.push("partial");
        }
        if rope.layout() == PairLayout::Interleaved {
            words.push("interleaved");
        }
        words.extend(rope.scaling().map(|scaling| scaling.name()));
        words
    }

    fn attention_words(&self) -> Vec<&'static str> {
        let mut words = vec![match self.kv_heads {
            1 if self.heads > 1 => "multi-query",
            kv if kv < self.heads => "grouped queries",
            _ => "multi-head",
        }];
        match self.attention.qk_norm {
            Some(QkNorm::PerHead) => words.push("QK-norm per head"),
            Some(QkNorm::AllHeads) => words.push("QK-norm over all heads"),
            None => {}
        }
        if self.bias.qkv {
            words.push("QKV bias");
        }
        if self.attention.clip_qkv.is_some() {
            words.push("clipped QKV");
        }
        if self.attention.kv_bias {
            words.push("KV bias");
        }
        if let Some(window) = &self.attention.window {
            words.push(match window.layers.iter().all(|windowed| *windowed) {
                true => "window",
                false => "window in some layers",
            });
        }
        if self.attention.soft_cap.is_some() {
            words.push("soft cap");
        }
        if self.attention.scale == 1.0 {
            words.push("unscaled");
        }
        words
    }

    fn block_words(&self) -> Vec<&'static str> {
        let mut words = vec![match self.block {
            BlockOrder::PreNorm => "pre-norm",
            BlockOrder::OutputNorm => "norms on outputs",
            BlockOrder::SandwichNorm => "norms before and after",
            BlockOrder::StreamNorm => "norms on the stream",
            BlockOrder::ParallelOneNorm => "parallel, one norm",
            BlockOrder::ParallelTwoNorms => "parallel, two norms",
        }];
        let embedding = &self.embedding;
        for (is, word) in [
            (embedding.scale.is_some() || embedding.learned_scale, "scaled embedding"),
            (embedding.norm, "normed embedding"),
            (embedding.width != self.d_model, "projected embedding"),
            (self.logit_soft_cap.is_some(), "soft-capped logits"),
            (self.bias.head, "head with bias"),
        ] {
            words.extend(is.then_some(word));
        }
        words
    }

    fn mlp_words(&self) -> Vec<&'static str> {
        let kind = match self.mlp {
            MlpKind::Gated => "gated",
            MlpKind::Plain => "plain",
            MlpKind::Experts { .. } => "experts",
        };
        let activation = match self.activation {
            ActivationKind::Silu => "SiLU",
            ActivationKind::Gelu => "GELU",
            ActivationKind::GeluTanh => "GELU (tanh)",
            ActivationKind::Relu => "ReLU",
        };
        vec![kind, activation]
    }
}
