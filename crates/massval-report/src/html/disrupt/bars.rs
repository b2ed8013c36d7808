//! Accuracies as bars.

use crate::experiment;
use crate::html::elements::push;
use crate::html::escape::html;
use crate::html::strips::{axis, interval, mark};
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
        out += &axis(&["0", "25", "50", "75", "100"], "%");
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
        interval(&mut out, low, high);
    }
    if let Some(chance) = task.chance {
        mark(&mut out, 100.0 * chance);
    }
    push(&mut out, format_args!("</svg><span class=\"value\">{value}</span></div>\n"));
    out
}
