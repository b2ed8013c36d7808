//! What calibration remembers of a linear's inputs: reduced while the text runs, never the activations.
//!
//! Accumulators take rows of activations `[tokens, inputs]` as slices, in any number of pieces. Those that
//! read the same activations (Q, K and V; gate and up) share one accumulator.

mod channels;
mod hessian;

pub use channels::{ChannelAccumulator, ChannelStats};
pub use hessian::{Hessian, HessianAccumulator, OutputError};

use crate::error::same;
use crate::weight::check_finite;
use crate::{Error, Result};

/// How many rows of `width` there are, all finite; `seen` tokens came before them.
fn check_rows(name: &str, width: usize, seen: u64, rows: &[f32]) -> Result<usize> {
    let tokens = rows.len() / width;
    same(name, "values of whole rows of activations", tokens * width, rows.len())?;
    match check_finite(name, width, rows) {
        Err(Error::NonFinite { tensor, row, column }) => {
            let row = usize::try_from(seen).unwrap_or(usize::MAX).saturating_add(row);
            Err(Error::NonFinite { tensor, row, column })
        }
        other => other.map(|()| tokens),
    }
}

/// `Ok` if a linear has inputs.
fn check_width(name: &str, width: usize) -> Result<()> {
    let none = || Error::Shape { tensor: name.to_owned(), what: "inputs", expected: 1, found: 0 };
    if width == 0 { Err(none()) } else { Ok(()) }
}
