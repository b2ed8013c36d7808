//! The parts of the page that are written as HTML: totals, tables, massive activations.

use crate::html::elements::{body_cells, opening_row, push};
use crate::html::escape::html;
use crate::rows::LayerRows;
use crate::schema::{ActivationsSection, ScanResult};
use crate::sites;
use crate::table;
use crate::words::{self, NONE, or_none, plural, short, short_or_none};

/// Most massive activations that a page lists.
const MOST_HITS: usize = 200;

/// A box for each site with its total.
pub(super) fn cards(scan: &ScanResult) -> String {
    let names = scan.site_names();
    let families = sites::families(&names);
    let mut out = String::new();
    let order = families.iter().flat_map(|family| family.sites.iter().map(move |s| (family, *s)));
    for (family, site) in order {
        let Some(total) = scan.totals.iter().find(|total| total.site == site) else { continue };
        let title = match family.sites.len() {
            1 => family.title().to_owned(),
            _ => format!("{}, {}", family.title(), family.site_title(site)),
        };
        let top = match total.count {
            0 => "none".to_owned(),
            _ => format!(
                "in {}, up to ratio {}",
                plural(total.layers_hit, "layer"),
                short(f64::from(total.top_ratio))
            ),
        };
        push(
            &mut out,
            format_args!(
                "<li><span>{}</span><b>{}</b><span>{}</span></li>\n",
                html(&title),
                total.count,
                html(&top)
            ),
        );
    }
    out
}

/// The table of counts by layer.
pub(super) fn layers(layers: &LayerRows<'_>) -> String {
    let mut head: Vec<String> = vec!["layer".to_owned()];
    head.extend(layers.columns.iter().map(|(title, _)| html(title)));
    head.extend(["top ratio", "site", "head", "channel", "pair", "period"].map(str::to_owned));
    let site = layers.columns.len() + 2;
    let mut out = opening_row(&head, &[site]);
    for row in &layers.rows {
        let mut cells: Vec<String> = row.counts.iter().map(|count| or_none(*count)).collect();
        match &row.top {
            Some(top) => cells.extend([
                short(f64::from(top.ratio)),
                html(top.site),
                top.head.to_string(),
                top.channel.to_string(),
                or_none(top.pair),
                short_or_none(top.period),
            ]),
            None => cells.resize(head.len() - 1, NONE.to_owned()),
        }
        push(&mut out, format_args!("<tr><th scope=\"row\">{}</th>", row.layer));
        body_cells(&mut out, &cells, &[site - 1]);
    }
    out += "</tbody>\n<tfoot><tr><th scope=\"row\">all</th>";
    let mut totals: Vec<String> = layers.totals.iter().map(usize::to_string).collect();
    totals.resize(head.len() - 1, String::new());
    body_cells(&mut out, &totals, &[]);
    out + "</tfoot></table>"
}

/// What the columns of [`layers`] mean.
pub(super) fn layers_note(layers: &LayerRows<'_>) -> String {
    let columns = layers.columns.iter().map(|(title, site)| format!("{title} is {site}"));
    let columns: Vec<String> = columns.collect();
    html(&format!(
        "Massive values by layer: {}. The top ratio is the largest channel norm over the mean of \
         its head, massive or not, among the sites that enter attention.",
        columns.join(", ")
    ))
}

/// The strongest findings as a plain table.
pub(super) fn top(scan: &ScanResult) -> String {
    let head = ["layer", "site", "head", "channel", "norm", "ratio", "pair", "period (tokens)"];
    let mut out = opening_row(&head.map(str::to_owned), &[1]);
    for finding in table::strongest(scan, 50) {
        out += "<tr>";
        body_cells(&mut out, &table::finding_cells(finding).map(|cell| html(&cell)), &[1]);
    }
    out + "</tbody></table>"
}

/// The section on massive activations; empty when the scan did not look for them.
pub(super) fn activations(scan: &ScanResult) -> String {
    let Some(section) = &scan.massive_activations else { return String::new() };
    let mut out = "<section aria-labelledby=\"h-activations\">\n\
         <h2 id=\"h-activations\">Massive activations</h2>\n"
        .to_owned();
    push(&mut out, format_args!("<p>{}</p>\n", html(&table::activation_line(section))));
    push(
        &mut out,
        format_args!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Massive activations by layer\">\
             {}</div>\n",
            activation_layers(section)
        ),
    );
    out += &hits(section);
    out + "</section>\n"
}

fn activation_layers(section: &ActivationsSection) -> String {
    let head = ["layer", "largest |x|", "median |x|", "largest / median", "massive entries"];
    let mut out = opening_row(&head.map(str::to_owned), &[]);
    for layer in &section.layers {
        let (max, median) = (f64::from(layer.max_abs), f64::from(layer.median_abs));
        let ratio = (median > 0.0).then(|| max / median);
        push(&mut out, format_args!("<tr><th scope=\"row\">{}</th>", layer.layer));
        let cells = [short(max), short(median), short_or_none(ratio), layer.hits_total.to_string()];
        body_cells(&mut out, &cells, &[]);
    }
    out + "</tbody></table>"
}

fn hits(section: &ActivationsSection) -> String {
    let listed: usize = section.layers.iter().map(|layer| layer.hits.len()).sum();
    if listed == 0 {
        return String::new();
    }
    let total = section.layers.iter().fold(0, |sum: usize, l| sum.saturating_add(l.hits_total));
    let mut out = format!(
        "<details><summary>Entries: {} of {total}</summary>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Massive activations\">",
        listed.min(MOST_HITS)
    );
    let head = ["layer", "token", "text", "channel", "value"];
    out += &opening_row(&head.map(str::to_owned), &[2]);
    let all = section.layers.iter().flat_map(|layer| layer.hits.iter().map(|h| (layer.layer, h)));
    for (layer, hit) in all.take(MOST_HITS) {
        push(&mut out, format_args!("<tr><th scope=\"row\">{layer}</th>"));
        let piece = hit.piece.as_deref().map_or(NONE.to_owned(), |p| html(&words::quoted(p)));
        let value = short(f64::from(hit.value));
        body_cells(
            &mut out,
            &[hit.position.to_string(), piece, hit.channel.to_string(), value],
            &[1],
        );
    }
    out + "</tbody></table></div></details>\n"
}
