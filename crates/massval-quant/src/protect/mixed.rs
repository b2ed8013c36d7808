//! A linear of which some rows are rounded more finely, or not at all.

use crate::error::same;
use crate::linear::{LinearParts, QuantizedLinear};
use crate::{Bits, Error, Granularity, ProtectedRows, Result, ScaleType, Weight};

/// The rows of a weight that are not protected, and those that are, each `[rows, inputs]` in order.
///
/// Any quantizer takes them one after the other: rows do not depend on each other.
///
/// # Errors
/// [`Error::Outside`] if a row is not there.
pub fn split_rows(weight: &Weight<'_>, protected: &ProtectedRows) -> Result<(Vec<f32>, Vec<f32>)> {
    check(protected, weight.outputs())?;
    let (mut rest, mut kept) = (Vec::new(), Vec::new());
    for (row, values) in weight.rows().enumerate() {
        let part = if protected.rows().contains(&row) { &mut kept } else { &mut rest };
        part.extend_from_slice(values);
    }
    Ok((rest, kept))
}

/// What became of the protected rows.
#[derive(Debug, Clone, PartialEq)]
pub enum KeptRows {
    /// As they were, `[rows, inputs]`.
    Exact(Vec<f32>),
    /// With more bits or smaller groups.
    Rounded(QuantizedLinear),
}

/// A linear whose protected rows are kept apart.
#[derive(Debug, Clone, PartialEq)]
pub struct MixedLinear {
    rest: QuantizedLinear,
    kept: KeptRows,
    protected: ProtectedRows,
}

impl MixedLinear {
    /// Puts the two parts of [`split_rows`] together again.
    ///
    /// # Errors
    /// [`Error::Shape`] if rows or inputs do not fit together, [`Error::Outside`] if a protected row lies
    /// beyond both parts.
    pub fn new(rest: QuantizedLinear, kept: KeptRows, protected: ProtectedRows) -> Result<Self> {
        let count = protected.rows().len();
        match &kept {
            KeptRows::Exact(values) => {
                let values = values.len();
                same(rest.name(), "values of protected rows", count * rest.inputs(), values)?;
            }
            KeptRows::Rounded(kept) => {
                same(rest.name(), "protected rows", count, kept.outputs())?;
                same(rest.name(), "inputs of protected rows", rest.inputs(), kept.inputs())?;
            }
        }
        check(&protected, rest.outputs() + count)?;
        Ok(Self { rest, kept, protected })
    }

    /// Rows of the whole.
    pub fn outputs(&self) -> usize {
        self.rest.outputs() + self.protected.rows().len()
    }

    /// The weight that the parts stand for, `[outputs, inputs]`.
    pub fn dequantize(&self) -> Vec<f32> {
        let rest = self.rest.dequantize();
        let kept = match &self.kept {
            KeptRows::Exact(values) => values.clone(),
            KeptRows::Rounded(kept) => kept.dequantize(),
        };
        self.interleave(&rest, &kept, self.rest.inputs())
    }

    /// One linear with the same weights, as file formats want it: the larger number of bits, the smaller
    /// groups, for all rows. It takes the space of its protected rows' precision everywhere.
    ///
    /// # Errors
    /// [`Error::NotRepresentable`] if protected rows were not rounded at all, or inputs are grouped in an
    /// order of their own.
    pub fn into_uniform(self) -> Result<QuantizedLinear> {
        let refuse = |what: &str, hint| Error::NotRepresentable {
            tensor: self.rest.name().to_owned(),
            format: "a linear with one number of bits",
            what: what.to_owned(),
            hint,
        };
        let KeptRows::Rounded(kept) = &self.kept else {
            return Err(refuse("rows in floating point", "protect them with 8 bits"));
        };
        if self.rest.group_index().is_some() || kept.group_index().is_some() {
            return Err(refuse("groups out of order", "use static groups with activation order"));
        }
        let bits = self.rest.bits().max(kept.bits());
        let inputs = self.rest.inputs();
        let length = gcd(inputs / self.rest.groups(), inputs / kept.groups());
        let granularity =
            if length == inputs { Granularity::Channel } else { Granularity::group(length)? };
        let part = |part: &QuantizedLinear| widen(part.clone().refined(granularity)?, bits);
        let (rest, kept) = (part(&self.rest)?, part(kept)?);
        let groups = rest.groups();
        let scale_type = match (rest.scale_type(), kept.scale_type()) {
            (a, b) if a == b => a,
            _ => ScaleType::F32,
        };
        QuantizedLinear::new(LinearParts {
            name: rest.name().to_owned(),
            outputs: self.outputs(),
            inputs,
            bits,
            granularity,
            scale_type,
            codes: self.interleave(rest.codes(), kept.codes(), inputs),
            scales: self.interleave(rest.scales(), kept.scales(), groups),
            zeros: self.interleave(rest.zeros(), kept.zeros(), groups),
            group_index: None,
        })
    }

    fn interleave<T: Copy>(&self, rest: &[T], kept: &[T], width: usize) -> Vec<T> {
        let (mut rest, mut kept) = (rest.chunks_exact(width), kept.chunks_exact(width));
        let row =
            |row| if self.protected.rows().contains(&row) { kept.next() } else { rest.next() };
        (0..self.outputs()).filter_map(row).flatten().copied().collect()
    }
}

/// The same weights with codes of more bits; codes that change get the middle as their zero point.
fn widen(linear: QuantizedLinear, bits: Bits) -> Result<QuantizedLinear> {
    if linear.bits() == bits {
        return Ok(linear);
    }
    let (inputs, groups, middle) = (linear.inputs(), linear.groups(), bits.middle());
    let length = inputs / groups;
    let zero = |at: usize| linear.zeros()[at / inputs * groups + at % inputs / length];
    // A code differs from its zero point by less than the middle of twice as many codes.
    let codes = linear.codes().iter().enumerate().map(|(at, &code)| code + middle - zero(at));
    QuantizedLinear::new(LinearParts {
        name: linear.name().to_owned(),
        outputs: linear.outputs(),
        inputs,
        bits,
        granularity: linear.granularity(),
        scale_type: linear.scale_type(),
        codes: codes.collect(),
        scales: linear.scales().to_vec(),
        zeros: vec![middle; linear.zeros().len()],
        group_index: None,
    })
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn check(protected: &ProtectedRows, outputs: usize) -> Result<()> {
    match protected.rows().last() {
        Some(&row) if row >= outputs => {
            Err(Error::Outside { what: "row", index: row, count: outputs })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{WeightScheme, rtn};

    fn scheme(bits: Bits, kind: u8) -> Result<WeightScheme> {
        let granularity = match kind % 4 {
            0 => Granularity::Tensor,
            1 => Granularity::Channel,
            2 => Granularity::group(6)?,
            _ => Granularity::group(4)?,
        };
        let scheme = WeightScheme::new(bits, granularity);
        Ok(if kind < 4 { scheme } else { scheme.asymmetric() })
    }

    proptest! {
        #[test]
        fn each_row_has_its_own_precision_and_a_uniform_linear_holds_both(
            values in prop::collection::vec(-2.0f32..3.0, 72), chosen in 1u8..62,
            few in 0u8..8, many in 0u8..8, wide in 1usize..4,
        ) {
            let weight = Weight::new("q", [6, 12], &values)?;
            let rows = ProtectedRows::new((0..6).filter(|row| (chosen >> row) & 1 == 1).collect());
            prop_assume!(!rows.rows().is_empty() && rows.rows().len() < 6);
            let (rest, kept) = split_rows(&weight, &rows)?;
            let narrow = scheme(Bits::Two, few)?;
            let rest = rtn(&Weight::new("q", [6 - rows.rows().len(), 12], &rest)?, &narrow)?;
            let exact = MixedLinear::new(rest.clone(), KeptRows::Exact(kept.clone()), rows.clone())?;
            for (row, (a, b)) in
                exact.dequantize().chunks_exact(12).zip(values.chunks_exact(12)).enumerate()
            {
                prop_assert!(!rows.rows().contains(&row) || a == b);
            }
            prop_assert!(exact.into_uniform().is_err());

            let finer = scheme(Bits::ALL[wide], many)?;
            let kept = rtn(&Weight::new("q", [rows.rows().len(), 12], &kept)?, &finer)?;
            let (rest_values, kept_values) = (rest.dequantize(), kept.dequantize());
            let mixed = MixedLinear::new(rest, KeptRows::Rounded(kept), rows.clone())?;
            let whole = mixed.dequantize();
            let pick = |of_kept: bool| -> Vec<f32> {
                let all = whole.chunks_exact(12).enumerate();
                all.filter(|(row, _)| rows.rows().contains(row) == of_kept)
                    .flat_map(|(_, row)| row.iter().copied())
                    .collect()
            };
            prop_assert_eq!((pick(false), pick(true)), (rest_values, kept_values));
            let uniform = mixed.into_uniform()?;
            prop_assert_eq!(uniform.dequantize(), whole);
            prop_assert_eq!(uniform.bits(), Bits::ALL[wide]);
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() -> Result<()> {
        let values = [1.0; 12];
        let weight = Weight::new("q", [3, 4], &values)?;
        let beyond = ProtectedRows::new([3].into());
        assert!(split_rows(&weight, &beyond).is_err());
        let rest = rtn(&weight, &scheme(Bits::Two, 1)?)?;
        let mixed = |kept: KeptRows, row: usize| {
            MixedLinear::new(rest.clone(), kept, ProtectedRows::new([row].into()))
        };
        assert!(mixed(KeptRows::Exact(vec![0.0; 4]), 3).is_ok());
        assert!(mixed(KeptRows::Exact(vec![0.0; 4]), 4).is_err());
        assert!(mixed(KeptRows::Exact(vec![0.0; 5]), 0).is_err());
        assert!(mixed(KeptRows::Rounded(rest.clone()), 0).is_err());
        Ok(())
    }
}
