//! The papers' figures as SVG and PNG.
//!
//! The same drawing code makes both, with fonts built in, so a figure looks the same on every
//! machine and is the same file for the same result.
//!
//! | function | figure of *Massive Values in Self-Attention Modules* |
//! |---|---|
//! | [`heatmap`] | heat map of `M` for one site and layer: heads across, channels down |
//! | [`norm_panels`] | several of them on one colour scale: Q, K, V, or before against after RoPE |
//! | [`emergence`] | massive values and the largest ratio, layer by layer |
//! | [`surface`] | absolute values of a key cache over tokens and channels |
//! | [`accuracy_bars`] | accuracy by arm on contextual and parametric tasks |
//! | [`sweep`] | accuracy over the number of disturbed channels |
//! | [`curves`] | (none: numbers over the steps of trainings) |
//! | [`diversity_bars`] | n-gram diversity of the answers by arm |
//! | [`perplexity_bars`], [`text_perplexity_bars`] | perplexity by arm, on tasks and on a text |
//! | [`normalised_bars`] | accuracy over that of the best method, by method of quantization |
//!
//! [`massive_norm_bars`] is none of the paper's: how much of the massive values each method leaves.

mod bars;
mod canvas;
mod curves;
mod disrupt;
mod emergence;
mod heatmap;
mod hues;
mod legend;
mod surface;
mod sweep;

use std::path::Path;

use plotters::backend::{BitMapBackend, DrawingBackend, RGBPixel, SVGBackend};
use plotters::drawing::IntoDrawingArea;

pub use curves::{Curve, CurvePanel, CurvePoint, curves};
pub use disrupt::{
    accuracy_bars, diversity_bars, massive_norm_bars, normalised_bars, perplexity_bars,
    text_perplexity_bars,
};
pub use emergence::emergence;
pub use heatmap::{HeatmapOptions, NormPanel, heatmap, norm_panels};
pub use surface::{SurfaceOptions, surface};
pub use sweep::sweep;

use self::canvas::Canvas;
use crate::atomic;
use crate::error::{Error, Result};

/// Steps of an SVG's coordinates for each unit: plotters rounds to whole numbers.
const SVG_SCALE: u32 = 4;

/// Pixels of a PNG for each unit of the drawing.
const PNG_SCALE: u32 = 2;

/// A PNG is drawn this much larger still and averaged down: plotters' bitmaps have hard edges.
const SMOOTHING: u32 = 2;

/// plotters centres a bitmap's text by a box that reaches further below the letters than above.
const BITMAP_LOWER: f64 = 0.14;

/// The largest drawing, in square units: a PNG of it takes 300 MB while it is made.
const LARGEST: u32 = 6_000_000;

/// A figure, ready to be written.
#[derive(Debug, Clone)]
pub struct Figure {
    width: u32,
    height: u32,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Bars(bars::Bars),
    Curves(curves::Curves),
    Heatmap(heatmap::Heatmap),
    Emergence(emergence::Emergence),
    Surface(surface::Surface),
    Sweep(sweep::Sweep),
}

impl Figure {
    fn new((width, height): (i32, i32), content: Content) -> Result<Self> {
        let edges = (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0));
        match edges.0.checked_mul(edges.1) {
            Some(1..=LARGEST) => Ok(Self { width: edges.0, height: edges.1, content }),
            _ => Err(Error::Draw(format!("{width} x {height} units is not a size to draw"))),
        }
    }

    /// The figure as an SVG document.
    ///
    /// # Errors
    /// The figure cannot be drawn.
    pub fn to_svg(&self) -> Result<String> {
        let (width, height) = (self.width, self.height);
        let steps = (width * SVG_SCALE, height * SVG_SCALE);
        let mut svg = String::new();
        self.draw(SVGBackend::with_string(&mut svg, steps), SVG_SCALE, 0.0)?;
        // The size to show it at; the view box keeps the finer coordinates.
        let fine = format!("width=\"{}\" height=\"{}\"", steps.0, steps.1);
        Ok(svg.replacen(&fine, &format!("width=\"{width}\" height=\"{height}\""), 1))
    }

    /// The figure as a PNG of twice the drawing's size.
    ///
    /// # Errors
    /// The figure cannot be drawn.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let scale = PNG_SCALE * SMOOTHING;
        let large = (self.width * scale, self.height * scale);
        let mut pixels = vec![0; large.0 as usize * large.1 as usize * 3];
        let backend = BitMapBackend::<RGBPixel>::with_buffer_and_format(&mut pixels, large);
        self.draw(backend.map_err(draw_error)?, scale, BITMAP_LOWER)?;
        let pixels = smaller(&pixels, large.0 as usize);
        let (width, height) = (self.width * PNG_SCALE, self.height * PNG_SCALE);
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().map_err(draw_error)?;
        writer.write_image_data(&pixels).map_err(draw_error)?;
        writer.finish().map_err(draw_error)?;
        Ok(out)
    }

    /// Writes the figure as SVG, whole or not at all.
    ///
    /// # Errors
    /// The figure cannot be drawn or the file not written.
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<()> {
        let svg = self.to_svg()?;
        atomic::write(path.as_ref(), |out| out.write_all(svg.as_bytes()))
    }

    /// Writes the figure as PNG, whole or not at all.
    ///
    /// # Errors
    /// The figure cannot be drawn or the file not written.
    pub fn write_png(&self, path: impl AsRef<Path>) -> Result<()> {
        let png = self.to_png()?;
        atomic::write(path.as_ref(), |out| out.write_all(&png))
    }

    fn draw<DB: DrawingBackend>(&self, backend: DB, scale: u32, lower: f64) -> Result<()> {
        let area = backend.into_drawing_area();
        let canvas = Canvas::new(&area, scale, lower)?;
        match &self.content {
            Content::Bars(bars) => bars.draw(&canvas)?,
            Content::Curves(curves) => curves.draw(&canvas)?,
            Content::Heatmap(heatmap) => heatmap.draw(&canvas)?,
            Content::Emergence(emergence) => emergence.draw(&canvas)?,
            Content::Surface(surface) => surface.draw(&canvas)?,
            Content::Sweep(sweep) => sweep.draw(&canvas)?,
        }
        area.present().map_err(draw_error)
    }
}

/// The mean of each square of [`SMOOTHING`] by [`SMOOTHING`] pixels of an RGB image.
fn smaller(pixels: &[u8], width: usize) -> Vec<u8> {
    let side = SMOOTHING as usize;
    let mut out = Vec::with_capacity(pixels.len() / (side * side));
    let mut sums = vec![0u32; width / side * 3];
    for rows in pixels.chunks_exact(width * 3 * side) {
        sums.fill(0);
        for row in rows.chunks_exact(width * 3) {
            for (i, value) in row.iter().enumerate() {
                if let Some(sum) = sums.get_mut(i / 3 / side * 3 + i % 3) {
                    *sum += u32::from(*value);
                }
            }
        }
        let area = SMOOTHING * SMOOTHING;
        out.extend(sums.iter().map(|sum| ((sum + area / 2) / area) as u8));
    }
    out
}

fn draw_error(error: impl std::fmt::Display) -> Error {
    Error::Draw(error.to_string())
}

#[cfg(test)]
mod disrupt_tests;
#[cfg(test)]
mod tests;
