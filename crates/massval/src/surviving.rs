//! What is left of massive values when weights are rounded.

use std::collections::BTreeMap;

use massval_detect::{ChannelNorms, Criterion};
use massval_eval::TextWindow;
use massval_hooks::{HookPoint, HookSet, Site};
use massval_models::{Batch, Decoder, LogitsAt};

use crate::Result;
use crate::scan::NormCollector;

/// For each of `others`, the norm of the channels of Q and K that are massive in `decoder`, over their norm there; none
/// where nothing is massive.
pub(crate) fn massive_norms(
    decoder: &Decoder,
    windows: &[TextWindow],
    others: &BTreeMap<String, &Decoder>,
) -> Result<BTreeMap<String, f64>> {
    if others.is_empty() {
        return Ok(BTreeMap::new());
    }
    let criterion = Criterion::default();
    let base = attention_norms(decoder, windows)?;
    let massive: Vec<(HookPoint, usize, usize)> = base
        .iter()
        .flat_map(|(point, norms)| {
            let found = criterion.find(norms).into_iter();
            found.map(move |value| (*point, value.head, value.channel))
        })
        .collect();
    let norm = |all: &BTreeMap<HookPoint, ChannelNorms>| -> f64 {
        let one = |(point, head, channel): &(HookPoint, usize, usize)| {
            all.get(point)?.head(*head)?.get(*channel).copied()
        };
        massive.iter().filter_map(one).map(|norm| f64::from(norm).powi(2)).sum::<f64>().sqrt()
    };
    let whole = norm(&base);
    let mut left = BTreeMap::new();
    for (name, other) in others.iter().filter(|_| whole > 0.0) {
        left.insert(name.clone(), norm(&attention_norms(other, windows)?) / whole);
    }
    Ok(left)
}

/// Norms of Q and K in every layer, as attention sees them, over all windows.
pub(crate) fn attention_norms(
    decoder: &Decoder,
    windows: &[TextWindow],
) -> Result<BTreeMap<HookPoint, ChannelNorms>> {
    let sites = match decoder.config().rope() {
        Some(_) => [Site::RotQ, Site::RotK],
        None => [Site::Q, Site::K],
    };
    let mut collector = NormCollector::new(0);
    let mut hooks = HookSet::new(decoder.hook_points());
    hooks.add(&sites.map(Site::name), &mut collector)?;
    for window in windows {
        let batch = Batch::single(&window.tokens)?;
        decoder.forward(&batch, None, &mut hooks, LogitsAt::Nowhere)?;
    }
    hooks.finish()?;
    Ok(collector.finish()?.into_iter().collect())
}
