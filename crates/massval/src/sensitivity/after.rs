//! What rounding a layer or a linear alone does to the model.

use massval_eval::{Scored, TextWindow, score_decoders};
use massval_hooks::{Activation, At, HookFailure, HookPoint, HookSet, Observe, Site};
use massval_models::{Batch, Decoder, LinearRole, LogitsAt};
use massval_quant::{Weight, WeightScheme, rtn};
use massval_report::schema::Damage;

use super::unit::Unit;
use crate::{Error, Result};

/// Measures each unit, and returns the perplexity of the model left alone.
pub(super) fn measure(
    decoder: &Decoder,
    windows: &[TextWindow],
    scheme: &WeightScheme,
    units: &mut [Unit],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<f64> {
    let rounded =
        units.iter().map(|unit| rounded(decoder, unit, scheme)).collect::<Result<Vec<_>>>()?;
    let mut all = vec![Scored::alone(decoder)];
    all.extend(rounded.iter().map(Scored::alone));
    let scores = score_decoders(&all, windows, progress)?;
    let alone = scores.first().map_or(f64::NAN, massval_eval::TextScore::perplexity);
    let first = windows.first().ok_or_else(|| Error::Input("the text has no window".to_owned()))?;
    for ((unit, rounded), score) in units.iter_mut().zip(&rounded).zip(scores.iter().skip(1)) {
        let attends = unit.has(LinearRole::Q) || unit.has(LinearRole::K);
        let correlation = match attends {
            true => {
                let before = logits(decoder, first, unit.layer)?;
                correlation(&before, &logits(rounded, first, unit.layer)?)
            }
            false => None,
        };
        unit.shown.after = Some(Damage {
            kl_nats: score.kl().unwrap_or_default().max(0.0),
            perplexity: score.perplexity(),
            score_correlation: correlation,
        });
    }
    Ok(alone)
}

/// The decoder with the unit's linears rounded; all else is shared.
fn rounded(decoder: &Decoder, unit: &Unit, scheme: &WeightScheme) -> Result<Decoder> {
    let mut changed = decoder.clone();
    for &at in &unit.linears {
        let values = decoder.linear_weight(at)?;
        let name = at.to_string();
        let weight = Weight::new(&name, decoder.config().linear_shape(at.role), &values)?;
        changed.set_linear_weight(at, &rtn(&weight, scheme)?.dequantize())?;
    }
    Ok(changed)
}

/// Attention's logits of one layer, without those that are masked.
fn logits(decoder: &Decoder, window: &TextWindow, layer: usize) -> Result<Vec<f32>> {
    let mut seen = Vec::new();
    let mut keep = Observe::new("attention logits", |_: &At<'_>, x: &Activation| {
        let data = x.as_heads()?.clone().try_into_vec_as::<f32>();
        seen = data.map_err(|error| HookFailure::from(format!("{error:?}")))?;
        Ok(())
    });
    let mut hooks = HookSet::new(decoder.hook_points());
    hooks.add_at(&[HookPoint::layer(layer, Site::AttnScores)], &mut keep)?;
    let batch = Batch::single(&window.tokens)?;
    decoder.forward(&batch, None, &mut hooks, LogitsAt::Nowhere)?;
    hooks.finish()?;
    seen.retain(|logit| logit.is_finite());
    Ok(seen)
}

/// Pearson's; none where one of them does not vary.
fn correlation(a: &[f32], b: &[f32]) -> Option<f64> {
    if a.len() != b.len() || a.is_empty() {
        return None;
    }
    let mean = |x: &[f32]| x.iter().map(|&x| f64::from(x)).sum::<f64>() / x.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let mut sums = [0.0; 3];
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a) - mean_a, f64::from(b) - mean_b);
        sums[0] += a * b;
        sums[1] += a * a;
        sums[2] += b * b;
    }
    let spread = (sums[1] * sums[2]).sqrt();
    (spread > 0.0).then(|| (sums[0] / spread).clamp(-1.0, 1.0))
}
