//! A key cache as a landscape: absolute values over tokens and channels.

use plotters::backend::DrawingBackend;

use super::canvas::{Anchor, Canvas, INK, LINE, SOFT, doubling, shade, tick_label, ticks};
use super::{Content, Figure};
use crate::error::{Error, Result};
use crate::words;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 560.0;
/// Where the token axis and the channel axis point on the page, for the whole axis, and how high
/// the largest value rises. The viewer looks from above, over the last token and channel.
const TOKEN_AXIS: (f64, f64) = (330.0, 130.0);
const CHANNEL_AXIS: (f64, f64) = (-250.0, 120.0);
const RISE: f64 = 190.0;
const ORIGIN: (f64, f64) = (320.0, 260.0);
/// Most steps along an axis; more could not be told apart and would make the SVG unwieldy.
const MOST_STEPS: usize = 128;

/// How a surface is drawn.
#[derive(Debug, Clone, Default)]
pub struct SurfaceOptions {
    /// Title of the figure.
    pub title: String,
    /// Value of the brightest colour and the full height; the largest value when absent.
    pub scale_max: Option<f32>,
}

#[derive(Debug, Clone)]
pub(super) struct Surface {
    title: String,
    tokens: usize,
    channels: usize,
    /// `|x|` after pooling, `[rows, columns]`.
    values: Vec<f64>,
    rows: usize,
    columns: usize,
    high: f64,
}

/// The absolute values of one head's cache over tokens and channels, as a surface.
///
/// `values` is row-major `[tokens, channels]`. Above 128 tokens or channels neighbours are drawn as
/// one, by their largest absolute value: peaks stay, and the title says so.
///
/// # Errors
/// The values do not fit the shape, are not finite, or there are fewer than two tokens or channels.
pub fn surface(
    values: &[f32],
    tokens: usize,
    channels: usize,
    options: SurfaceOptions,
) -> Result<Figure> {
    if tokens < 2 || channels < 2 || tokens.checked_mul(channels) != Some(values.len()) {
        let reason = format!("{} values for {tokens} tokens x {channels} channels", values.len());
        return Err(Error::Draw(format!("no surface: {reason}")));
    }
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Error::Draw("no surface: a value is not finite".to_owned()));
    }
    let (by_token, by_channel) = (tokens.div_ceil(MOST_STEPS), channels.div_ceil(MOST_STEPS));
    let (rows, columns) = (tokens.div_ceil(by_token), channels.div_ceil(by_channel));
    let mut pooled = vec![0.0f64; rows * columns];
    for (token, row) in values.chunks(channels).enumerate() {
        for (channel, value) in row.iter().enumerate() {
            let cell = &mut pooled[token / by_token * columns + channel / by_channel];
            *cell = cell.max(f64::from(value.abs()));
        }
    }
    let largest = pooled.iter().copied().fold(0.0, f64::max);
    let wanted = options.scale_max.filter(|max| max.is_finite() && *max > 0.0);
    let high = wanted.map_or(largest, f64::from).max(f64::MIN_POSITIVE);
    let mut title = words::plain(&options.title);
    title += &match (by_token, by_channel) {
        (1, 1) => String::new(),
        (tokens, 1) => format!(" (largest of each {tokens} tokens)"),
        (1, channels) => format!(" (largest of each {channels} channels)"),
        (tokens, channels) => format!(" (largest of each {tokens} tokens x {channels} channels)"),
    };
    let surface = Surface { title, tokens, channels, values: pooled, rows, columns, high };
    Figure::new((WIDTH as i32, HEIGHT as i32), Content::Surface(surface))
}

impl Surface {
    pub(super) fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<()> {
        canvas.text(self.title.trim(), (24.0, 22.0), 15.0, INK, Anchor::Left)?;
        self.draw_walls(canvas)?;
        // From the far corner to the near one, so that what is near covers what is behind it.
        for row in 0..self.rows.saturating_sub(1) {
            for column in 0..self.columns.saturating_sub(1) {
                let corners = [
                    self.corner(row, column),
                    self.corner(row, column + 1),
                    self.corner(row + 1, column + 1),
                    self.corner(row + 1, column),
                ];
                // By its highest corner: a mean would pale the ridges, one channel wide.
                let height = corners.iter().map(|(_, height)| *height).fold(0.0, f64::max);
                canvas.polygon(&widened(corners.map(|(point, _)| point)), shade(height))?;
            }
        }
        self.draw_axes(canvas)?;
        canvas.colour_bar((WIDTH - 84.0, 110.0), 240.0, self.high, "absolute value")
    }

    /// A grid point on the page, and its height in `0..=1`.
    fn corner(&self, row: usize, column: usize) -> ((f64, f64), f64) {
        let value = self.values.get(row * self.columns + column).copied().unwrap_or(0.0);
        let height = (value / self.high).min(1.0);
        let along = |at: usize, count: usize| at as f64 / (count.max(2) - 1) as f64;
        (project(along(row, self.rows), along(column, self.columns), height), height)
    }

    fn draw_walls<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<()> {
        for tick in ticks(self.high, 4) {
            let z = tick / self.high;
            let line = [project(1.0, 0.0, z), project(0.0, 0.0, z), project(0.0, 1.0, z)];
            canvas.line(&line, LINE, 1.0)?;
            let at = project(0.0, 1.0, z);
            canvas.text(&tick_label(tick), (at.0 - 6.0, at.1), 10.0, SOFT, Anchor::Right)?;
        }
        for (t, c) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)] {
            canvas.line(&[project(t, c, 0.0), project(t, c, 1.0)], LINE, 1.0)?;
        }
        Ok(())
    }

    fn draw_axes<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<()> {
        let edge = [project(0.0, 1.0, 0.0), project(1.0, 1.0, 0.0), project(1.0, 0.0, 0.0)];
        canvas.line(&edge, SOFT, 1.0)?;
        for token in (0..self.tokens).step_by(doubling(self.tokens, 9)) {
            let (x, y) = project(token as f64 / (self.tokens - 1) as f64, 1.0, 0.0);
            canvas.text(&token.to_string(), (x - 6.0, y + 10.0), 10.0, SOFT, Anchor::Right)?;
        }
        for channel in (0..self.channels).step_by(doubling(self.channels, 9)) {
            let (x, y) = project(1.0, channel as f64 / (self.channels - 1) as f64, 0.0);
            canvas.text(&channel.to_string(), (x + 6.0, y + 10.0), 10.0, SOFT, Anchor::Left)?;
        }
        let (x, y) = project(0.45, 1.0, 0.0);
        canvas.text("token", (x - 44.0, y + 32.0), 12.0, SOFT, Anchor::Middle)?;
        let (x, y) = project(1.0, 0.5, 0.0);
        canvas.text("channel", (x + 54.0, y + 30.0), 12.0, SOFT, Anchor::Middle)
    }
}

/// The patch a little larger, so that no seam shows between it and the one behind.
fn widened(corners: [(f64, f64); 4]) -> [(f64, f64); 4] {
    let centre = corners.iter().fold((0.0, 0.0), |c, p| (c.0 + p.0 / 4.0, c.1 + p.1 / 4.0));
    corners.map(|(x, y)| {
        let (dx, dy) = (x - centre.0, y - centre.1);
        let by = 0.3 / dx.hypot(dy).max(0.3);
        (x + dx * by, y + dy * by)
    })
}

/// A point of the unit cube on the page.
fn project(token: f64, channel: f64, height: f64) -> (f64, f64) {
    (
        ORIGIN.0 + TOKEN_AXIS.0 * token + CHANNEL_AXIS.0 * channel,
        ORIGIN.1 + TOKEN_AXIS.1 * token + CHANNEL_AXIS.1 * channel - RISE * height,
    )
}
