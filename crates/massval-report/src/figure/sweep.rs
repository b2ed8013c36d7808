//! The sweep over the number of disturbed channels: a panel for each series of arms, a line for
//! each task.

use std::collections::BTreeSet;

use plotters::backend::DrawingBackend;
use plotters::style::RGBColor;

use super::canvas::{Anchor, Canvas, INK, LINE, SOFT, tick_label, ticks};
use super::legend::Legend;
use super::{Content, Figure, hues};
use crate::error::{Error, Result};
use crate::experiment::percent_level;
use crate::schema::{DisruptResult, TaskSide};
use crate::words;

const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const PLOT: f64 = 220.0;
const BELOW: f64 = 44.0;
const STEP: f64 = 46.0;
const LEAST_WIDTH: f64 = 190.0;
const BETWEEN: f64 = 28.0;
/// Room for a legend's piece of line.
const SIGN: f64 = 24.0;

#[derive(Debug, Clone)]
pub(super) struct Sweep {
    title: String,
    /// Names of the places along the x axis; `none` is the baseline.
    places: Vec<String>,
    panels: Vec<Panel>,
    tasks: Vec<Task>,
    /// Level of the bands, in percent.
    level: String,
}

/// A line in each panel.
#[derive(Debug, Clone)]
struct Task {
    name: String,
    hue: RGBColor,
    side: TaskSide,
    /// Accuracy of guessing in percent.
    chance: Option<f64>,
}

#[derive(Debug, Clone)]
struct Panel {
    title: String,
    /// For each task the points: place, accuracy, low and high end, all in percent.
    lines: Vec<Vec<(usize, [f64; 3])>>,
}

/// Accuracy over the number of channels disturbed in each head (*Massive Values in Self-Attention
/// Modules*, figure of the performance across metrics): a panel for each series, a line with its
/// Wilson band for each task; filled points are contextual tasks, hollow ones parametric; a dashed
/// line is the level of chance.
///
/// # Errors
/// No arm belongs to a sweep, or there are more than can be drawn.
pub fn sweep(result: &DisruptResult) -> Result<Figure> {
    let points = result.arms.iter().filter_map(|arm| arm.sweep.as_ref());
    let counts: BTreeSet<usize> = points.clone().map(|point| point.channels_per_head).collect();
    let mut series: Vec<&str> = Vec::new();
    for point in points {
        if !series.contains(&point.series.as_str()) {
            series.push(&point.series);
        }
    }
    if series.is_empty() {
        return Err(Error::Draw("no arm belongs to a sweep over channels".to_owned()));
    }
    let counts: Vec<usize> = counts.into_iter().collect();
    let panels = series.into_iter().map(|series| panel(result, series, &counts)).collect();
    let mut places: Vec<String> = counts.iter().map(usize::to_string).collect();
    places.insert(0, "none".to_owned());
    let tasks = result.tasks_by_side();
    let tasks = tasks.iter().enumerate().map(|(i, task)| {
        let earlier = tasks.iter().take(i).filter(|other| other.side == task.side).count();
        Task {
            name: format!("{}, n={}", words::plain(&task.name), task.items),
            hue: hues::task(task.side, earlier),
            side: task.side,
            chance: task.chance.map(|chance| 100.0 * chance),
        }
    });
    let sweep = Sweep {
        title: format!(
            "Accuracy over disturbed channels: {}",
            words::model_name(&result.provenance.model)
        ),
        places,
        panels,
        tasks: tasks.collect(),
        level: percent_level(result.confidence),
    };
    let width = LEFT + sweep.all_panels() + RIGHT;
    let height = sweep.top() + PLOT + BELOW;
    Figure::new((width as i32, height as i32), Content::Sweep(sweep))
}

fn panel(result: &DisruptResult, series: &str, counts: &[usize]) -> Panel {
    // Place 0 is the baseline, place i + 1 the arm with `counts[i]` channels.
    let arm_at = |place: usize| match place.checked_sub(1) {
        None => result.baseline(),
        Some(i) => result.arms.iter().find(|arm| {
            let point = arm.sweep.as_ref();
            point.is_some_and(|p| p.series == series && counts.get(i) == Some(&p.channels_per_head))
        }),
    };
    let lines = result.tasks_by_side().into_iter().map(|task| {
        let point = |place| {
            let score = result.cell(&arm_at(place)?.name, &task.name)?.score;
            let values = [score.accuracy, score.interval.low, score.interval.high];
            Some((place, values.map(|value| 100.0 * value)))
        };
        (0..=counts.len()).filter_map(point).collect()
    });
    Panel { title: words::plain(series), lines: lines.collect() }
}

impl Sweep {
    fn panel_width(&self) -> f64 {
        (self.places.len() as f64 * STEP).max(LEAST_WIDTH)
    }

    fn all_panels(&self) -> f64 {
        self.panels.len() as f64 * (self.panel_width() + BETWEEN) - BETWEEN
    }

    fn legend(&self) -> Legend<'_> {
        let entries = self.tasks.iter().map(|task| (task.name.as_str(), task.hue));
        Legend::new(entries, SIGN, self.all_panels())
    }

    fn top(&self) -> f64 {
        44.0 + self.legend().height() + 26.0
    }

    pub(super) fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Result<()> {
        canvas.text(&self.title, (LEFT, 20.0), 15.0, INK, Anchor::Left)?;
        let sign = |canvas: &Canvas<'_, DB>, (x, y): (f64, f64), hue| {
            canvas.line(&[(x, y), (x + 18.0, y)], hue, 2.0)?;
            let task = self.tasks.iter().find(|task| task.hue == hue);
            let side = task.map_or(TaskSide::Contextual, |task| task.side);
            point(canvas, (x + 9.0, y), side, hue)
        };
        self.legend().draw(canvas, (LEFT, 44.0), sign)?;
        let top = self.top();
        let label = format!("accuracy (%), {} % interval", self.level);
        canvas.text(&label, (18.0, top + PLOT / 2.0), 11.0, SOFT, Anchor::Upward)?;
        for (i, panel) in self.panels.iter().enumerate() {
            let left = LEFT + (self.panel_width() + BETWEEN) * i as f64;
            self.draw_panel(canvas, panel, left, i == 0)?;
        }
        let middle = LEFT + self.all_panels() / 2.0;
        let at = (middle, top + PLOT + 31.0);
        canvas.text("disturbed channels per head", at, 11.0, SOFT, Anchor::Middle)
    }

    fn draw_panel<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        panel: &Panel,
        left: f64,
        first: bool,
    ) -> Result<()> {
        let (top, right) = (self.top(), left + self.panel_width());
        let step = self.panel_width() / self.places.len().max(1) as f64;
        let x = |place: usize| left + step * (place as f64 + 0.5);
        let y = |percent: f64| top + PLOT * (1.0 - percent / 100.0);
        canvas.text(&panel.title, (left, top - 14.0), 11.0, INK, Anchor::Left)?;
        for tick in ticks(100.0, 5) {
            canvas.line(&[(left, y(tick)), (right, y(tick))], LINE, 1.0)?;
            if first {
                let at = (left - 8.0, y(tick));
                canvas.text(&tick_label(tick), at, 10.0, SOFT, Anchor::Right)?;
            }
        }
        for (place, name) in self.places.iter().enumerate() {
            canvas.text(name, (x(place), top + PLOT + 12.0), 10.0, SOFT, Anchor::Middle)?;
        }
        for (line, task) in panel.lines.iter().zip(&self.tasks) {
            let low = line.iter().map(|(place, values)| (x(*place), y(values[1])));
            let high = line.iter().rev().map(|(place, values)| (x(*place), y(values[2])));
            canvas.band(&low.chain(high).collect::<Vec<_>>(), task.hue)?;
            if let Some(chance) = task.chance {
                canvas.dashes((left, y(chance)), right, task.hue)?;
            }
        }
        for (line, Task { hue, side, .. }) in panel.lines.iter().zip(&self.tasks) {
            let points: Vec<_> = line.iter().map(|(p, values)| (x(*p), y(values[0]))).collect();
            canvas.line(&points, *hue, 1.5)?;
            points.into_iter().try_for_each(|at| point(canvas, at, *side, *hue))?;
        }
        Ok(())
    }
}

/// A filled point for a contextual task, a hollow one for a parametric task.
fn point<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    at: (f64, f64),
    side: TaskSide,
    hue: RGBColor,
) -> Result<()> {
    canvas.dot(at, 3.5, hue)?;
    match side {
        TaskSide::Contextual => Ok(()),
        TaskSide::Parametric => canvas.dot(at, 2.0, RGBColor(0xff, 0xff, 0xff)),
    }
}
