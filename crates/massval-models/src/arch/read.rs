//! What several config readers share.

use serde_json::Value;

use super::fields::Fields;
use crate::Result;
use crate::config::{
    ActivationKind, AttentionConfig, BiasConfig, BlockOrder, DecoderConfig, EmbeddingConfig,
    MlpKind, NormKind, PositionEncoding, Window,
};

/// More layers are refused, before anything is kept for each of them.
pub(super) const MAX_LAYERS: usize = 4096;

pub(super) fn layers(fields: &Fields<'_>, name: &str) -> Result<usize> {
    let layers = fields.size(name)?;
    match layers > MAX_LAYERS {
        true => {
            Err(fields.error(name, format!("{layers} is beyond {MAX_LAYERS}, the largest allowed")))
        }
        false => Ok(layers),
    }
}

/// The width of a head where it is not given for itself.
pub(super) fn head_dim(
    fields: &Fields<'_>,
    width_name: &str,
    width: usize,
    heads_name: &str,
    heads: usize,
) -> Result<usize> {
    match width.is_multiple_of(heads) {
        true => Ok(width / heads),
        false => {
            Err(fields
                .error(width_name, format!("{width} is not a multiple of {heads_name} {heads}")))
        }
    }
}

pub(super) fn activation(fields: &Fields<'_>, name: &str, default: &str) -> Result<ActivationKind> {
    let given = fields.opt_str(name)?.unwrap_or(default);
    ActivationKind::from_hf(given)
        .ok_or_else(|| fields.error(name, format!("unknown activation {given:?}")))
}

/// A field that must be positive where it is there.
pub(super) fn opt_positive(fields: &Fields<'_>, name: &str) -> Result<Option<f64>> {
    match fields.opt_f64(name)? {
        None => Ok(None),
        Some(_) => fields.positive(name, None).map(Some),
    }
}

/// Refuses a switch that is not at the only value that there is code for.
pub(super) fn only(fields: &Fields<'_>, name: &str, supported: bool) -> Result<()> {
    match fields.bool(name, supported)? == supported {
        true => Ok(()),
        false => Err(fields.error(name, format!("{} is not supported", !supported))),
    }
}

/// A window of `size` tokens in those layers; none if no layer looks through it.
pub(super) fn window(size: Option<usize>, layers: Vec<bool>) -> Option<Window> {
    let size = size?;
    layers.contains(&true).then_some(Window { size, layers })
}

/// `layer_types`: for each layer, whether it looks through a window. `None` if the field is absent.
pub(super) fn windowed_layers(fields: &Fields<'_>, layers: usize) -> Result<Option<Vec<bool>>> {
    let name = "layer_types";
    let Some(value) = fields.get(name) else { return Ok(None) };
    let Value::Array(kinds) = value else { return Err(fields.error(name, "is not a list")) };
    if kinds.len() != layers {
        return Err(fields.error(name, format!("{} entries for {layers} layers", kinds.len())));
    }
    let windowed = |kind: &Value| match kind.as_str() {
        Some("sliding_attention") => Ok(true),
        Some("full_attention") => Ok(false),
        _ => {
            let what = format!("unknown kind {kind}; known are full_attention, sliding_attention");
            Err(fields.error(name, what))
        }
    };
    kinds.iter().map(windowed).collect::<Result<_>>().map(Some)
}

/// The sizes of a decoder whose heads divide its width.
pub(super) struct Shape {
    pub(super) architecture: &'static str,
    pub(super) vocab_size: usize,
    pub(super) d_model: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) d_mlp: usize,
}

impl Shape {
    /// The decoder that the GPT families start from: LayerNorms before attention and MLP, a plain MLP,
    /// biases everywhere but in the head, a tied head, and no positions yet.
    pub(super) fn gpt(
        self,
        fields: &Fields<'_>,
        names: [&str; 2],
        eps: f64,
    ) -> Result<DecoderConfig> {
        let Self { architecture, vocab_size, d_model, layers, heads, d_mlp } = self;
        let head_dim = head_dim(fields, names[0], d_model, names[1], heads)?;
        Ok(DecoderConfig {
            architecture: architecture.to_owned(),
            vocab_size,
            d_model,
            layers,
            heads,
            kv_heads: heads,
            head_dim,
            d_mlp,
            embedding: EmbeddingConfig::plain(d_model),
            block: BlockOrder::PreNorm,
            norm: NormKind::LayerNorm,
            norm_eps: eps,
            final_norm: true,
            position: PositionEncoding::None,
            local_rope: None,
            max_positions: None,
            attention: AttentionConfig::scaled(head_dim),
            mlp: MlpKind::Plain,
            activation: ActivationKind::GeluTanh,
            bias: BiasConfig::ALL,
            tied_head: true,
            logit_soft_cap: None,
        })
    }
}
