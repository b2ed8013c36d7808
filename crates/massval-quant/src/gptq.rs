//! GPTQ: each column rounded, and its error taken out by the columns that come after (arXiv 2210.17323).
//!
//! Let `H` be the mean of `x x^T` over the calibration and `U` the upper triangle with
//! `U^T U = (H + damping)^-1`. Column after column (Sec. 3.3, Algorithm 1), the weight `w_j` becomes the
//! nearest value `q_j` of its grid, and every later column takes `(w_j - q_j) / U_jj * U_jk` off. Rows do not
//! depend on each other. The sum of `((w_j - q_j) / U_jj)^2` is the squared error of the outputs, damping
//! included.
//!
//! Two places where programs differ, and what is done here. Ranges of a group are those of the weights as
//! they are when the group's first column is reached, all earlier errors included ("the most current
//! weights", Sec. 5), whatever the block size; some programs miss the errors of the block that is being
//! worked on. The mean that damping is a share of leaves dead inputs out.

mod factor;
mod sweep;

use serde::{Deserialize, Serialize};

use crate::error::{same, within};
use crate::linear::{LinearParts, QuantizedLinear};
use crate::stats::OutputError;
use crate::{Error, Granularity, Hessian, Result, Weight, WeightScheme};
use factor::Factor;
use sweep::Sweep;

/// The order in which columns are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnOrder {
    /// As they stand.
    #[default]
    Natural,
    /// By falling mean square of their inputs ("act-order"), so that the errors of the most important ones
    /// can be taken out by all others.
    Activation,
}

/// What becomes of the weights of an input that was zero on every token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeadInputs {
    /// They become zero, as in the authors' program.
    #[default]
    Zero,
    /// They are rounded to nearest, in case the input wakes up on other text.
    Round,
}

/// How GPTQ goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GptqOptions {
    /// Added to the Hessian's diagonal, as a share of the diagonal's mean. If the matrix is not positive
    /// definite even so, the share doubles until it is, at most to 1.
    pub damping: f64,
    /// Columns after which the rest of the weight is brought up to date; a matter of speed alone.
    pub block: usize,
    /// The order of columns.
    pub order: ColumnOrder,
    /// Whether the ranges of all groups are those of the weights before the first column is rounded, and
    /// groups are neighbours whatever the order: what file formats without a group index need with
    /// [`ColumnOrder::Activation`].
    pub static_groups: bool,
    /// Inputs that were never active.
    pub dead_inputs: DeadInputs,
}

impl Default for GptqOptions {
    /// The paper's: 1 % damping, blocks of 128, natural order.
    fn default() -> Self {
        Self {
            damping: 0.01,
            block: 128,
            order: ColumnOrder::Natural,
            static_groups: false,
            dead_inputs: DeadInputs::Zero,
        }
    }
}

/// The Hessian, factored once for all linears that share their inputs.
///
/// # Memory
/// `8 width^2` bytes, twice that while it is made.
#[derive(Debug, Clone)]
pub struct GptqSolver<'a> {
    hessian: &'a Hessian,
    options: GptqOptions,
    /// Input channels in the order in which they are rounded.
    order: Vec<usize>,
    /// Input channels that were never active.
    dead: Vec<usize>,
    factor: Factor,
}

/// A quantized linear and how well it went.
#[derive(Debug, Clone)]
pub struct GptqResult {
    /// The quantized linear.
    pub linear: QuantizedLinear,
    /// For the log.
    pub report: GptqReport,
}

/// What is worth knowing about one linear's quantization.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GptqReport {
    /// The sum of `((w - q) / U_jj)^2`: the squared error of the outputs, mean over tokens, damping included.
    pub loss: f64,
    /// The same without damping, and what it is to be compared with.
    pub output: OutputError,
    /// The share of the mean diagonal that was added in the end.
    pub damping: f64,
    /// How often damping had to be raised.
    pub damping_raised: usize,
    /// Inputs that were zero on every token.
    pub dead_inputs: usize,
}

impl<'a> GptqSolver<'a> {
    /// Factors a Hessian.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the damping is not within 0 and 1 or the block is empty, [`Error::DeadInputs`]
    /// if no input was ever active, [`Error::NotPositiveDefinite`] if no damping helps.
    pub fn new(hessian: &'a Hessian, options: &GptqOptions) -> Result<Self> {
        within("damping", options.damping, 0.0..=1.0, "0 to 1")?;
        within("block", options.block as f64, 1.0..=f64::MAX, "at least 1")?;
        let diagonal: Vec<f32> = hessian.diagonal().collect();
        let dead: Vec<usize> = (0..diagonal.len()).filter(|&i| diagonal[i] == 0.0).collect();
        if dead.len() == diagonal.len() {
            return Err(Error::DeadInputs { tensor: hessian.name().to_owned() });
        }
        let mut order: Vec<usize> = (0..diagonal.len()).collect();
        if options.order == ColumnOrder::Activation {
            order.sort_by(|&a, &b| diagonal[b].total_cmp(&diagonal[a]));
        }
        let factor = Factor::new(hessian, &order, options.damping)?;
        Ok(Self { hessian, options: *options, order, dead, factor })
    }

    /// The share of the mean diagonal that was added in the end, and how often it had to be raised.
    pub const fn damping(&self) -> (f64, usize) {
        (self.factor.damping, self.factor.raised)
    }

    /// Quantizes one linear.
    ///
    /// # Errors
    /// [`Error::Shape`] if its inputs are not the Hessian's, [`Error::Group`] if groups do not divide them,
    /// [`Error::ScaleOverflow`] if a range is too wide for the scales' type.
    pub fn quantize(&self, weight: &Weight<'_>, scheme: &WeightScheme) -> Result<GptqResult> {
        same(weight.name(), "inputs", self.hessian.width(), weight.inputs())?;
        let length = scheme.granularity.length(weight.name(), weight.inputs())?;
        let mut values = weight.values().to_vec();
        if self.options.dead_inputs == DeadInputs::Zero {
            for row in values.chunks_exact_mut(weight.inputs()) {
                self.dead.iter().for_each(|&input| row[input] = 0.0);
            }
        }
        let start = Weight::new(weight.name(), [weight.outputs(), weight.inputs()], &values)?;
        // Only groups can have ranges of weights that have changed before they are reached.
        let grouped = matches!(scheme.granularity, Granularity::Group(_));
        let current = grouped && !self.options.static_groups;
        let swept = Sweep {
            weight: &start,
            scheme,
            order: &self.order,
            factor: &self.factor,
            block: self.options.block,
            length,
        }
        .run(current)?;
        let group_index = current.then(|| {
            let mut index = vec![0; weight.inputs()];
            for (position, &input) in self.order.iter().enumerate() {
                index[input] = u32::try_from(position / length).unwrap_or(u32::MAX);
            }
            index
        });
        let linear = QuantizedLinear::new(LinearParts {
            name: weight.name().to_owned(),
            outputs: weight.outputs(),
            inputs: weight.inputs(),
            bits: scheme.bits,
            granularity: scheme.granularity,
            scale_type: scheme.scale_type,
            codes: swept.codes,
            scales: swept.scales,
            zeros: swept.zeros,
            group_index,
        })?;
        let output = self.hessian.output_error(weight, &linear.dequantize())?;
        let (damping, damping_raised) = self.damping();
        let dead_inputs = self.dead.len();
        let report = GptqReport { loss: swept.loss, output, damping, damping_raised, dead_inputs };
        Ok(GptqResult { linear, report })
    }
}

/// Quantizes a single linear; see [`GptqSolver`] for several that share their inputs.
///
/// # Errors
/// As [`GptqSolver::new`] and [`GptqSolver::quantize`].
pub fn gptq(
    weight: &Weight<'_>,
    hessian: &Hessian,
    scheme: &WeightScheme,
    options: &GptqOptions,
) -> Result<GptqResult> {
    GptqSolver::new(hessian, options)?.quantize(weight, scheme)
}

#[cfg(test)]
mod tests;
