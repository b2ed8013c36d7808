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

mod canvas;
mod emergence;
mod heatmap;
mod surface;

use std::path::Path;

use plotters::backend::{BitMapBackend, DrawingBackend, RGBPixel, SVGBackend};
use plotters::drawing::IntoDrawingArea;

pub use emergence::emergence;
pub use heatmap::{HeatmapOptions, NormPanel, heatmap, norm_panels};
pub use surface::{SurfaceOptions, surface};

use self::canvas::Canvas;
use crate::atomic;
use crate::error::{Error, Result};

/// Pixels of a PNG for each unit of the drawing.
const PNG_SCALE: u32 = 2;

/// The longest edge of a drawing, in units; a larger one would take gigabytes as a PNG.
const LONGEST_EDGE: i32 = 8_000;

/// A figure, ready to be written.
#[derive(Debug, Clone)]
pub struct Figure {
    width: u32,
    height: u32,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Heatmap(heatmap::Heatmap),
    Emergence(emergence::Emergence),
    Surface(surface::Surface),
}

impl Figure {
    fn new((width, height): (i32, i32), content: Content) -> Result<Self> {
        let edge = |edge: i32| {
            let fits = (1..=LONGEST_EDGE).contains(&edge);
            let large = || Error::Draw(format!("{width} x {height} units is not a size to draw"));
            fits.then_some(edge.unsigned_abs()).ok_or_else(large)
        };
        Ok(Self { width: edge(width)?, height: edge(height)?, content })
    }

    /// The figure as an SVG document.
    ///
    /// # Errors
    /// The figure cannot be drawn.
    pub fn to_svg(&self) -> Result<String> {
        let mut svg = String::new();
        self.draw(SVGBackend::with_string(&mut svg, (self.width, self.height)), 1)?;
        Ok(svg)
    }

    /// The figure as a PNG of twice the drawing's size.
    ///
    /// # Errors
    /// The figure cannot be drawn.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let (width, height) = (self.width * PNG_SCALE, self.height * PNG_SCALE);
        let mut pixels = vec![0; width as usize * height as usize * 3];
        let backend =
            BitMapBackend::<RGBPixel>::with_buffer_and_format(&mut pixels, (width, height));
        self.draw(backend.map_err(draw_error)?, PNG_SCALE)?;
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

    fn draw<DB: DrawingBackend>(&self, backend: DB, scale: u32) -> Result<()> {
        let area = backend.into_drawing_area();
        let canvas = Canvas::new(&area, scale)?;
        match &self.content {
            Content::Heatmap(heatmap) => heatmap.draw(&canvas)?,
            Content::Emergence(emergence) => emergence.draw(&canvas)?,
            Content::Surface(surface) => surface.draw(&canvas)?,
        }
        area.present().map_err(draw_error)
    }
}

fn draw_error(error: impl std::fmt::Display) -> Error {
    Error::Draw(error.to_string())
}

#[cfg(test)]
mod tests;
