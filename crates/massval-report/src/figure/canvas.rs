//! Rectangles, lines, polygons and text in units that are pixels of the SVG; a PNG has more
//! pixels for each unit.

use std::sync::OnceLock;

use plotters::backend::DrawingBackend;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color, FontStyle, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle, WHITE,
    register_font,
};

use super::draw_error;
use crate::error::{Error, Result};
use crate::palette;

/// The built-in font's name, and what an SVG viewer without it takes.
const FONT: &str = "DejaVu Sans, Verdana, sans-serif";

/// Text in full black would shout.
pub(super) const INK: RGBColor = RGBColor(0x1b, 0x1f, 0x24);
/// Axes, ticks and remarks.
pub(super) const SOFT: RGBColor = RGBColor(0x57, 0x60, 0x6a);
/// Grid lines and frames.
pub(super) const LINE: RGBColor = RGBColor(0xd5, 0xd9, 0xdf);
/// Pairs that turn fast.
pub(super) const HIGH: RGBColor = RGBColor(0xc9, 0xce, 0xd6);
/// Pairs that turn slowly.
pub(super) const LOW: RGBColor = RGBColor(0x0b, 0x7a, 0x75);

/// Which end of a text its position is.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Left,
    Middle,
    Right,
    /// Centred, and read from below.
    Upward,
}

/// A drawing area with its scale.
pub(super) struct Canvas<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    scale: f64,
    /// How far text is set lower, in parts of its size.
    lower: f64,
}

impl<'a, DB: DrawingBackend> Canvas<'a, DB> {
    /// A white canvas of `scale` pixels for each unit. Text is set lower by `lower` of its size.
    pub(super) fn new(area: &'a DrawingArea<DB, Shift>, scale: u32, lower: f64) -> Result<Self> {
        static FONT_READ: OnceLock<bool> = OnceLock::new();
        let read = || register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).is_ok();
        if !*FONT_READ.get_or_init(read) {
            return Err(Error::Draw("the built-in font cannot be read".to_owned()));
        }
        area.fill(&WHITE).map_err(draw_error)?;
        Ok(Self { area, scale: f64::from(scale), lower })
    }

    fn at(&self, (x, y): (f64, f64)) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }

    fn stroke(&self, colour: RGBColor, width: f64) -> ShapeStyle {
        colour.stroke_width((width * self.scale).round().max(1.0) as u32)
    }

    /// A filled rectangle between two corners; neighbours that share an edge leave no gap.
    pub(super) fn fill(&self, from: (f64, f64), to: (f64, f64), colour: RGBColor) -> Result<()> {
        let (from, to) = (self.at(from), self.at(to));
        if to.0 <= from.0 || to.1 <= from.1 {
            return Ok(());
        }
        // Bitmaps include the far edge, SVG does not; one shared pixel hides the seam in both.
        self.area.draw(&Rectangle::new([from, to], colour.filled())).map_err(draw_error)
    }

    /// A rectangle's outline.
    pub(super) fn frame(&self, from: (f64, f64), to: (f64, f64), colour: RGBColor) -> Result<()> {
        let style = self.stroke(colour, 1.0);
        self.area.draw(&Rectangle::new([self.at(from), self.at(to)], style)).map_err(draw_error)
    }

    /// A line through points.
    pub(super) fn line(&self, points: &[(f64, f64)], colour: RGBColor, width: f64) -> Result<()> {
        let points: Vec<_> = points.iter().map(|point| self.at(*point)).collect();
        self.area.draw(&PathElement::new(points, self.stroke(colour, width))).map_err(draw_error)
    }

    /// A filled disc.
    pub(super) fn dot(&self, centre: (f64, f64), radius: f64, colour: RGBColor) -> Result<()> {
        let radius = (radius * self.scale).round() as i32;
        self.area.draw(&Circle::new(self.at(centre), radius, colour.filled())).map_err(draw_error)
    }

    /// A filled polygon.
    pub(super) fn polygon(&self, points: &[(f64, f64)], colour: RGBColor) -> Result<()> {
        let points: Vec<_> = points.iter().map(|point| self.at(*point)).collect();
        self.area.draw(&Polygon::new(points, colour.filled())).map_err(draw_error)
    }

    /// A polygon through which the ones below can be seen.
    pub(super) fn band(&self, points: &[(f64, f64)], colour: RGBColor) -> Result<()> {
        let points: Vec<_> = points.iter().map(|point| self.at(*point)).collect();
        self.area.draw(&Polygon::new(points, colour.mix(0.15).filled())).map_err(draw_error)
    }

    /// A dashed line from a point to the right, up to `right`.
    pub(super) fn dashes(&self, (x, y): (f64, f64), right: f64, colour: RGBColor) -> Result<()> {
        const DASH: f64 = 4.0;
        let count = ((right - x) / (2.0 * DASH)).ceil().max(0.0) as usize;
        (0..count).map(|i| x + 2.0 * DASH * i as f64).try_for_each(|start| {
            self.line(&[(start, y), ((start + DASH).min(right), y)], colour, 1.0)
        })
    }

    /// A line of text, centred vertically on `at`.
    pub(super) fn text(
        &self,
        text: &str,
        at: (f64, f64),
        size: f64,
        colour: RGBColor,
        anchor: Anchor,
    ) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let horizontal = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle | Anchor::Upward => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        let font = (FONT, size * self.scale).into_font();
        let lower = self.lower * size;
        let (font, at) = match anchor {
            Anchor::Upward => (font.transform(FontTransform::Rotate270), (at.0 + lower, at.1)),
            _ => (font, (at.0, at.1 + lower)),
        };
        let style: TextStyle<'_> = TextStyle::from(font).color(&colour);
        let style = style.pos(Pos::new(horizontal, VPos::Center));
        self.area.draw(&Text::new(text.to_owned(), self.at(at), style)).map_err(draw_error)
    }

    /// A vertical colour bar for `0..=high`, with its unit.
    pub(super) fn colour_bar(
        &self,
        (x, y): (f64, f64),
        height: f64,
        high: f64,
        unit: &str,
    ) -> Result<()> {
        const WIDTH: f64 = 14.0;
        let steps = height.max(1.0) as usize;
        for i in 0..steps {
            let t = 1.0 - (i as f64 + 0.5) / steps as f64;
            let top = y + height * i as f64 / steps as f64;
            let bottom = y + height * (i + 1) as f64 / steps as f64;
            self.fill((x, top), (x + WIDTH, bottom), shade(t))?;
        }
        for tick in ticks(high, 5) {
            let at = y + height * (1.0 - tick / high);
            self.line(&[(x + WIDTH, at), (x + WIDTH + 3.0, at)], SOFT, 1.0)?;
            let label = tick_label(tick);
            self.text(&label, (x + WIDTH + 6.0, at), 11.0, SOFT, Anchor::Left)?;
        }
        self.text(unit, (x + WIDTH + 46.0, y + height / 2.0), 11.0, SOFT, Anchor::Upward)
    }
}

/// The colour of `t` in `0..=1` on the scale of all heat maps.
pub(super) fn shade(t: f64) -> RGBColor {
    let last = palette::STOPS.len() - 1;
    let at = if t.is_finite() { t.clamp(0.0, 1.0) * last as f64 } else { 0.0 };
    let low = (at as usize).min(last - 1);
    let mix = |k: usize| {
        let (a, b) = (f64::from(palette::STOPS[low][k]), f64::from(palette::STOPS[low + 1][k]));
        (a + (b - a) * (at - low as f64)).round() as u8
    };
    RGBColor(mix(0), mix(1), mix(2))
}

/// Round numbers from 0 to at most `high`, about `count` of them.
pub(super) fn ticks(high: f64, count: usize) -> Vec<f64> {
    if !(high.is_finite() && high > 0.0) {
        return vec![0.0];
    }
    let raw = high / count.max(1) as f64;
    let unit = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .map(|factor| factor * unit)
        .into_iter()
        .find(|step| *step >= raw * 0.999)
        .unwrap_or(raw);
    (0..=2 * count).map(|i| i as f64 * step).take_while(|tick| *tick <= high * 1.0001).collect()
}

/// A round number without needless digits.
pub(super) fn tick_label(tick: f64) -> String {
    let text = format!("{tick:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Steps of 1, 2, 4, 8 ... that give at most `most` ticks in `count`.
pub(super) fn doubling(count: usize, most: usize) -> usize {
    let mut step = 1;
    while count.div_ceil(step) > most.max(1) {
        step *= 2;
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_stay_within() {
        assert_eq!(ticks(10.0, 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(0.0, 5), [0.0]);
        assert_eq!(ticks(f64::NAN, 5), [0.0]);
        for high in [0.013, 0.9, 7.3, 99.17, 12_345.0] {
            let ticks = ticks(high, 5);
            assert!((2..=10).contains(&ticks.len()), "{high}: {ticks:?}");
            assert!(ticks.iter().all(|tick| *tick <= high * 1.001));
        }
        assert_eq!((tick_label(2.5), tick_label(100.0)), ("2.5".into(), "100".into()));
    }

    #[test]
    fn the_scale_runs_from_dark_to_bright() {
        assert_eq!(shade(0.0), RGBColor(0x44, 0x01, 0x54));
        assert_eq!(shade(1.0), RGBColor(0xfd, 0xe7, 0x25));
        assert_eq!(shade(f64::NAN), shade(-3.0));
        let light = |t| {
            let RGBColor(r, g, b) = shade(t);
            0.3 * f64::from(r) + 0.59 * f64::from(g) + 0.11 * f64::from(b)
        };
        assert!((1..=50).all(|i| light(f64::from(i) / 50.0) > light(f64::from(i - 1) / 50.0)));
    }
}
