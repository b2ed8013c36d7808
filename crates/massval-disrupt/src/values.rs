//! What is written in place of the selected channels, over a prompt and after it.

use burn::tensor::{Bool, Tensor};
use massval_hooks::{HookFailure, HookPoint};
use rand::Rng;
use rand_distr::StandardNormal;

use crate::Operator;
use crate::fill::{self, Columns, Prompt, joint_extreme, joint_mean};
use crate::random::Draw;

/// What a prompt decided to write.
#[derive(Debug)]
pub(crate) enum Values {
    /// These, `[rows or 1, heads or 1, 1, head_dim or 1]`.
    Constant(Box<Tensor<4>>),
    /// The activation times a factor.
    Scaled(f64),
    /// Gaussian noise of these means and deviations, row-major `[rows, heads, head_dim]`.
    Noise { mean: Vec<f32>, deviation: Vec<f32> },
    /// The prompt's own values, row-major `[rows, heads, seq, head_dim]`, and where its tokens are.
    Pool { values: Vec<f32>, prompt: Columns },
}

/// What random draws of one pass depend on.
pub(crate) struct Draws<'a> {
    pub(crate) seed: u64,
    pub(crate) point: HookPoint,
    /// One for each row.
    pub(crate) keys: Vec<u64>,
    /// Tokens of each row's sequence before this pass.
    pub(crate) before: Vec<u64>,
    pub(crate) columns: &'a Columns,
    /// Of the activation.
    pub(crate) dims: [usize; 4],
}

impl Values {
    /// What `operator` writes, judged by the prompt.
    pub(crate) fn of(
        operator: Operator,
        prompt: &Prompt<'_>,
        selected: &Tensor<4, Bool>,
    ) -> Result<Self, HookFailure> {
        let constant = |values: Tensor<4>| Self::Constant(Box::new(values));
        Ok(match operator {
            Operator::Mean => constant(prompt.mean()),
            Operator::JointMean => constant(joint_mean(prompt.mean(), selected)),
            Operator::Zero => constant(Tensor::zeros([1, 1, 1, 1], &selected.device())),
            Operator::Max => constant(prompt.extreme(true)),
            Operator::Min => constant(prompt.extreme(false)),
            Operator::JointMax => constant(joint_extreme(prompt.extreme(true), selected, true)),
            Operator::JointMin => constant(joint_extreme(prompt.extreme(false), selected, false)),
            Operator::Scale { factor } => Self::Scaled(factor),
            Operator::Noise => Self::Noise {
                mean: fill::read(prompt.mean())?,
                deviation: fill::read(prompt.deviation())?,
            },
            Operator::Permute => {
                Self::Pool { values: prompt.values()?, prompt: prompt.columns().clone() }
            }
        })
    }

    /// The values for the prompt itself. `chosen`, row-major `[rows, heads, head_dim]`, spares work for what
    /// is not written; empty, everything is made.
    pub(crate) fn over_prompt(
        &self,
        x: &Tensor<4>,
        chosen: &[bool],
        draws: &Draws<'_>,
    ) -> Tensor<4> {
        match self {
            Self::Pool { values, .. } => draws.upload(draws.permuted(values), x),
            _ => self.after(x, chosen, draws),
        }
    }

    /// The values for tokens that follow the prompt.
    pub(crate) fn after(&self, x: &Tensor<4>, chosen: &[bool], draws: &Draws<'_>) -> Tensor<4> {
        match self {
            Self::Constant(values) => (**values).clone(),
            Self::Scaled(factor) => x.clone() * *factor,
            Self::Noise { mean, deviation } => {
                draws.upload(draws.noise(chosen, mean, deviation), x)
            }
            Self::Pool { values, prompt } => draws.upload(draws.redrawn(values, prompt), x),
        }
    }
}

impl Draws<'_> {
    fn upload(&self, values: Vec<f32>, like: &Tensor<4>) -> Tensor<4> {
        fill::upload(values, self.dims, &like.device())
    }

    fn draw(&self, row: usize, head: usize) -> Draw {
        let key = self.keys.get(row).copied().unwrap_or_default();
        let before = self.before.get(row).copied().unwrap_or_default();
        Draw::at(self.seed, self.point).key(key).head(head).step(before)
    }

    fn heads(&self) -> impl Iterator<Item = (usize, usize)> {
        let [rows, heads, ..] = self.dims;
        (0..rows).flat_map(move |row| (0..heads).map(move |head| (row, head)))
    }

    /// Where a token's channels begin in an activation with `seq` columns.
    fn start(&self, row: usize, head: usize, seq: usize, column: usize) -> usize {
        ((row * self.dims[1] + head) * seq + column) * self.dims[3]
    }

    fn noise(&self, chosen: &[bool], mean: &[f32], deviation: &[f32]) -> Vec<f32> {
        let [rows, heads, seq, head_dim] = self.dims;
        let mut out = vec![0.0; rows * heads * seq * head_dim];
        for (row, head) in self.heads() {
            for channel in 0..head_dim {
                let cell = (row * heads + head) * head_dim + channel;
                let (Some(mean), Some(deviation)) = (mean.get(cell), deviation.get(cell)) else {
                    continue;
                };
                if chosen.get(cell) == Some(&false) {
                    continue;
                }
                let mut rng = self.draw(row, head).channel(channel).rng();
                for column in self.columns.tokens(row) {
                    let drawn: f32 = rng.sample(StandardNormal);
                    if let Some(out) = out.get_mut(self.start(row, head, seq, column) + channel) {
                        *out = mean + deviation * drawn;
                    }
                }
            }
        }
        out
    }

    /// The prompt's values with its tokens in another order, one order for each head (Fisher-Yates).
    fn permuted(&self, values: &[f32]) -> Vec<f32> {
        let seq = self.dims[2];
        let mut out = values.to_vec();
        for (row, head) in self.heads() {
            let tokens: Vec<usize> = self.columns.tokens(row).collect();
            let mut from = tokens.clone();
            let mut rng = self.draw(row, head).rng();
            for last in (1..from.len()).rev() {
                from.swap(last, rng.random_range(0..=last));
            }
            for (&to, &from) in tokens.iter().zip(&from) {
                let (to, from) = (self.start(row, head, seq, to), self.start(row, head, seq, from));
                self.copy(values, from, &mut out, to);
            }
        }
        out
    }

    /// Values of tokens drawn from the prompt.
    fn redrawn(&self, values: &[f32], prompt: &Columns) -> Vec<f32> {
        let [rows, heads, seq, head_dim] = self.dims;
        let mut out = vec![0.0; rows * heads * seq * head_dim];
        for (row, head) in self.heads() {
            let tokens: Vec<usize> = prompt.tokens(row).collect();
            let mut rng = self.draw(row, head).rng();
            for column in 0..seq {
                if tokens.is_empty() {
                    continue;
                }
                let from = tokens[rng.random_range(0..tokens.len())];
                let from = self.start(row, head, prompt.seq, from);
                self.copy(values, from, &mut out, self.start(row, head, seq, column));
            }
        }
        out
    }

    fn copy(&self, values: &[f32], from: usize, out: &mut [f32], to: usize) {
        let width = self.dims[3];
        if let (Some(from), Some(to)) =
            (values.get(from..from + width), out.get_mut(to..to + width))
        {
            to.copy_from_slice(from);
        }
    }
}
