//! What fired in a run, and how often.

use serde::Serialize;

use crate::{Error, HookId, HookPoint, Result};

/// How often one hook was called at one point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fired {
    /// Which hook, as [`HookSet::add`](crate::HookSet::add) named it.
    #[serde(skip)]
    pub id: HookId,
    /// The hook's own name.
    pub hook: String,
    /// The hook point.
    pub point: HookPoint,
    /// The number of calls that succeeded: one per forward pass.
    pub count: u64,
}

/// How often every hook of a set was called at every point it was added to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct FiredReport {
    fired: Vec<Fired>,
}

impl FiredReport {
    pub(crate) const fn new(fired: Vec<Fired>) -> Self {
        Self { fired }
    }

    /// One entry per point and hook: points in the order of a forward pass, and at each point the
    /// hooks in the order of their calls.
    pub fn iter(&self) -> impl Iterator<Item = &Fired> {
        self.fired.iter()
    }

    /// The number of calls, of all hooks at all points.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.fired.iter().map(|fired| fired.count).sum()
    }

    /// The number of calls of one hook, at all its points.
    #[must_use]
    pub fn of(&self, id: HookId) -> u64 {
        self.fired.iter().filter(|fired| fired.id == id).map(|fired| fired.count).sum()
    }

    /// An error if any hook was never called at one of its points.
    pub(crate) fn checked(self) -> Result<Self> {
        let mut silent: Vec<(HookId, String, Vec<HookPoint>)> = Vec::new();
        for fired in self.fired.iter().filter(|fired| fired.count == 0) {
            match silent.iter_mut().find(|(id, ..)| *id == fired.id) {
                Some((_, _, points)) => points.push(fired.point),
                None => silent.push((fired.id, fired.hook.clone(), vec![fired.point])),
            }
        }
        if silent.is_empty() {
            return Ok(self);
        }
        silent.sort_by_key(|(id, ..)| *id);
        let silent = silent.into_iter().map(|(_, hook, points)| (hook, points)).collect();
        Err(Error::NeverFired { silent })
    }
}
