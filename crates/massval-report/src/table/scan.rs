//! A scan as a terminal table: a line for each layer, then the strongest findings.

use massval_detect::Finding;

use super::{TOP, TableStyle, WIDE, cut, finish, lines, wrap};
use crate::error::Result;
use crate::rows::{self, LayerRows, Top};
use crate::schema::{ActivationsSection, ScanResult};
use crate::sites;
use crate::words::{self, NONE, or_none, plural, quoted, short, short_or_none};

/// The scan as text of at most `width` columns (80 is the least that is aimed at).
///
/// A line for each layer gives the massive values of Q, K and V as they enter attention, those
/// before RoPE, and the channel that stands out most from its head, with its rotary pair and that
/// pair's period in tokens. The ten largest ratios of all layers follow, and the massive
/// activations where the scan looked for them. From 100 columns on there are more columns.
///
/// # Errors
/// The result's fields contradict each other.
pub fn scan_table(scan: &ScanResult, width: usize, style: TableStyle) -> Result<String> {
    let layers = rows::by_layer(scan, width >= WIDE)?;
    let mut out = Vec::new();
    out.push(cut(&words::plain(&scan.provenance.model.path_or_name), width));
    out.extend(wrap(&words::shape(&scan.shape), width));
    let rule = format!("{} {}", words::counted(&scan.counted), words::criterion(&scan.criterion));
    out.extend(wrap(&rule, width));
    out.push(String::new());
    out.extend(layer_lines(scan, &layers, width >= WIDE, style));
    out.push(String::new());
    out.extend(finding_lines(&attended(scan), style));
    if let Some(activations) = &scan.massive_activations {
        out.push(String::new());
        out.extend(wrap(&activation_line(activations), width));
    }
    Ok(finish(out, style))
}

fn layer_lines(
    scan: &ScanResult,
    layers: &LayerRows<'_>,
    wide: bool,
    style: TableStyle,
) -> Vec<String> {
    let mut header = vec!["layer".to_owned()];
    header.extend(layers.columns.iter().map(|(title, _)| title.clone()));
    header.extend(["top ratio", "site", "head", "channel", "pair", "period"].map(str::to_owned));
    let site_column = layers.columns.len() + 2;
    let attended = layers.columns.iter().filter(|(title, _)| title.len() == 1);
    let attended: Vec<_> = attended.map(|(title, site)| (title.as_str(), *site)).collect();
    if wide {
        header.push("norm".to_owned());
        header.extend(attended.iter().take(2).map(|(title, _)| format!("{title} low")));
    }
    let mut table: Vec<Vec<String>> = Vec::new();
    for row in &layers.rows {
        let mut cells = vec![row.layer.to_string()];
        cells.extend(row.counts.iter().map(|count| or_none(*count)));
        cells.extend(top_cells(row.top.as_ref()));
        if wide {
            cells.push(short_or_none(row.top.as_ref().map(|top| f64::from(top.norm))));
            for (_, site) in attended.iter().take(2) {
                let summary = scan.site(row.layer, site).map(|norms| &norms.summary);
                let share = summary.and_then(|summary| summary.low_frequency_share);
                cells.push(share.map_or(NONE.to_owned(), |x| format!("{:.0} %", 100.0 * x)));
            }
        }
        table.push(cells);
    }
    let mut total = vec!["all".to_owned()];
    total.extend(layers.totals.iter().map(usize::to_string));
    let best = layers.rows.iter().filter_map(|row| row.top.as_ref());
    total.extend(top_cells(best.max_by(|a, b| a.ratio.total_cmp(&b.ratio))));
    total.resize(header.len(), String::new());
    table.push(total);
    let mut out = lines(style, header, table, &[site_column], true);
    if wide {
        out.push(
            "low: share of the squared norm in the slower half of the rotary pairs".to_owned(),
        );
    }
    out
}

fn top_cells(top: Option<&Top<'_>>) -> [String; 6] {
    let Some(top) = top else { return std::array::from_fn(|_| NONE.to_owned()) };
    [
        short(f64::from(top.ratio)),
        cut(&words::plain(top.site), 8),
        top.head.to_string(),
        top.channel.to_string(),
        or_none(top.pair),
        short_or_none(top.period),
    ]
}

/// The findings with the largest ratios as a table.
pub(super) fn finding_lines(findings: &[&Finding], style: TableStyle) -> Vec<String> {
    if findings.is_empty() {
        return vec!["No massive values.".to_owned()];
    }
    let strongest = largest(findings.to_vec(), TOP);
    let header = ["layer", "site", "head", "channel", "norm", "ratio", "pair", "period"];
    let table = strongest.iter().map(|found| finding_cells(found).to_vec()).collect();
    let mut out = lines(style, header.map(str::to_owned).to_vec(), table, &[1], false);
    if findings.len() > strongest.len() {
        let rest = findings.len() - strongest.len();
        out.push(format!("and {}", plural(rest, "further massive value")));
    }
    out
}

/// The `count` findings with the largest ratios among the sites that enter attention. RoPE hardly
/// changes a norm, so with the sites before it every finding would stand there twice.
pub(crate) fn strongest(scan: &ScanResult, count: usize) -> Vec<&Finding> {
    largest(attended(scan), count)
}

fn attended(scan: &ScanResult) -> Vec<&Finding> {
    let names = scan.site_names();
    let families = sites::families(&names);
    let enters = |site: &str| families.iter().any(|family| family.last() == site);
    scan.findings.iter().filter(|finding| enters(&finding.site)).collect()
}

fn largest(mut findings: Vec<&Finding>, count: usize) -> Vec<&Finding> {
    findings.sort_by(|a, b| b.ratio.total_cmp(&a.ratio));
    findings.truncate(count);
    findings
}

/// A finding as text: layer, site, head, channel, norm, ratio, pair, period.
pub(crate) fn finding_cells(found: &Finding) -> [String; 8] {
    [
        found.layer.to_string(),
        words::plain(&found.site),
        found.head.to_string(),
        found.channel.to_string(),
        short(f64::from(found.norm)),
        short(f64::from(found.ratio)),
        or_none(found.pair),
        short_or_none(found.period),
    ]
}

/// The massive activations in a sentence or two.
pub(crate) fn activation_line(section: &ActivationsSection) -> String {
    let rule = format!(
        "(|x| above {} and above {} × the layer's median)",
        section.rule.min_abs, section.rule.median_factor
    );
    let hit: Vec<_> = section.layers.iter().filter(|layer| layer.exists).collect();
    let (Some(first), Some(last)) = (hit.first(), hit.last()) else {
        let largest = section.layers.iter().map(|layer| layer.max_abs).fold(0.0, f32::max);
        return format!("Massive activations: none; largest {} {rule}.", short(largest.into()));
    };
    let count = hit.iter().fold(0, |sum: usize, layer| sum.saturating_add(layer.hits_total));
    let entries = if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") };
    let mut line = format!(
        "Massive activations: {entries} in {}, from {} to {} {rule}.",
        plural(hit.len(), "layer"),
        first.layer,
        last.layer
    );
    let all = hit.iter().flat_map(|layer| layer.hits.iter().map(|hit| (layer.layer, hit)));
    if let Some((layer, top)) = all.max_by(|a, b| a.1.value.abs().total_cmp(&b.1.value.abs())) {
        let piece = top.piece.as_deref().map(|p| format!(" {}", quoted(p))).unwrap_or_default();
        line += &format!(
            " Largest: {} at layer {layer}, token {}{piece}, channel {}.",
            short(f64::from(top.value)),
            top.position,
            top.channel
        );
    }
    line
}
