//! Round to nearest: each weight on its own, no data needed.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::{Error, Granularity, Grid, LinearParts, QuantizedLinear, Result, Weight, WeightScheme};

/// Rounds every weight to the nearest value of its group's grid.
///
/// # Errors
/// [`Error::Group`] if groups do not divide the inputs, [`Error::ScaleOverflow`] if a range is too wide for
/// the scales' type.
pub fn rtn(weight: &Weight<'_>, scheme: &WeightScheme) -> Result<QuantizedLinear> {
    let grids = Grids::fit(weight.name(), weight.inputs(), weight.values(), scheme)?;
    let mut codes = vec![0; weight.values().len()];
    let rows = codes.par_chunks_exact_mut(weight.inputs());
    rows.zip(weight.values().par_chunks_exact(weight.inputs())).enumerate().for_each(
        |(output, (codes, row))| {
            let codes = codes.chunks_exact_mut(grids.length);
            for (group, (codes, values)) in codes.zip(row.chunks_exact(grids.length)).enumerate() {
                let grid = grids.at(output, group);
                Arch::new().dispatch(Encode { grid, values, codes });
            }
        },
    );
    let (scales, zeros) = grids.into_parts();
    QuantizedLinear::new(LinearParts {
        name: weight.name().to_owned(),
        outputs: weight.outputs(),
        inputs: weight.inputs(),
        bits: scheme.bits,
        granularity: scheme.granularity,
        scale_type: scheme.scale_type,
        codes,
        scales,
        zeros,
        group_index: None,
    })
}

/// The grids of a weight: one for each group of each row, or one for all.
#[derive(Debug, Clone)]
pub(crate) struct Grids {
    grids: Vec<Grid>,
    /// Grids in a row; 0 if a single one serves all.
    stride: usize,
    /// Inputs of a group.
    pub(crate) length: usize,
}

impl Grids {
    /// Fits the grids of a weight `[.., inputs]`.
    pub(crate) fn fit(
        name: &str,
        inputs: usize,
        values: &[f32],
        scheme: &WeightScheme,
    ) -> Result<Self> {
        let length = scheme.granularity.length(name, inputs)?;
        let groups = inputs / length;
        let (chunk, stride) = match scheme.granularity {
            Granularity::Tensor => (values.len(), 0),
            _ => (length, groups),
        };
        let fitted: Vec<Option<Grid>> = values
            .par_chunks(chunk)
            .with_min_len(64)
            .map(|values| Arch::new().dispatch(Fit { values, scheme }))
            .collect();
        let grids = fitted.into_iter().enumerate().map(|(at, grid)| {
            grid.ok_or_else(|| Error::ScaleOverflow {
                tensor: name.to_owned(),
                row: at / groups,
                group: at % groups,
                scale_type: scheme.scale_type,
            })
        });
        Ok(Self { grids: grids.collect::<Result<_>>()?, stride, length })
    }

    /// The grid of one group of one row.
    pub(crate) fn at(&self, output: usize, group: usize) -> Grid {
        self.grids[output * self.stride + if self.stride == 0 { 0 } else { group }]
    }

    pub(crate) fn into_parts(self) -> (Vec<f32>, Vec<u8>) {
        self.grids.into_iter().map(|grid| (grid.scale(), grid.zero())).unzip()
    }
}

/// Replaces a weight `[.., inputs]` by its nearest values.
pub(crate) fn snap(
    name: &str,
    inputs: usize,
    values: &mut [f32],
    scheme: &WeightScheme,
) -> Result<()> {
    let grids = Grids::fit(name, inputs, values, scheme)?;
    values.par_chunks_exact_mut(inputs).enumerate().for_each(|(output, row)| {
        for (group, values) in row.chunks_exact_mut(grids.length).enumerate() {
            Arch::new().dispatch(Snap { grid: grids.at(output, group), values });
        }
    });
    Ok(())
}

// Types and not closures: everything must be inlined into the functions that `pulp` compiles for each
// processor, and only a type can say so.

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

struct Encode<'a> {
    grid: Grid,
    values: &'a [f32],
    codes: &'a mut [u8],
}

impl WithSimd for Encode<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (code, &value) in self.codes.iter_mut().zip(self.values) {
            *code = self.grid.code(value);
        }
    }
}

pub(crate) struct Snap<'a> {
    pub(crate) grid: Grid,
    pub(crate) values: &'a mut [f32],
}

impl WithSimd for Snap<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for value in self.values {
            *value = self.grid.snap(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Bits;

    fn case() -> impl Strategy<Value = (usize, usize, usize, Vec<f32>, Bits, u8)> {
        (1usize..6, 1usize..5, 1usize..40, 0u8..6, proptest::sample::select(Bits::ALL.to_vec()))
            .prop_flat_map(|(outputs, groups, length, kind, bits)| {
                let count = outputs * groups * length;
                let values = prop::collection::vec(-2.0f32..3.0, count);
                (Just(outputs), Just(groups), Just(length), values, Just(bits), Just(kind))
            })
    }

    fn scheme_of(kind: u8, bits: Bits, length: usize) -> Result<WeightScheme> {
        let granularity = match kind % 3 {
            0 => Granularity::Tensor,
            1 => Granularity::Channel,
            _ => Granularity::group(length)?,
        };
        let scheme = WeightScheme::new(bits, granularity);
        Ok(if kind < 3 { scheme } else { scheme.asymmetric() })
    }

    proptest! {
        #[test]
        fn every_weight_has_the_nearest_code_of_its_own_group(
            (outputs, groups, length, values, bits, kind) in case(),
        ) {
            let inputs = groups * length;
            let scheme = scheme_of(kind, bits, length)?;
            let linear = rtn(&Weight::new("w", [outputs, inputs], &values)?, &scheme)?;
            let dequantized = linear.dequantize();
            for (at, &value) in values.iter().enumerate() {
                let (output, input) = (at / inputs, at % inputs);
                let own = match scheme.granularity {
                    Granularity::Tensor => &values[..],
                    Granularity::Channel => &values[output * inputs..(output + 1) * inputs],
                    Granularity::Group(_) => {
                        let start = output * inputs + input / length * length;
                        &values[start..start + length]
                    }
                };
                let grid = Grid::fit(own, &scheme).expect("small values");
                prop_assert_eq!(linear.codes()[at], grid.code(value));
                prop_assert_eq!(dequantized[at], grid.value(grid.code(value)));
            }
            let mut snapped = values.clone();
            snap("w", inputs, &mut snapped, &scheme)?;
            prop_assert_eq!(snapped, dequantized);
        }
    }

    #[test]
    fn a_range_too_wide_for_its_scales_names_the_group() -> Result<()> {
        let mut values = [0.5; 8];
        values[6] = 1e7;
        let scheme = WeightScheme::new(Bits::Four, Granularity::group(2)?);
        let scheme = scheme.scales(crate::ScaleType::F16);
        let error = rtn(&Weight::new("w", [2, 4], &values)?, &scheme).expect_err("too wide");
        assert!(matches!(error, Error::ScaleOverflow { row: 1, group: 1, .. }), "{error}");
        Ok(())
    }
}
