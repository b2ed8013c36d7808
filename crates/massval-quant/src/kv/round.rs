//! Rounding some tokens of a cache.

use std::ops::Range;

use super::outliers::mark;
use super::{CacheShape, KvAxis, KvReport, KvScheme};
use crate::error::same;
use crate::weight::check_finite;
use crate::{Error, Grid, Result, WeightScheme};

/// What errors call the tensor.
const NAME: &str = "KV cache";

impl KvScheme {
    /// Rounds `tokens` of a cache in place.
    ///
    /// `protected` says of each channel of each head, `[heads, head_dim]`, whether it is kept as it is; such
    /// channels also do not widen the ranges of others. Per channel, tokens rounded together share the ranges
    /// and the outlier share, group by group from the first of them; [`KvScheme::settled`] gives whole groups.
    ///
    /// # Errors
    /// [`Error::Shape`] if the cache or `protected` has another size, [`Error::Outside`] if there are fewer
    /// tokens, [`Error::Group`] if groups do not divide the channels, [`Error::NonFinite`] if an entry is NaN
    /// or infinite, [`Error::ScaleOverflow`] if a range is too wide for the scales' type.
    pub fn round(
        &self,
        cache: &mut [f32],
        shape: CacheShape,
        tokens: Range<usize>,
        protected: Option<&[bool]>,
    ) -> Result<KvReport> {
        let CacheShape { heads, tokens: held, head_dim } = shape;
        let entries = heads.checked_mul(held).and_then(|n| n.checked_mul(head_dim));
        same(NAME, "entries", entries.unwrap_or(usize::MAX), cache.len())?;
        if let Some(protected) = protected {
            same(NAME, "protected flags", heads * head_dim, protected.len())?;
        }
        if tokens.end > held {
            return Err(Error::Outside { what: "token", index: tokens.end - 1, count: held });
        }
        if let (KvAxis::PerToken, Some(group)) = (self.axis, self.group)
            && head_dim % group.get() != 0
        {
            let (tensor, group) = (NAME.to_owned(), group.get());
            return Err(Error::Group { tensor, inputs: head_dim, group });
        }
        let mut report = KvReport::default();
        if tokens.is_empty() || cache.is_empty() {
            return Ok(report);
        }
        for (head, cache) in cache.chunks_exact_mut(held * head_dim).enumerate() {
            let rows = &mut cache[tokens.start * head_dim..tokens.end * head_dim];
            check_finite(NAME, head_dim, rows)?;
            let protected = protected.map(|flags| &flags[head * head_dim..][..head_dim]);
            let is_kept = |channel: usize| protected.is_some_and(|flags| flags[channel]);
            let mut vectors =
                Vectors { scheme: self, weights: self.weights(), report: &mut report };
            match self.axis {
                KvAxis::PerToken => {
                    let mut kept = vec![false; head_dim];
                    for row in rows.chunks_exact_mut(head_dim) {
                        kept.iter_mut().enumerate().for_each(|(c, kept)| *kept = is_kept(c));
                        vectors.round(row, &mut kept)?;
                    }
                }
                KvAxis::PerChannel => {
                    let mut column = vec![0.0; tokens.len()];
                    for channel in 0..head_dim {
                        let entries = rows.iter().skip(channel).step_by(head_dim);
                        column.iter_mut().zip(entries).for_each(|(to, from)| *to = *from);
                        vectors.round(&mut column, &mut vec![is_kept(channel); tokens.len()])?;
                        let entries = rows.iter_mut().skip(channel).step_by(head_dim);
                        entries.zip(&column).for_each(|(to, from)| *to = *from);
                    }
                }
            }
        }
        Ok(report)
    }
}

struct Vectors<'a> {
    scheme: &'a KvScheme,
    weights: WeightScheme,
    report: &'a mut KvReport,
}

impl Vectors<'_> {
    /// Rounds one vector but for the entries that are kept, to which it adds the outliers.
    fn round(&mut self, values: &mut [f32], kept: &mut [bool]) -> Result<()> {
        self.report.entries += values.len() as u64;
        self.report.protected += kept.iter().filter(|&&kept| kept).count() as u64;
        self.report.outliers += mark(values, kept, self.scheme.outliers.count(values.len()));
        let length = self.scheme.group.map_or(values.len(), |group| group.get());
        let mut inside = Vec::with_capacity(length);
        let groups = values.chunks_mut(length).zip(kept.chunks(length));
        for (group, (values, kept)) in groups.enumerate() {
            inside.clear();
            inside.extend(values.iter().zip(kept).filter(|(_, kept)| !**kept).map(|(x, _)| *x));
            let grid = Grid::fit(&inside, &self.weights).ok_or_else(|| Error::ScaleOverflow {
                tensor: NAME.to_owned(),
                row: 0,
                group,
                scale_type: self.scheme.scale_type,
            })?;
            for (value, kept) in values.iter_mut().zip(kept) {
                let before = f64::from(*value);
                self.report.power += before * before;
                if !kept {
                    *value = grid.snap(*value);
                    self.report.squared_error += (f64::from(*value) - before).powi(2);
                }
            }
        }
        Ok(())
    }
}
