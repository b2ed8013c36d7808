//! Accuracies as bars. Lengths are in percent of the width, so a bar fits every screen and its
//! text keeps its size.

use crate::experiment;
use crate::html::elements::push;
use crate::html::escape::html;
use crate::schema::{Arm, DisruptResult, Score, TaskInfo};
use crate::words::NONE;

/// A panel for each task, a bar for each arm.
pub(super) fn bars(result: &DisruptResult) -> String {
    let mut out = "<div class=\"panels\">\n".to_owned();
    for task in result.tasks_by_side() {
        push(
            &mut out,
            format_args!(
                "<figure><figcaption><b>{}</b> <span class=\"soft\">{}, {}, n&nbsp;=&nbsp;{}</span></figcaption>\n",
                html(&task.name),
                task.side.as_str(),
                html(&task.metric),
                task.items
            ),
        );
        for arm in &result.arms {
            let score = result.cell(&arm.name, &task.name).map(|cell| &cell.score);
            out += &bar(arm, task, score);
        }
        out += &axis();
        out += "</figure>\n";
    }
    out + "</div>\n"
}

fn bar(arm: &Arm, task: &TaskInfo, score: Option<&Score>) -> String {
    let value = score.map_or_else(|| NONE.to_owned(), |score| experiment::percent(score.accuracy));
    let label = score.map_or_else(|| "not run".to_owned(), experiment::accuracy);
    let mut out = format!(
        "<div class=\"bar\"><span class=\"name\">{}</span><svg role=\"img\" aria-label=\"{}: {}\">\
         <rect class=\"ground\" x=\"0\" y=\"3\" width=\"100%\" height=\"16\"/>",
        html(&arm.name),
        html(&arm.name),
        html(&label)
    );
    if let Some(score) = score {
        let width = 100.0 * score.accuracy;
        let (low, high) = (100.0 * score.interval.low, 100.0 * score.interval.high);
        push(
            &mut out,
            format_args!(
                "<rect class=\"{}\" x=\"0\" y=\"3\" width=\"{width:.2}%\" height=\"16\"/>",
                arm.role.as_str()
            ),
        );
        // A halo in the paper's colour keeps the line visible on a dark bar.
        for class in ["halo", "interval"] {
            line(&mut out, class, (low, high), (11, 11));
            line(&mut out, class, (low, low), (7, 15));
            line(&mut out, class, (high, high), (7, 15));
        }
    }
    if let Some(chance) = task.chance {
        line(&mut out, "chance", (100.0 * chance, 100.0 * chance), (0, 22));
    }
    push(&mut out, format_args!("</svg><span class=\"value\">{value}</span></div>\n"));
    out
}

fn line(out: &mut String, class: &str, (x1, x2): (f64, f64), (y1, y2): (u32, u32)) {
    push(
        out,
        format_args!(
            "<line class=\"{class}\" x1=\"{x1:.2}%\" x2=\"{x2:.2}%\" y1=\"{y1}\" y2=\"{y2}\"/>"
        ),
    );
}

/// The percentages under the bars; the bars' labels hold the numbers for those who hear the page.
fn axis() -> String {
    let tick = |percent: u32| {
        format!("<text x=\"{percent}%\" y=\"12\" text-anchor=\"middle\">{percent}</text>")
    };
    let ticks: String = [0, 25, 50, 75, 100].into_iter().map(tick).collect();
    format!(
        "<div class=\"bar axis\" aria-hidden=\"true\"><span></span><svg>{ticks}</svg><span class=\"value\">%</span></div>\n"
    )
}
