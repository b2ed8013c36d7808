//! The model card: what was done to which model, with which text, and how it came out.

use std::fmt::Write;

use massval_quant::Granularity;

use super::run::QuantizeResult;

/// The card of a result, as a README in Markdown.
pub(super) fn card(result: &QuantizeResult) -> String {
    let mut text = String::new();
    let options = &result.options;
    let layout = options.layout();
    let model = &result.provenance.model;
    let base = std::path::Path::new(&model.path_or_name);
    let base = base
        .file_name()
        .map_or_else(|| model.path_or_name.clone(), |n| n.to_string_lossy().into_owned());
    let base =
        if result.provenance.model.revision.is_some() { model.path_or_name.clone() } else { base };
    let groups = match layout.granularity {
        Granularity::Tensor => "one scale for each tensor".to_owned(),
        Granularity::Channel => "one scale for each output channel".to_owned(),
        Granularity::Group(size) => format!("groups of {}", size.get()),
    };
    let symmetry = if layout.symmetric { "symmetric" } else { "asymmetric" };
    let activations = match &options.activations {
        None => "as in the base model".to_owned(),
        Some(scheme) => match scheme.range {
            massval_quant::ActivationRange::PerToken => {
                "8 bits, each token by its own range".to_owned()
            }
            massval_quant::ActivationRange::PerTensor => {
                "8 bits, one fixed range for each linear".to_owned()
            }
        },
    };
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "---\nbase_model: {base}\nbase_model_relation: quantized\ntags:\n- massval\n- {format}\n---\n\n\
         # {base}, {bits} bits by {method}\n\n\
         Quantized by [massval](https://github.com/massval/massval) {version}.\n\n\
         | | |\n|---|---|\n\
         | method | {method} |\n\
         | weights | {bits} bits, {symmetry}, {groups} |\n\
         | activations | {activations} |\n\
         | format | {format} |\n",
        format = layout.format,
        bits = layout.bits,
        method = options.method,
        version = result.provenance.massval_version,
    );
    let kept = result.linears.iter().filter(|linear| linear.float).count();
    let rows: usize = result.linears.iter().map(|linear| linear.protected).sum();
    let all = result.linears.len();
    for bits in massval_quant::Bits::ALL {
        let others = result.linears.iter().filter(|linear| linear.bits == Some(bits)).count();
        if others > 0 {
            let _ = writeln!(text, "| in {bits} bits | {others} of {all} linears |");
        }
    }
    if kept > 0 {
        let _ = writeln!(text, "| in floating point | {kept} of {all} linears |");
    }
    if rows > 0 {
        let _ = writeln!(text, "| kept apart | {rows} rows of Q and K that carry massive values |");
    }
    match &result.calibration {
        None => text.push_str("| calibration | none |\n"),
        Some(read) => {
            let _ = writeln!(
                text,
                "| calibration | {} sequences, {} tokens in all, of `{}`{}; SHA-256 of the token ids {} |",
                read.samples,
                read.tokens,
                std::path::Path::new(&read.source)
                    .file_name()
                    .map_or(read.source.as_str().into(), |name| name.to_string_lossy()),
                if read.chat { " in the chat template" } else { "" },
                read.sha256
            );
        }
    }
    let files: Vec<String> =
        model.files.iter().map(|f| format!("`{}` {}", f.name, f.blake3)).collect();
    let _ = writeln!(text, "| base weights (BLAKE3) | {} |", files.join(", "));
    text.push_str("\n## Scores\n\n");
    match &result.scores[..] {
        [] => text.push_str("None were measured beyond the calibration's error.\n"),
        scores => {
            text.push_str("| perplexity of | base | this |\n|---|---|---|\n");
            for score in scores {
                let _ = writeln!(
                    text,
                    "| {} | {:.3} | {:.3} |",
                    score.text, score.base, score.quantized
                );
            }
        }
    }
    let errors: Vec<f64> = result.linears.iter().filter_map(|linear| linear.output_error).collect();
    if let Some(worst) = result
        .linears
        .iter()
        .filter(|linear| linear.output_error.is_some())
        .max_by(|a, b| a.output_error.unwrap_or(0.0).total_cmp(&b.output_error.unwrap_or(0.0)))
    {
        let _ = writeln!(
            text,
            "\nSquared error of the linears' outputs on the calibration, as a share of their power: {:.2e} on average, \
             {:.2e} at the most (`{}`). `massval.json` has all of them.",
            errors.iter().sum::<f64>() / errors.len().max(1) as f64,
            worst.output_error.unwrap_or_default(),
            worst.name,
        );
    }
    text
}
