//! Names beside their colours, in as many rows as they need.

use plotters::backend::DrawingBackend;
use plotters::style::RGBColor;

use super::canvas::{Anchor, Canvas, INK};
use crate::error::Result;

const ROW: f64 = 18.0;
const AFTER: f64 = 20.0;
/// Width of a character of 11 units, on average and a little more.
const CHARACTER: f64 = 6.2;

/// Entries with their places, relative to the legend's corner.
pub(super) struct Legend<'a> {
    entries: Vec<(&'a str, RGBColor, f64, f64)>,
    /// Room for the sign before a name.
    sign: f64,
}

impl<'a> Legend<'a> {
    /// Places `entries`, with `sign` of room before each name, in rows of at most `width`, at least
    /// one to a row.
    pub(super) fn new(
        entries: impl Iterator<Item = (&'a str, RGBColor)>,
        sign: f64,
        width: f64,
    ) -> Self {
        let (mut x, mut y) = (0.0, 0.0);
        let place = |(name, hue): (&'a str, RGBColor)| {
            let wanted = sign + CHARACTER * name.chars().count() as f64;
            if x > 0.0 && x + wanted > width {
                (x, y) = (0.0, y + ROW);
            }
            let at = x;
            x += wanted + AFTER;
            (name, hue, at, y)
        };
        Self { entries: entries.map(place).collect(), sign }
    }

    pub(super) fn height(&self) -> f64 {
        self.entries.last().map_or(0.0, |entry| entry.3 + ROW)
    }

    /// Draws the entries from `(left, top)`, each with what `draw` puts at its left end.
    pub(super) fn draw<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        (left, top): (f64, f64),
        draw: impl Fn(&Canvas<'_, DB>, (f64, f64), RGBColor) -> Result<()>,
    ) -> Result<()> {
        for (name, hue, x, y) in &self.entries {
            draw(canvas, (left + x, top + y), *hue)?;
            let at = (left + x + self.sign, top + y);
            canvas.text(name, at, 11.0, INK, Anchor::Left)?;
        }
        Ok(())
    }
}
