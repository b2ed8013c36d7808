//! What one forward pass carries through the layers.

use std::sync::Arc;

use burn::tensor::Tensor;
use massval_hooks::{Activation, At, CacheAt, HookPoint, HookSet, Phase, Site};

use super::rotary::Rotary;
use super::seen::Seen;
use super::{InputRounding, LinearGroup};
use crate::Result;
use crate::cache::KvCache;

/// The hooks, the cache and the positions of one forward pass.
pub(crate) struct Pass<'a, 'h> {
    pub(crate) hooks: &'a mut HookSet<'h>,
    pub(crate) cache: Option<&'a mut KvCache>,
    pub(crate) turns: Turns,
    /// What ALiBi adds to the scores, `[batch or 1, heads, 1, keys]`.
    pub(crate) alibi: Option<Tensor<4>>,
    /// How the inputs of linears are rounded, if they are.
    pub(crate) rounding: Option<&'a InputRounding>,
    /// Which keys the queries see.
    pub(crate) seen: Seen,
    pub(crate) phase: Phase,
    pub(crate) start: usize,
    /// Row-major `[batch, seq]`, true = a real token.
    pub(crate) real: Option<&'a [bool]>,
}

/// Rotary positions of the tokens of a pass.
#[derive(Clone, Default)]
pub(crate) struct Turns {
    pub(crate) all: Option<Arc<Rotary>>,
    /// Of the layers that look through a window, where they have their own.
    pub(crate) local: Option<Arc<Rotary>>,
}

impl Pass<'_, '_> {
    pub(crate) fn wants(&self, layer: usize, site: Site) -> bool {
        self.hooks.wants(HookPoint { layer: Some(layer), site })
    }

    /// What the linears of a group read of `[batch, seq, width]`.
    pub(crate) fn rounded(
        &self,
        layer: usize,
        group: LinearGroup,
        x: Tensor<3>,
    ) -> Result<Tensor<3>> {
        match self.rounding {
            Some(rounding) => rounding.round(layer, group, x),
            None => Ok(x),
        }
    }

    /// Shows hidden states `[batch, seq, width]` to whoever asked for them.
    pub(crate) fn hidden(&mut self, layer: usize, site: Site, x: Tensor<3>) -> Result<Tensor<3>> {
        self.hidden_at(HookPoint { layer: Some(layer), site }, x)
    }

    pub(crate) fn hidden_at(&mut self, point: HookPoint, x: Tensor<3>) -> Result<Tensor<3>> {
        if !self.hooks.wants(point) {
            return Ok(x);
        }
        let at = At::new(point, self.phase, self.start, self.real);
        Ok(self.hooks.fire(&at, Activation::Hidden(x))?.into_hidden()?)
    }

    /// Shows heads `[batch, heads, seq, head_dim]` or scores `[batch, heads, seq, keys]`.
    pub(crate) fn heads(&mut self, layer: usize, site: Site, x: Tensor<4>) -> Result<Tensor<4>> {
        self.cached_heads(layer, site, Keys { seen: x, kept: None }).map(|keys| keys.seen)
    }

    /// Shows keys or values; a hook may keep its change out of the cache.
    pub(crate) fn cached_heads(&mut self, layer: usize, site: Site, x: Keys) -> Result<Keys> {
        let point = HookPoint { layer: Some(layer), site };
        if !self.hooks.wants(point) {
            return Ok(x);
        }
        let at = At::new(point, self.phase, self.start, self.real);
        let (seen, kept) = self.hooks.fire_cached(&at, Activation::Heads(x.seen))?;
        let kept = kept.map(Activation::into_heads).transpose()?;
        // What was kept out at an earlier site stays out.
        Ok(Keys { seen: seen.into_heads()?, kept: x.kept.or(kept) })
    }

    /// The keys and values that this pass attends to, those in the cache before its own. The hook on the cache may
    /// rewrite them, and the cache keeps what it makes of them.
    pub(crate) fn attended(
        &mut self,
        layer: usize,
        k: Keys,
        v: Keys,
    ) -> Result<(Tensor<4>, Tensor<4>)> {
        let (mut k, mut v) = match &mut self.cache {
            Some(cache) => cache.joined(layer, k, v),
            None => (k, v),
        };
        if self.hooks.wants_cache() {
            let at = CacheAt::new(layer, self.start, self.seen.columns());
            if self.cache.is_some() && (k.kept.is_some() || v.kept.is_some()) {
                let (kept_k, kept_v) = (k.to_keep(), v.to_keep());
                let (kept_k, kept_v) = self.hooks.fire_cache(&at, kept_k, kept_v)?;
                (k.kept, v.kept) = (Some(kept_k), Some(kept_v));
            }
            (k.seen, v.seen) = self.hooks.fire_cache(&at, k.seen, v.seen)?;
        }
        if let Some(cache) = &mut self.cache {
            cache.keep(layer, k.to_keep(), v.to_keep());
        }
        Ok((k.seen, v.seen))
    }
}

/// Keys or values of this pass, `[batch, kv_heads, seq, head_dim]`.
pub(crate) struct Keys {
    /// What this pass attends to.
    pub(crate) seen: Tensor<4>,
    /// What the cache keeps instead, if that is another.
    pub(crate) kept: Option<Tensor<4>>,
}

impl Keys {
    pub(crate) fn to_keep(&self) -> Tensor<4> {
        self.kept.clone().unwrap_or_else(|| self.seen.clone())
    }

    pub(crate) fn map(self, change: impl Fn(Tensor<4>) -> Tensor<4>) -> Self {
        Self { seen: change(self.seen), kept: self.kept.map(change) }
    }
}

impl From<Tensor<4>> for Keys {
    fn from(seen: Tensor<4>) -> Self {
        Self { seen, kept: None }
    }
}
