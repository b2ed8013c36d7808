//! The tokens of one forward pass.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::{Error, Result};

/// Token ids `[batch, seq]`, and which of them are real.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    ids: Vec<u32>,
    batch: usize,
    seq: usize,
    /// Row-major `[batch, seq]`, true = a real token; absent where all are.
    mask: Option<Vec<bool>>,
}

impl Batch {
    /// One sequence.
    ///
    /// # Errors
    /// [`Error::Input`] if it is empty.
    pub fn single(ids: &[u32]) -> Result<Self> {
        Self::left_padded(&[ids])
    }

    /// Several sequences, the shorter ones padded on the left, so that all end at the same place.
    ///
    /// Padding is masked everywhere and takes no position, as in transformers' `generate`.
    ///
    /// ```
    /// use massval_models::Batch;
    /// let batch = Batch::left_padded(&[&[5, 6, 7][..], &[8]])?;
    /// assert_eq!((batch.batch(), batch.seq()), (2, 3));
    /// assert_eq!(batch.mask(), Some(&[true, true, true, false, false, true][..]));
    /// # Ok::<(), massval_models::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Input`] if there is no sequence, or one is empty.
    pub fn left_padded(sequences: &[&[u32]]) -> Result<Self> {
        let seq = sequences.iter().map(|s| s.len()).max().unwrap_or(0);
        if sequences.is_empty() || sequences.iter().any(|s| s.is_empty()) {
            return Err(Error::input("a prompt has no tokens; give at least one"));
        }
        let mut ids = Vec::with_capacity(sequences.len() * seq);
        let mut mask = Vec::with_capacity(sequences.len() * seq);
        for sequence in sequences {
            let padding = seq - sequence.len();
            ids.extend(std::iter::repeat_n(sequence[0], padding));
            ids.extend_from_slice(sequence);
            mask.extend(std::iter::repeat_n(false, padding));
            mask.extend(std::iter::repeat_n(true, sequence.len()));
        }
        let mask = mask.contains(&false).then_some(mask);
        Ok(Self { ids, batch: sequences.len(), seq, mask })
    }

    /// The ids, row-major `[batch, seq]`. Padding repeats the sequence's first id.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Number of sequences.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Tokens of a sequence, padding included.
    #[must_use]
    pub fn seq(&self) -> usize {
        self.seq
    }

    /// Row-major `[batch, seq]`, true = a real token; `None` if there is no padding.
    #[must_use]
    pub fn mask(&self) -> Option<&[bool]> {
        self.mask.as_deref()
    }

    pub(crate) fn check_vocab(&self, vocab: usize) -> Result<()> {
        match self.ids.iter().position(|&id| id as usize >= vocab) {
            None => Ok(()),
            Some(at) => Err(Error::input(format!(
                "token id {} (at position {}) is outside the model's vocabulary of {vocab}",
                self.ids[at],
                at % self.seq,
            ))),
        }
    }

    pub(crate) fn tensor(&self, device: &Device) -> Tensor<2, Int> {
        let ids: Vec<i32> = self.ids.iter().map(|&id| id as i32).collect();
        Tensor::from_data(TensorData::new(ids, [self.batch, self.seq]), device)
    }
}
