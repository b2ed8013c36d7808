//! Attention with grouped queries; scores are materialised only if somebody asked for them.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Tensor, activation::softmax, module::attention};
use massval_hooks::Site;

use super::host::{self, Attend};
use super::linear;
use super::norm::Norm;
use super::pass::{Keys, Pass};
use crate::Result;
use crate::config::QkNorm;

#[derive(Module, Debug)]
pub(crate) struct Attention {
    pub(crate) q: Linear,
    pub(crate) k: Linear,
    pub(crate) v: Linear,
    pub(crate) out: Linear,
    pub(crate) q_norm: Option<Norm>,
    pub(crate) k_norm: Option<Norm>,
    /// A key and a value that every query sees, `[kv_heads, head_dim]`; the key is not rotated.
    pub(crate) kv_bias: Option<KvBias>,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    #[module(skip)]
    pub(crate) rule: Rule,
}

/// See [`AttentionConfig::kv_bias`](crate::AttentionConfig::kv_bias).
#[derive(Module, Debug)]
pub(crate) struct KvBias {
    pub(crate) key: Param<Tensor<2>>,
    pub(crate) value: Param<Tensor<2>>,
}

impl KvBias {
    /// Before the other keys and values, `[batch, kv_heads, keys, head_dim]`.
    fn before(&self, k: Tensor<4>, v: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let [batch, heads, _, dim] = k.dims();
        let join = |first: &Param<Tensor<2>>, rest: Tensor<4>| {
            let first = first.val().reshape([1, heads, 1, dim]).expand([batch, heads, 1, dim]);
            Tensor::cat(vec![first, rest], 2)
        };
        (join(&self.key, k), join(&self.value, v))
    }
}

/// How one layer comes from Q and K to scores; ALiBi and padding are the pass's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) scale: f64,
    pub(crate) soft_cap: Option<f64>,
    /// Q, K and V are cut to this absolute value.
    pub(crate) clip: Option<f64>,
    pub(crate) qk_norm: Option<QkNorm>,
    /// Tokens that a query sees, its own included.
    pub(crate) window: Option<usize>,
    /// Turned by the rotary positions that layers with a window have for themselves.
    pub(crate) local_rope: bool,
}

impl Attention {
    /// Hidden `[batch, seq, d_model]` to what the output projection reads, `[batch, seq, heads *
    /// head_dim]`. Returns `None` if `qkv_only`: then the pass ends with the last of Q, K, V that
    /// somebody wanted.
    pub(crate) fn mixed(
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
        let projected = |layer: &Linear, x: Tensor<3>, heads: usize| {
            let y = linear(layer, x);
            split(self.rule.clip.map_or(y.clone(), |clip| y.clamp(-clip, clip)), heads)
        };
        let q = pass.heads(layer, Site::Q, projected(&self.q, x.clone(), self.heads))?;
        let k = projected(&self.k, x.clone(), self.kv_heads);
        let k = pass.cached_heads(layer, Site::K, k.into())?;
        let v = projected(&self.v, x, self.kv_heads);
        let v = pass.cached_heads(layer, Site::V, v.into())?;
        let (q, k) = self.normed(q, k, layer, pass)?;
        let (q, k) = self.rotated(q, k, layer, pass)?;
        if qkv_only {
            return Ok(None);
        }
        let (k, v) = pass.attended(layer, k, v)?;
        let (k, v) = match &self.kv_bias {
            Some(bias) => bias.before(k, v),
            None => (k, v),
        };
        let looked_at = [Site::AttnScores, Site::Pattern].iter().any(|&s| pass.wants(layer, s));
        if !looked_at
            && self.is_plain(pass, k.dims()[2])
            && let Some(z) = {
                let scale = self.rule.scale as f32;
                host::attention(&q, &k, &v, &Attend { scale, real: pass.seen.columns() })
            }
        {
            let z = pass.heads(layer, Site::Z, split(z, self.heads))?;
            return Ok(Some(merged(z)));
        }
        let groups = self.heads / self.kv_heads;
        let (k, v) = (repeat_heads(k, groups), repeat_heads(v, groups));
        let z = match looked_at {
            true => self.explicit(q, k, v, layer, pass)?,
            false => {
                let mask = pass.seen.mask(self.rule.window);
                let padded = pass.seen.columns().is_some();
                let kv_bias = self.kv_bias.is_some();
                fused(
                    q,
                    k,
                    v,
                    &Scoring { rule: &self.rule, mask, bias: pass.alibi.clone(), padded, kv_bias },
                )
            }
        };
        let z = pass.heads(layer, Site::Z, z)?;
        Ok(Some(merged(z)))
    }

    /// Whether scores are scaled and masked for order and padding, and nothing else is done to them:
    /// what the path in host memory computes.
    fn is_plain(&self, pass: &Pass<'_, '_>, keys: usize) -> bool {
        let Rule { scale: _, soft_cap, clip: _, qk_norm: _, window, local_rope: _ } = self.rule;
        soft_cap.is_none() && window.is_none_or(|window| window >= keys) && pass.alibi.is_none()
    }

    fn normed(
        &self,
        q: Tensor<4>,
        k: Keys,
        layer: usize,
        pass: &mut Pass<'_, '_>,
    ) -> Result<(Tensor<4>, Keys)> {
        let (Some(q_norm), Some(k_norm), Some(over)) =
            (&self.q_norm, &self.k_norm, self.rule.qk_norm)
        else {
            return Ok((q, k));
        };
        let normed = |norm: &Norm, x: Tensor<4>| match over {
            QkNorm::PerHead => norm.over_last(x),
            QkNorm::AllHeads => {
                let [batch, heads, seq, dim] = x.dims();
                let all = x.swap_dims(1, 2).reshape([batch, seq, heads * dim]);
                norm.over_last(all).reshape([batch, seq, heads, dim]).swap_dims(1, 2)
            }
        };
        let q = pass.heads(layer, Site::QNormed, normed(q_norm, q))?;
        let k = pass.cached_heads(layer, Site::KNormed, k.map(|k| normed(k_norm, k)))?;
        Ok((q, k))
    }

    fn rotated(
        &self,
        q: Tensor<4>,
        k: Keys,
        layer: usize,
        pass: &mut Pass<'_, '_>,
    ) -> Result<(Tensor<4>, Keys)> {
        let local = pass.turns.local.as_ref().filter(|_| self.rule.local_rope);
        let Some(rotary) = local.or(pass.turns.all.as_ref()) else { return Ok((q, k)) };
        let (q, k) = (rotary.rotate(q), k.map(|k| rotary.rotate(k)));
        let q = pass.heads(layer, Site::RotQ, q)?;
        Ok((q, pass.cached_heads(layer, Site::RotK, k)?))
    }

    /// Attention whose scores and pattern somebody looks at.
    fn explicit(
        &self,
        q: Tensor<4>,
        k: Tensor<4>,
        v: Tensor<4>,
        layer: usize,
        pass: &mut Pass<'_, '_>,
    ) -> Result<Tensor<4>> {
        let mut scores = q.matmul(k.swap_dims(2, 3)) * self.rule.scale;
        if let Some(cap) = self.rule.soft_cap {
            scores = (scores / cap).tanh() * cap;
        }
        if let Some(bias) = &pass.alibi {
            scores = scores.clone() + bias.clone().cast(scores.dtype());
        }
        let [_, _, seq, keys] = scores.dims();
        let mask = pass.seen.mask(self.rule.window);
        let mask = mask.unwrap_or_else(|| causal_mask(seq, keys, &scores.device()));
        let scores = scores.mask_fill(mask, f32::NEG_INFINITY);
        let scores = pass.heads(layer, Site::AttnScores, scores)?;
        let pattern = pass.heads(layer, Site::Pattern, softmax(scores, 3))?;
        Ok(pattern.matmul(v))
    }
}

/// Queries that are attended together. A causal block looks at no key after its own end, which
/// saves nearly half of the work on long sequences, and keeps the scores small enough for a cache.
const QUERIES: usize = 128;

/// What becomes of the scores of a pass in one layer.
struct Scoring<'a> {
    rule: &'a Rule,
    /// Absent: causal.
    mask: Option<Tensor<4, Bool>>,
    /// ALiBi.
    bias: Option<Tensor<4>>,
    padded: bool,
    kv_bias: bool,
}

/// Attention without materialised scores.
fn fused(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, scoring: &Scoring<'_>) -> Tensor<4> {
    let (seq, keys) = (q.dims()[2], k.dims()[2]);
    let dtype = q.dtype();
    let bias = scoring.bias.clone().map(|bias| bias.cast(dtype));
    let blocks = (0..seq).step_by(QUERIES).map(|from| {
        let queries = QUERIES.min(seq - from);
        let end = keys - seq + from + queries;
        // What lies before the window of the first query is seen by none.
        let start = match scoring.rule.window {
            Some(window) if !scoring.padded && !scoring.kv_bias => {
                (keys - seq + from + 1).saturating_sub(window)
            }
            _ => 0,
        };
        let shown = |x: &Tensor<4>| x.clone().narrow(2, start, end - start);
        let mask = scoring.mask.as_ref();
        let mask =
            mask.map(|mask| mask.clone().narrow(2, from, queries).narrow(3, start, end - start));
        let bias = bias.as_ref().map(|bias| bias.clone().narrow(3, start, end - start));
        let options = AttentionModuleOptions {
            scale: Some(scoring.rule.scale),
            softcap: scoring.rule.soft_cap,
            is_causal: mask.is_none(),
        };
        attention(q.clone().narrow(2, from, queries), shown(&k), shown(&v), mask, bias, options)
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
    use crate::config::{AlibiConfig, AlibiOrigin};
    use crate::decoder::Batch;
    use crate::decoder::seen::Seen;

    /// Blocks of queries against the plain formula, with a cache before them and without, with windows
    /// that are shorter than a block, of its length and longer, with soft caps and ALiBi.
    #[test]
    fn blocks_equal_plain_attention() {
        let device = Device::default();
        let random = |seq| Tensor::<4>::random([1, 2, seq, 8], Distribution::Default, &device);
        let slopes = AlibiConfig { slopes: vec![0.5, 0.01], origin: AlibiOrigin::Last };
        for (seq, keys) in [(1, 300), (128, 128), (129, 129), (300, 300), (300, 311)] {
            let (q, k, v) = (random(seq), random(keys), random(keys));
            let batch = Batch::single(&vec![0; seq]).unwrap();
            for (window, soft_cap, alibi) in [
                (None, None, false),
                (Some(1), None, false),
                (Some(20), Some(0.7), false),
                (Some(128), None, true),
                (Some(200), Some(2.0), true),
                (Some(400), None, false),
            ] {
                let rule = Rule {
                    scale: 0.35,
                    soft_cap,
                    clip: None,
                    qk_norm: None,
                    window,
                    local_rope: false,
                };
                let mut seen = Seen::new(&batch, None, keys - seq, false, &device);
                let bias = alibi.then(|| seen.alibi(&slopes));
                let mut scores = q.clone().matmul(k.clone().swap_dims(2, 3)) * 0.35;
                if let Some(cap) = soft_cap {
                    scores = (scores / cap).tanh() * cap;
                }
                if let Some(bias) = &bias {
                    scores = scores + bias.clone();
                }
                let far = |query: usize, key: usize| {
                    key > query || window.is_some_and(|w| query - key >= w)
                };
                let mask: Vec<bool> = (keys - seq..keys)
                    .flat_map(|query| (0..keys).map(move |key| far(query, key)))
                    .collect();
                let mask = burn::tensor::TensorData::new(mask, [1, 1, seq, keys]);
                let scores = scores
                    .mask_fill(Tensor::<4, Bool>::from_data(mask, &device), f32::NEG_INFINITY);
                let plain = softmax(scores, 3).matmul(v.clone());
                let (padded, kv_bias) = (false, false);
                let scoring =
                    Scoring { rule: &rule, mask: seen.mask(window), bias, padded, kv_bias };
                let out = fused(q.clone(), k.clone(), v.clone(), &scoring);
                let apart = (out - plain).abs().max().into_scalar::<f32>();
                let case = format!("{seq} queries, {keys} keys, {window:?}, {soft_cap:?}, {alibi}");
                assert!(apart < 1e-5, "{case}: {apart}");
            }
        }
    }
}
