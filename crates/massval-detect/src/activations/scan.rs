//! Whole sequences of the residual stream in host memory, with the exact median.

use rayon::prelude::*;

use super::{Hit, MassiveActivationRule, MedianSketch, SequenceRecord};
use crate::error::same;
use crate::selection::Run;
use crate::{Element, Error, Result, TokenSelection};

/// Candidates that are kept for one sequence before the smaller ones are dropped.
const LIMIT: usize = 1 << 20;

/// A borrowed residual stream of shape `[batch, seq, d_model]`, contiguous.
#[derive(Debug, Clone, Copy)]
pub struct HiddenView<'a, T> {
    data: &'a [T],
    batch: usize,
    seq: usize,
    d_model: usize,
}

impl<'a, T: Element> HiddenView<'a, T> {
    /// A view of `data` with shape `[batch, seq, d_model]`.
    ///
    /// # Errors
    /// [`Error::View`] if `data` has another length, or `d_model` is zero.
    pub fn new(data: &'a [T], shape: [usize; 3]) -> Result<Self> {
        let [batch, seq, d_model] = shape;
        let len = batch.checked_mul(seq).and_then(|rows| rows.checked_mul(d_model));
        if d_model == 0 || len != Some(data.len()) {
            return Err(Error::View {
                shape: shape.to_vec(),
                strides: Vec::new(),
                len: data.len(),
                reason: "the shape names another number of elements, or no channel",
            });
        }
        Ok(Self { data, batch, seq, d_model })
    }

    /// `[batch, seq, d_model]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.batch, self.seq, self.d_model]
    }

    /// The values of consecutive tokens of one sequence.
    pub(super) fn rows(&self, run: &Run) -> &'a [T] {
        let first = run.sequence * self.seq;
        &self.data
            [(first + run.columns.start) * self.d_model..(first + run.columns.end) * self.d_model]
    }
}

/// Finds the massive activations of every sequence; one record for each, in order.
///
/// `view` is `[batch, seq, d_model]`, the output of one decoder layer. Each sequence is measured by its own
/// exact median over the selected tokens. The start token is the first one that the mask calls real, even
/// if the range leaves it out.
///
/// # Errors
/// [`Error::NoTokens`] if a sequence has no selected token, [`Error::NonFiniteActivation`] for NaN and
/// infinities among them, [`Error::Mismatch`] for a mask of another size, [`Error::Parameter`] for a
/// senseless rule, [`Error::TooManyHits`] past a million in one sequence.
pub fn locate<T: Element>(
    view: &HiddenView<T>,
    tokens: &TokenSelection,
    rule: MassiveActivationRule,
) -> Result<Vec<SequenceRecord>> {
    rule.validate()?;
    let runs = tokens.runs(0, view.batch, view.seq)?;
    let starts = start_columns(tokens, view.batch, view.seq)?;
    (0..view.batch)
        .into_par_iter()
        .map(|sequence| {
            let runs: Vec<Run> =
                runs.iter().filter(|run| run.sequence == sequence).cloned().collect();
            let mut scan = Scan::new(rule);
            for run in &runs {
                scan.add(view, run, 0, starts[sequence])?;
            }
            let median = scan
                .sketch
                .refine(runs.iter().flat_map(|run| view.rows(run)).map(|value| value.to_f32()));
            scan.finish(median)
        })
        .collect()
}

/// The first real column of each sequence; `None` where the mask leaves nothing.
pub(crate) fn start_columns(
    tokens: &TokenSelection,
    batch: usize,
    seq: usize,
) -> Result<Vec<Option<usize>>> {
    let Some(mask) = tokens.padding_mask() else { return Ok(vec![Some(0); batch]) };
    same("entries of the token mask", batch.saturating_mul(seq), mask.len())?;
    if seq == 0 {
        return Ok(vec![None; batch]);
    }
    Ok(mask.chunks_exact(seq).map(|row| row.iter().position(|&real| real)).collect())
}

/// What is known of one sequence while it is read.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    rule: MassiveActivationRule,
    tokens: u64,
    max: f32,
    /// The largest candidate that was dropped for want of room.
    dropped: f32,
    candidates: Vec<Hit>,
    limit: usize,
    sketch: MedianSketch,
}

impl Scan {
    pub(super) fn new(rule: MassiveActivationRule) -> Self {
        Self {
            rule,
            tokens: 0,
            max: 0.0,
            dropped: 0.0,
            candidates: Vec::new(),
            limit: LIMIT,
            sketch: MedianSketch::new(),
        }
    }

    pub(super) fn sketch(&self) -> &MedianSketch {
        &self.sketch
    }

    /// Reads the tokens of `run`; the view's first column is position `first`, the start token `start`.
    pub(super) fn add<T: Element>(
        &mut self,
        view: &HiddenView<T>,
        run: &Run,
        first: usize,
        start: Option<usize>,
    ) -> Result<()> {
        for (column, row) in run.columns.clone().zip(view.rows(run).chunks_exact(view.d_model)) {
            let token = first + column;
            for (channel, value) in row.iter().enumerate() {
                let value = value.to_f32();
                if !value.is_finite() {
                    let sequence = run.sequence;
                    return Err(Error::NonFiniteActivation { sequence, token, channel });
                }
                self.sketch.push(value);
                self.max = self.max.max(value.abs());
                if f64::from(value.abs()) > self.rule.abs {
                    self.candidates.push(Hit {
                        token,
                        channel,
                        value,
                        start: start == Some(token),
                    });
                }
            }
            self.tokens += 1;
            self.make_room();
        }
        Ok(())
    }

    /// Keeps the larger half of the candidates once there are too many.
    fn make_room(&mut self) {
        if self.candidates.len() <= self.limit {
            return;
        }
        let keep = self.limit / 2;
        self.candidates
            .select_nth_unstable_by(keep, |a, b| b.value.abs().total_cmp(&a.value.abs()));
        let dropped = self.candidates.split_off(keep);
        self.dropped = dropped.iter().map(|hit| hit.value.abs()).fold(self.dropped, f32::max);
    }

    /// The record, given the median of everything that was read.
    pub(super) fn finish(mut self, median: Option<f32>) -> Result<SequenceRecord> {
        let median = median.ok_or(Error::NoTokens)?;
        if self.rule.hits(self.dropped, median) {
            return Err(Error::TooManyHits { limit: self.limit });
        }
        self.candidates.retain(|hit| self.rule.hits(hit.value, median));
        self.candidates.sort_unstable_by_key(|hit| (hit.token, hit.channel));
        Ok(SequenceRecord { tokens: self.tokens, max: self.max, median, hits: self.candidates })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sequences of four tokens, three channels, 0.25 everywhere but for what is planted.
    fn hidden(planted: &[(usize, f32)]) -> Vec<f32> {
        let mut data = vec![0.25f32; 24];
        planted.iter().for_each(|&(at, value)| data[at] = value);
        data
    }

    #[test]
    fn each_sequence_is_measured_by_its_own_median() -> Result<()> {
        let mut data = hidden(&[(1, -300.0), (8, 260.0), (13, 300.0)]);
        data[12..].iter_mut().for_each(|value| *value *= 2.0);
        let view = HiddenView::new(&data, [2, 4, 3])?;
        let records = locate(&view, &TokenSelection::all(), MassiveActivationRule::default())?;
        let first = &records[0];
        assert_eq!((first.tokens, first.max, first.median), (4, 300.0, 0.25));
        let hit = |token, channel, value, start| Hit { token, channel, value, start };
        assert_eq!(first.hits, [hit(0, 1, -300.0, true), hit(2, 2, 260.0, false)]);
        assert_eq!(records[1].hits, [hit(0, 1, 600.0, true)], "600 > 1000 x 0.5");
        Ok(())
    }

    #[test]
    fn padding_is_not_looked_at_and_moves_the_start() -> Result<()> {
        let data = hidden(&[(0, f32::NAN), (3, 400.0), (9, 400.0), (12, 400.0)]);
        let mut mask = [true; 8];
        mask[0] = false;
        let view = HiddenView::new(&data, [2, 4, 3])?;
        let tokens = TokenSelection::all().mask(&mask);
        let records = locate(&view, &tokens, MassiveActivationRule::default())?;
        let starts: Vec<_> = records[0].hits.iter().map(|hit| (hit.token, hit.start)).collect();
        assert_eq!(starts, [(1, true), (3, false)]);
        let later = locate(&view, &tokens.skip_first(1), MassiveActivationRule::default())?;
        assert!(later[1].hits.is_empty() && later[1].tokens == 3);
        Ok(())
    }

    #[test]
    fn bad_input_is_named() -> Result<()> {
        let rule = MassiveActivationRule::default();
        let data = hidden(&[(16, f32::INFINITY)]);
        let view = HiddenView::new(&data, [2, 4, 3])?;
        let error = locate(&view, &TokenSelection::all(), rule).unwrap_err();
        assert_eq!(error, Error::NonFiniteActivation { sequence: 1, token: 1, channel: 1 });
        let half = [true, true, true, true, false, false, false, false];
        let tokens = TokenSelection::all().mask(&half);
        assert_eq!(locate(&view, &tokens, rule), Err(Error::NoTokens));
        assert!(
            HiddenView::new(&data, [2, 4, 4]).is_err()
                && HiddenView::<f32>::new(&[], [1, 1, 0]).is_err()
        );
        assert!(HiddenView::<f32>::new(&[], [usize::MAX, 2, 3]).is_err());
        Ok(())
    }

    #[test]
    fn dropped_candidates_are_never_lost_silently() -> Result<()> {
        let data: Vec<f32> =
            (0..40).map(|i| if i < 10 { 200.0 + i as f32 } else { 0.001 }).collect();
        let view = HiddenView::new(&data, [1, 10, 4])?;
        let run = Run { sequence: 0, columns: 0..10 };
        for (limit, abs, fits) in [(4, 100.0, false), (4, 207.5, true), (1000, 100.0, true)] {
            let mut scan = Scan::new(MassiveActivationRule { abs, ratio: 1000.0 });
            scan.limit = limit;
            scan.add(&view, &run, 0, Some(0))?;
            let median = scan.sketch.median();
            assert_eq!(scan.finish(median).is_ok(), fits, "limit {limit}, abs {abs}");
        }
        Ok(())
    }
}
