//! A scan for other readers: Markdown for a model card, CSV for a spreadsheet or a data frame.

use std::fmt::Write;

use super::TOP;
use super::formats::{csv, escape, row, rule};
use super::scan::{activation_line, finding_cells, strongest};
use crate::error::Result;
use crate::rows;
use crate::schema::ScanResult;
use crate::words::{self, or_none, short, short_or_none};

/// The scan as Markdown: what was scanned, a table by layer, the strongest findings.
///
/// # Errors
/// The result's fields contradict each other.
pub fn scan_markdown(scan: &ScanResult) -> Result<String> {
    let layers = rows::by_layer(scan, true)?;
    let mut out = format!(
        "# Massive values in {}\n\n{}.\n{}\n{}\n\n## By layer\n\n",
        escape(&words::model_name(&scan.provenance.model)),
        escape(&words::shape(&scan.shape)),
        words::counted(&scan.counted),
        words::criterion(&scan.criterion),
    );
    let mut header = vec!["layer".to_owned()];
    header.extend(layers.columns.iter().map(|(title, _)| title.clone()));
    header.extend(["top ratio", "site", "head", "channel", "pair", "period"].map(str::to_owned));
    row(&mut out, &header);
    rule(&mut out, 0, header.len());
    for layer in &layers.rows {
        let mut cells = vec![layer.layer.to_string()];
        cells.extend(layer.counts.iter().map(|count| or_none(*count)));
        if let Some(top) = &layer.top {
            cells.extend([short(f64::from(top.ratio)), top.site.to_owned(), top.head.to_string()]);
            cells.extend([top.channel.to_string(), or_none(top.pair), short_or_none(top.period)]);
        }
        cells.resize(header.len(), words::NONE.to_owned());
        row(&mut out, &cells);
    }
    let mut total = vec!["all".to_owned()];
    total.extend(layers.totals.iter().map(usize::to_string));
    total.resize(header.len(), String::new());
    row(&mut out, &total);
    out += "\n## Strongest massive values\n\n";
    let header = ["layer", "site", "head", "channel", "norm", "ratio", "pair", "period"];
    row(&mut out, &header.map(str::to_owned));
    rule(&mut out, 0, header.len());
    for finding in strongest(scan, TOP) {
        row(&mut out, &finding_cells(finding));
    }
    if let Some(activations) = &scan.massive_activations {
        out += &format!("\n{}\n", escape(&activation_line(activations)));
    }
    Ok(out)
}

/// Every finding, one line each: `layer,site,head,channel,norm,ratio,pair,period`.
pub fn findings_csv(scan: &ScanResult) -> String {
    let mut out = "layer,site,head,channel,norm,ratio,pair,period\n".to_owned();
    for found in &scan.findings {
        let pair = found.pair.map(|pair| pair.to_string()).unwrap_or_default();
        let period = found.period.map(|period| period.to_string()).unwrap_or_default();
        let (layer, head, channel) = (found.layer, found.head, found.channel);
        let (site, norm, ratio) = (csv(&found.site), found.norm, found.ratio);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{layer},{site},{head},{channel},{norm},{ratio},{pair},{period}");
    }
    out
}

/// Every channel norm in long form: `layer,site,head,channel,norm`.
pub fn norms_csv(scan: &ScanResult) -> String {
    let mut out = "layer,site,head,channel,norm\n".to_owned();
    for site in &scan.sites {
        let (layer, name) = (site.layer, csv(&site.site));
        for (head, norms) in site.norms.chunks(site.head_dim.max(1)).enumerate() {
            for (channel, norm) in norms.iter().enumerate() {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "{layer},{name},{head},{channel},{norm}");
            }
        }
    }
    out
}
