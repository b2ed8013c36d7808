//! Numbers over the steps of a training: a panel for each of them, a line for each run.

use plotters::backend::DrawingBackend;
use plotters::style::RGBColor;

use super::canvas::{Anchor, Canvas, INK, LINE, SOFT, tick_label, ticks};
use super::legend::Legend;
use super::{Content, Figure, hues};
use crate::error::{Error, Result};
use crate::schema::TaskSide;

const LEFT: f64 = 56.0;
const RIGHT: f64 = 24.0;
const PLOT: (f64, f64) = (300.0, 150.0);
const ACROSS: f64 = 64.0;
const DOWN: f64 = 66.0;
/// Panels beside one another.
const COLUMNS: usize = 2;
const SIGN: f64 = 24.0;
/// More lines than colours would be two of one colour.
const MOST_LINES: usize = 12;

/// One number over the steps.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CurvePanel {
    /// What the number is, with its unit.
    pub title: String,
    /// The lines; lines of one name have one colour in all panels.
    pub lines: Vec<Curve>,
}

impl CurvePanel {
    /// A panel with these lines.
    pub fn new(title: impl Into<String>, lines: Vec<Curve>) -> Self {
        Self { title: title.into(), lines }
    }
}

/// A point of a line: step, value, and the ends of its interval, where it has one.
pub type CurvePoint = (f64, f64, Option<(f64, f64)>);

/// One line.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Curve {
    /// Whose it is.
    pub name: String,
    /// The points, by rising step.
    pub points: Vec<CurvePoint>,
}

impl Curve {
    /// A line without intervals.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let points = points.into_iter().map(|(step, value)| (step, value, None)).collect();
        Self { name: name.into(), points }
    }

    /// A line with an interval around each value: step, value, low end, high end.
    pub fn with_band(
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64, f64, f64)>,
    ) -> Self {
        let point = |(step, value, low, high)| (step, value, Some((low, high)));
        Self { name: name.into(), points: points.into_iter().map(point).collect() }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Curves {
    title: String,
    panels: Vec<CurvePanel>,
    names: Vec<String>,
}

/// Numbers over the steps of one or several trainings; all panels share the axis of steps, every value axis begins at
/// 0. An interval is drawn as a band.
///
/// # Errors
/// There is no point, a number is negative or not finite, or there are more lines than colours.
pub fn curves(title: &str, panels: &[CurvePanel]) -> Result<Figure> {
    let mut names: Vec<String> = Vec::new();
    let mut any = false;
    for panel in panels {
        for line in &panel.lines {
            if !names.contains(&line.name) {
                names.push(line.name.clone());
            }
            any |= !line.points.is_empty();
            let good = |x: f64| x.is_finite() && x >= 0.0;
            let wrong = line.points.iter().find(|(step, value, band)| {
                !good(*step) || !good(*value) || band.is_some_and(|(a, b)| !good(a) || !good(b))
            });
            if let Some((step, value, _)) = wrong {
                let what = format!("{}: {value} at step {step} cannot be drawn", panel.title);
                return Err(Error::Draw(what));
            }
        }
    }
    if !any {
        return Err(Error::Draw("no curve has a point".to_owned()));
    }
    if names.len() > MOST_LINES {
        let what = format!("{} lines; {MOST_LINES} can be told apart", names.len());
        return Err(Error::Draw(what));
    }
    let rows = panels.len().div_ceil(COLUMNS);
    let drawn = Curves { title: title.to_owned(), panels: panels.to_vec(), names };
    let width = LEFT + COLUMNS as f64 * (PLOT.0 + ACROSS) - ACROSS + RIGHT;
    let height = drawn.top() + rows as f64 * (PLOT.1 + DOWN);
    Figure::new((width as i32, height as i32), Content::Curves(drawn))
}

impl Curves {
    fn hue(&self, name: &str) -> RGBColor {
        let index = self.names.iter().position(|other| other == name).unwrap_or_default();
        // Warm and cool ones in turn: neighbours differ most.
        let side = if index % 2 == 0 { TaskSide::Contextual } else { TaskSide::Parametric };
        hues::task(side, index / 2)
    }

    fn legend(&self) -> Legend<'_> {
        let entries = self.names.iter().map(|name| (name.as_str(), self.hue(name)));
        Legend::new(entries, SIGN, COLUMNS as f64 * (PLOT.0 + ACROSS) - ACROSS)
    }

    fn top(&self) -> f64 {
        44.0 + self.legend().height() + 34.0
    }

    fn last_step(&self) -> f64 {
        let lines = self.panels.iter().flat_map(|panel| &panel.lines);
        lines.flat_map(|line| &line.points).fold(1.0, |last, point| last.max(point.0))
    }

    pub(super) fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<()> {
        canvas.text(&self.title, (LEFT, 20.0), 15.0, INK, Anchor::Left)?;
        let sign = |canvas: &Canvas<'_, DB>, (x, y): (f64, f64), hue| {
            canvas.line(&[(x, y), (x + 18.0, y)], hue, 2.0)
        };
        self.legend().draw(canvas, (LEFT, 44.0), sign)?;
        for (index, panel) in self.panels.iter().enumerate() {
            let left = LEFT + (PLOT.0 + ACROSS) * (index % COLUMNS) as f64;
            let top = self.top() + (PLOT.1 + DOWN) * (index / COLUMNS) as f64;
            self.draw_panel(canvas, panel, (left, top))?;
        }
        Ok(())
    }

    fn draw_panel<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        panel: &CurvePanel,
        (left, top): (f64, f64),
    ) -> Result<()> {
        let points = || panel.lines.iter().flat_map(|line| &line.points);
        let high =
            |(_, value, band): &CurvePoint| band.map_or(*value, |(_, high)| high.max(*value));
        let highest = points().map(high).fold(0.0, f64::max);
        let highest = if highest > 0.0 { highest * 1.05 } else { 1.0 };
        let last = self.last_step();
        let x = |step: f64| left + PLOT.0 * step / last;
        let y = |value: f64| top + PLOT.1 * (1.0 - value / highest);
        canvas.text(&panel.title, (left, top - 14.0), 11.0, INK, Anchor::Left)?;
        for tick in ticks(highest, 4) {
            canvas.line(&[(left, y(tick)), (left + PLOT.0, y(tick))], LINE, 1.0)?;
            let at = (left - 8.0, y(tick));
            canvas.text(&tick_label(tick), at, 10.0, SOFT, Anchor::Right)?;
        }
        for tick in ticks(last, 4) {
            let at = (x(tick), top + PLOT.1 + 12.0);
            canvas.text(&tick_label(tick), at, 10.0, SOFT, Anchor::Middle)?;
        }
        let middle = (left + PLOT.0 / 2.0, top + PLOT.1 + 28.0);
        canvas.text("steps", middle, 10.0, SOFT, Anchor::Middle)?;
        for line in &panel.lines {
            let banded =
                || line.points.iter().filter_map(|(step, _, band)| Some((*step, (*band)?)));
            let low = banded().map(|(step, (low, _))| (x(step), y(low)));
            let mut edge: Vec<_> = low.collect();
            let mut high: Vec<_> = banded().map(|(step, (_, high))| (x(step), y(high))).collect();
            high.reverse();
            edge.extend(high);
            if edge.len() > 2 {
                canvas.band(&edge, self.hue(&line.name))?;
            }
        }
        for line in &panel.lines {
            let points: Vec<_> =
                line.points.iter().map(|(step, value, _)| (x(*step), y(*value))).collect();
            canvas.line(&points, self.hue(&line.name), 1.5)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_share_colours_and_steps() {
        let line = |name: &str, scale: f64| {
            Curve::new(name, (0..10).map(move |i| (f64::from(i) * 100.0, scale * f64::from(i))))
        };
        let band = Curve::with_band("rope", (0..5).map(|i| (f64::from(i), 0.5, 0.4, 0.7)));
        let panels = [
            CurvePanel::new("loss (nats)", vec![line("rope", 1.0), line("learned", 2.0)]),
            CurvePanel::new("accuracy", vec![band]),
            CurvePanel::new("nothing yet", vec![]),
        ];
        let svg = curves("Two runs", &panels).unwrap().to_svg().unwrap();
        for text in ["Two runs", "loss (nats)", "accuracy", "learned", "steps", "nothing yet"] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg, curves("Two runs", &panels).unwrap().to_svg().unwrap());
    }

    #[test]
    fn what_cannot_be_drawn_is_named() {
        let bad = CurvePanel::new("loss", vec![Curve::new("rope", [(3.0, f64::NAN)])]);
        let message = curves("x", &[bad]).unwrap_err().to_string();
        assert!(message.contains("loss: NaN at step 3"), "{message}");
        assert!(curves("x", &[]).is_err());
        let many = (0..13).map(|i| Curve::new(i.to_string(), [(0.0, 1.0)])).collect();
        assert!(curves("x", &[CurvePanel::new("many", many)]).is_err());
    }
}
