//! Which layers quantization will hurt: told before, and measured after.

mod after;
mod before;
mod unit;

use std::path::Path;

use massval_detect::Criterion;
use massval_eval::stats::{Bootstrap, rank_correlation};

use massval_models::Model;
use massval_quant::recipe::{Recipe, Treatment};
use massval_quant::{Bits, Granularity, WeightScheme};
use massval_report::schema::{
    Agreement, Interval, Predictors, ResultKind, SCHEMA_VERSION, SensitivityResult,
};

use crate::perplexity::{PerplexityOptions, ReadText, read_text};
use crate::provenance::Run;
use crate::{Error, Result};

/// What is ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SensitivityOf {
    /// Whole layers.
    #[default]
    Layers,
    /// Each linear.
    Linears,
}

/// What to look at, and how layers are rounded.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SensitivityOptions {
    /// What is ranked.
    pub of: SensitivityOf,
    /// When a channel counts as massive.
    pub criterion: Criterion,
    /// How weights are rounded, for the error that is foretold and the damage that is measured.
    pub scheme: WeightScheme,
    /// Whether the damage is measured, layer by layer.
    pub measure: bool,
}

impl SensitivityOptions {
    /// Layers, by the papers' criterion, nothing measured.
    #[must_use]
    pub fn new(scheme: WeightScheme) -> Self {
        Self {
            of: SensitivityOf::default(),
            criterion: Criterion::default(),
            scheme,
            measure: false,
        }
    }
}

/// Ranks the layers or linears of `model` by what a text shows of them, and, if asked, by what rounding each alone does
/// to the predictions on that text.
///
/// `progress` is told steps done and steps in all.
///
/// # Memory
/// Measuring layers or linears takes the weights of the blocks once more, and logits of two windows.
///
/// # Errors
/// What cannot be read or cut; groups that do not divide the inputs; a model that is
/// [streamed](massval_models::Decoder::is_streamed), if damage is to be measured.
pub fn sensitivity(
    model: &Model,
    run: &Run,
    path: &Path,
    text: &PerplexityOptions,
    options: &SensitivityOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<SensitivityResult> {
    let criterion = options.criterion.validate()?;
    let ReadText { windows, input, name, rule } = read_text(model, path, text)?;
    let mut units = unit::units(model, options.of)?;
    let decoder = model.decoder();
    if options.measure && decoder.is_streamed() {
        let what =
            "measuring the damage takes all weights in memory; raise --memory-limit, or rank only";
        return Err(Error::Input(what.to_owned()));
    }
    let provenance = crate::provenance::provenance(run, model.checkpoint(), input)?;
    before::foretell(decoder, &windows, options, &criterion, &mut units)?;
    let perplexity = match options.measure {
        true => Some(after::measure(decoder, &windows, &options.scheme, &mut units, progress)?),
        false => None,
    };
    let units: Vec<_> = units.into_iter().map(|unit| unit.shown).collect();
    let result = SensitivityResult {
        schema_version: SCHEMA_VERSION,
        kind: ResultKind::Sensitivity,
        provenance,
        text: name,
        window: rule,
        windows: windows.len(),
        criterion,
        scheme: serde_json::to_value(options.scheme)
            .map_err(|error| Error::Input(format!("the scheme: {error}")))?,
        confidence: text.bootstrap.level,
        perplexity,
        agreement: agreement(&units, &text.bootstrap)?,
        units,
    };
    result.validate()?;
    Ok(result)
}

/// Units below which a rank correlation says nothing.
const FEWEST: usize = 4;

/// Resamples of a rank correlation, each of which looks at all pairs.
const RESAMPLES: u32 = 2_000;

fn agreement(
    units: &[massval_report::schema::SensitivityUnit],
    bootstrap: &Bootstrap,
) -> Result<Vec<Agreement>> {
    let mut all = Vec::new();
    let bootstrap = Bootstrap { resamples: bootstrap.resamples.min(RESAMPLES), ..*bootstrap };
    for predictor in Predictors::NAMES {
        let (told, damage): (Vec<f64>, Vec<f64>) = units
            .iter()
            .filter_map(|unit| Some((unit.before.get(predictor)?, unit.after?.kl_nats)))
            .unzip();
        if told.len() < FEWEST {
            continue;
        }
        let Some(found) = rank_correlation(&told, &damage, &bootstrap)? else { continue };
        let ends = |interval: massval_eval::stats::Interval| Interval {
            low: interval.low,
            high: interval.high,
        };
        all.push(Agreement {
            predictor: predictor.to_owned(),
            damage: "kl_nats".to_owned(),
            n: told.len(),
            spearman: found.spearman.estimate,
            spearman_interval: ends(found.spearman),
            kendall: found.kendall.estimate,
            kendall_interval: ends(found.kendall),
        });
    }
    Ok(all)
}

/// A recipe that treats the `count` most sensitive layers or linears otherwise: by the damage that was measured, or
/// by one of the [predictors](Predictors::NAMES).
///
/// # Errors
/// [`Error::Input`] for a predictor that does not exist or that nothing has, for damage that was not measured, and
/// for more layers than there are.
pub fn sensitivity_recipe(
    result: &SensitivityResult,
    scheme: &WeightScheme,
    by: Option<&str>,
    count: usize,
    treatment: Treatment,
) -> Result<Recipe> {
    let by = match by {
        Some("kl") => None,
        None if result.perplexity.is_none() => Some("output_error"),
        by => by,
    };
    let told = |unit: &massval_report::schema::SensitivityUnit| match by {
        Some(name) => unit.before.get(name),
        None => unit.after.map(|after| after.kl_nats),
    };
    let mut ranked: Vec<_> =
        result.units.iter().filter_map(|unit| Some((told(unit)?, unit))).collect();
    if ranked.len() < count.max(1) {
        let known = Predictors::NAMES.join(", ");
        return Err(Error::Input(format!(
            "{count} layers or linears are to be kept, but {} have a rank by {}; ranks are kl (if measured), {known}",
            ranked.len(),
            by.unwrap_or("kl"),
        )));
    }
    ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let group = match scheme.granularity {
        Granularity::Group(group) => Some(group),
        _ => None,
    };
    let mut recipe = Recipe::new(scheme.bits, group);
    recipe.symmetric = scheme.symmetry.is_symmetric();
    for (_, unit) in ranked.into_iter().take(count) {
        for linear in &unit.linears {
            recipe.except(linear, treatment);
        }
    }
    Ok(recipe)
}

/// What a linear that is treated otherwise gets: so many bits, or 16 for none of it.
///
/// # Errors
/// [`Error::Quant`] for other numbers of bits.
pub fn treatment(bits: u64) -> Result<Treatment> {
    match bits {
        16 => Ok(Treatment::Exact),
        bits => Ok(Treatment::Bits(Bits::try_from(bits)?)),
    }
}
