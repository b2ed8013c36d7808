//! Channel norms of host memory: slices and `ndarray` views, whole or in chunks.
//!
//! Squares are summed in `f64`, so a million tokens cost less than 1e-9 of relative error. The work is cut
//! into the same pieces whatever the number of threads, so results do not depend on it.

use std::ops::Range;

use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;

use crate::element::add_squares;
use crate::error::same;
use crate::selection::{Run, count};
use crate::{ChannelNorms, Element, Error, HeadsView, Result, TokenSelection};

/// Bytes that lie together in memory when all heads of a token do: one page.
const TILE_BYTES: usize = 4096;
/// Fewer tokens than this are not worth a thread of their own.
const MIN_BLOCK: u64 = 256;
/// Into how many blocks a head's tokens are cut at most; bounds the memory for partial sums.
const MAX_BLOCKS: u64 = 16;

/// Channel norms of a whole tensor.
///
/// `view` is `[batch, heads, seq, head_dim]`; the sum runs over the selected tokens of all sequences.
///
/// ```
/// use massval_detect::{HeadsView, TokenSelection, channel_norms};
/// // One sequence, one head, two tokens, two channels.
/// let x = [3.0f32, 0.5, 4.0, 0.5];
/// let norms = channel_norms(&HeadsView::contiguous(&x, [1, 1, 2, 2])?, &TokenSelection::all())?;
/// assert_eq!(norms.get(0, 0), Some(5.0));
/// # Ok::<(), massval_detect::Error>(())
/// ```
///
/// # Errors
/// [`Error::NoTokens`] if nothing was selected, [`Error::Mismatch`] if the mask has another size,
/// [`Error::NonFiniteNorm`] if a selected token holds NaN or infinities.
pub fn channel_norms<T: Element>(
    view: &HeadsView<T>,
    tokens: &TokenSelection,
) -> Result<ChannelNorms> {
    let mut sums = NormAccumulator::new(view.heads(), view.head_dim());
    sums.push(view, 0, tokens)?;
    sums.finish()
}

/// Sums of squares that grow with every chunk of a sequence and every prompt.
///
/// ```
/// use massval_detect::{HeadsView, NormAccumulator, TokenSelection};
/// let mut sums = NormAccumulator::new(1, 2);
/// let without_first = TokenSelection::all().skip_first(1);
/// sums.push(&HeadsView::contiguous(&[9f32, 9.0, 3.0, 1.0], [1, 1, 2, 2])?, 0, &without_first)?;
/// sums.push(&HeadsView::contiguous(&[4f32, 0.0], [1, 1, 1, 2])?, 2, &without_first)?;
/// assert_eq!(sums.finish()?.values(), [5.0, 1.0]);
/// # Ok::<(), massval_detect::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NormAccumulator {
    heads: usize,
    head_dim: usize,
    tokens: u64,
    sums: Vec<f64>,
}

impl NormAccumulator {
    /// An empty accumulator for tensors with `heads` heads of `head_dim` channels.
    pub fn new(heads: usize, head_dim: usize) -> Self {
        Self { heads, head_dim, tokens: 0, sums: vec![0.0; heads.saturating_mul(head_dim)] }
    }

    /// How many tokens have been summed so far.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The sums of squares, `[heads, head_dim]`.
    #[cfg(feature = "burn")]
    pub(crate) fn sums(&self) -> &[f64] {
        &self.sums
    }

    /// Adds a chunk whose first column is position `start_position` of its sequences.
    ///
    /// The selection's range means positions in the sequence; its mask is the mask of this chunk.
    /// A chunk of which nothing is selected adds nothing.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the chunk has other heads or channels, or the mask another size.
    pub fn push<T: Element>(
        &mut self,
        view: &HeadsView<T>,
        start_position: usize,
        tokens: &TokenSelection,
    ) -> Result<()> {
        same("heads", self.heads, view.heads())?;
        same("channels of a head", self.head_dim, view.head_dim())?;
        let runs = tokens.runs(start_position, view.batch(), view.seq())?;
        let tile = if view.heads_are_inner() {
            (TILE_BYTES / (self.head_dim * size_of::<T>()).max(1)).clamp(1, self.heads)
        } else {
            1
        };
        let blocks = cut(&runs);
        let starts: Vec<usize> = (0..self.heads).step_by(tile).collect();
        let arch = pulp::Arch::new();
        let partials: Vec<Vec<f64>> = starts
            .par_iter()
            .flat_map_iter(|&head| blocks.iter().map(move |block| (head, block)))
            .map(|(head, block)| {
                let heads = head..(head + tile).min(self.heads);
                let mut sums = vec![0.0; heads.len() * self.head_dim];
                arch.dispatch(AddBlock { view, heads, block, sums: &mut sums });
                sums
            })
            .collect();
        let tiles = self.sums.chunks_mut(tile * self.head_dim);
        for (sums, partials) in tiles.zip(partials.chunks(blocks.len().max(1))) {
            for partial in partials {
                for (sum, partial) in sums.iter_mut().zip(partial) {
                    *sum += partial;
                }
            }
        }
        self.tokens += count(&runs);
        Ok(())
    }

    /// Adds what another accumulator has seen.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if it is of other heads or channels.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        same("heads", self.heads, other.heads)?;
        same("channels of a head", self.head_dim, other.head_dim)?;
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            *sum += other;
        }
        self.tokens += other.tokens;
        Ok(())
    }

    /// The channel norms of everything seen so far.
    ///
    /// # Errors
    /// [`Error::NoTokens`] if no token was selected, [`Error::NonFiniteNorm`] if one of them held NaN,
    /// an infinity or values whose norm `f32` cannot hold.
    pub fn finish(&self) -> Result<ChannelNorms> {
        if self.tokens == 0 {
            return Err(Error::NoTokens);
        }
        ChannelNorms::from_sums(self.heads, self.head_dim, self.tokens, &self.sums)
    }
}

/// Cuts the runs into blocks of about equal numbers of tokens, the same for any number of threads.
fn cut(runs: &[Run]) -> Vec<Vec<Run>> {
    let size = count(runs).div_ceil(MAX_BLOCKS).max(MIN_BLOCK);
    let mut blocks = Vec::new();
    let mut block = Vec::new();
    let mut room = size;
    for run in runs {
        let Run { sequence, mut columns } = run.clone();
        while !columns.is_empty() {
            let take = usize::try_from(room).unwrap_or(usize::MAX).min(columns.len());
            let middle = columns.start + take;
            block.push(Run { sequence, columns: columns.start..middle });
            columns.start = middle;
            room -= take as u64;
            if room == 0 {
                blocks.push(std::mem::take(&mut block));
                room = size;
            }
        }
    }
    if !block.is_empty() {
        blocks.push(block);
    }
    blocks
}

/// Adds the squares of the block's tokens to `sums`, `[heads of the tile, head_dim]`.
///
/// A type and not a closure: everything must be inlined into the function that `pulp` compiles for the
/// processor at hand, and a closure would not be.
struct AddBlock<'a, 'v, T> {
    view: &'a HeadsView<'v, T>,
    heads: Range<usize>,
    block: &'a [Run],
    sums: &'a mut [f64],
}

impl<T: Element> pulp::WithSimd for AddBlock<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        add_block(self.view, self.heads, self.block, self.sums);
    }
}

#[inline(always)]
fn add_block<T: Element>(
    view: &HeadsView<T>,
    heads: Range<usize>,
    block: &[Run],
    sums: &mut [f64],
) {
    let head_dim = view.head_dim();
    for run in block {
        let mut planes = heads.clone().map(|head| view.plane(run.sequence, head));
        if heads.len() == 1 {
            if let Some(plane) = planes.next() {
                add_plane(&plane, run, sums);
            }
            continue;
        }
        let planes: Vec<_> = planes.collect();
        for column in run.columns.clone() {
            for (plane, sums) in planes.iter().zip(sums.chunks_exact_mut(head_dim)) {
                add_row(plane.row(column), sums);
            }
        }
    }
}

/// Adds the squares of one head's tokens `[seq, head_dim]` to `sums`.
#[inline(always)]
fn add_plane<T: Element>(plane: &ArrayView2<'_, T>, run: &Run, sums: &mut [f64]) {
    let columns = run.columns.clone();
    if let Some(data) = plane.to_slice() {
        add_squares(&data[columns.start * sums.len()..columns.end * sums.len()], sums);
        return;
    }
    for column in columns {
        add_row(plane.row(column), sums);
    }
}

#[inline(always)]
fn add_row<T: Element>(row: ArrayView1<'_, T>, sums: &mut [f64]) {
    if let Some(row) = row.to_slice() {
        return add_squares(row, sums);
    }
    for (sum, x) in sums.iter_mut().zip(row) {
        let x = x.magnitude();
        *sum += x * x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_token_once() {
        let runs = [
            Run { sequence: 0, columns: 3..700 },
            Run { sequence: 1, columns: 0..1 },
            Run { sequence: 2, columns: 10..9000 },
        ];
        let blocks = cut(&runs);
        assert!(blocks.len() <= 16);
        let mut seen: Vec<_> = blocks
            .iter()
            .flatten()
            .flat_map(|run| run.columns.clone().map(|column| (run.sequence, column)))
            .collect();
        let cut_into = seen.len();
        seen.dedup();
        assert_eq!((cut_into as u64, seen.len()), (count(&runs), cut_into));
        assert!(cut(&[]).is_empty());
    }

    #[test]
    fn nothing_selected_is_an_error_and_padding_may_hold_anything() {
        let x = [1f32, f32::NAN, 2.0, f32::INFINITY];
        let view = HeadsView::contiguous(&x, [1, 1, 4, 1]).unwrap();
        let none = [false; 4];
        let some = [true, false, true, false];
        assert_eq!(channel_norms(&view, &TokenSelection::all().mask(&none)), Err(Error::NoTokens));
        assert_eq!(
            channel_norms(&view, &TokenSelection::all().skip_first(4)),
            Err(Error::NoTokens)
        );
        let norms = channel_norms(&view, &TokenSelection::all().mask(&some)).unwrap();
        assert_eq!(norms.values(), [5f32.sqrt()]);
        assert!(matches!(
            channel_norms(&view, &TokenSelection::all()),
            Err(Error::NonFiniteNorm { .. })
        ));
    }

    #[test]
    fn another_shape_is_refused() {
        let mut sums = NormAccumulator::new(2, 2);
        let view = HeadsView::contiguous(&[1f32; 8], [1, 1, 2, 4]).unwrap();
        assert!(sums.push(&view, 0, &TokenSelection::all()).is_err());
        assert!(sums.merge(&NormAccumulator::new(2, 3)).is_err());
        assert_eq!(sums.finish(), Err(Error::NoTokens));
        assert!(NormAccumulator::new(0, 0).finish().is_err());
    }
}
