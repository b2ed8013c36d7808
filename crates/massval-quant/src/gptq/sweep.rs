//! One pass over the columns: round, note the error, take it out of the columns to come.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::factor::Factor;
use crate::grid::WideGrid;
use crate::matrix::threads;
use crate::rtn::Grids;
use crate::{Error, Grid, Result, Weight, WeightScheme};

/// Rows worked on together: they are the lanes of vector instructions.
const LANES: usize = 16;

type Lanes = [f64; LANES];

pub(super) struct Sweep<'a> {
    pub(super) weight: &'a Weight<'a>,
    pub(super) scheme: &'a WeightScheme,
    pub(super) order: &'a [usize],
    pub(super) factor: &'a Factor,
    pub(super) block: usize,
    /// Columns of a group.
    pub(super) length: usize,
}

pub(super) struct Swept {
    /// `[outputs, inputs]`, columns as in the weight.
    pub(super) codes: Vec<u8>,
    /// `[outputs, groups]`, or a single one.
    pub(super) scales: Vec<f32>,
    pub(super) zeros: Vec<u8>,
    pub(super) loss: f64,
}

impl Sweep<'_> {
    /// Rounds every column; `current` fits a group's grid when the group is reached.
    pub(super) fn run(&self, current: bool) -> Result<Swept> {
        let (outputs, inputs) = (self.weight.outputs(), self.weight.inputs());
        let groups = inputs / self.length;
        let fixed = (!current)
            .then(|| Grids::fit(self.weight.name(), inputs, self.weight.values(), self.scheme))
            .transpose()?;

        let mut columns = self.by_columns();
        let mut codes = vec![0u8; outputs * inputs];
        let none = Grid::from_parts(1.0, 0, 0);
        let mut fitted = vec![none; if current { outputs * groups } else { 0 }];
        let mut errors = vec![0.0f64; outputs * self.block.min(inputs)];
        let mut loss = 0.0;
        for block in self.blocks(current) {
            let pass = Pass {
                block: block.clone(),
                columns: &columns,
                triangle: &self.factor.block(block.clone()),
                fixed: fixed.as_ref(),
                fitted: &fitted,
            };
            let firsts: Vec<usize> = (0..outputs).step_by(LANES).collect();
            let panels = firsts.par_iter().map(|&first| self.panel(first, &pass));
            let panels: Vec<Panel> = panels.collect::<Result<_>>()?;

            let errors = &mut errors[..block.len() * outputs];
            for (panel, first) in panels.iter().zip(firsts) {
                let lanes = LANES.min(outputs - first);
                for (j, column) in block.clone().enumerate() {
                    let kept = &panel.errors[j][..lanes];
                    loss += kept.iter().map(|error| error * error).sum::<f64>();
                    errors[j * outputs + first..][..lanes].copy_from_slice(kept);
                    for (lane, &code) in panel.codes[j][..lanes].iter().enumerate() {
                        codes[(first + lane) * inputs + self.order[column]] = code;
                    }
                }
                for (i, grids) in panel.grids.iter().enumerate() {
                    let group = block.start / self.length + i;
                    for (lane, &grid) in grids[..lanes].iter().enumerate() {
                        fitted[(first + lane) * groups + group] = grid;
                    }
                }
            }
            self.update(&mut columns, errors, &block);
        }
        let (scales, zeros) = match fixed {
            Some(fixed) => fixed.into_parts(),
            None => fitted.iter().map(|grid| (grid.scale(), grid.zero())).unzip(),
        };
        Ok(Swept { codes, scales, zeros, loss })
    }

    /// The weight in `f64`, column after column in the order of rounding.
    fn by_columns(&self) -> Vec<f64> {
        let (outputs, inputs) = (self.weight.outputs(), self.weight.inputs());
        let mut columns = vec![0.0; outputs * inputs];
        columns.par_chunks_exact_mut(outputs).zip(self.order).for_each(|(column, &input)| {
            let values = self.weight.values().iter().skip(input).step_by(inputs);
            for (to, &value) in column.iter_mut().zip(values) {
                *to = value.into();
            }
        });
        columns
    }

    /// Blocks of columns. With grids that are fitted on the way, no group begins within a block unless it
    /// ends there, too: then its columns are all up to date when it begins.
    fn blocks(&self, current: bool) -> Vec<Range<usize>> {
        let inputs = self.weight.inputs();
        let cut = |range: Range<usize>, step: usize| {
            let end = range.end;
            range.step_by(step).map(move |start| start..(start + step).min(end))
        };
        if !current {
            return cut(0..inputs, self.block).collect();
        }
        if self.length <= self.block {
            return cut(0..inputs, self.block / self.length * self.length).collect();
        }
        cut(0..inputs, self.length).flat_map(|group| cut(group, self.block)).collect()
    }

    /// A panel of rows through one block of columns.
    fn panel(&self, first: usize, pass: &Pass<'_>) -> Result<Panel> {
        let outputs = self.weight.outputs();
        let lanes = LANES.min(outputs - first);
        let block = &pass.block;
        let mut panel = Panel::new(block.len());
        for (values, column) in panel.values.iter_mut().zip(block.clone()) {
            values[..lanes].copy_from_slice(&pass.columns[column * outputs + first..][..lanes]);
        }
        // Lanes without a row repeat the last row's grids.
        let row = |lane: usize| first + lane.min(lanes - 1);
        if let Some(fixed) = pass.fixed {
            let group_of = |column: usize| self.order[column] / self.length;
            let mut used: Vec<usize> = block.clone().map(group_of).collect();
            used.sort_unstable();
            used.dedup();
            let grids = |&group: &usize| LaneGrid::new(|lane| fixed.at(row(lane), group));
            let grids: Vec<LaneGrid> = used.iter().map(grids).collect();
            let place = |column: usize| used.partition_point(|&group| group < group_of(column));
            let grid_of: Vec<usize> = block.clone().map(place).collect();
            panel.round(pass.triangle, 0..block.len(), &grids, &grid_of);
            return Ok(panel);
        }
        let grid_of = vec![0; block.len()];
        for start in block.clone().step_by(self.length) {
            let group = start / self.length;
            let grids: [Grid; LANES] = if start % self.length == 0 {
                let fitted = self.fit(start, row, &panel, pass)?;
                panel.grids.push(fitted);
                fitted
            } else {
                let groups = self.weight.inputs() / self.length;
                std::array::from_fn(|lane| pass.fitted[row(lane) * groups + group])
            };
            let columns = start - block.start..(start + self.length).min(block.end) - block.start;
            let grids = [LaneGrid::new(|lane| grids[lane])];
            panel.round(pass.triangle, columns, &grids, &grid_of);
        }
        Ok(panel)
    }

    /// Grids for the group that begins at a column, for its weights as they are now.
    fn fit(
        &self,
        start: usize,
        row: impl Fn(usize) -> usize,
        panel: &Panel,
        pass: &Pass<'_>,
    ) -> Result<[Grid; LANES]> {
        let outputs = self.weight.outputs();
        let mut values = vec![0.0f32; self.length];
        let mut grids = [Grid::from_parts(1.0, 0, 0); LANES];
        for (lane, grid) in grids.iter_mut().enumerate() {
            for (i, value) in values.iter_mut().enumerate() {
                // A group at the head of a block may reach beyond it, where columns are up to date, too.
                let current = match start - pass.block.start {
                    0 => pass.columns[(start + i) * outputs + row(lane)],
                    within => panel.values[within + i][lane],
                };
                *value = current as f32;
            }
            let job = Fit { values: &values, scheme: self.scheme };
            *grid = Arch::new().dispatch(job).ok_or_else(|| Error::ScaleOverflow {
                tensor: self.weight.name().to_owned(),
                row: row(lane),
                group: start / self.length,
                scale_type: self.scheme.scale_type,
            })?;
        }
        Ok(grids)
    }

    /// Takes the errors of a block out of all columns after it.
    fn update(&self, columns: &mut [f64], errors: &[f64], block: &Range<usize>) {
        let (outputs, inputs) = (self.weight.outputs(), self.weight.inputs());
        let rest = inputs - block.end;
        if rest == 0 {
            return;
        }
        let upper = MatRef::from_column_major_slice(self.factor.columns(), inputs, inputs);
        matmul(
            MatMut::from_column_major_slice_mut(&mut columns[block.end * outputs..], outputs, rest),
            Accum::Add,
            MatRef::from_column_major_slice(errors, outputs, block.len()),
            upper.submatrix(block.start, block.end, block.len(), rest),
            -1.0f64,
            threads(),
        );
    }
}

/// What all panels of a block read.
struct Pass<'a> {
    block: Range<usize>,
    /// The weight, column after column, up to date from the block's first column on.
    columns: &'a [f64],
    /// The factor's square on the block, row after row.
    triangle: &'a [f64],
    fixed: Option<&'a Grids>,
    /// Grids of groups that earlier blocks have reached, `[outputs, groups]`.
    fitted: &'a [Grid],
}

/// What a panel of rows makes of a block of columns; all by column.
struct Panel {
    values: Vec<Lanes>,
    /// `(w - q) / U_jj`.
    errors: Vec<Lanes>,
    codes: Vec<[u8; LANES]>,
    /// Grids fitted in this block, by group.
    grids: Vec<[Grid; LANES]>,
}

impl Panel {
    fn new(columns: usize) -> Self {
        Self {
            values: vec![[0.0; LANES]; columns],
            errors: vec![[0.0; LANES]; columns],
            codes: vec![[0; LANES]; columns],
            grids: Vec::new(),
        }
    }

    /// Rounds some columns of the block, each to one of `grids`.
    fn round(
        &mut self,
        triangle: &[f64],
        columns: Range<usize>,
        grids: &[LaneGrid],
        grid_of: &[usize],
    ) {
        Arch::new().dispatch(Round { panel: self, triangle, columns, grids, grid_of });
    }
}

/// A grid for each lane.
#[derive(Clone, Copy)]
struct LaneGrid {
    scale: Lanes,
    low: Lanes,
    high: Lanes,
}

impl LaneGrid {
    fn new(grid: impl Fn(usize) -> Grid) -> Self {
        let wide: [WideGrid; LANES] = std::array::from_fn(|lane| grid(lane).into());
        Self { scale: wide.map(|g| g.scale), low: wide.map(|g| g.low), high: wide.map(|g| g.high) }
    }
}

// Types and not closures: everything must be inlined into the functions that `pulp` compiles for each
// processor, and only a type can say so. Multiplications and subtractions stay apart (no fused operation), so
// that every processor gives the same codes.

struct Fit<'a> {
    values: &'a [f32],
    scheme: &'a WeightScheme,
}

impl WithSimd for Fit<'_> {
    type Output = Option<Grid>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        Grid::fit(self.values, self.scheme)
    }
}

struct Round<'a> {
    panel: &'a mut Panel,
    triangle: &'a [f64],
    columns: Range<usize>,
    grids: &'a [LaneGrid],
    grid_of: &'a [usize],
}

impl WithSimd for Round<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Panel { values, errors, codes, .. } = self.panel;
        let width = values.len();
        for j in self.columns {
            let grid = &self.grids[self.grid_of[j]];
            let row = &self.triangle[j * width..][..width];
            let diagonal = row[j];
            let (done, later) = values.split_at_mut(j + 1);
            let (current, error) = (&done[j], &mut errors[j]);
            for lane in 0..LANES {
                let (low, high) = (grid.low[lane], grid.high[lane]);
                let step = WideGrid::step(grid.scale[lane], low, high, current[lane]);
                error[lane] = (current[lane] - grid.scale[lane] * step) / diagonal;
                codes[j][lane] = (step - low) as u8;
            }
            for (values, &factor) in later.iter_mut().zip(&row[j + 1..]) {
                for lane in 0..LANES {
                    values[lane] -= error[lane] * factor;
                }
            }
        }
    }
}
