//! What watches or changes an activation, and what it is told about the place.

use std::error::Error as StdError;

use serde::{Deserialize, Serialize};

use crate::{Activation, HookPoint};

/// What a hook may fail with: any error, or a text (`"no such head".into()`).
pub type HookFailure = Box<dyn StdError + Send + Sync + 'static>;

/// Which part of a run a forward pass belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The pass over the prompt.
    Prefill,
    /// A pass over tokens that the model generated.
    Decode,
}

/// Where and when a hook is called.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct At<'a> {
    /// The hook point.
    pub point: HookPoint,
    /// The part of the run.
    pub phase: Phase,
    /// The position of this pass's first token: the number of tokens already in the cache.
    pub start: usize,
    /// Which tokens of this pass are real: `[batch, seq]` row by row, `true` for a token and
    /// `false` for padding; `None` when all are.
    pub mask: Option<&'a [bool]>,
}

impl<'a> At<'a> {
    /// A place and time; the arguments are the fields.
    #[must_use]
    pub const fn new(
        point: HookPoint,
        phase: Phase,
        start: usize,
        mask: Option<&'a [bool]>,
    ) -> Self {
        Self { point, phase, start, mask }
    }
}

/// What watches or changes activations.
///
/// A hook observes by returning `x` as it got it, and replaces by returning another tensor of the
/// same shape and type. [`Observe`] and [`Replace`] make one of a closure.
pub trait Hook {
    /// What errors and reports call this hook.
    fn name(&self) -> &str;

    /// Sees, and may replace, the activation `x` at `at`.
    ///
    /// # Errors
    /// Whatever makes the hook unable to do its work; the run stops there.
    fn apply(&mut self, at: &At<'_>, x: Activation) -> Result<Activation, HookFailure>;

    /// Whether later tokens see what this hook makes of keys and values. If not, the cache keeps them as
    /// they were before this hook and those after it at the same point.
    fn enters_cache(&self) -> bool {
        true
    }
}

/// A hook that looks on: a closure over `(&At, &Activation)`.
///
/// ```
/// use massval_hooks::{Activation, At, Hook, Observe};
///
/// let mut tokens = 0;
/// let hook = Observe::new("tokens", |_: &At<'_>, x: &Activation| {
///     tokens += x.as_hidden()?.dims()[1];
///     Ok(())
/// });
/// assert_eq!(hook.name(), "tokens");
/// ```
pub struct Observe<F> {
    name: String,
    look: F,
}

impl<F> Observe<F>
where
    F: FnMut(&At<'_>, &Activation) -> Result<(), HookFailure>,
{
    /// An observer with this name.
    pub fn new(name: impl Into<String>, look: F) -> Self {
        Self { name: name.into(), look }
    }
}

impl<F> Hook for Observe<F>
where
    F: FnMut(&At<'_>, &Activation) -> Result<(), HookFailure>,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn apply(&mut self, at: &At<'_>, x: Activation) -> Result<Activation, HookFailure> {
        (self.look)(at, &x)?;
        Ok(x)
    }
}

/// A hook that changes what it sees: a closure from `(&At, Activation)` to an activation of the
/// same shape and type.
///
/// ```
/// use massval_hooks::{Activation, At, Replace};
///
/// let mut hook = Replace::new("double", |_: &At<'_>, x: Activation| match x {
///     Activation::Hidden(x) => Ok(Activation::Hidden(x * 2.0)),
///     Activation::Heads(x) => Ok(Activation::Heads(x * 2.0)),
/// });
/// # use massval_hooks::Hook;
/// # assert_eq!(hook.name(), "double");
/// ```
pub struct Replace<F> {
    name: String,
    change: F,
}

impl<F> Replace<F>
where
    F: FnMut(&At<'_>, Activation) -> Result<Activation, HookFailure>,
{
    /// A hook with this name that replaces each activation by what `change` makes of it.
    pub fn new(name: impl Into<String>, change: F) -> Self {
        Self { name: name.into(), change }
    }
}

impl<F> Hook for Replace<F>
where
    F: FnMut(&At<'_>, Activation) -> Result<Activation, HookFailure>,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn apply(&mut self, at: &At<'_>, x: Activation) -> Result<Activation, HookFailure> {
        (self.change)(at, x)
    }
}
