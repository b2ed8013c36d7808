//! A quantized linear in memory: what every quantizer gives and every format is packed from.

use rayon::prelude::*;

use crate::error::same;
use crate::weight::elements;
use crate::{Bits, Error, Granularity, Grid, Result, ScaleType};

/// The parts of a [`QuantizedLinear`]; see its accessors.
#[derive(Debug, Clone)]
pub struct LinearParts {
    /// What errors and files call the linear, such as `model.layers.0.self_attn.q_proj`.
    pub name: String,
    /// Rows.
    pub outputs: usize,
    /// Columns.
    pub inputs: usize,
    /// Bits of a code.
    pub bits: Bits,
    /// What shares a scale.
    pub granularity: Granularity,
    /// The type that every scale is exact in.
    pub scale_type: ScaleType,
    /// Codes, `[outputs, inputs]`, from 0.
    pub codes: Vec<u8>,
    /// Scales, `[outputs, groups]`; a single one per tensor.
    pub scales: Vec<f32>,
    /// Zero points, one beside each scale.
    pub zeros: Vec<u8>,
    /// The group of each input where groups are not runs of neighbours (GPTQ's activation order).
    pub group_index: Option<Vec<u32>>,
}

/// A quantized linear: a weight is `scale * (code - zero)`, scale and zero point being its group's.
///
/// ```
/// use massval_quant::{Bits, Granularity, Weight, WeightScheme, rtn};
/// let values = [-1.0, 0.25, 2.0, 0.5];
/// let weight = Weight::new("proj", [1, 4], &values)?;
/// let linear = rtn(&weight, &WeightScheme::new(Bits::Eight, Granularity::Channel))?;
/// for (a, b) in linear.dequantize().iter().zip(values) {
///     assert!((a - b).abs() < 0.01);
/// }
/// # Ok::<(), massval_quant::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedLinear {
    name: String,
    outputs: usize,
    inputs: usize,
    bits: Bits,
    granularity: Granularity,
    scale_type: ScaleType,
    codes: Vec<u8>,
    scales: Vec<f32>,
    zeros: Vec<u8>,
    group_index: Option<Vec<u32>>,
    groups: usize,
}

impl QuantizedLinear {
    /// A linear from its parts, all of which are checked.
    ///
    /// Zero points may be one more than the largest code: GPTQ's first format can say that.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Group`] if sizes do not fit together, [`Error::Stored`] if a code, zero
    /// point or group is out of range or a scale is not finite or not exact in its type.
    pub fn new(parts: LinearParts) -> Result<Self> {
        let LinearParts { name, outputs, inputs, bits, granularity, scale_type, .. } = parts;
        let count = elements(&name, outputs, inputs)?;
        let groups = inputs / granularity.length(&name, inputs)?;
        let scales = match granularity {
            Granularity::Tensor => 1,
            _ => outputs * groups,
        };
        same(&name, "codes", count, parts.codes.len())?;
        same(&name, "scales", scales, parts.scales.len())?;
        same(&name, "zero points", scales, parts.zeros.len())?;
        let wrong = |reason: String| Err(Error::Stored { tensor: name.clone(), reason });
        let largest = bits.max_code();
        if let Some(&code) = parts.codes.iter().find(|&&code| code > largest) {
            return wrong(format!("code {code} does not fit into {bits} bits"));
        }
        if let Some(&zero) = parts.zeros.iter().find(|&&zero| zero > largest.saturating_add(1)) {
            return wrong(format!("zero point {zero} does not fit into {bits} bits"));
        }
        if let Some(&scale) = parts.scales.iter().find(|&&scale| !exact(scale_type, scale)) {
            return wrong(format!("scale {scale} is not a finite {scale_type}"));
        }
        if let Some(index) = &parts.group_index {
            same(&name, "entries of the group index", inputs, index.len())?;
            if let Some(&group) = index.iter().find(|&&group| group as usize >= groups) {
                return wrong(format!("group {group} does not exist: there are {groups}"));
            }
        }
        let group_index = parts.group_index.filter(|index| !is_plain(index, inputs / groups));
        Ok(Self {
            name,
            outputs,
            inputs,
            bits,
            granularity,
            scale_type,
            codes: parts.codes,
            scales: parts.scales,
            zeros: parts.zeros,
            group_index,
            groups,
        })
    }

    /// What errors and files call the linear.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Rows.
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns.
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// Bits of a code.
    pub const fn bits(&self) -> Bits {
        self.bits
    }

    /// What shares a scale.
    pub const fn granularity(&self) -> Granularity {
        self.granularity
    }

    /// The type that every scale is exact in.
    pub const fn scale_type(&self) -> ScaleType {
        self.scale_type
    }

    /// Codes, `[outputs, inputs]`.
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// Scales, `[outputs, groups]`; a single one per tensor.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// Zero points, one beside each scale.
    pub fn zeros(&self) -> &[u8] {
        &self.zeros
    }

    /// Groups in a row; 1 without groups.
    pub const fn groups(&self) -> usize {
        self.groups
    }

    /// The group of each input, if groups are not runs of neighbours.
    pub fn group_index(&self) -> Option<&[u32]> {
        self.group_index.as_deref()
    }

    /// The group that an input belongs to.
    pub(crate) fn group_of(&self, input: usize) -> usize {
        match &self.group_index {
            Some(index) => index[input] as usize,
            None => input / (self.inputs / self.groups),
        }
    }

    /// Whether every zero point lies in the middle, so that none need be stored.
    pub fn is_symmetric(&self) -> bool {
        self.zeros.iter().all(|&zero| zero == self.bits.middle())
    }

    /// The grid of one group of one row.
    pub(crate) fn grid(&self, output: usize, group: usize) -> Grid {
        let at = match self.granularity {
            Granularity::Tensor => 0,
            _ => output * self.groups + group,
        };
        Grid::from_parts(self.scales[at], self.zeros[at], self.bits.max_code())
    }

    /// The weight that the codes stand for, `[outputs, inputs]`.
    pub fn dequantize(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.codes.len()];
        let rows = values.par_chunks_exact_mut(self.inputs);
        rows.zip(self.codes.par_chunks_exact(self.inputs)).enumerate().for_each(
            |(output, (row, codes))| {
                let grids: Vec<Grid> =
                    (0..self.groups).map(|group| self.grid(output, group)).collect();
                for (input, (value, &code)) in row.iter_mut().zip(codes).enumerate() {
                    *value = grids[self.group_of(input)].value(code);
                }
            },
        );
        values
    }

    /// The same linear with scales rounded to another type; weights change unless they were exact in it.
    ///
    /// # Errors
    /// [`Error::ScaleOverflow`] if a scale is too large for the type.
    pub fn with_scale_type(mut self, scale_type: ScaleType) -> Result<Self> {
        for at in 0..self.scales.len() {
            let scale = self.scales[at];
            let rounded = scale_type.round(scale.abs()).ok_or_else(|| Error::ScaleOverflow {
                tensor: self.name.clone(),
                row: at / self.groups,
                group: at % self.groups,
                scale_type,
            })?;
            // A stored scale of zero stays: it says that the group is zero.
            self.scales[at] = if scale == 0.0 { scale } else { rounded.copysign(scale) };
        }
        self.scale_type = scale_type;
        Ok(self)
    }

    /// The same weights with more scales: a tensor's as one per row, a row's or a group's repeated for
    /// smaller groups.
    ///
    /// # Errors
    /// [`Error::Group`] if the groups do not divide the inputs, [`Error::NotRepresentable`] if a new group
    /// would span two of the old, or inputs are not grouped by neighbourhood.
    pub fn refined(self, granularity: Granularity) -> Result<Self> {
        if granularity == self.granularity {
            return Ok(self);
        }
        let length = granularity.length(&self.name, self.inputs)?;
        let old = self.inputs / self.groups;
        if granularity == Granularity::Tensor
            || !old.is_multiple_of(length)
            || self.group_index.is_some()
        {
            return Err(Error::NotRepresentable {
                tensor: self.name,
                format: "a coarser or other grouping",
                what: format!("groups of {old} inputs as groups of {length}"),
                hint: "quantize with that grouping",
            });
        }
        let groups = self.inputs / length;
        let grids = (0..self.outputs)
            .flat_map(|output| (0..groups).map(move |group| (output, group * length / old)));
        let (scales, zeros) = grids
            .map(|(output, group)| self.grid(output, group))
            .map(|g| (g.scale(), g.zero()))
            .unzip();
        Ok(Self { granularity, scales, zeros, groups, ..self })
    }
}

fn exact(scale_type: ScaleType, scale: f32) -> bool {
    scale == 0.0 || scale_type.round(scale.abs()) == Some(scale.abs())
}

/// Whether a group index says no more than that groups are runs of neighbours.
fn is_plain(index: &[u32], length: usize) -> bool {
    index.iter().enumerate().all(|(input, &group)| group as usize == input / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> LinearParts {
        LinearParts {
            name: "w".into(),
            outputs: 2,
            inputs: 4,
            bits: Bits::Two,
            granularity: Granularity::group(2).expect("2 is a group"),
            scale_type: ScaleType::F16,
            codes: vec![0, 1, 2, 3, 3, 2, 1, 0],
            scales: vec![1.0, 0.5, 2.0, 0.25],
            zeros: vec![2, 0, 4, 1],
            group_index: None,
        }
    }

    #[test]
    fn weights_are_scale_times_code_minus_zero() -> Result<()> {
        let linear = QuantizedLinear::new(parts())?;
        assert_eq!(linear.dequantize(), [-2.0, -1.0, 1.0, 1.5, -2.0, -4.0, 0.0, -0.25]);
        let index = Some(vec![1, 0, 1, 0]);
        let ordered = QuantizedLinear::new(LinearParts { group_index: index, ..parts() })?;
        assert_eq!(ordered.dequantize(), [0.0, -1.0, 1.0, 1.0, 0.5, -4.0, 0.0, -8.0]);
        Ok(())
    }

    #[test]
    fn a_group_index_that_says_nothing_is_dropped() -> Result<()> {
        let index = Some(vec![0, 0, 1, 1]);
        let linear = QuantizedLinear::new(LinearParts { group_index: index, ..parts() })?;
        assert_eq!(linear.group_index(), None);
        Ok(())
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let wrong = [
            LinearParts { codes: vec![0; 7], ..parts() },
            LinearParts { codes: vec![4; 8], ..parts() },
            LinearParts { zeros: vec![5; 4], ..parts() },
            LinearParts { scales: vec![1.0; 3], ..parts() },
            LinearParts { scales: vec![f32::NAN; 4], ..parts() },
            LinearParts { scales: vec![0.1; 4], ..parts() },
            LinearParts { granularity: Granularity::group(3).expect("3"), ..parts() },
            LinearParts { granularity: Granularity::Tensor, ..parts() },
            LinearParts { group_index: Some(vec![0, 0, 1]), ..parts() },
            LinearParts { group_index: Some(vec![0, 0, 1, 2]), ..parts() },
            LinearParts { outputs: usize::MAX, ..parts() },
        ];
        for parts in wrong {
            assert!(QuantizedLinear::new(parts.clone()).is_err(), "{parts:?}");
        }
    }

    #[test]
    fn finer_groups_hold_the_same_weights() -> Result<()> {
        let linear = QuantizedLinear::new(parts())?;
        let fine = linear.clone().refined(Granularity::group(1)?)?;
        assert_eq!((fine.groups(), fine.dequantize()), (4, linear.dequantize()));
        let tensor = LinearParts {
            granularity: Granularity::Tensor,
            scales: vec![0.5],
            zeros: vec![2],
            ..parts()
        };
        let tensor = QuantizedLinear::new(tensor)?;
        let rows = tensor.clone().refined(Granularity::Channel)?;
        assert_eq!((rows.scales(), rows.dequantize()), (&[0.5, 0.5][..], tensor.dequantize()));
        assert!(rows.refined(Granularity::Tensor).is_err());
        assert!(linear.refined(Granularity::group(4)?).is_err());
        Ok(())
    }

    #[test]
    fn scales_are_rounded_on_request_only() -> Result<()> {
        let scales = vec![0.1; 4];
        let exact = LinearParts { scales, scale_type: ScaleType::F32, ..parts() };
        let half = QuantizedLinear::new(exact)?.with_scale_type(ScaleType::F16)?;
        assert_eq!(half.scales()[0], half::f16::from_f32(0.1).to_f32());
        let large = LinearParts { scales: vec![1e6; 4], scale_type: ScaleType::F32, ..parts() };
        assert!(QuantizedLinear::new(large)?.with_scale_type(ScaleType::F16).is_err());
        Ok(())
    }
}
