//! Arms with rounded weights: channels with massive values kept exact, as many drawn ones, and none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use massval_eval::{Arm, ArmWeights, Experiment};
use massval_models::{Batch, Decoder, LinearAt, LinearRole, Model};
use massval_quant::formats::Format;
use massval_quant::protect::{KeptRows, MixedLinear, Projection, split_rows};
use massval_quant::{Bits, Granularity, ProtectedRows, ScaleType, Weight, WeightScheme, rtn};
use massval_report::schema::{DisruptResult, PerplexityResult};
use serde_json::json;

use crate::arms::findings_of;
use crate::disrupt::{DisruptOptions, disrupt};
use crate::kept::{drawn, protected};
use crate::perplexity::{PerplexityOptions, perplexity_with};
use crate::provenance::{Run, file_hash};
use crate::quantize::{CalibrationRecord, Method, QuantizeOptions, quantize};
use crate::{Error, Result};

/// Which arms are made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WeightArmOptions {
    /// How weights are rounded; each gives arms for each number of bits.
    pub methods: Vec<Method>,
    /// To how many bits. SmoothQuant rounds to 8 alone, which must be among them.
    pub bits: Vec<Bits>,
    /// What shares a scale.
    pub granularity: Granularity,
    /// A scan of the model: each arm comes three times, with nothing exact, with the rows of Q and K that carry massive
    /// values exact, and with as many drawn ones.
    pub findings: Option<PathBuf>,
    /// Of what is drawn.
    pub seed: u64,
    /// What methods other than rounding to nearest are calibrated with.
    pub calibration: Option<(Vec<Batch>, CalibrationRecord)>,
    /// An empty folder for what these methods write.
    pub folder: Option<PathBuf>,
}

impl WeightArmOptions {
    /// Rounding to nearest, to 4 bits in these groups, with nothing exact.
    #[must_use]
    pub fn new(granularity: Granularity) -> Self {
        Self {
            methods: vec![Method::Rtn],
            bits: vec![Bits::Four],
            granularity,
            findings: None,
            seed: 0,
            calibration: None,
            folder: None,
        }
    }
}

/// The model left alone and arms with other weights, and the decoders of these by name.
#[derive(Debug)]
pub struct WeightArms {
    /// The arms.
    pub arms: Vec<Arm>,
    /// The decoders of all but the first.
    pub decoders: BTreeMap<String, Decoder>,
}

impl WeightArms {
    /// The decoders as experiments take them.
    #[must_use]
    pub fn borrowed(&self) -> BTreeMap<String, &Decoder> {
        self.decoders.iter().map(|(name, decoder)| (name.clone(), decoder)).collect()
    }
}

/// Rows of Q and K, by linear.
type Rows = BTreeMap<LinearAt, ProtectedRows>;

/// Makes the arms. `progress` is told arms done and in all.
///
/// # Memory
/// The weights of the blocks once for each method, bits and protection.
///
/// # Errors
/// A scan of another model, or without findings in Q and K; groups that do not divide; what
/// [`quantize`] refuses; [`Error::Input`] for calibrated methods without
/// calibration or folder, for SmoothQuant without 8 bits, and for a model that is streamed.
pub fn weight_arms(
    model: &Model,
    run: &Run,
    options: &WeightArmOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<WeightArms> {
    if options.methods.contains(&Method::SmoothQuant) && !options.bits.contains(&Bits::Eight) {
        let what = "smoothquant rounds to 8 bits; add 8 to the bits, or leave it out";
        return Err(Error::Input(what.to_owned()));
    }
    let kept = kept_rows(model, options)?;
    let mut all = WeightArms { arms: vec![Arm::none()], decoders: BTreeMap::new() };
    let mut wanted = Vec::new();
    for &method in &options.methods {
        for &bits in &options.bits {
            if method != Method::SmoothQuant || bits == Bits::Eight {
                wanted.extend(kept.iter().map(|kept| (method, bits, kept)));
            }
        }
    }
    if wanted.is_empty() {
        return Err(Error::Input("no method or no bits to compare".to_owned()));
    }
    // All are looked at before the first, which may take an hour.
    for &(method, bits, kept) in wanted.iter().filter(|(method, ..)| *method != Method::Rtn) {
        asked(options, method, bits, &kept.rows).check(model.checkpoint())?;
    }
    for (done, &(method, bits, kept)) in wanted.iter().enumerate() {
        progress(done, wanted.len());
        let family = format!("{method}:{bits}");
        let name = match kept.what {
            Some(what) => format!("{family} {what}"),
            None => family.clone(),
        };
        if all.decoders.contains_key(&name) {
            return Err(Error::Input(format!("{family} is asked for twice; leave one out")));
        }
        let decoder = match method {
            Method::Rtn => rounded(model.decoder(), bits, options.granularity, &kept.rows)?,
            _ => calibrated(model, run, options, (method, bits, &kept.rows), &name)?,
        };
        let weights = described(model.decoder(), &decoder, (method, bits, kept), options, family)?;
        all.arms.push(Arm::weighted(&name, weights));
        all.decoders.insert(name, decoder);
    }
    progress(wanted.len(), wanted.len());
    Ok(all)
}

/// Runs tasks, and the perplexity of a text if there is one, under [arms with other weights](weight_arms).
///
/// # Errors
/// What [`disrupt`] and [`perplexity`](crate::perplexity()) refuse.
pub fn compare_weights(
    experiment: &Experiment<'_>,
    run: &Run,
    options: &DisruptOptions,
    text: Option<(&Path, &PerplexityOptions)>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(DisruptResult, Option<PerplexityResult>)> {
    let perplexity = match text {
        Some((path, text)) => {
            let arms = (experiment.arms.as_slice(), &experiment.decoders);
            Some(perplexity_with(experiment.model, run, path, arms, text, &mut |_, _| {})?)
        }
        None => None,
    };
    Ok((disrupt(experiment, run, options, progress)?, perplexity))
}

/// What stays exact in an arm.
struct Kept {
    what: Option<&'static str>,
    source: Option<String>,
    rows: Rows,
}

fn kept_rows(model: &Model, options: &WeightArmOptions) -> Result<Vec<Kept>> {
    let mut all = vec![Kept { what: None, source: None, rows: Rows::new() }];
    let Some(path) = &options.findings else { return Ok(all) };
    let config = model.decoder().config();
    let scan = findings_of(path, model.checkpoint())?;
    let hash = file_hash(path)?;
    let source = format!("{} ({})", hash.name, &hash.blake3[..hash.blake3.len().min(12)]);
    let (mut massive, mut random) = (Rows::new(), Rows::new());
    for (projection, role) in [(Projection::Q, LinearRole::Q), (Projection::K, LinearRole::K)] {
        let found = protected(&scan, config, projection)?;
        for (layer, rows) in drawn(&found, config, projection, options.seed)? {
            random.insert(LinearAt::new(layer, role), rows);
        }
        massive.extend(found.into_iter().map(|(l, rows)| (LinearAt::new(l, role), rows)));
    }
    if massive.is_empty() {
        let what = format!("{}: no massive values in q or k to protect", path.display());
        return Err(Error::Input(what));
    }
    for (what, rows) in [("massive", massive), ("random", random)] {
        all.push(Kept { what: Some(what), source: Some(source.clone()), rows });
    }
    Ok(all)
}

/// The decoder with all linears of its blocks rounded to nearest, but for the rows that are kept.
fn rounded(
    decoder: &Decoder,
    bits: Bits,
    granularity: Granularity,
    kept: &Rows,
) -> Result<Decoder> {
    let scheme = WeightScheme::new(bits, granularity).scales(ScaleType::F16);
    let mut changed = decoder.clone();
    for at in decoder.config().linears() {
        let values = decoder.linear_weight(at)?;
        let (name, [outputs, inputs]) = (at.to_string(), decoder.config().linear_shape(at.role));
        let weight = Weight::new(&name, [outputs, inputs], &values)?;
        let rounded = match kept.get(&at) {
            None => rtn(&weight, &scheme)?.dequantize(),
            Some(rows) => {
                let (rest, exact) = split_rows(&weight, rows)?;
                let rest = Weight::new(&name, [outputs - rows.rows().len(), inputs], &rest)?;
                let rest = rtn(&rest, &scheme)?;
                MixedLinear::new(rest, KeptRows::Exact(exact), rows.clone())?.dequantize()
            }
        };
        changed.set_linear_weight(at, &rounded)?;
    }
    Ok(changed)
}

/// How a calibrated method is to quantize, in a format that holds all bits, with scales as round to nearest has them.
fn asked(options: &WeightArmOptions, method: Method, bits: Bits, kept: &Rows) -> QuantizeOptions {
    let (format, granularity) = match method {
        Method::SmoothQuant => (Format::IntQuantized, Granularity::Channel),
        _ => (Format::GptqV2, options.granularity),
    };
    let mut asked = QuantizeOptions::new(method, bits, granularity, format);
    asked.protect.clone_from(kept);
    asked
}

/// The decoder of the checkpoint that a calibrated method writes.
fn calibrated(
    model: &Model,
    run: &Run,
    options: &WeightArmOptions,
    (method, bits, kept): (Method, Bits, &Rows),
    name: &str,
) -> Result<Decoder> {
    let (Some(calibration), Some(folder)) = (&options.calibration, &options.folder) else {
        let what = format!("{method} needs a text to calibrate with, and a folder to write into");
        return Err(Error::Input(what));
    };
    let asked = asked(options, method, bits, kept);
    let out = folder.join(name.replace([':', ' '], "-"));
    let calibration = Some(calibration.clone());
    quantize(
        model,
        run,
        &asked,
        calibration,
        &out,
        false,
        &mut |_| Ok(Vec::new()),
        &mut |_, _| {},
    )?;
    let decoder = model.decoder();
    let made = Model::load(&out, &decoder.device(), decoder.dtype(), &mut |_, _| {})?;
    Ok(made.decoder().clone())
}

/// The arm's weights as results show them.
fn described(
    decoder: &Decoder,
    changed: &Decoder,
    (method, bits, kept): (Method, Bits, &Kept),
    options: &WeightArmOptions,
    family: String,
) -> Result<ArmWeights> {
    let config = decoder.config();
    let (mut total, mut exact, mut error, mut power) = (0usize, 0usize, 0.0f64, 0.0f64);
    // What is folded into norms makes the weights others, not wrong.
    let comparable = matches!(method, Method::Rtn | Method::Gptq);
    for at in config.linears() {
        let [outputs, inputs] = config.linear_shape(at.role);
        total += outputs * inputs;
        exact += kept.rows.get(&at).map_or(0, |rows| rows.rows().len() * inputs);
        if comparable {
            let (before, after) = (decoder.linear_weight(at)?, changed.linear_weight(at)?);
            for (&a, &b) in before.iter().zip(&after) {
                error += f64::from(a - b).powi(2);
                power += f64::from(a).powi(2);
            }
        }
    }
    let granularity = match (method, options.granularity) {
        (Method::SmoothQuant, _) | (_, Granularity::Channel) => "a scale for each row".to_owned(),
        (_, Granularity::Tensor) => "one scale".to_owned(),
        (_, Granularity::Group(size)) => format!("groups of {}", size.get()),
    };
    let rows: usize = kept.rows.values().map(|rows| rows.rows().len()).sum();
    let what = match kept.what {
        Some(what) => format!("; {rows} {what} rows of Q and K exact"),
        None => String::new(),
    };
    let calibration = options.calibration.as_ref().filter(|_| method != Method::Rtn);
    Ok(ArmWeights {
        family,
        kept: kept.what.map(str::to_owned),
        sentence: format!("weights rounded: {method}, {bits} bits, {granularity}{what}"),
        value: json!({
            "method": method,
            "bits": bits,
            "granularity": options.granularity,
            "kept": kept.what,
            "findings": kept.source,
            "rows": kept.rows.iter().map(|(at, rows)| (at.to_string(), rows)).collect::<BTreeMap<_, _>>(),
            "seed": options.seed,
            "calibration": calibration.map(|(_, record)| record),
        }),
        exact: exact as f64 / total.max(1) as f64,
        relative_error: (comparable && power > 0.0).then(|| error / power),
    })
}
