//! The bookkeeping between a checkpoint and an architecture: every tensor that is asked for is
//! recorded, so that the end can tell what was missing, left over, or of the wrong shape.

use std::collections::HashSet;

use super::{LoadReport, Missing, Weights, WrongShape};
use crate::Result;

/// How many missing tensors get a nearest match: the first ones tell the story, and each costs
/// a comparison with every name.
const NEAREST_FOR: usize = 16;
/// Names under this similarity (0 to 1) are no help.
const SIMILAR: f64 = 0.6;
/// Longer names are no typing errors, and dear to compare.
const COMPARED_LENGTH: usize = 256;

/// Takes tensors out of [`Weights`] and keeps the books.
///
/// A tensor that is missing or of the wrong shape is `Ok(None)`, and recorded: the caller goes
/// on, and [`finish`](Self::finish) reports all of them at once.
#[derive(Debug)]
pub struct Loader<'w> {
    weights: &'w Weights,
    touched: HashSet<String>,
    report: LoadReport,
}

impl<'w> Loader<'w> {
    /// A loader that has taken nothing yet.
    pub fn new(weights: &'w Weights) -> Self {
        Self { weights, touched: HashSet::new(), report: LoadReport::default() }
    }

    /// The checkpoint it takes from.
    pub fn weights(&self) -> &'w Weights {
        self.weights
    }

    /// Whether the checkpoint has a tensor of this name. Asking is not taking.
    pub fn contains(&self, name: &str) -> bool {
        self.weights.info(name).is_some()
    }

    /// A tensor as `f32`, row-major, if it is there in this shape.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) if its type is no weight's, or a number is
    /// not finite.
    pub fn f32(&mut self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>> {
        self.take_finite(name, shape, |weights| weights.read_f32(name))
    }

    /// A `[out, in]` tensor as `[in, out]`, if it is there in the shape `stored`.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) if its type is no weight's, or a number is
    /// not finite.
    pub fn f32_transposed(&mut self, name: &str, stored: &[usize]) -> Result<Option<Vec<f32>>> {
        self.take_finite(name, stored, |weights| weights.read_f32_transposed(name))
    }

    /// A permuted query or key projection of a Llama GGUF, `[heads * head_dim, in]` in the
    /// file, as `[in, heads * head_dim]` in Hugging Face's channel order.
    ///
    /// # Errors
    /// As [`Weights::read_f32_transposed_unpermuted`], and if a number is not finite.
    pub fn f32_transposed_unpermuted(
        &mut self,
        name: &str,
        stored: &[usize],
        head_dim: usize,
    ) -> Result<Option<Vec<f32>>> {
        self.take_finite(name, stored, |weights| {
            weights.read_f32_transposed_unpermuted(name, head_dim)
        })
    }

    /// Takes a tensor without decoding it: whether it is there in this shape.
    ///
    /// # Errors
    /// None at present; the signature is that of the other takers.
    pub fn expect(&mut self, name: &str, shape: &[usize]) -> Result<bool> {
        self.take(name, shape, |_| Ok(())).map(|found| found.is_some())
    }

    /// Marks a tensor as known but not needed, because it follows from others or from the
    /// config: rotary `inv_freq` buffers, causal masks, the copy of a tied head. No error if it
    /// is not there.
    pub fn ignore(&mut self, name: &str) {
        if self.contains(name) && self.touched.insert(name.to_owned()) {
            self.report.ignored.push(name.to_owned());
        }
    }

    /// What became of every tensor.
    pub fn finish(mut self) -> LoadReport {
        self.report.unused = self
            .weights
            .tensors()
            .filter(|info| !self.touched.contains(&info.name))
            .map(|info| info.name.clone())
            .collect();
        for missing in self.report.missing.iter_mut().take(NEAREST_FOR) {
            missing.nearest = nearest(&missing.name, self.weights, &self.touched);
        }
        self.report
    }

    fn take_finite(
        &mut self,
        name: &str,
        shape: &[usize],
        read: impl FnOnce(&'w Weights) -> Result<Vec<f32>>,
    ) -> Result<Option<Vec<f32>>> {
        self.take(name, shape, |weights| {
            let values = read(weights)?;
            weights.check_finite(name, &values)?;
            Ok(values)
        })
    }

    fn take<T>(
        &mut self,
        name: &str,
        shape: &[usize],
        read: impl FnOnce(&'w Weights) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(info) = self.weights.info(name) else {
            self.report.missing.push(Missing { name: name.to_owned(), nearest: None });
            return Ok(None);
        };
        self.touched.insert(name.to_owned());
        if info.shape != shape {
            self.report.wrong_shape.push(WrongShape {
                name: name.to_owned(),
                expected: shape.to_vec(),
                found: info.shape.clone(),
                fields: Vec::new(),
            });
            return Ok(None);
        }
        let value = read(self.weights)?;
        self.report.applied.push(name.to_owned());
        Ok(Some(value))
    }
}

/// The untaken tensor whose name is most like `name`.
fn nearest(name: &str, weights: &Weights, taken: &HashSet<String>) -> Option<String> {
    if name.len() > COMPARED_LENGTH {
        return None;
    }
    weights
        .tensors()
        .filter(|info| info.name.len() <= COMPARED_LENGTH && !taken.contains(&info.name))
        .map(|info| (strsim::normalized_levenshtein(name, &info.name), &info.name))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name.clone())
}
