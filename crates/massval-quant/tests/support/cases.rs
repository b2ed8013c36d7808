//! Cases that `scripts/quant_reference.py` has written, done again and compared.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::Instant;

use massval_quant::awq::{AwqOptions, ChannelTies, ClipOptions, search_clip, search_scales};
use massval_quant::smooth::{Alpha, smooth_scales};
use massval_quant::{
    Bits, ChannelAccumulator, ChannelStats, ColumnOrder, GptqOptions, GptqResult, GptqSolver,
    Granularity, Hessian, HessianAccumulator, Weight, WeightScheme,
};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

pub type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Tokens pushed into an accumulator at once.
const WINDOW: usize = 512;

/// What the reference did.
#[derive(Debug, Deserialize)]
pub struct Case {
    pub name: String,
    pub method: String,
    weights: Vec<String>,
    rows: String,
    #[serde(default)]
    bits: Option<Bits>,
    #[serde(default)]
    group: Option<usize>,
    #[serde(default)]
    symmetric: bool,
    #[serde(default)]
    searched: bool,
    #[serde(default)]
    alpha: f32,
    #[serde(default)]
    duo: Option<bool>,
    #[serde(default)]
    heads: Option<[usize; 3]>,
    #[serde(default)]
    damping: Option<f64>,
    #[serde(default)]
    order: ColumnOrder,
    #[serde(default)]
    static_groups: bool,
    #[serde(default)]
    block: Option<usize>,
    #[serde(default)]
    ratio: f64,
    #[serde(default)]
    losses: Vec<f64>,
    #[serde(default)]
    loss: f64,
    #[serde(default)]
    seconds: Option<f64>,
    #[serde(default)]
    hessian_seconds: Option<f64>,
}

/// One number that was compared.
#[derive(Debug)]
pub struct Check {
    what: &'static str,
    found: f64,
    /// The largest that passes; none if it is only for the record.
    allowed: Option<f64>,
}

#[derive(Debug, Default)]
pub struct Outcome {
    checks: Vec<Check>,
    /// Seconds that we took, and the reference.
    seconds: Option<(f64, f64)>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Check { what, found, allowed } in &self.checks {
            let allowed = allowed.map(|a| format!("  (allowed {a:.0e})")).unwrap_or_default();
            writeln!(f, "    {what:<48} {found:.2e}{allowed}")?;
        }
        let Some((ours, theirs)) = self.seconds else { return Ok(()) };
        let ratio = ours / theirs;
        writeln!(f, "    seconds {ours:.3}, reference {theirs:.3}, ratio {ratio:.3}")
    }
}

impl Outcome {
    fn check(&mut self, what: &'static str, found: f64, allowed: f64) {
        self.checks.push(Check { what, found, allowed: Some(allowed) });
    }

    fn note(&mut self, what: &'static str, found: f64) {
        self.checks.push(Check { what, found, allowed: None });
    }

    /// Seconds that we took, and the reference.
    #[allow(dead_code, reason = "the example adds them up, the test has no use for them")]
    pub fn seconds(&self) -> Option<(f64, f64)> {
        self.seconds
    }

    /// Whether something was compared, and nothing is too far apart.
    pub fn passed(&self) -> bool {
        !self.checks.is_empty()
            && self.checks.iter().all(|c| c.allowed.is_none_or(|allowed| c.found <= allowed))
    }
}

pub struct File<'a> {
    tensors: SafeTensors<'a>,
    pub cases: Vec<Case>,
    /// What has been gathered from rows, and how long that took.
    hessians: BTreeMap<String, (Hessian, f64)>,
}

impl<'a> File<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let (_, metadata) = SafeTensors::read_metadata(bytes)?;
        let metadata = metadata.metadata().as_ref().ok_or("no metadata")?;
        let cases = serde_json::from_str(metadata.get("cases").ok_or("no cases")?)?;
        let tensors = SafeTensors::deserialize(bytes)?;
        Ok(Self { tensors, cases, hessians: BTreeMap::new() })
    }

    fn floats(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let view = self.tensors.tensor(name)?;
        if view.dtype() != Dtype::F32 {
            return Err(format!("{name} is not f32").into());
        }
        let numbers = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
        Ok((view.shape().to_vec(), numbers.collect()))
    }

    fn width(&self, rows: &str) -> Result<usize> {
        Ok(self.tensors.tensor(rows)?.shape()[1])
    }

    fn result(&self, case: &Case, what: &str) -> Result<Vec<f32>> {
        Ok(self.floats(&format!("{}/{what}", case.name))?.1)
    }

    fn channels(&self, rows: &str) -> Result<ChannelStats> {
        let mut seen = ChannelAccumulator::new(rows, self.width(rows)?)?;
        seen.push(&self.floats(rows)?.1)?;
        Ok(seen.finish()?)
    }

    /// The Hessian of some rows, gathered once.
    fn hessian(&mut self, rows: &str) -> Result<(Hessian, f64)> {
        if let Some(known) = self.hessians.get(rows) {
            return Ok(known.clone());
        }
        let (width, values) = (self.width(rows)?, self.floats(rows)?.1);
        let begun = Instant::now();
        let mut seen = HessianAccumulator::new(rows, width)?;
        for window in values.chunks(WINDOW * width) {
            seen.push(window)?;
        }
        let gathered = (seen.finish()?, begun.elapsed().as_secs_f64());
        self.hessians.insert(rows.to_owned(), gathered.clone());
        Ok(gathered)
    }

    /// Does a case again; gathering its Hessian is counted for each, though several could share it.
    pub fn run(&mut self, index: usize) -> Result<Outcome> {
        let hessian = self.hessian(&self.cases[index].rows.clone())?;
        let case = &self.cases[index];
        let weights = case.weights.iter().map(|name| self.floats(name));
        let weights = weights.collect::<Result<Vec<_>>>()?;
        let weights =
            case.weights.iter().zip(&weights).map(|(name, (shape, values))| {
                Ok(Weight::new(name, [shape[0], shape[1]], values)?)
            });
        let weights = weights.collect::<Result<Vec<_>>>()?;
        match case.method.as_str() {
            "smooth" => self.smooth(case, &weights),
            "awq" => self.awq(case, &weights, &hessian),
            "clip" => self.clip(case, &weights[0], &hessian),
            "gptq" => self.gptq(case, &weights[0], &hessian),
            other => Err(format!("{}: unknown method {other}", case.name).into()),
        }
    }

    fn smooth(&self, case: &Case, weights: &[Weight<'_>]) -> Result<Outcome> {
        let alpha = Alpha::new(case.alpha)?;
        let scales = smooth_scales(weights, &self.channels(&case.rows)?, alpha)?;
        let mut outcome = Outcome::default();
        outcome.check("scales apart", apart(&scales, &self.result(case, "scales")?), 1e-5);
        Ok(outcome)
    }

    fn awq(&self, case: &Case, weights: &[Weight<'_>], seen: &(Hessian, f64)) -> Result<Outcome> {
        let stats = self.channels(&case.rows)?;
        let options = AwqOptions {
            duo: case.duo.unwrap_or(true),
            keep_unscaled: false,
            ..AwqOptions::default()
        };
        let ties = match case.heads {
            Some([kv_heads, repeats, head_dim]) => {
                ChannelTies::Heads { kv_heads, repeats, head_dim }
            }
            None => ChannelTies::Free,
        };
        let begun = Instant::now();
        let schemes = vec![scheme(case)?; weights.len()];
        let found = search_scales(weights, &seen.0, stats.abs_mean(), &schemes, ties, &options)?;
        let seconds = begun.elapsed().as_secs_f64() + seen.1;
        let mut outcome = Outcome::default();
        let ratio = found.ratio.map_or(f64::NAN, f64::from);
        outcome.check("ratio apart", (ratio - case.ratio).abs(), 1e-6);
        outcome.check("scales apart", apart(&found.scales, &self.result(case, "scales")?), 1e-5);
        let losses = found.losses.iter().zip(&case.losses);
        let losses = losses.map(|(a, b)| (a - b).abs() / b).fold(0.0, f64::max);
        // The largest weight of a symmetric group lies exactly between two codes if it is negative; a scale
        // that is apart in its last digit sends it to the other, whose error has the other sign.
        outcome.check("losses apart", losses, if case.symmetric { 2e-2 } else { 1e-3 });
        outcome.seconds = case.seconds.map(|theirs| (seconds, theirs));
        Ok(outcome)
    }

    fn clip(&self, case: &Case, weight: &Weight<'_>, seen: &(Hessian, f64)) -> Result<Outcome> {
        let begun = Instant::now();
        let found = search_clip(weight, &seen.0, &scheme(case)?, &ClipOptions::default())?;
        let seconds = begun.elapsed().as_secs_f64() + seen.1;
        let theirs = self.result(case, "limits")?;
        let others = found.limits().iter().zip(&theirs).filter(|(a, b)| (**a - **b).abs() > 1e-6);
        let mut outcome = Outcome::default();
        // Limits whose errors are equal but for rounding may be told apart differently.
        outcome.check("share of other limits", others.count() as f64 / theirs.len() as f64, 1e-3);
        outcome.seconds = case.seconds.map(|theirs| (seconds, theirs));
        Ok(outcome)
    }

    fn gptq(&self, case: &Case, weight: &Weight<'_>, seen: &(Hessian, f64)) -> Result<Outcome> {
        let (shape, values) = self.floats(&format!("{}/hessian", case.rows))?;
        let given = Hessian::new(weight.name(), shape[0], values, seen.0.tokens())?;
        let options = GptqOptions {
            damping: case.damping.unwrap_or(0.01),
            block: case.block.unwrap_or(128),
            order: case.order,
            static_groups: case.static_groups,
            ..GptqOptions::default()
        };
        let scheme = scheme(case)?;
        let mut outcome = Outcome::default();
        outcome.check("Hessian apart", hessians_apart(&seen.0, &given), 2e-6);

        let found = GptqSolver::new(&given, &options)?.quantize(weight, &scheme)?;
        let codes = self.tensors.tensor(&format!("{}/codes", case.name))?.data().to_vec();
        let margins = self.result(case, "margins")?;
        let compared = Codes { codes: &codes, margins: &margins, given: &given, order: case.order };
        let (wrong, other) = compared.compare(&found);
        outcome.check("codes that differ without a tie", wrong, 0.0);
        outcome.note("share of codes after a tie", other);
        outcome.check("loss apart", (found.report.loss / case.loss - 1.0).abs(), 1e-3);
        let scales = apart(found.linear.scales(), &self.result(case, "scales")?);
        outcome.check("scales apart", if other == 0.0 { scales } else { 0.0 }, 1e-6);
        let index = self.tensors.tensor(&format!("{}/index", case.name))?.data().to_vec();
        let index = index.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b));
        let groups = weight.inputs() / case.group.unwrap_or(weight.inputs());
        let length = weight.inputs() / groups;
        let ours = |input: usize| match found.linear.group_index() {
            Some(index) => index[input],
            None => (input / length) as u32,
        };
        let others = index.enumerate().filter(|&(input, group)| ours(input) != group).count();
        outcome.check("inputs in other groups", others as f64, 0.0);

        let begun = Instant::now();
        let own = GptqSolver::new(&seen.0, &options)?.quantize(weight, &scheme)?;
        let seconds = begun.elapsed().as_secs_f64();
        let (_, other) = compared.compare(&own);
        outcome.note("share of other codes from our own Hessian", other);
        if let (Some(theirs), Some(gathering)) = (case.seconds, case.hessian_seconds) {
            outcome.seconds = Some((seconds + seen.1, theirs + gathering));
        }
        Ok(outcome)
    }
}

/// The reference's codes, and what it takes to judge others.
struct Codes<'a> {
    codes: &'a [u8],
    margins: &'a [f32],
    given: &'a Hessian,
    order: ColumnOrder,
}

impl Codes<'_> {
    /// Rows whose first difference is no tie within 1e-6 of a step, and the share of codes that differ.
    ///
    /// After the first difference of a row everything may differ: its error goes another way.
    fn compare(&self, found: &GptqResult) -> (f64, f64) {
        let width = self.given.width();
        let diagonal: Vec<f32> = self.given.diagonal().collect();
        let mut order: Vec<usize> = (0..width).collect();
        if self.order == ColumnOrder::Activation {
            order.sort_by(|&a, &b| diagonal[b].total_cmp(&diagonal[a]));
        }
        let (mut wrong, mut others) = (0, 0);
        let rows = found.linear.codes().chunks_exact(width).zip(self.codes.chunks_exact(width));
        for ((ours, theirs), margins) in rows.zip(self.margins.chunks_exact(width)) {
            let mut different = order.iter().filter(|&&input| ours[input] != theirs[input]);
            if let Some(&first) = different.next() {
                wrong += usize::from(margins[first] > 1e-6);
                others += 1 + different.count();
            }
        }
        (wrong as f64, others as f64 / self.codes.len() as f64)
    }
}

fn scheme(case: &Case) -> Result<WeightScheme> {
    let granularity = match case.group {
        Some(size) => Granularity::group(size)?,
        None => Granularity::Channel,
    };
    let scheme = WeightScheme::new(case.bits.ok_or("no bits")?, granularity);
    let scheme = if case.symmetric { scheme } else { scheme.asymmetric() };
    Ok(if case.searched { scheme.searched() } else { scheme })
}

/// The largest relative difference.
fn apart(ours: &[f32], theirs: &[f32]) -> f64 {
    if ours.len() != theirs.len() {
        return f64::INFINITY;
    }
    let pairs = ours.iter().zip(theirs).map(|(&a, &b)| (f64::from(a), f64::from(b)));
    pairs.map(|(a, b)| if a == b { 0.0 } else { (a - b).abs() / b.abs() }).fold(0.0, f64::max)
}

/// The largest difference of an entry, relative to its row's and column's diagonal.
fn hessians_apart(a: &Hessian, b: &Hessian) -> f64 {
    let width = a.width();
    let sizes: Vec<f64> = b.diagonal().map(|d| f64::from(d).sqrt()).collect();
    let entry = |(at, (&x, &y)): (usize, (&f32, &f32))| {
        let size = sizes[at / width] * sizes[at % width];
        if x == y { 0.0 } else { f64::from((x - y).abs()) / size }
    };
    a.values().iter().zip(b.values()).enumerate().map(entry).fold(0.0, f64::max)
}
