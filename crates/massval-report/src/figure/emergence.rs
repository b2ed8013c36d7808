//! Layer-wise emergence: how many massive values each layer has, and how strong they are.

use massval_detect::Criterion;
use plotters::backend::DrawingBackend;
use plotters::style::RGBColor;

use super::canvas::{Anchor, Canvas, INK, LINE, SOFT, doubling, tick_label, ticks};
use super::{Content, Figure};
use crate::error::{Error, Result};
use crate::schema::ScanResult;
use crate::sites;
use crate::words;

const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 66.0;
const PLOT: f64 = 190.0;
const BETWEEN: f64 = 46.0;
const HUES: [RGBColor; 3] =
    [RGBColor(0x3b, 0x6f, 0xb6), RGBColor(0xb5, 0x65, 0x1d), RGBColor(0x5f, 0x8f, 0x3a)];

#[derive(Debug, Clone)]
pub(super) struct Emergence {
    title: String,
    layers: Vec<usize>,
    series: Vec<Series>,
    /// The criterion's threshold, where the ratio is what it compares.
    lambda: Option<f64>,
}

#[derive(Debug, Clone)]
struct Series {
    label: String,
    hue: RGBColor,
    /// Layer, massive values, largest ratio to the head's mean.
    points: Vec<(usize, f64, f64)>,
}

/// Massive values and the largest ratio to the head's mean over the layers, for the sites of a scan
/// that enter attention: Q and K after RoPE, and V.
///
/// # Errors
/// The scan holds no site.
pub fn emergence(scan: &ScanResult) -> Result<Figure> {
    let names = scan.site_names();
    let families = sites::families(&names);
    let series: Vec<Series> = families
        .iter()
        .zip(HUES)
        .map(|(family, hue)| {
            let site = family.last();
            let mut points: Vec<_> = scan
                .sites
                .iter()
                .filter(|norms| norms.site == site)
                .map(|norms| &norms.summary)
                .map(|s| (s.layer, s.count as f64, f64::from(s.top_ratio)))
                .collect();
            points.sort_by_key(|point| point.0);
            Series { label: format!("{} ({})", family.title(), words::plain(site)), hue, points }
        })
        .collect();
    let mut layers: Vec<usize> = scan.sites.iter().map(|site| site.layer).collect();
    layers.sort_unstable();
    layers.dedup();
    if layers.is_empty() {
        return Err(Error::Draw("the scan holds no site".to_owned()));
    }
    let lambda = match scan.criterion {
        Criterion::HeadMean { lambda } => Some(lambda),
        _ => None,
    };
    let title = format!("Massive values by layer: {}", words::model_name(&scan.provenance.model));
    let width = LEFT + RIGHT + (layers.len() as f64 * 22.0).clamp(420.0, 1400.0);
    let height = TOP + 2.0 * PLOT + BETWEEN + 46.0;
    let emergence = Emergence { title, layers, series, lambda };
    Figure::new((width as i32, height as i32), Content::Emergence(emergence))
}

impl Emergence {
    pub(super) fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<()> {
        canvas.text(&self.title, (LEFT, 20.0), 15.0, INK, Anchor::Left)?;
        let mut x = LEFT;
        for series in &self.series {
            canvas.line(&[(x, 44.0), (x + 18.0, 44.0)], series.hue, 2.0)?;
            canvas.dot((x + 9.0, 44.0), 3.0, series.hue)?;
            canvas.text(&series.label, (x + 24.0, 44.0), 11.0, INK, Anchor::Left)?;
            x += 48.0 + 7.0 * series.label.chars().count() as f64;
        }
        self.plot(canvas, TOP, "massive values", |point| point.1, None)?;
        let second = TOP + PLOT + BETWEEN;
        self.plot(canvas, second, "largest ratio to head mean", |point| point.2, self.lambda)?;
        let middle = LEFT + self.plot_width() / 2.0;
        canvas.text("layer", (middle, second + PLOT + 30.0), 11.0, SOFT, Anchor::Middle)
    }

    fn plot<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        top: f64,
        label: &str,
        value: impl Fn(&(usize, f64, f64)) -> f64,
        threshold: Option<f64>,
    ) -> Result<()> {
        let bottom = top + PLOT;
        let right = LEFT + self.plot_width();
        let all = self.series.iter().flat_map(|series| &series.points).map(&value);
        let high = all.chain(threshold).fold(1.0, f64::max) * 1.05;
        let y = |v: f64| bottom - PLOT * v / high;
        for tick in ticks(high, 5) {
            canvas.line(&[(LEFT, y(tick)), (right, y(tick))], LINE, 1.0)?;
            canvas.text(&tick_label(tick), (LEFT - 8.0, y(tick)), 10.0, SOFT, Anchor::Right)?;
        }
        canvas.text(label, (18.0, top + PLOT / 2.0), 11.0, SOFT, Anchor::Upward)?;
        let every = doubling(self.layers.len(), (self.plot_width() / 26.0) as usize);
        for layer in self.layers.iter().step_by(every) {
            let at = (self.x(*layer), bottom + 11.0);
            canvas.text(&layer.to_string(), at, 10.0, SOFT, Anchor::Middle)?;
        }
        if let Some(threshold) = threshold {
            canvas.line(&[(LEFT, y(threshold)), (right, y(threshold))], SOFT, 1.0)?;
            let note = format!("λ = {}", tick_label(threshold));
            let at = (right - 4.0, y(threshold) + 9.0);
            canvas.text(&note, at, 10.0, SOFT, Anchor::Right)?;
        }
        for series in &self.series {
            let points: Vec<_> =
                series.points.iter().map(|point| (self.x(point.0), y(value(point)))).collect();
            canvas.line(&points, series.hue, 1.5)?;
            for point in points {
                canvas.dot(point, 2.5, series.hue)?;
            }
        }
        Ok(())
    }

    fn plot_width(&self) -> f64 {
        (self.layers.len() as f64 * 22.0).clamp(420.0, 1400.0)
    }

    fn x(&self, layer: usize) -> f64 {
        let place = self.layers.iter().position(|l| *l == layer).unwrap_or(0);
        LEFT + self.plot_width() * (place as f64 + 0.5) / self.layers.len().max(1) as f64
    }
}
