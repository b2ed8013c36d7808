//! Attention with grouped queries; scores are materialised only if somebody asked for them.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Tensor, activation::softmax, module::attention};
use massval_hooks::Site;

use super::pass::Pass;
use crate::Result;

#[derive(Module, Debug)]
pub(crate) struct Attention {
    pub(crate) q: Linear,
    pub(crate) k: Linear,
    pub(crate) v: Linear,
    pub(crate) out: Linear,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
}

impl Attention {
    /// Hidden `[batch, seq, d_model]` to the same. Returns `None` if `qkv_only`: then the pass ends
    /// with the last of Q, K, V that somebody wanted.
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        layer: usize,
        pass: &mut Pass<'_, '_>,
        qkv_only: bool,
    ) -> Result<Option<Tensor<3>>> {
        let [batch, seq, _] = x.dims();
        let split = |y: Tensor<3>, heads: usize| {
            y.reshape([batch, seq, heads, self.head_dim]).swap_dims(1, 2)
        };
        let q = split(self.q.forward(x.clone()), self.heads);
        let mut q = pass.heads(layer, Site::Q, q)?;
        let k = split(self.k.forward(x.clone()), self.kv_heads);
        let mut k = pass.heads(layer, Site::K, k)?;
        let v = split(self.v.forward(x), self.kv_heads);
        let mut v = pass.heads(layer, Site::V, v)?;
        if let Some(rotary) = &pass.rotary {
            let rotated = (rotary.rotate(q), rotary.rotate(k));
            q = pass.heads(layer, Site::RotQ, rotated.0)?;
            k = pass.heads(layer, Site::RotK, rotated.1)?;
        }
        if qkv_only {
            return Ok(None);
        }
        if let Some(cache) = &mut pass.cache {
            (k, v) = cache.append(layer, k, v);
        }
        let groups = self.heads / self.kv_heads;
        let (k, v) = (repeat_heads(k, groups), repeat_heads(v, groups));

        let scale = 1.0 / (self.head_dim as f64).sqrt();
        let z = if pass.wants(layer, Site::AttnScores) || pass.wants(layer, Site::Pattern) {
            let scores = q.matmul(k.swap_dims(2, 3)) * scale;
            let keys = scores.dims()[3];
            let mask = match &pass.mask {
                Some(mask) => mask.clone(),
                None => causal_mask(seq, keys, &scores.device()),
            };
            let scores = scores.mask_fill(mask, f32::NEG_INFINITY);
            let scores = pass.heads(layer, Site::AttnScores, scores)?;
            let pattern = pass.heads(layer, Site::Pattern, softmax(scores, 3))?;
            pattern.matmul(v)
        } else {
            let mask = pass.mask.clone();
            let options = AttentionModuleOptions {
                scale: Some(scale),
                is_causal: mask.is_none(),
                ..AttentionModuleOptions::default()
            };
            attention(q, k, v, mask, None, options)
        };
        let z = pass.heads(layer, Site::Z, z)?;
        let z = z.swap_dims(1, 2).reshape([batch, seq, self.heads * self.head_dim]);
        Ok(Some(self.out.forward(z)))
    }
}

/// Each KV head serves `groups` consecutive query heads.
fn repeat_heads(x: Tensor<4>, groups: usize) -> Tensor<4> {
    if groups == 1 {
        return x;
    }
    let [batch, heads, seq, dim] = x.dims();
    let x: Tensor<5> = x.unsqueeze_dim(2);
    x.expand([batch, heads, groups, seq, dim]).reshape([batch, heads * groups, seq, dim])
}

/// `[1, 1, seq, keys]`, true where a query would see the future; the last query sees every key.
pub(crate) fn causal_mask(
    seq: usize,
    keys: usize,
    device: &burn::tensor::Device,
) -> Tensor<4, Bool> {
    let seen = keys as i64 - seq as i64;
    Tensor::<2, Bool>::tril_mask([seq, keys], seen, device).unsqueeze()
}
