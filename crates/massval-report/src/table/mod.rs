//! A result as text: tables for a terminal, Markdown for a model card, CSV for other programs.

mod detect;
mod disrupt;
mod disrupt_export;
#[cfg(test)]
mod experiment_tests;
mod export;
mod formats;
mod perplexity;
mod scan;
mod selected;
mod sensitivity;
#[cfg(test)]
mod tests;

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table};

pub use detect::detect_table;
pub use disrupt::disrupt_table;
pub use disrupt_export::{comparisons_csv, disrupt_csv, disrupt_markdown};
pub use export::{findings_csv, norms_csv, scan_markdown};
pub use perplexity::{perplexity_csv, perplexity_markdown, perplexity_table};
pub use scan::scan_table;
pub(crate) use scan::{activation_line, finding_cells, strongest};
pub use sensitivity::{sensitivity_csv, sensitivity_table};

/// Which characters a terminal table is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TableStyle {
    /// Box-drawing lines.
    #[default]
    Unicode,
    /// Plain ASCII lines, for terminals and logs that know no other.
    Ascii,
}

impl TableStyle {
    fn line(self) -> char {
        match self {
            Self::Unicode => '─',
            Self::Ascii => '-',
        }
    }
}

/// From this width on a table shows further columns.
const WIDE: usize = 100;

/// Longest name of an arm or task that a table shows whole.
const NAME: usize = 18;

/// How many findings a table lists.
const TOP: usize = 10;

/// The lines of a table with a rule under its header; the columns in `left` are flush left.
///
/// With `footer` the last row stands under a rule of its own.
fn lines(
    style: TableStyle,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    left: &[usize],
    footer: bool,
) -> Vec<String> {
    let head = header.iter().map(|title| title.lines().count()).max().unwrap_or(1);
    let rule = LineStyle::none().fill(style.line()).junction(style.line());
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::new().header_separator(rule));
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.into_iter().map(Cell::new));
    table.add_rows(rows);
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        if !left.contains(&i) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    if let (true, Some(rule)) = (footer && lines.len() > head + 1, lines.get(head).cloned()) {
        lines.insert(lines.len() - 1, rule);
    }
    lines
}

/// `text` cut to its last `width` characters, the cut marked: names can be of any length.
fn cut(text: &str, width: usize) -> String {
    let excess = text.chars().count().saturating_sub(width);
    if excess == 0 {
        return text.to_owned();
    }
    std::iter::once('…').chain(text.chars().skip(excess + 1)).collect()
}

/// `text` broken at spaces into lines of at most `width` characters, where words allow it.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// [`wrap`] for an item of a list: its lines are set in, the further ones more.
fn wrap_under(text: &str, width: usize) -> Vec<String> {
    let lines = wrap(text, width.saturating_sub(4));
    let indent = |(i, line): (usize, String)| match i {
        0 => format!("  {line}"),
        _ => format!("    {line}"),
    };
    lines.into_iter().enumerate().map(indent).collect()
}

/// The lines as one text; in ASCII the few signs that tables use beyond it are replaced.
fn finish(lines: Vec<String>, style: TableStyle) -> String {
    let text = lines.join("\n") + "\n";
    match style {
        TableStyle::Unicode => text,
        TableStyle::Ascii => text.replace('–', "-").replace('×', "x").replace('…', "~"),
    }
}
