//! What is gathered of the inputs that a group of linears shares: one group at a time, never the activations.

use massval_models::Walk;
use massval_quant::{ChannelAccumulator, ChannelStats, Hessian, HessianAccumulator};

use crate::Result;

/// Tokens of activations that a search over alphas is tried on.
const TRIED: usize = 512;

/// What is to be gathered.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    pub(super) channels: bool,
    pub(super) hessian: bool,
    /// The first activations themselves.
    pub(super) rows: bool,
}

/// What was gathered.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) channels: Option<ChannelStats>,
    pub(super) hessian: Option<Hessian>,
    pub(super) rows: Vec<f32>,
}

/// Looks at what the group that `walk` has come to reads; `name` is what errors call it.
///
/// # Errors
/// [`massval_quant::Error::NoTokens`] if no token came here, [`massval_quant::Error::NonFinite`] if an activation is
/// not finite.
pub(super) fn look(walk: &Walk<'_>, name: &str, width: usize, wanted: Wanted) -> Result<Seen> {
    let mut channels = wanted.channels.then(|| ChannelAccumulator::new(name, width)).transpose()?;
    let mut hessian = wanted.hessian.then(|| HessianAccumulator::new(name, width)).transpose()?;
    let mut rows = Vec::new();
    for inputs in walk.inputs() {
        let inputs = inputs?;
        if let Some(channels) = &mut channels {
            channels.push(&inputs)?;
        }
        if let Some(hessian) = &mut hessian {
            hessian.push(&inputs)?;
        }
        if wanted.rows && rows.len() < TRIED * width {
            let left = (TRIED * width - rows.len()).min(inputs.len());
            rows.extend(inputs.iter().take(left));
        }
    }
    Ok(Seen {
        channels: channels.map(ChannelAccumulator::finish).transpose()?,
        hessian: hessian.map(HessianAccumulator::finish).transpose()?,
        rows,
    })
}
