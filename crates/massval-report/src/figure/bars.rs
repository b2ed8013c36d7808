//! Grouped bars with error bars: a group for each task, a bar for each arm.

use plotters::backend::DrawingBackend;
use plotters::style::RGBColor;

use super::canvas::{Anchor, Canvas, INK, LINE, SOFT, tick_label, ticks};
use super::legend::Legend;
use super::{Content, Figure};
use crate::error::{Error, Result};
use crate::words::short;

const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const PLOT: f64 = 240.0;
const BELOW: f64 = 62.0;
const BAR: f64 = 16.0;
const BETWEEN: f64 = 26.0;
/// Bars of few groups grow up to this.
const WIDEST_BAR: f64 = 30.0;
/// Least width of a group: its label must fit.
const GROUP: f64 = 108.0;
/// Least width of all groups: the title must fit.
const LEAST_WIDTH: f64 = 360.0;
/// Room for a legend's square.
const SQUARE: f64 = 16.0;
/// Paper around an interval's line, which would be lost on a dark bar.
const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);
/// From this ratio of the largest to the smallest value on the axis is logarithmic.
const WIDE: f64 = 20.0;

#[derive(Debug, Clone)]
pub(super) struct Bars {
    pub(super) title: String,
    /// What the axis shows.
    pub(super) label: String,
    pub(super) axis: Axis,
    pub(super) groups: Vec<Group>,
    /// Name and colour of each arm, in the order of the groups' bars.
    pub(super) arms: Vec<(String, RGBColor)>,
}

/// How values become heights.
#[derive(Debug, Clone, Copy)]
pub(super) enum Axis {
    /// From 0 to this value.
    Linear(f64),
    /// Powers of ten from 1 to this value.
    Log(f64),
}

#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) name: String,
    /// A second, softer line under the name.
    pub(super) remark: String,
    /// Groups of one section stand over a common line with its name.
    pub(super) section: &'static str,
    /// A dashed line across the group.
    pub(super) mark: Option<f64>,
    /// One for each arm; what was not measured has none.
    pub(super) bars: Vec<Option<Bar>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Bar {
    pub(super) value: f64,
    /// Ends of the interval.
    pub(super) ends: Option<(f64, f64)>,
}

impl Axis {
    /// From 0, or in powers of ten from 1 where perplexities differ by much.
    pub(super) fn for_perplexities(groups: &[Group]) -> Self {
        let bars = groups.iter().flat_map(|group| group.bars.iter().flatten());
        let (mut low, mut high, mut top) = (f64::INFINITY, 0.0f64, 1.0f64);
        for bar in bars {
            low = low.min(bar.value);
            high = high.max(bar.value);
            top = top.max(bar.value).max(bar.ends.map_or(0.0, |ends| ends.1));
        }
        if low >= 1.0 && high / low > WIDE {
            Self::Log(top * 1.2)
        } else {
            Self::Linear(top * 1.05)
        }
    }

    /// Where `value` lies between the foot (0) and the top (1).
    fn height(self, value: f64) -> f64 {
        let height = match self {
            Self::Linear(high) => value / high,
            Self::Log(high) => value.max(1.0).log10() / high.log10(),
        };
        if height.is_finite() { height.clamp(0.0, 1.0) } else { 0.0 }
    }

    fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear(high) => ticks(high, 5),
            Self::Log(high) => {
                (0..=308).map(|e| 10f64.powi(e)).take_while(|t| *t <= high).collect()
            }
        }
    }

    fn tick_label(self, tick: f64) -> String {
        match self {
            Self::Log(_) if tick >= 10_000.0 => short(tick).replace(".0k", "k"),
            _ => tick_label(tick),
        }
    }
}

impl Bars {
    /// The figure of these bars.
    ///
    /// # Errors
    /// No bar has a value, or there are too many to draw.
    pub(super) fn figure(self) -> Result<Figure> {
        if self.groups.iter().all(|group| group.bars.iter().all(Option::is_none)) {
            return Err(Error::Draw(format!("no arm has a value for \"{}\"", self.label)));
        }
        let width = LEFT + self.plot_width() + RIGHT;
        let height = self.top() + PLOT + BELOW;
        Figure::new((width as i32, height as i32), Content::Bars(self))
    }

    fn group_width(&self) -> f64 {
        self.plot_width() / self.groups.len().max(1) as f64
    }

    fn bar_width(&self) -> f64 {
        let room = (self.group_width() - BETWEEN) / self.arms.len().max(1) as f64;
        room.clamp(BAR, WIDEST_BAR)
    }

    fn plot_width(&self) -> f64 {
        let group = (self.arms.len() as f64 * BAR + BETWEEN).max(GROUP);
        (self.groups.len() as f64 * group).max(LEAST_WIDTH)
    }

    fn legend(&self) -> Legend<'_> {
        let entries = self.arms.iter().map(|(name, hue)| (name.as_str(), *hue));
        Legend::new(entries, SQUARE, self.plot_width())
    }

    fn top(&self) -> f64 {
        44.0 + self.legend().height() + 8.0
    }

    pub(super) fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<()> {
        canvas.text(&self.title, (LEFT, 20.0), 15.0, INK, Anchor::Left)?;
        let square = |canvas: &Canvas<'_, DB>, (x, y): (f64, f64), hue| {
            canvas.fill((x, y - 5.0), (x + 10.0, y + 5.0), hue)
        };
        self.legend().draw(canvas, (LEFT, 44.0), square)?;
        let (top, right) = (self.top(), LEFT + self.plot_width());
        let y = |value: f64| top + PLOT * (1.0 - self.axis.height(value));
        for tick in self.axis.ticks() {
            canvas.line(&[(LEFT, y(tick)), (right, y(tick))], LINE, 1.0)?;
            let label = self.axis.tick_label(tick);
            canvas.text(&label, (LEFT - 8.0, y(tick)), 10.0, SOFT, Anchor::Right)?;
        }
        canvas.text(&self.label, (18.0, top + PLOT / 2.0), 11.0, SOFT, Anchor::Upward)?;
        for (i, group) in self.groups.iter().enumerate() {
            let left = LEFT + self.group_width() * i as f64;
            self.draw_group(canvas, group, left, y)?;
        }
        self.draw_sections(canvas, top + PLOT + 40.0)
    }

    fn draw_group<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        group: &Group,
        left: f64,
        y: impl Fn(f64) -> f64,
    ) -> Result<()> {
        let foot = self.top() + PLOT;
        let width = self.bar_width();
        let used = self.arms.len() as f64 * width;
        let first = left + (self.group_width() - used) / 2.0;
        for (i, (bar, (_, hue))) in group.bars.iter().zip(&self.arms).enumerate() {
            let Some(bar) = bar else { continue };
            let x = first + width * i as f64;
            canvas.fill((x + 1.0, y(bar.value)), (x + width - 1.0, foot), *hue)?;
            if let Some(ends) = bar.ends {
                let (middle, ends) = (x + width / 2.0, [y(ends.0), y(ends.1)]);
                for (hue, thickness) in [(PAPER, 3.0), (INK, 1.0)] {
                    canvas.line(&ends.map(|end| (middle, end)), hue, thickness)?;
                    for end in ends {
                        canvas.line(&[(middle - 3.0, end), (middle + 3.0, end)], hue, thickness)?;
                    }
                }
            }
        }
        if let Some(mark) = group.mark {
            canvas.dashes((first - 4.0, y(mark)), first + used + 4.0, SOFT)?;
        }
        let middle = left + self.group_width() / 2.0;
        canvas.text(&group.name, (middle, foot + 13.0), 11.0, INK, Anchor::Middle)?;
        canvas.text(&group.remark, (middle, foot + 27.0), 9.0, SOFT, Anchor::Middle)
    }

    fn draw_sections<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, y: f64) -> Result<()> {
        let mut start = 0;
        for section in self.groups.chunk_by(|a, b| a.section == b.section) {
            let name = section.first().map_or("", |group| group.section);
            let left = LEFT + self.group_width() * start as f64 + 8.0;
            start += section.len();
            let right = LEFT + self.group_width() * start as f64 - 8.0;
            if !name.is_empty() {
                canvas.line(&[(left, y), (right, y)], SOFT, 1.0)?;
                canvas.text(name, ((left + right) / 2.0, y + 10.0), 11.0, SOFT, Anchor::Middle)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(values: &[f64]) -> Vec<Group> {
        let bar = |value: &f64| Some(Bar { value: *value, ends: None });
        vec![Group {
            name: String::new(),
            remark: String::new(),
            section: "",
            mark: None,
            bars: values.iter().map(bar).collect(),
        }]
    }

    #[test]
    fn perplexities_far_apart_get_a_logarithmic_axis() {
        assert!(matches!(Axis::for_perplexities(&group(&[27.0, 57.0])), Axis::Linear(_)));
        assert!(matches!(Axis::for_perplexities(&group(&[27.0, 1552.0])), Axis::Log(_)));
        assert!(matches!(Axis::for_perplexities(&group(&[0.5, 1552.0])), Axis::Linear(_)));
    }

    #[test]
    fn heights_stay_within_the_plot() {
        for axis in [Axis::Linear(100.0), Axis::Log(1000.0), Axis::Log(1.0), Axis::Linear(0.0)] {
            for value in [-1.0, 0.0, 1.0, 50.0, 1e300, f64::NAN] {
                assert!((0.0..=1.0).contains(&axis.height(value)), "{axis:?} {value}");
            }
        }
        assert_eq!(Axis::Log(1000.0).ticks(), [1.0, 10.0, 100.0, 1000.0]);
        assert!((Axis::Log(10_000.0).height(100.0) - 0.5).abs() < 1e-12);
    }
}
