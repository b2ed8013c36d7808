//! Attention with grouped queries; scores are materialised only if somebody asked for them.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Tensor, activation::softmax, module::attention};
use massval_hooks::Site;

use super::host::{self, Attend};
use super::linear;
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
        let merged =
            |z: Tensor<4>| z.swap_dims(1, 2).reshape([batch, seq, self.heads * self.head_dim]);
        let q = split(linear(&self.q, x.clone()), self.heads);
        let mut q = pass.heads(layer, Site::Q, q)?;
        let k = split(linear(&self.k, x.clone()), self.kv_heads);
        let mut k = pass.cached_heads(layer, Site::K, k.into())?;
        let v = split(linear(&self.v, x), self.kv_heads);
        let v = pass.cached_heads(layer, Site::V, v.into())?;
        if let Some(rotary) = &pass.rotary {
            let rotated = (rotary.rotate(q), k.map(|k| rotary.rotate(k)));
            q = pass.heads(layer, Site::RotQ, rotated.0)?;
            k = pass.cached_heads(layer, Site::RotK, rotated.1)?;
        }
        if qkv_only {
            return Ok(None);
        }
        let (k, v) = match &mut pass.cache {
            Some(cache) => cache.append(layer, k, v),
            None => (k.seen, v.seen),
        };
        let groups = self.heads / self.kv_heads;
        let scale = 1.0 / (self.head_dim as f64).sqrt();
        let looked_at = [Site::AttnScores, Site::Pattern].iter().any(|&s| pass.wants(layer, s));
        let attend = Attend { scale: scale as f32, real: pass.columns.as_deref() };
        if !looked_at && let Some(z) = host::attention(&q, &k, &v, &attend) {
            let z = pass.heads(layer, Site::Z, split(z, self.heads))?;
            return Ok(Some(linear(&self.out, merged(z))));
        }
        let (k, v) = (repeat_heads(k, groups), repeat_heads(v, groups));

        let z = if looked_at {
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
            fused(q, k, v, pass.mask.clone(), scale)
        };
        let z = pass.heads(layer, Site::Z, z)?;
        Ok(Some(linear(&self.out, merged(z))))
    }
}

/// Queries that are attended together. A causal block looks at no key after its own end, which
/// saves nearly half of the work on long sequences, and keeps the scores small enough for a cache.
const QUERIES: usize = 128;

/// Attention without materialised scores; causal if there is no mask.
fn fused(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: Option<Tensor<4, Bool>>,
    scale: f64,
) -> Tensor<4> {
    let (seq, keys) = (q.dims()[2], k.dims()[2]);
    let options = || AttentionModuleOptions {
        scale: Some(scale),
        is_causal: mask.is_none(),
        ..AttentionModuleOptions::default()
    };
    if mask.is_some() || seq <= QUERIES {
        let options = options();
        return attention(q, k, v, mask, None, options);
    }
    let blocks = (0..seq).step_by(QUERIES).map(|from| {
        let to = seq.min(from + QUERIES);
        let seen = keys - seq + to;
        let part = |x: &Tensor<4>| x.clone().narrow(2, 0, seen);
        attention(q.clone().narrow(2, from, to - from), part(&k), part(&v), None, None, options())
    });
    Tensor::cat(blocks.collect(), 2)
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

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    /// Blocks of queries against the plain formula, with a cache before them and without.
    #[test]
    fn blocks_equal_plain_attention() {
        let device = Device::default();
        let random = |seq| Tensor::<4>::random([1, 2, seq, 8], Distribution::Default, &device);
        for (seq, keys) in [(1, 300), (128, 128), (129, 129), (300, 300), (300, 311)] {
            let (q, k, v) = (random(seq), random(keys), random(keys));
            let scores = q.clone().matmul(k.clone().swap_dims(2, 3)) * 0.35;
            let scores = scores.mask_fill(causal_mask(seq, keys, &device), f32::NEG_INFINITY);
            let plain = softmax(scores, 3).matmul(v.clone());
            let apart = (fused(q, k, v, None, 0.35) - plain).abs().max().into_scalar::<f32>();
            assert!(apart < 1e-5, "{seq} queries, {keys} keys: {apart}");
        }
    }
}
