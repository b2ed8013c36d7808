//! What may rewrite the keys and values that a pass attends to, those of earlier passes among them.

use burn::tensor::Tensor;

use crate::HookFailure;

/// Where and when a [`CacheHook`] is called.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CacheAt<'a> {
    /// The layer.
    pub layer: usize,
    /// The tokens that were in the cache before this pass, padding included.
    pub start: usize,
    /// Which columns hold tokens: `[batch, keys]` row by row, `false` for padding; `None` when all do.
    pub mask: Option<&'a [bool]>,
}

impl<'a> CacheAt<'a> {
    /// A place and time; the arguments are the fields.
    #[must_use]
    pub const fn new(layer: usize, start: usize, mask: Option<&'a [bool]>) -> Self {
        Self { layer, start, mask }
    }
}

/// What may rewrite the keys and values of a layer before they are attended to.
///
/// A [`Hook`](crate::Hook) sees the keys of one pass. This one is called once for each layer and pass, after
/// the pass's keys were appended to the cache's, and sees them all: keys as attention takes them, after RoPE.
/// What it returns is attended to, and is what the cache keeps.
pub trait CacheHook {
    /// What errors call this hook.
    fn name(&self) -> &str;

    /// Sees, and may replace, keys and values `[batch, kv_heads, keys, head_dim]`.
    ///
    /// # Errors
    /// Whatever makes the hook unable to do its work; the run stops there.
    fn attend(
        &mut self,
        at: &CacheAt<'_>,
        keys: Tensor<4>,
        values: Tensor<4>,
    ) -> Result<(Tensor<4>, Tensor<4>), HookFailure>;
}
