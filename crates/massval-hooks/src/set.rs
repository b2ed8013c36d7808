//! The hooks of one run: where they are wanted, in which order they are called, what fired.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use burn::tensor::Tensor;

use crate::model_points::bit;
use crate::{
    Activation, At, CacheAt, CacheHook, Error, Fired, FiredReport, Hook, HookPoint, ModelPoints,
    Result, select,
};

/// Which hook of a [`HookSet`], in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookId(usize);

/// The hooks of one run, in order.
///
/// The set borrows its hooks, so that their owner reads what they found once the set is gone. At
/// a point where several hooks were added, they are called in the order of their adding, each
/// with what the one before it returned.
#[derive(Default)]
pub struct HookSet<'h> {
    points: ModelPoints,
    hooks: Vec<&'h mut dyn Hook>,
    slots: BTreeMap<HookPoint, Vec<Slot>>,
    /// The sites that are wanted: a set of [`bit`]s per layer, as far as any layer has one.
    wanted_in: Vec<u32>,
    /// The same for the sites of the whole model.
    wanted_outside: u32,
    cache: Option<CacheSlot<'h>>,
}

/// The hook on the cache, and how often it was called.
struct CacheSlot<'h> {
    hook: &'h mut dyn CacheHook,
    count: u64,
}

/// A hook at a point.
struct Slot {
    id: HookId,
    count: u64,
}

impl<'h> HookSet<'h> {
    /// No hooks: nothing is wanted anywhere, and nothing can be added.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// An empty set for a model with these points.
    #[must_use]
    pub fn new(points: ModelPoints) -> Self {
        Self { points, ..Self::default() }
    }

    /// Adds a hook at every point that one of the `patterns` selects; at a point that several
    /// select it is called once. See [`select`] for what a pattern may be.
    ///
    /// # Errors
    /// As [`select`], and [`Error::NothingToWatch`] if there is no pattern. The set is unchanged
    /// then.
    pub fn add(&mut self, patterns: &[&str], hook: &'h mut dyn Hook) -> Result<HookId> {
        let mut points = Vec::new();
        for pattern in patterns {
            points.extend(select(&self.points, pattern)?);
        }
        self.add_at(&points, hook)
    }

    /// Adds a hook at these points; a point named twice counts once.
    ///
    /// # Errors
    /// [`Error::NothingToWatch`] if there is no point; [`Error::MissingSite`] or
    /// [`Error::LayerOutOfRange`] if the model does not have one of them; [`Error::Misplaced`] if
    /// one has a layer too many or too few. The set is unchanged then.
    pub fn add_at(&mut self, points: &[HookPoint], hook: &'h mut dyn Hook) -> Result<HookId> {
        let distinct: BTreeSet<HookPoint> = points.iter().copied().collect();
        if distinct.is_empty() {
            return Err(Error::NothingToWatch { hook: hook.name().to_owned() });
        }
        distinct.iter().try_for_each(|&point| self.check(point))?;
        let id = HookId(self.hooks.len());
        for point in distinct {
            self.slots.entry(point).or_default().push(Slot { id, count: 0 });
            self.want(point);
        }
        self.hooks.push(hook);
        Ok(id)
    }

    /// Sets the hook that rewrites what is attended to; one that was set before is replaced.
    pub fn set_cache(&mut self, hook: &'h mut dyn CacheHook) {
        self.cache = Some(CacheSlot { hook, count: 0 });
    }

    /// Whether a hook rewrites what is attended to.
    #[must_use]
    pub const fn wants_cache(&self) -> bool {
        self.cache.is_some()
    }

    fn check(&self, point: HookPoint) -> Result<()> {
        let HookPoint { layer, site } = point;
        if layer.is_some() != site.in_layer() {
            return Err(Error::Misplaced { site, layer });
        }
        if !self.points.has(site) {
            let reason = site.absence();
            return Err(Error::MissingSite { pattern: point.to_string(), site, reason });
        }
        match layer {
            Some(layer) if layer >= self.points.layers() => Err(Error::LayerOutOfRange {
                pattern: point.to_string(),
                layer: i64::try_from(layer).unwrap_or(i64::MAX),
                layers: self.points.layers(),
            }),
            _ => Ok(()),
        }
    }

    fn want(&mut self, point: HookPoint) {
        match point.layer {
            None => self.wanted_outside |= bit(point.site),
            Some(layer) => {
                if self.wanted_in.len() <= layer {
                    self.wanted_in.resize(layer + 1, 0);
                }
                if let Some(sites) = self.wanted_in.get_mut(layer) {
                    *sites |= bit(point.site);
                }
            }
        }
    }

    /// Whether any hook is at this point. Costs a bit test: a decoder asks before it computes or
    /// clones anything for hooks.
    #[must_use]
    pub fn wants(&self, point: HookPoint) -> bool {
        let sites = match point.layer {
            None => self.wanted_outside,
            Some(layer) => self.wanted_in.get(layer).copied().unwrap_or_default(),
        };
        sites & bit(point.site) != 0
    }

    /// Whether the set holds no hook.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hooks.is_empty() && self.cache.is_none()
    }

    /// The points of the model that this set is for.
    #[must_use]
    pub const fn points(&self) -> &ModelPoints {
        &self.points
    }

    /// Calls the hooks at `at.point`, in the order of their adding, and returns what the last of
    /// them returned. Without a hook there, returns `x`.
    ///
    /// # Errors
    /// [`Error::Failed`] with what a hook said; [`Error::Reshaped`] or [`Error::Retyped`] if one
    /// returned another shape or element type; [`Error::WrongActivation`] if `x` has not the rank
    /// of the site.
    pub fn fire(&mut self, at: &At<'_>, x: Activation) -> Result<Activation> {
        self.fire_cached(at, x).map(|(seen, _)| seen)
    }

    /// [`HookSet::fire`] for keys and values: with what the pass goes on with, what the cache has to keep
    /// instead, if a hook says that its change does not enter it ([`Hook::enters_cache`]).
    ///
    /// # Errors
    /// As [`HookSet::fire`].
    pub fn fire_cached(
        &mut self,
        at: &At<'_>,
        mut x: Activation,
    ) -> Result<(Activation, Option<Activation>)> {
        let point = at.point;
        let mut kept = None;
        let Some(slots) = self.slots.get_mut(&point) else {
            return Ok((x, None));
        };
        let layout = point.site.dims();
        if x.rank() != layout.rank() {
            return Err(Error::WrongActivation { point, layout, found: x.rank() });
        }
        let (dims, dtype) = (x.dims(), x.dtype());
        for slot in slots {
            let Some(hook) = self.hooks.get_mut(slot.id.0) else { continue };
            if kept.is_none() && !hook.enters_cache() {
                kept = Some(x.clone());
            }
            x = hook.apply(at, x).map_err(|source| Error::Failed {
                hook: hook.name().to_owned(),
                point,
                source,
            })?;
            if x.dims() != dims {
                let (hook, after) = (hook.name().to_owned(), x.dims());
                return Err(Error::Reshaped { hook, point, before: dims, after });
            }
            if x.dtype() != dtype {
                let (hook, after) = (hook.name().to_owned(), x.dtype());
                return Err(Error::Retyped { hook, point, before: dtype, after });
            }
            slot.count = slot.count.saturating_add(1);
        }
        Ok((x, kept))
    }

    /// Shows all keys and values of a layer, `[batch, kv_heads, keys, head_dim]`, to the hook on the cache, and
    /// returns what is to be attended to and kept. Without such a hook, returns what it was given.
    ///
    /// # Errors
    /// [`Error::Cache`] with what the hook said, or if it returned another shape or element type.
    pub fn fire_cache(
        &mut self,
        at: &CacheAt<'_>,
        keys: Tensor<4>,
        values: Tensor<4>,
    ) -> Result<(Tensor<4>, Tensor<4>)> {
        let Some(CacheSlot { hook, count }) = &mut self.cache else { return Ok((keys, values)) };
        let of = |x: &Tensor<4>| (x.dims(), x.dtype());
        let before = [of(&keys), of(&values)];
        let failed = |hook: &dyn CacheHook, source| Error::Cache {
            hook: hook.name().to_owned(),
            layer: at.layer,
            source,
        };
        let (keys, values) =
            hook.attend(at, keys, values).map_err(|source| failed(&**hook, source))?;
        let after = [of(&keys), of(&values)];
        if before != after {
            let what = format!("it changed shape or type from {before:?} to {after:?}");
            return Err(failed(&**hook, what.into()));
        }
        *count = count.saturating_add(1);
        Ok((keys, values))
    }

    /// What fired so far, silent hooks included.
    #[must_use]
    pub fn report(&self) -> FiredReport {
        let fired = self.slots.iter().flat_map(|(&point, slots)| {
            slots.iter().map(move |slot| Fired {
                id: slot.id,
                hook: self.hooks.get(slot.id.0).map_or("", |hook| hook.name()).to_owned(),
                point,
                count: slot.count,
            })
        });
        FiredReport::new(fired.collect())
    }

    /// Ends the run: what fired, if everything did. Gives the hooks back to their owners.
    ///
    /// # Errors
    /// [`Error::NeverFired`] if a hook was never called at one of the points it was added to:
    /// what it should have measured or changed there is missing from the results; [`Error::NoCache`] if the
    /// hook on the cache was never called.
    pub fn finish(self) -> Result<FiredReport> {
        if let Some(CacheSlot { hook, count: 0 }) = &self.cache {
            return Err(Error::NoCache { hook: hook.name().to_owned() });
        }
        self.report().checked()
    }
}

impl fmt::Debug for HookSet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookSet")
            .field("hooks", &self.hooks.iter().map(|hook| hook.name()).collect::<Vec<_>>())
            .field("points", &self.slots.keys().map(ToString::to_string).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
