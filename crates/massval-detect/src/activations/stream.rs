//! One sequence of the residual stream that arrives in chunks.

use super::scan::{Scan, start_columns};
use super::{HiddenView, MassiveActivationRule, SequenceRecord};
use crate::error::same;
use crate::{Element, Result, TokenSelection};

/// Reads one sequence chunk by chunk in bounded memory, with a streaming median.
///
/// The median is that of a [`super::MedianSketch`]: exact for `f16` and `bf16`, within 0.05 % for `f32`.
///
/// ```
/// use massval_detect::TokenSelection;
/// use massval_detect::activations::{HiddenView, MassiveActivationRule, SequenceStream};
/// let mut stream = SequenceStream::new(MassiveActivationRule::default())?;
/// for chunk in [[300.0f32, 0.125, 0.125, 0.125], [0.125, 0.125, 0.125, -0.125]] {
///     stream.push(&HiddenView::new(&chunk, [1, 1, 4])?, &TokenSelection::all())?;
/// }
/// let record = stream.finish()?;
/// assert_eq!((record.tokens, record.median, record.hits.len()), (2, 0.125, 1));
/// # Ok::<(), massval_detect::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SequenceStream {
    scan: Scan,
    position: usize,
    start: Option<usize>,
}

impl SequenceStream {
    /// A stream before its first token.
    ///
    /// # Errors
    /// [`crate::Error::Parameter`] for a senseless rule.
    pub fn new(rule: MassiveActivationRule) -> Result<Self> {
        Ok(Self { scan: Scan::new(rule.validate()?), position: 0, start: None })
    }

    /// The position of the next token.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Whether the median so far is exact.
    pub fn median_is_exact(&self) -> bool {
        self.scan.sketch().is_exact()
    }

    /// Adds the next tokens, `[1, seq, d_model]`; the mask, if any, is that of this chunk.
    ///
    /// # Errors
    /// As [`super::locate`], and [`crate::Error::Mismatch`] for more than one sequence.
    pub fn push<T: Element>(
        &mut self,
        chunk: &HiddenView<T>,
        tokens: &TokenSelection,
    ) -> Result<()> {
        let [batch, seq, _] = chunk.shape();
        same("sequences of a chunk", 1, batch)?;
        let runs = tokens.runs(self.position, batch, seq)?;
        if self.start.is_none() && seq > 0 {
            let column = start_columns(tokens, batch, seq)?.first().copied().flatten();
            self.start = column.map(|column| self.position + column);
        }
        for run in &runs {
            self.scan.add(chunk, run, self.position, self.start)?;
        }
        self.position += seq;
        Ok(())
    }

    /// The record of the whole sequence.
    ///
    /// # Errors
    /// [`crate::Error::NoTokens`] if no token was selected, [`crate::Error::TooManyHits`] past a million.
    pub fn finish(self) -> Result<SequenceRecord> {
        let median = self.scan.sketch().median();
        self.scan.finish(median)
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;
    use proptest::prelude::*;

    use super::*;
    use crate::activations::locate;

    proptest! {
        #[test]
        fn chunks_give_what_the_whole_gives(
            seq in 1usize..12,
            cuts in prop::collection::vec(0usize..12, 0..4),
            seed in 0u64..1000,
            skip in 0usize..3,
        ) {
            let d_model = 5;
            let value = |at: usize| {
                let wave = ((at as u64 * 7919 + seed) % 101) as f32 / 101.0;
                bf16::from_f32(if (at as u64 + seed).is_multiple_of(13) { 900.0 * wave } else { 0.4 * wave - 0.2 })
            };
            let data: Vec<bf16> = (0..seq * d_model).map(value).collect();
            let mask: Vec<bool> = (0..seq).map(|t| !(t as u64 + seed).is_multiple_of(4)).collect();
            let rule = MassiveActivationRule::default();
            let tokens = TokenSelection::all().skip_first(skip).mask(&mask);
            let whole = locate(&HiddenView::new(&data, [1, seq, d_model]).unwrap(), &tokens, rule);

            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(seq)).chain([0, seq]).collect();
            cuts.sort_unstable();
            let mut stream = SequenceStream::new(rule).unwrap();
            for pair in cuts.windows(2) {
                let chunk = HiddenView::new(&data[pair[0] * d_model..pair[1] * d_model], [1, pair[1] - pair[0], d_model]);
                let tokens = TokenSelection::all().skip_first(skip).mask(&mask[pair[0]..pair[1]]);
                stream.push(&chunk.unwrap(), &tokens).unwrap();
            }
            prop_assert!(stream.median_is_exact());
            prop_assert_eq!(stream.finish().map(|record| vec![record]), whole);
        }
    }

    #[test]
    fn a_stream_is_one_sequence() {
        let mut stream = SequenceStream::new(MassiveActivationRule::default()).unwrap();
        let chunk = HiddenView::new(&[0f32; 4], [2, 1, 2]).unwrap();
        assert!(stream.push(&chunk, &TokenSelection::all()).is_err());
        assert!(stream.finish().is_err());
    }
}
