//! What decides a training, all of it.

use massval_data::language::LanguageConfig;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What decides a training: equal configs give equal weights, bit for bit, on one machine.
///
/// ```
/// let config: massval_train::TrainConfig = serde_json::from_str(r#"{"seed": 7, "steps": 1000}"#).unwrap();
/// config.validate()?;
/// # Ok::<(), massval_train::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// The seed of the weights. The rows have their own, `language.seed`.
    pub seed: u64,
    /// Updates of the weights.
    pub steps: usize,
    /// Rows of a step.
    pub batch: usize,
    /// The rows of a step are computed in so many parts, whose gradients are added.
    pub parts: usize,
    /// The model.
    pub model: ModelConfig,
    /// How weights are updated.
    pub optimizer: OptimizerConfig,
    /// What is done against massive activations while training.
    pub mitigations: Mitigations,
    /// The text.
    pub language: LanguageConfig,
    /// Steps between two measurements; the first is before the first step, the last after the last.
    pub measure_every: usize,
    /// Items of each task that a measurement asks.
    pub measure_items: usize,
    /// Channels of each head of Q and K that a measurement replaces by their joint mean while it asks the tasks again:
    /// the largest, and as many drawn from the others. 0: it does not ask again.
    pub measure_disrupted: usize,
    /// Steps between two checkpoints.
    pub checkpoint_every: usize,
}

/// The decoder. Whatever is not said here is GPT-2's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Number of blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; `heads` is a multiple of it.
    pub kv_heads: usize,
    /// Width of the MLP.
    pub d_mlp: usize,
    /// How positions enter.
    pub position: Position,
    /// The norm of every block and of the end.
    pub norm: Norm,
    /// A gated MLP with SiLU, as Llama's, in place of a plain one with GELU.
    pub gated: bool,
    /// Biases in linear layers and norms.
    pub bias: bool,
    /// A learned key and value that every query sees (2402.17762, eq. 3); not rotated.
    pub kv_bias: bool,
    /// A token of its own before every row (2402.17762).
    pub sink: bool,
    /// The standard deviation of the first weights; those that end in the residual stream begin with it over
    /// `sqrt(2 layers)`, as GPT-2's.
    pub init_std: f64,
}

/// How positions enter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
#[non_exhaustive]
pub enum Position {
    /// A learned vector for each position.
    Learned,
    /// Rotary.
    Rope {
        /// The base of the frequencies.
        theta: f64,
        /// The part of a head that turns.
        fraction: f64,
    },
    /// Scores fall with the distance.
    Alibi,
    /// The causal mask alone.
    None,
}

impl Position {
    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Rope { .. } => "rope",
            Self::Alibi => "alibi",
            Self::None => "none",
        }
    }
}

/// The norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Norm {
    /// GPT-2's.
    LayerNorm,
    /// Llama's.
    RmsNorm,
    /// `tanh(alpha x) * weight + bias` (DyT, 2503.10622): alpha begins at 1 before attention and at 0.5 elsewhere, and
    /// the embedding is multiplied with a learned number that begins at `sqrt(d_model)` (2503.22329).
    DynamicTanh,
}

/// AdamW with warm-up and a cosine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The highest rate, right after the warm-up.
    pub learning_rate: f64,
    /// The rate of the last step.
    pub final_rate: f64,
    /// Steps over which the rate rises from 0.
    pub warmup: usize,
    /// AdamW's first beta.
    pub beta_1: f32,
    /// AdamW's second beta.
    pub beta_2: f32,
    /// AdamW's epsilon.
    pub epsilon: f32,
    /// Of matrices; vectors are not decayed.
    pub weight_decay: f32,
    /// The norm of the whole gradient is cut to it.
    pub clip: f64,
}

/// What is done against massive activations while training (2503.22329).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mitigations {
    /// Target Variance Rescaling.
    pub target_variance: Option<TargetVariance>,
    /// Weights of block `l`, from 1, begin with a standard deviation of `init_std / sqrt(l)`, in place of GPT-2's.
    pub layer_index_init: bool,
}

/// Target Variance Rescaling: a matrix of a block whose standard deviation has grown beyond the target is set back to
/// it, its mean kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetVariance {
    /// The target.
    pub std: f64,
    /// Steps between two rescalings.
    pub every: usize,
    /// What is within so many times the target is left alone.
    pub ratio: f64,
}

impl Default for TargetVariance {
    /// As in the paper: 0.01, every 50 steps, beyond 1.2 times.
    fn default() -> Self {
        Self { std: 0.01, every: 50, ratio: 1.2 }
    }
}

impl Default for OptimizerConfig {
    /// Betas, epsilon, decay and clipping as in 2503.22329, Table 3; rates for models of a million parameters.
    fn default() -> Self {
        Self {
            learning_rate: 3e-3,
            final_rate: 3e-4,
            warmup: 100,
            beta_1: 0.9,
            beta_2: 0.95,
            epsilon: 1e-7,
            weight_decay: 0.1,
            clip: 1.0,
        }
    }
}

impl TrainConfig {
    /// Checks that there is such a training.
    ///
    /// # Errors
    /// [`Error::Config`] naming the field and what it may be; [`Error::Data`] for the language's.
    pub fn validate(&self) -> Result<()> {
        let ModelConfig { layers, d_model, heads, kv_heads, d_mlp, .. } = self.model;
        for (field, value, most) in [
            ("steps", self.steps, 1 << 32),
            ("batch", self.batch, 1 << 16),
            ("parts", self.parts, 1 << 16),
            ("measure_every", self.measure_every, 1 << 32),
            ("measure_items", self.measure_items, 1 << 16),
            ("checkpoint_every", self.checkpoint_every, 1 << 32),
            ("model.layers", layers, 256),
            ("model.d_model", d_model, 1 << 14),
            ("model.heads", heads, 1 << 10),
            ("model.kv_heads", kv_heads, 1 << 10),
            ("model.d_mlp", d_mlp, 1 << 16),
        ] {
            if value == 0 || value > most {
                return Err(Error::config(field, format!("{value}; it may be 1 to {most}")));
            }
        }
        let divides = |field: &str, whole: usize, part: usize, what: &str| {
            if whole.is_multiple_of(part) {
                return Ok(());
            }
            Err(Error::config(field, format!("{part} does not divide {what} {whole}")))
        };
        divides("parts", self.batch, self.parts, "batch")?;
        divides("model.heads", d_model, heads, "model.d_model")?;
        divides("model.kv_heads", heads, kv_heads, "model.heads")?;
        if let Position::Rope { theta, fraction } = self.model.position {
            positive("model.position.theta", theta)?;
            let head_dim = d_model / heads;
            let turned = (head_dim as f64 * fraction) as usize;
            if !(fraction > 0.0 && fraction <= 1.0) || turned == 0 || turned % 2 == 1 {
                let what = format!(
                    "{fraction} of a head of {head_dim} channels is {turned}; an even number from 2 on must turn"
                );
                return Err(Error::config("model.position.fraction", what));
            }
        }
        let (most, head_dim) = (d_model / heads / 2, d_model / heads);
        if self.measure_disrupted > most {
            let what = format!(
                "{} of a head's {head_dim} channels, and as many others; it may be 0 to {most}",
                self.measure_disrupted
            );
            return Err(Error::config("measure_disrupted", what));
        }
        positive("model.init_std", self.model.init_std)?;
        self.optimizer.validate(self.steps)?;
        if let Some(TargetVariance { std, every, ratio }) = self.mitigations.target_variance {
            positive("mitigations.target_variance.std", std)?;
            positive("mitigations.target_variance.every", every as f64)?;
            if !(ratio >= 1.0 && ratio.is_finite()) {
                let what = format!("{ratio}; it must be at least 1");
                return Err(Error::config("mitigations.target_variance.ratio", what));
            }
        }
        self.language.validate()?;
        Ok(())
    }

    /// Positions that the model has: a row, and the sink token where there is one.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.language.sequence + usize::from(self.model.sink)
    }
}

impl OptimizerConfig {
    fn validate(&self, steps: usize) -> Result<()> {
        positive("optimizer.learning_rate", self.learning_rate)?;
        positive("optimizer.clip", self.clip)?;
        positive("optimizer.epsilon", f64::from(self.epsilon))?;
        for (field, beta) in [("optimizer.beta_1", self.beta_1), ("optimizer.beta_2", self.beta_2)]
        {
            if !(0.0..1.0).contains(&beta) {
                return Err(Error::config(
                    field,
                    format!("{beta}; it must be at least 0, below 1"),
                ));
            }
        }
        for (field, value) in [
            ("optimizer.final_rate", self.final_rate),
            ("optimizer.weight_decay", f64::from(self.weight_decay)),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::config(field, format!("{value}; it must not be negative")));
            }
        }
        if self.warmup >= steps {
            let what =
                format!("{} steps of {steps} in all; none is left for training", self.warmup);
            return Err(Error::config("optimizer.warmup", what));
        }
        Ok(())
    }

    /// The rate of a step, counted from 1, of `steps` in all.
    #[must_use]
    pub fn rate(&self, step: usize, steps: usize) -> f64 {
        if step <= self.warmup {
            return self.learning_rate * step as f64 / self.warmup as f64;
        }
        let left = (steps - self.warmup).max(1) as f64;
        let done = (step - self.warmup) as f64 / left;
        let share = 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos());
        self.final_rate + (self.learning_rate - self.final_rate) * share
    }
}

fn positive(field: &str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::config(field, format!("{value}; it must be above 0")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_and_falls() {
        let config = OptimizerConfig { warmup: 10, ..OptimizerConfig::default() };
        let rates: Vec<f64> = (1..=100).map(|step| config.rate(step, 100)).collect();
        assert!((rates[4] - config.learning_rate / 2.0).abs() < 1e-12);
        assert!((rates[9] - config.learning_rate).abs() < 1e-12);
        assert!((rates[99] - config.final_rate).abs() < 1e-12);
        assert!(rates[9..].windows(2).all(|pair| pair[1] < pair[0]));
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_field() {
        let tiny = TrainConfig::tiny;
        let with = |change: fn(&mut TrainConfig)| {
            let mut config = tiny();
            change(&mut config);
            config
        };
        for (config, field) in [
            (with(|c| c.model.heads = 3), "model.heads: 3 does not divide"),
            (with(|c| c.model.kv_heads = 9), "model.kv_heads: 9 does not divide"),
            (with(|c| c.steps = 0), "steps: 0"),
            (with(|c| c.parts = 5), "parts: 5 does not divide batch"),
            (
                with(|c| c.model.position = Position::Rope { theta: 1e4, fraction: 0.1 }),
                "model.position.fraction: 0.1",
            ),
            (
                with(|c| c.model.position = Position::Rope { theta: f64::NAN, fraction: 1.0 }),
                "model.position.theta: NaN",
            ),
            (with(|c| c.measure_disrupted = 17), "measure_disrupted: 17 of a head's 32 channels"),
            (with(|c| c.optimizer.warmup = c.steps), "optimizer.warmup"),
            (with(|c| c.optimizer.beta_2 = 1.0), "optimizer.beta_2: 1"),
            (with(|c| c.optimizer.learning_rate = -1.0), "optimizer.learning_rate: -1"),
            (with(|c| c.language.cities = 1), "`cities` is 1"),
        ] {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(field), "{message}");
        }
        tiny().validate().unwrap();
        TrainConfig::default().validate().unwrap();
    }
}
