//! The disruption experiment as a terminal table: a row for each arm, a column for each task.

use super::selected::selected_lines;
use super::{NAME, TableStyle, cut, finish, lines, wrap, wrap_under};
use crate::experiment;
use crate::schema::{Arm, DisruptResult, TaskInfo};
use crate::words::{self, NONE};

/// Columns between two cells.
const GAP: usize = 2;

/// The result as text of at most `width` columns (80 is the least that is aimed at).
///
/// Rows are the arms in the result's order, columns the tasks, contextual ones first; what does not
/// fit beside each other follows below. Then what limits the result, the comparisons that earn the
/// name of an effect, those that do not, measures beside the accuracy, what the arms disrupted, and
/// what arms and tasks are.
pub fn disrupt_table(result: &DisruptResult, width: usize, style: TableStyle) -> String {
    let mut out = vec![cut(&words::plain(&result.provenance.model.path_or_name), width)];
    out.extend(wrap(&experiment::summary(result), width));
    for block in blocks(result, width) {
        out.push(String::new());
        out.extend(block_lines(result, &block, style));
    }
    for note in experiment::notes(result) {
        out.push(String::new());
        out.extend(wrap(&note, width));
    }
    out.extend(comparison_lines(result, width));
    for task in result.tasks_by_side() {
        out.extend(measure_lines(result, task, width, style));
    }
    out.extend(selected_lines(result.arms.iter(), width, style));
    out.extend(list("Arms", result.arms.iter().map(experiment::arm_line), width));
    let tasks = result.tasks_by_side().into_iter().map(experiment::task_line);
    out.extend(list("Tasks", tasks, width));
    finish(out, style)
}

/// A column: its heading in four lines, and the cell of each arm.
struct Column {
    heading: [String; 4],
    cells: Vec<String>,
    chance: String,
}

impl Column {
    fn of(result: &DisruptResult, task: &TaskInfo) -> Self {
        let cell = |arm: &Arm| {
            let cell = result.cell(&arm.name, &task.name);
            cell.map_or_else(|| NONE.to_owned(), |cell| experiment::accuracy(&cell.score))
        };
        Self {
            heading: [
                task.side.as_str().to_owned(),
                cut(&words::plain(&task.name), NAME),
                cut(&words::plain(&task.metric), NAME),
                format!("n={}", task.items),
            ],
            cells: result.arms.iter().map(cell).collect(),
            chance: task.chance.map_or_else(|| NONE.to_owned(), experiment::percent),
        }
    }

    fn width(&self) -> usize {
        let texts = self.heading.iter().chain(&self.cells).chain([&self.chance]);
        texts.map(|text| text.chars().count()).max().unwrap_or(0)
    }
}

/// The columns in groups that fit into `width` beside the arms' names.
fn blocks(result: &DisruptResult, width: usize) -> Vec<Vec<Column>> {
    let names = result.arms.iter().map(|arm| words::plain(&arm.name).chars().count());
    let first = names.max().unwrap_or(0).clamp("chance".len(), NAME);
    let mut blocks: Vec<Vec<Column>> = Vec::new();
    let mut used = usize::MAX;
    for task in result.tasks_by_side() {
        let column = Column::of(result, task);
        let wanted = GAP + column.width();
        match blocks.last_mut() {
            Some(block) if used + wanted <= width => {
                used += wanted;
                block.push(column);
            }
            _ => {
                used = first + wanted;
                blocks.push(vec![column]);
            }
        }
    }
    blocks
}

fn block_lines(result: &DisruptResult, block: &[Column], style: TableStyle) -> Vec<String> {
    let mut header = vec!["\n\n\narm".to_owned()];
    header.extend(block.iter().map(|column| column.heading.join("\n")));
    let mut rows: Vec<Vec<String>> = result
        .arms
        .iter()
        .enumerate()
        .map(|(i, arm)| {
            let mut row = vec![cut(&words::plain(&arm.name), NAME)];
            row.extend(block.iter().filter_map(|column| column.cells.get(i).cloned()));
            row
        })
        .collect();
    let known = block.iter().any(|column| column.chance != NONE);
    if known {
        let mut row = vec!["chance".to_owned()];
        row.extend(block.iter().map(|column| column.chance.clone()));
        rows.push(row);
    }
    lines(style, header, rows, &[0], known)
}

fn comparison_lines(result: &DisruptResult, width: usize) -> Vec<String> {
    let (effects, others) = experiment::split(result);
    let mut out = Vec::new();
    if result.comparisons.is_empty() {
        return out;
    }
    if effects.is_empty() {
        out.extend([String::new(), "No comparison earns the name of an effect.".to_owned()]);
    }
    out.extend(list("Effects", effects.into_iter().map(experiment::comparison_line), width));
    out.extend(list("No effect shown", others.into_iter().map(experiment::comparison_line), width));
    out
}

fn measure_lines(
    result: &DisruptResult,
    task: &TaskInfo,
    width: usize,
    style: TableStyle,
) -> Vec<String> {
    let Some(measures) = experiment::measures(result, task) else { return Vec::new() };
    let columns: Vec<Vec<&str>> = (measures.columns.iter().enumerate())
        .map(|(i, title)| {
            let cells = measures.rows.iter().filter_map(|(_, cells)| cells.get(i));
            std::iter::once(*title).chain(cells.map(String::as_str)).collect()
        })
        .collect();
    let mut out = Vec::new();
    for block in side_by_side(&columns, width.saturating_sub(NAME)) {
        let mut header = vec![cut(&words::plain(&task.name), NAME)];
        header.extend(block.iter().filter_map(|column| column.first()).map(|t| (*t).to_owned()));
        let rows = measures.rows.iter().enumerate().map(|(i, (name, _))| {
            let cells = block.iter().filter_map(|column| column.get(i + 1));
            std::iter::once(cut(name, NAME)).chain(cells.map(|cell| (*cell).to_owned())).collect()
        });
        out.push(String::new());
        out.extend(lines(style, header, rows.collect(), &[0], false));
    }
    out.extend(wrap(&measures.legend, width));
    out
}

/// The columns in groups that fit into `width`, one at least to a group.
fn side_by_side<'a>(columns: &'a [Vec<&'a str>], width: usize) -> Vec<&'a [Vec<&'a str>]> {
    let wide = |column: &[&str]| {
        GAP + column.iter().map(|text| text.chars().count()).max().unwrap_or_default()
    };
    let (mut groups, mut start, mut used) = (Vec::new(), 0, 0);
    for (i, column) in columns.iter().enumerate() {
        let wanted = wide(column);
        if i > start && used + wanted > width {
            groups.push(&columns[start..i]);
            (start, used) = (i, 0);
        }
        used += wanted;
    }
    groups.push(&columns[start..]);
    groups
}

/// A title and its items, each with its further lines set in; nothing for no item.
pub(super) fn list(title: &str, items: impl Iterator<Item = String>, width: usize) -> Vec<String> {
    let items: Vec<String> = items.flat_map(|item| wrap_under(&item, width)).collect();
    if items.is_empty() {
        return items;
    }
    [String::new(), title.to_owned()].into_iter().chain(items).collect()
}
