//! How far a pass has come, for whoever waits.

use massval_hooks::{Activation, At, Hook, HookFailure};
use massval_models::Decoder;

/// Tells before each layer how many are done, of how many.
pub(crate) struct Watch<'a> {
    layers: usize,
    progress: &'a mut dyn FnMut(usize, usize),
}

impl<'a> Watch<'a> {
    /// Where to set it.
    pub(crate) const POINTS: &'static [&'static str] = &["resid_pre"];

    pub(crate) fn new(decoder: &Decoder, progress: &'a mut dyn FnMut(usize, usize)) -> Self {
        Self { layers: decoder.config().layers, progress }
    }
}

impl Hook for Watch<'_> {
    fn name(&self) -> &str {
        "progress"
    }

    fn apply(&mut self, at: &At<'_>, x: Activation) -> Result<Activation, HookFailure> {
        (self.progress)(at.point.layer.unwrap_or_default(), self.layers);
        Ok(x)
    }
}
