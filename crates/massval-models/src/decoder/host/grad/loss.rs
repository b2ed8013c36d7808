//! The cross-entropy of the next token, without keeping probabilities.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::super::values::{Values, made};
use super::super::vector;
use super::{Differentiable, contiguous, inside, plain, recorded, tracked};

/// As [`crate::cross_entropy`]; `None` if the logits are not on the tape, or a target is none of theirs.
pub(crate) fn cross_entropy(
    logits: &Tensor<3>,
    targets: &[u32],
    weights: &[f32],
) -> Option<Tensor<1>> {
    let logits = tracked(logits)?;
    let row_major = contiguous(logits.primitive().clone());
    let values = Values::of(&plain::<3>(row_major.clone()))?;
    let [batch, seq, vocab] = values.dims();
    let rows = values.contiguous()?;
    let fits = targets.len() == batch * seq && weights.len() == targets.len();
    if !fits || targets.iter().any(|&target| target as usize >= vocab) {
        return None;
    }
    let sums: Vec<f32> = rows.par_chunks(vocab).map(vector::log_sum_exp).collect();
    let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    let each = rows.chunks(vocab).zip(&sums).zip(targets).zip(weights);
    let sum: f64 = each
        .map(|(((row, sum), &target), &weight)| {
            f64::from(weight) * f64::from(sum - row[target as usize])
        })
        .sum();
    let loss = Tensor::<1>::from_data([(sum / total) as f32], &Device::flex());
    let kept = || Loss {
        logits: row_major,
        sums: sums.into(),
        targets: targets.into(),
        weights: weights.iter().map(|&weight| (f64::from(weight) / total) as f32).collect(),
    };
    Some(recorded([&logits], loss, kept))
}

#[derive(Debug, Clone)]
struct Loss {
    logits: FlexTensor,
    /// `log sum exp` of each row.
    sums: Arc<[f32]>,
    targets: Arc<[u32]>,
    /// They sum to 1.
    weights: Arc<[f32]>,
}

impl Differentiable<1> for Loss {
    fn gradients(self, out: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let of_loss = Values::of(&plain::<1>(out)).expect("a gradient in host memory");
        let of_loss = of_loss.onwards().first().copied().unwrap_or(0.0);
        let values = Values::of(&plain::<3>(self.logits)).expect("logits in host memory");
        let rows = values.contiguous().expect("made row-major");
        let vocab = values.dims()[2];
        // SAFETY: rows of the logits and of the gradient are of one length; `softmax_to` writes all of each row.
        #[allow(unsafe_code, reason = "the gradient is written once; see SAFETY")]
        let gradient = unsafe {
            made(values.dims(), |to| {
                to.par_chunks_mut(vocab)
                    .zip(rows.par_chunks(vocab))
                    .enumerate()
                    .with_min_len(16)
                    .for_each(|(row, (to, logits))| {
                        let weight = self.weights[row] * of_loss;
                        vector::softmax_to(to, logits, self.sums[row], weight);
                        let target = self.targets[row] as usize;
                        let share = (logits[target] - self.sums[row]).exp();
                        to[target].write((share - 1.0) * weight);
                    });
            })
        };
        [Some(inside(gradient))]
    }
}
