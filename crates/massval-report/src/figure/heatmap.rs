//! Heat maps of channel norms: heads across, channels down, colour for `M[h,d]`.

use std::ops::Range;

use massval_detect::{FrequencyHalf, RopeBands};
use plotters::backend::DrawingBackend;

use super::canvas::{Anchor, Canvas, HIGH, INK, LINE, LOW, SOFT, doubling, shade};
use super::{Content, Figure};
use crate::error::{Error, Result};
use crate::schema::SiteNorms;
use crate::words;

const TOP: f64 = 62.0;
const BOTTOM: f64 = 56.0;
const LEFT: f64 = 58.0;
const STRIP: f64 = 8.0;
const PERIODS: f64 = 52.0;
const GAP: f64 = 18.0;
const BAR: f64 = 92.0;

/// Channel norms of one site, with what to call them.
#[derive(Debug, Clone, PartialEq)]
pub struct NormPanel {
    /// Title above the panel.
    pub title: String,
    /// Heads.
    pub heads: usize,
    /// Channels per head.
    pub head_dim: usize,
    /// `M[h,d]`, row-major `[heads, head_dim]`.
    pub norms: Vec<f32>,
    /// Whether the channels form rotary pairs, so that the bands mean something here.
    pub rotary: bool,
}

impl NormPanel {
    /// The norms of a site in a scan.
    pub fn of(title: impl Into<String>, site: &SiteNorms) -> Self {
        Self {
            title: title.into(),
            heads: site.heads,
            head_dim: site.head_dim,
            norms: site.norms.clone(),
            rotary: crate::sites::is_rotary(&site.site),
        }
    }
}

/// How heat maps are drawn.
#[derive(Debug, Clone, Default)]
pub struct HeatmapOptions {
    /// Title of the whole figure.
    pub title: String,
    /// Value of the brightest colour; the largest norm when absent. Larger norms are drawn in the
    /// brightest colour, and the colour bar says so.
    pub scale_max: Option<f32>,
    /// The channels to draw; all when absent.
    pub channels: Option<Range<usize>>,
    /// The rotary pairs: draws the fast and slow half beside the channels, and their periods.
    pub bands: Option<RopeBands>,
}

#[derive(Debug, Clone)]
pub(super) struct Heatmap {
    panels: Vec<NormPanel>,
    options: HeatmapOptions,
    channels: Range<usize>,
    high: f64,
    clipped: bool,
    cell: (f64, f64),
}

/// A heat map of one site: heads across, channels down.
///
/// ```
/// use massval_report::figure::{HeatmapOptions, NormPanel, heatmap};
///
/// let norms = (0..4 * 64).map(|i| if i % 64 == 55 { 40.0 } else { 2.0 }).collect();
/// let panel = NormPanel { title: "K".into(), heads: 4, head_dim: 64, norms, rotary: true };
/// let svg = heatmap(panel, HeatmapOptions::default())?.to_svg()?;
/// assert!(svg.starts_with("<svg"));
/// # Ok::<(), massval_report::Error>(())
/// ```
///
/// # Errors
/// As [`norm_panels`].
pub fn heatmap(panel: NormPanel, options: HeatmapOptions) -> Result<Figure> {
    norm_panels(vec![panel], options)
}

/// Heat maps side by side on one colour scale, for example before and after RoPE.
///
/// # Errors
/// There is no panel, a panel's norms do not fit its shape, a value is not finite, or the chosen
/// channels lie outside a head.
pub fn norm_panels(panels: Vec<NormPanel>, options: HeatmapOptions) -> Result<Figure> {
    let heads = panels.iter().map(|panel| panel.heads).max().unwrap_or(0);
    let head_dim = panels.iter().map(|panel| panel.head_dim).max().unwrap_or(0);
    let channels = options.channels.clone().unwrap_or(0..head_dim);
    if heads == 0 || channels.is_empty() || channels.end > head_dim {
        let reason = format!("channels {channels:?} of {heads} heads with {head_dim} channels");
        return Err(Error::Draw(format!("nothing to draw: {reason}")));
    }
    let mut high = 0.0f32;
    for panel in &panels {
        let fits = panel.heads.checked_mul(panel.head_dim) == Some(panel.norms.len());
        if !fits || panel.norms.iter().any(|norm| !(norm.is_finite() && *norm >= 0.0)) {
            let reason = "its norms do not fit its shape or are not finite";
            return Err(Error::Draw(format!("panel `{}`: {reason}", words::plain(&panel.title))));
        }
        high = panel.norms.iter().copied().fold(high, f32::max);
    }
    let wanted = options.scale_max.filter(|max| max.is_finite() && *max > 0.0);
    let clipped = wanted.is_some_and(|max| high > max);
    let high = f64::from(wanted.unwrap_or(high)).max(f64::MIN_POSITIVE);
    let cell =
        ((340.0 / heads as f64).clamp(6.0, 26.0).floor(), cell_height(channels.len()).floor());
    let heatmap = Heatmap { panels, options, channels, high, clipped, cell };
    Figure::new(heatmap.size(), Content::Heatmap(heatmap))
}

fn cell_height(channels: usize) -> f64 {
    (512.0 / channels as f64).clamp(3.0, 12.0)
}

impl Heatmap {
    fn size(&self) -> (i32, i32) {
        let panels: f64 = self.panels.iter().map(|panel| self.panel_width(panel) + GAP).sum();
        let height = TOP + self.height() + BOTTOM;
        ((panels + BAR) as i32, height as i32)
    }

    fn height(&self) -> f64 {
        self.cell.1 * self.channels.len() as f64
    }

    fn bands(&self, panel: &NormPanel) -> Option<&RopeBands> {
        self.options.bands.as_ref().filter(|_| panel.rotary)
    }

    fn panel_width(&self, panel: &NormPanel) -> f64 {
        let bands = if self.bands(panel).is_some() { STRIP + PERIODS } else { 0.0 };
        LEFT + self.cell.0 * panel.heads as f64 + bands
    }

    pub(super) fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<()> {
        let title = words::plain(&self.options.title);
        canvas.text(&title, (GAP, 20.0), 15.0, INK, Anchor::Left)?;
        let mut x = GAP / 2.0;
        for panel in &self.panels {
            self.draw_panel(canvas, panel, x + LEFT)?;
            x += self.panel_width(panel) + GAP;
        }
        let unit =
            if self.clipped { "L2 norm over tokens (clipped)" } else { "L2 norm over tokens" };
        canvas.colour_bar((x + 2.0, TOP), self.height(), self.high, unit)?;
        if self.options.bands.is_some() {
            let y = TOP + self.height() + 46.0;
            let notes = [(HIGH, "fast half of the rotary pairs"), (LOW, "slow half")];
            let mut at = GAP / 2.0 + LEFT;
            for (colour, note) in notes {
                canvas.fill((at, y - 4.0), (at + 8.0, y + 4.0), colour)?;
                canvas.text(note, (at + 13.0, y), 10.0, SOFT, Anchor::Left)?;
                at += 200.0;
            }
        }
        Ok(())
    }

    fn draw_panel<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        panel: &NormPanel,
        left: f64,
    ) -> Result<()> {
        let (w, h) = self.cell;
        let right = left + w * panel.heads as f64;
        let bottom = TOP + self.height();
        let title = words::plain(&panel.title);
        canvas.text(&title, ((left + right) / 2.0, TOP - 14.0), 12.0, INK, Anchor::Middle)?;
        for (head, norms) in panel.norms.chunks(panel.head_dim.max(1)).enumerate() {
            let x = left + w * head as f64;
            let drawn = norms.get(self.channels.start..self.channels.end.min(norms.len()));
            for (row, norm) in drawn.unwrap_or_default().iter().enumerate() {
                let y = TOP + h * row as f64;
                canvas.fill((x, y), (x + w, y + h), shade(f64::from(*norm) / self.high))?;
            }
        }
        canvas.frame((left, TOP), (right, bottom), LINE)?;
        for head in (0..panel.heads)
            .step_by(doubling(panel.heads, (panel.heads as f64 * w / 22.0) as usize))
        {
            let x = left + w * (head as f64 + 0.5);
            canvas.text(&head.to_string(), (x, bottom + 10.0), 10.0, SOFT, Anchor::Middle)?;
        }
        canvas.text("head", ((left + right) / 2.0, bottom + 26.0), 11.0, SOFT, Anchor::Middle)?;
        let step = doubling(self.channels.len(), (self.height() / 26.0) as usize);
        for channel in self.channels.clone().filter(|channel| channel.is_multiple_of(step)) {
            let y = self.row_middle(channel);
            canvas.text(&channel.to_string(), (left - 6.0, y), 10.0, SOFT, Anchor::Right)?;
        }
        let middle = TOP + self.height() / 2.0;
        canvas.text("channel", (left - 42.0, middle), 11.0, SOFT, Anchor::Upward)?;
        match self.bands(panel) {
            Some(bands) => self.draw_bands(canvas, bands, right + 3.0, step),
            None => Ok(()),
        }
    }

    fn draw_bands<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        bands: &RopeBands,
        x: f64,
        step: usize,
    ) -> Result<()> {
        for channel in self.channels.clone() {
            let Some(band) = bands.band(channel) else { continue };
            let colour = if band.half == FrequencyHalf::Low { LOW } else { HIGH };
            let (y, h) = (self.row_middle(channel), self.cell.1);
            canvas.fill((x, y - h / 2.0), (x + STRIP - 3.0, y + h / 2.0), colour)?;
            if channel.is_multiple_of(step) {
                let period = words::short(band.period_tokens);
                canvas.text(&period, (x + STRIP, y), 10.0, SOFT, Anchor::Left)?;
            }
        }
        canvas.text("period", (x + STRIP, TOP - 12.0), 10.0, SOFT, Anchor::Left)
    }

    fn row_middle(&self, channel: usize) -> f64 {
        TOP + self.cell.1 * (channel.saturating_sub(self.channels.start) as f64 + 0.5)
    }
}
