//! Six layers with their sensitivity to quantization.

use massval_detect::Criterion;
use serde_json::json;

use super::experiment::text_run;
use crate::schema::{
    Agreement, Damage, Interval, Predictors, ResultKind, SCHEMA_VERSION, SensitivityResult,
    SensitivityUnit, WindowRule,
};

/// Massive values, their share, kurtosis, weight range, output error; KL, perplexity, correlation of logits.
const LAYERS: [([f64; 5], [f64; 3]); 6] = [
    ([14.0, 0.412, 9.8, 3.91, 0.071], [0.412, 41.7, 0.97212]),
    ([22.0, 0.538, 31.4, 4.12, 0.084], [0.122, 30.9, 0.98117]),
    ([9.0, 0.301, 211.0, 3.55, 0.052], [0.0319, 28.2, 0.99101]),
    ([9.0, 0.288, 164.0, 3.47, 0.049], [0.0007, 27.3, 0.99914]),
    ([11.0, 0.334, 12_100.0, 3.61, 0.055], [0.087, 29.6, 0.98804]),
    ([3.0, 0.114, 48.0, 4.87, 0.063], [0.981, 72.9, 0.96405]),
];

/// What was told and measured of six layers, rounded to 3 bits in groups of 64.
pub(crate) fn sensitivity() -> SensitivityResult {
    let unit = |(layer, (before, after)): (usize, &([f64; 5], [f64; 3]))| SensitivityUnit {
        name: format!("layer {layer}"),
        layer,
        linears: ["q", "k", "v", "o"]
            .map(|part| format!("model.layers.{layer}.self_attn.{part}_proj"))
            .to_vec(),
        before: Predictors {
            massive_values: Some(before[0]),
            massive_share: Some(before[1]),
            kurtosis: before[2],
            weight_range: before[3],
            output_error: before[4],
        },
        after: Some(Damage {
            kl_nats: after[0],
            perplexity: after[1],
            score_correlation: Some(after[2]),
        }),
    };
    let agreement = |predictor: &str, [spearman, low, high]: [f64; 3]| Agreement {
        predictor: predictor.to_owned(),
        damage: "kl_nats".to_owned(),
        n: LAYERS.len(),
        spearman,
        spearman_interval: Interval { low, high },
        kendall: 0.8 * spearman,
        kendall_interval: Interval { low: 0.8 * low, high: 0.8 * high },
    };
    SensitivityResult {
        schema_version: SCHEMA_VERSION,
        kind: ResultKind::Sensitivity,
        provenance: text_run("sensitivity"),
        text: "natural.txt".to_owned(),
        window: WindowRule { tokens: 256, stride: 256, bos: false },
        windows: 2,
        criterion: Criterion::default(),
        scheme: json!({"bits": 3, "granularity": {"group": 64}, "range": "min-max"}),
        confidence: 0.95,
        perplexity: Some(27.1),
        units: LAYERS.iter().enumerate().map(unit).collect(),
        agreement: vec![
            agreement("massive_values", [-0.12, -0.91, 0.84]),
            agreement("weight_range", [0.94, 0.61, 1.0]),
            agreement("kurtosis", [-0.77, -1.0, -0.05]),
            agreement("output_error", [0.83, 0.22, 1.0]),
        ],
    }
}

/// The same before anything was rounded.
pub(crate) fn only_told() -> SensitivityResult {
    let mut result = sensitivity();
    result.perplexity = None;
    result.agreement.clear();
    result.units.iter_mut().for_each(|unit| unit.after = None);
    result
}
