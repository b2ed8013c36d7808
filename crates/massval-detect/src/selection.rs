//! Which tokens count: a range of positions and a padding mask.

use std::ops::{Bound, Range, RangeBounds};

use crate::Result;
use crate::error::same;

/// The tokens that a statistic is taken over; all of them by default.
///
/// A token counts when its position lies in the range **and** the mask, if any, is true there.
/// Positions count the columns of the tensor from 0, padding included, so to skip the first token of
/// left-padded sequences give a mask that is false there too.
///
/// ```
/// use massval_detect::TokenSelection;
/// let mask = [true, true, false, true];
/// let without_bos = TokenSelection::all().skip_first(1).mask(&mask);
/// assert_eq!(without_bos.positions(), 1..usize::MAX);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSelection<'a> {
    range: Range<usize>,
    mask: Option<&'a [bool]>,
}

impl Default for TokenSelection<'_> {
    fn default() -> Self {
        Self::all()
    }
}

impl<'a> TokenSelection<'a> {
    /// Every token.
    pub fn all() -> Self {
        Self { range: 0..usize::MAX, mask: None }
    }

    /// Leaves out the first `n` positions of every sequence (BOS, attention sinks).
    #[must_use]
    pub fn skip_first(mut self, n: usize) -> Self {
        self.range.start = self.range.start.max(n);
        self
    }

    /// Takes only the positions in `range`; replaces an earlier range.
    #[must_use]
    pub fn range(mut self, range: impl RangeBounds<usize>) -> Self {
        let start = match range.start_bound() {
            Bound::Included(&at) => at,
            Bound::Excluded(&at) => at.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&at) => at.saturating_add(1),
            Bound::Excluded(&at) => at,
            Bound::Unbounded => usize::MAX,
        };
        self.range = start..end;
        self
    }

    /// Takes only the tokens for which `mask`, `[batch, seq]` row by row, is true.
    ///
    /// For a chunk of a sequence it is the mask of that chunk.
    #[must_use]
    pub fn mask(mut self, mask: &'a [bool]) -> Self {
        self.mask = Some(mask);
        self
    }

    /// The positions that may count.
    pub fn positions(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The padding mask, if there is one.
    pub fn padding_mask(&self) -> Option<&'a [bool]> {
        self.mask
    }

    /// The columns of a chunk that begins at `start` and has `seq` columns that lie in the range.
    pub(crate) fn columns(&self, start: usize, seq: usize) -> Range<usize> {
        let from = self.range.start.saturating_sub(start).min(seq);
        let to = self.range.end.saturating_sub(start).min(seq);
        from..to.max(from)
    }

    /// Runs of consecutive selected columns `(sequence, columns)` of a chunk `[batch, seq]`.
    ///
    /// # Errors
    /// [`crate::Error::Mismatch`] if the mask is not of `batch * seq` entries.
    pub(crate) fn runs(&self, start: usize, batch: usize, seq: usize) -> Result<Vec<Run>> {
        let columns = self.columns(start, seq);
        let mut runs = Vec::new();
        if let Some(mask) = self.mask {
            same("entries of the token mask", batch.saturating_mul(seq), mask.len())?;
        }
        if columns.is_empty() {
            return Ok(runs);
        }
        let Some(mask) = self.mask else {
            runs.extend((0..batch).map(|sequence| Run { sequence, columns: columns.clone() }));
            return Ok(runs);
        };
        for (sequence, row) in mask.chunks_exact(seq).enumerate() {
            let mut from = None;
            for (column, &real) in row.iter().enumerate().take(columns.end).skip(columns.start) {
                match (real, from) {
                    (true, None) => from = Some(column),
                    (false, Some(begin)) => {
                        runs.push(Run { sequence, columns: begin..column });
                        from = None;
                    }
                    _ => {}
                }
            }
            if let Some(begin) = from {
                runs.push(Run { sequence, columns: begin..columns.end });
            }
        }
        Ok(runs)
    }
}

/// Consecutive selected columns of one sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// The sequence in the batch.
    pub(crate) sequence: usize,
    /// Columns of the chunk.
    pub(crate) columns: Range<usize>,
}

/// How many tokens the runs hold together.
pub(crate) fn count(runs: &[Run]) -> u64 {
    runs.iter().map(|run| run.columns.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(sequence: usize, columns: Range<usize>) -> Run {
        Run { sequence, columns }
    }

    #[test]
    fn a_chunk_sees_its_own_part_of_the_range() -> Result<()> {
        let selection = TokenSelection::all().range(3..7);
        assert_eq!(selection.runs(0, 1, 5)?, [run(0, 3..5)]);
        assert_eq!(selection.runs(5, 1, 5)?, [run(0, 0..2)]);
        assert!(selection.runs(10, 1, 5)?.is_empty());
        Ok(())
    }

    #[test]
    fn a_mask_is_cut_into_runs() -> Result<()> {
        let mask = [true, false, true, true, false, true, true, true];
        let selection = TokenSelection::all().mask(&mask);
        assert_eq!(selection.runs(0, 2, 4)?, [run(0, 0..1), run(0, 2..4), run(1, 1..4)]);
        assert_eq!(selection.clone().skip_first(3).runs(0, 2, 4)?, [run(0, 3..4), run(1, 3..4)]);
        assert!(selection.runs(0, 2, 5).is_err(), "a mask of another size is never stretched");
        Ok(())
    }

    #[test]
    fn ranges_of_all_kinds() {
        assert_eq!(TokenSelection::all().range(..=4).positions(), 0..5);
        assert_eq!(TokenSelection::all().range(2..).positions(), 2..usize::MAX);
        #[expect(clippy::reversed_empty_ranges, reason = "what a careless caller may give")]
        let empty = TokenSelection::all().range(5..2);
        assert_eq!(count(&empty.runs(0, 1, 9).unwrap()), 0);
    }
}
