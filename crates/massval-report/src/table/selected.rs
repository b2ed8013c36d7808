//! What each arm disrupted, in a terminal, in Markdown and in CSV.

use super::formats::{or_empty, row, rule};
use super::{NAME, TableStyle, cut, lines, wrap};
use crate::schema::Arm;
use crate::selected::{LEGEND, at, selected, sites};
use crate::words;

/// Columns of a cell and the gap before it: a name of a site, or `128.00 (100.0)`.
const CELL: usize = 16;

/// The lines of a terminal table of at most `width` columns; none if nothing is known.
pub(super) fn selected_lines<'a>(
    arms: impl Iterator<Item = &'a Arm> + Clone,
    width: usize,
    style: TableStyle,
) -> Vec<String> {
    let Some(selected) = selected(arms) else { return Vec::new() };
    let side_by_side = (width.saturating_sub(NAME) / CELL).max(1);
    let mut out = Vec::new();
    for (block, block_sites) in selected.sites.chunks(side_by_side).enumerate() {
        let mut header = vec!["disrupted".to_owned()];
        header.extend(block_sites.iter().map(|site| cut(site, CELL - 2)));
        let rows = selected.rows.iter().map(|(name, cells)| {
            let cells = cells.iter().skip(block * side_by_side).take(block_sites.len());
            std::iter::once(cut(name, NAME)).chain(cells.cloned()).collect()
        });
        out.push(String::new());
        out.extend(lines(style, header, rows.collect(), &[0], false));
    }
    out.extend(wrap(LEGEND, width));
    out
}

/// The same as a section of Markdown.
pub(super) fn selected_markdown<'a>(out: &mut String, arms: impl Iterator<Item = &'a Arm> + Clone) {
    let Some(selected) = selected(arms) else { return };
    *out += "\n## Disrupted channels\n\n";
    let header: Vec<String> = std::iter::once("arm".to_owned()).chain(selected.sites).collect();
    row(out, &header);
    rule(out, 1, header.len() - 1);
    for (name, cells) in selected.rows {
        let cells: Vec<String> = std::iter::once(name).chain(cells).collect();
        row(out, &cells);
    }
    *out += &format!("\n{LEGEND}\n");
}

/// The titles of CSV's columns, each after a comma: two for each site that any arm names.
pub(super) fn selected_titles<'a>(arms: impl Iterator<Item = &'a Arm>) -> String {
    let title = |site: &str| {
        let site = words::plain(site).replace([',', '"'], "_");
        format!(",{site}_channels,{site}_share")
    };
    sites(arms).into_iter().map(title).collect()
}

/// The fields of an arm under [`selected_titles`] of `arms`.
pub(super) fn selected_fields<'a>(arm: &Arm, arms: impl Iterator<Item = &'a Arm>) -> String {
    let fields = |site: &str| {
        let at = at(arm, site);
        let channels = or_empty(at.map(|at| at.channels_per_head));
        format!(",{channels},{}", or_empty(at.map(|at| at.share)))
    };
    sites(arms).into_iter().map(fields).collect()
}
