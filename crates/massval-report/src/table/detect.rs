//! The verdict on dumped tensors as a terminal table.

use super::scan::finding_lines;
use super::{TableStyle, cut, lines, wrap};
use crate::schema::{DetectResult, TensorVerdict};
use crate::words::{self, plural, short, short_or_none};

/// The result of `massval detect` as text of at most `width` columns: a line for each tensor, then
/// the strongest findings of each.
pub fn detect_table(result: &DetectResult, width: usize, style: TableStyle) -> String {
    let header = ["tensor", "tokens", "heads", "channels", "massive", "top ratio"];
    let name_width = width.saturating_sub(46).max(12);
    let row = |tensor: &TensorVerdict| {
        vec![
            cut(&words::plain(&tensor.source.label()), name_width),
            tensor.tokens.to_string(),
            tensor.heads.to_string(),
            tensor.head_dim.to_string(),
            tensor.summary.count.to_string(),
            short_or_none(Some(f64::from(tensor.summary.top_ratio))),
        ]
    };
    let mut out = wrap(&words::criterion(&result.criterion), width);
    out.push(String::new());
    let rows = result.tensors.iter().map(row).collect();
    out.extend(lines(style, header.map(str::to_owned).to_vec(), rows, &[0], false));
    for tensor in &result.tensors {
        out.push(String::new());
        let title = format!(
            "{}: {}, mean norm {}",
            words::plain(&tensor.source.label()),
            plural(tensor.summary.count, "massive value"),
            short(f64::from(tensor.summary.mean_norm))
        );
        out.extend(wrap(&title, width));
        if !tensor.findings.is_empty() {
            out.extend(finding_lines(&tensor.findings.iter().collect::<Vec<_>>(), style));
        }
    }
    out.join("\n") + "\n"
}
