//! The loss that language models are trained with.

use burn::tensor::{DType, Int, Tensor, TensorData, activation::log_softmax};

use super::host;
use crate::{Error, Result};

/// The weighted mean of `-log p(target)`, in nats, of logits `[batch, seq, vocab]`.
///
/// `targets` and `weights` are row-major `[batch, seq]`; a position of weight 0 counts for nothing.
///
/// # Errors
/// [`Error::Input`] if there are more or fewer targets or weights than positions, a target is outside the
/// vocabulary, or the weights do not sum to a positive number.
pub fn cross_entropy(logits: Tensor<3>, targets: &[u32], weights: &[f32]) -> Result<Tensor<1>> {
    let [batch, seq, vocab] = logits.dims();
    let rows = batch * seq;
    if targets.len() != rows || weights.len() != rows {
        return Err(Error::input(format!(
            "{} targets and {} weights for logits at {rows} positions",
            targets.len(),
            weights.len()
        )));
    }
    if let Some(target) = targets.iter().find(|&&target| target as usize >= vocab) {
        return Err(Error::input(format!("target {target} is outside a vocabulary of {vocab}")));
    }
    let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    if !(total > 0.0 && total.is_finite()) || weights.iter().any(|&weight| weight < 0.0) {
        return Err(Error::input("the weights of the positions do not sum to a positive number"));
    }
    if let Some(loss) = host::cross_entropy(&logits, targets, weights) {
        return Ok(loss);
    }
    let device = logits.device();
    let index: Vec<i32> = targets.iter().map(|&target| target as i32).collect();
    let index = Tensor::<2, Int>::from_data(TensorData::new(index, [rows, 1]), &device);
    let weights: Vec<f32> = weights.iter().map(|w| (f64::from(*w) / total) as f32).collect();
    let weights = Tensor::<2>::from_data(TensorData::new(weights, [rows, 1]), &device);
    let log_probs = log_softmax(logits.reshape([rows, vocab]).cast(DType::F32), 1);
    Ok((log_probs.gather(1, index) * weights).sum().neg())
}
