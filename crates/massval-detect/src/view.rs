//! A borrowed, checked view of a tensor of heads.

use ndarray::{ArrayView2, ArrayView4, Axis, Ix4, ShapeBuilder};

use crate::{Element, Error, Layout, Result};

/// A borrowed tensor of shape `[batch, heads, seq, head_dim]` with any strides.
///
/// Construction checks that every index lies inside the data; strides of zero (broadcast) are allowed.
/// `batch` and `seq` may be zero, `heads` and `head_dim` may not.
#[derive(Debug, Clone, Copy)]
pub struct HeadsView<'a, T> {
    inner: ArrayView4<'a, T>,
}

impl<'a, T: Element> HeadsView<'a, T> {
    /// A view of `data` with shape `[batch, heads, seq, head_dim]` and strides counted in elements.
    ///
    /// # Errors
    /// [`Error::View`] if an index could lie outside `data`, or `heads` or `head_dim` is zero.
    pub fn new(data: &'a [T], shape: [usize; 4], strides: [usize; 4]) -> Result<Self> {
        let bad = |reason| Error::View {
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            len: data.len(),
            reason,
        };
        if shape[1] == 0 || shape[3] == 0 {
            return Err(bad("there is no head, or no channel"));
        }
        let last = shape.iter().zip(strides).try_fold(0usize, |at, (&size, stride)| {
            size.saturating_sub(1).checked_mul(stride)?.checked_add(at)
        });
        let [b, h, s, d] = shape;
        let inner = if b == 0 || s == 0 {
            // Of an empty tensor the strides say nothing.
            ArrayView4::from_shape(shape, &data[..0])
        } else if last.is_none_or(|last| last >= data.len()) {
            return Err(bad("the last element lies outside the data"));
        } else {
            let [sb, sh, ss, sd] = strides;
            ArrayView4::from_shape(Ix4(b, h, s, d).strides(Ix4(sb, sh, ss, sd)), data)
        };
        let inner = inner.map_err(|_| bad("the sizes overflow"))?;
        Ok(Self { inner })
    }

    /// A view of contiguous data of shape `[batch, heads, seq, head_dim]`.
    ///
    /// # Errors
    /// [`Error::View`] if `data` has another length than the shape says.
    pub fn contiguous(data: &'a [T], shape: [usize; 4]) -> Result<Self> {
        Self::from_layout(data, &shape, Layout::Bhsd)
    }

    /// A view of contiguous data whose shape and dimensions are given in `layout`.
    ///
    /// ```
    /// use massval_detect::{HeadsView, Layout};
    /// let saved = vec![0f32; 66 * 32 * 128];
    /// let view = HeadsView::from_layout(&saved, &[1, 66, 32, 128], Layout::Bshd)?;
    /// assert_eq!((view.heads(), view.seq()), (32, 66));
    /// # Ok::<(), massval_detect::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Rank`] if `shape` does not fit `layout`, [`Error::View`] if `data` has another length.
    pub fn from_layout(data: &'a [T], shape: &[usize], layout: Layout) -> Result<Self> {
        let strides = layout.strides(shape)?;
        let len = shape.iter().try_fold(1usize, |len, &size| len.checked_mul(size));
        if len != Some(data.len()) {
            return Err(Error::View {
                shape: shape.to_vec(),
                strides: Vec::new(),
                len: data.len(),
                reason: "the shape names another number of elements",
            });
        }
        Self::new(data, layout.heads_shape(shape)?, strides)
    }

    /// `[batch, heads, seq, head_dim]`.
    pub fn shape(&self) -> [usize; 4] {
        let (b, h, s, d) = self.inner.dim();
        [b, h, s, d]
    }

    /// How many sequences there are.
    pub fn batch(&self) -> usize {
        self.inner.len_of(Axis(0))
    }

    /// How many heads there are.
    pub fn heads(&self) -> usize {
        self.inner.len_of(Axis(1))
    }

    /// How many positions each sequence has, padding included.
    pub fn seq(&self) -> usize {
        self.inner.len_of(Axis(2))
    }

    /// How many channels a head has.
    pub fn head_dim(&self) -> usize {
        self.inner.len_of(Axis(3))
    }

    /// The view as an `ndarray` view of shape `[batch, heads, seq, head_dim]`.
    pub fn as_array(&self) -> ArrayView4<'a, T> {
        self.inner
    }

    /// `[seq, head_dim]` of one sequence and head.
    pub(crate) fn plane(&self, batch: usize, head: usize) -> ArrayView2<'a, T> {
        self.inner.index_axis_move(Axis(0), batch).index_axis_move(Axis(0), head)
    }

    /// Whether the heads of one token lie closer together than the tokens of one head.
    pub(crate) fn heads_are_inner(&self) -> bool {
        self.inner.stride_of(Axis(1)).unsigned_abs() < self.inner.stride_of(Axis(2)).unsigned_abs()
    }
}

impl<'a, T: Element> TryFrom<ArrayView4<'a, T>> for HeadsView<'a, T> {
    type Error = Error;

    /// Takes any `[batch, heads, seq, head_dim]` view, transposed and reversed ones too.
    fn try_from(inner: ArrayView4<'a, T>) -> Result<Self> {
        let (_, heads, _, head_dim) = inner.dim();
        if heads == 0 || head_dim == 0 {
            return Err(Error::View {
                shape: inner.shape().to_vec(),
                strides: Vec::new(),
                len: inner.len(),
                reason: "there is no head, or no channel",
            });
        }
        Ok(Self { inner })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_cannot_reach_outside_its_data() {
        let data = [0f32; 24];
        assert!(HeadsView::new(&data, [1, 2, 3, 4], [24, 12, 4, 1]).is_ok());
        assert!(HeadsView::new(&data, [1, 2, 3, 4], [24, 12, 5, 1]).is_err());
        assert!(HeadsView::new(&data, [2, 2, 3, 4], [24, 12, 4, 1]).is_err());
        assert!(HeadsView::new(&data, [usize::MAX, 2, 3, 4], [usize::MAX, 12, 4, 1]).is_err());
        assert!(HeadsView::new(&data, [usize::MAX, 2, 3, 4], [0, 12, 4, 1]).is_err());
    }

    #[test]
    fn broadcast_and_empty_views_are_allowed_headless_ones_are_not() {
        let data = [1f32; 4];
        assert!(HeadsView::new(&data, [3, 2, 5, 4], [0, 0, 0, 1]).is_ok());
        assert!(HeadsView::<f32>::contiguous(&[], [1, 2, 0, 4]).is_ok());
        assert!(HeadsView::<f32>::contiguous(&[], [1, 0, 2, 4]).is_err());
        assert!(HeadsView::<f32>::contiguous(&[], [1, 2, 2, 0]).is_err());
        assert!(HeadsView::contiguous(&data, [1, 1, 3, 1]).is_err(), "one element too many");
    }

    #[test]
    fn ndarray_views_keep_their_strides() -> Result<()> {
        let array = ndarray::Array4::from_shape_fn((1, 5, 3, 2), |(_, s, h, d)| {
            (s * 100 + h * 10 + d) as f32
        });
        let view = HeadsView::try_from(array.view().permuted_axes([0, 2, 1, 3]))?;
        assert_eq!(view.shape(), [1, 3, 5, 2]);
        assert_eq!(view.plane(0, 2)[[4, 1]], 421.0);
        assert!(view.heads_are_inner());
        Ok(())
    }
}
