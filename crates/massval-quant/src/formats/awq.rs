//! AutoAWQ's GEMM tensors: `qweight`, `qzeros`, `scales`; 4 bits.
//!
//! `qweight` is `[in, out / 8]`, `qzeros` `[groups, out / 8]`, `scales` `[groups, out]`. The nibbles of a
//! word, from the lowest, hold the outputs 0, 2, 4, 6, 1, 3, 5, 7 of its eight.

use safetensors::Dtype;

use super::bitpack::{Along, Packed, along_columns, unpack as unpack_codes};
use super::gptq::half_scales;
use super::tensors::{Read, StoredTensor, TensorSource, transposed};
use super::{Format, Layout};
use crate::linear::LinearParts;
use crate::weight::elements;
use crate::{Bits, Error, QuantizedLinear, Result, ScaleType};

/// Outputs in a word.
const WORD: usize = 8;
/// The output in each nibble of a word.
const OUTPUT_OF: [usize; WORD] = [0, 2, 4, 6, 1, 3, 5, 7];
/// The nibble of each output of a word.
const NIBBLE_OF: [usize; WORD] = [0, 4, 1, 5, 2, 6, 3, 7];

/// The output that lies at a place of a row of nibbles.
fn output_at(place: usize) -> usize {
    place / WORD * WORD + OUTPUT_OF[place % WORD]
}

/// The place of an output in a row of nibbles.
fn place_of(output: usize) -> usize {
    output / WORD * WORD + NIBBLE_OF[output % WORD]
}

pub(super) fn pack(linear: &QuantizedLinear) -> Result<Vec<StoredTensor>> {
    let (name, format) = (linear.name(), Format::AwqGemm);
    let (outputs, inputs, groups) = (linear.outputs(), linear.inputs(), linear.groups());
    let refuse = |what: String, hint| {
        let (tensor, format) = (name.to_owned(), format.name());
        Err(Error::NotRepresentable { tensor, format, what, hint })
    };
    if outputs % WORD != 0 {
        let what = format!("{outputs} outputs");
        return refuse(what, "they must be a multiple of 8: ignore this linear");
    }
    if linear.group_index().is_some() {
        let hint = "quantize with static groups, or write GPTQ";
        return refuse("groups out of order".to_owned(), hint);
    }
    if let Some(&zero) = linear.zeros().iter().find(|&&zero| zero > Bits::Four.max_code()) {
        return refuse(format!("the zero point {zero}"), "write GPTQ");
    }
    half_scales(linear, format)?;
    let words = outputs / WORD;
    let code = |i: usize, place: usize| linear.codes()[output_at(place) * inputs + i];
    let zero = |g: usize, place: usize| linear.zeros()[output_at(place) * groups + g];
    let scales =
        (0..groups).flat_map(|g| (0..outputs).map(move |o| linear.scales()[o * groups + g]));
    let qweight = along_columns(Bits::Four, inputs, outputs, code);
    let qzeros = along_columns(Bits::Four, groups, outputs, zero);
    Ok(vec![
        StoredTensor::new(name, "qweight", Dtype::I32, &[inputs, words], qweight),
        StoredTensor::new(name, "qzeros", Dtype::I32, &[groups, words], qzeros),
        StoredTensor::scales(name, "scales", &[groups, outputs], ScaleType::F16, scales),
    ])
}

/// What the shape of `qweight` says.
pub(super) fn shape(name: &str, source: &dyn TensorSource) -> Result<[usize; 2]> {
    let qweight = Read::new(source, name, "qweight")?;
    let [inputs, words] = qweight.matrix()?;
    let outputs = words.checked_mul(WORD).ok_or_else(|| qweight.wrong("is too large"))?;
    Ok([outputs, inputs])
}

pub(super) fn unpack(
    name: &str,
    layout: &Layout,
    source: &dyn TensorSource,
) -> Result<QuantizedLinear> {
    let [outputs, inputs] = shape(name, source)?;
    let qweight = Read::new(source, name, "qweight")?;
    let stored = qweight.matrix()?;
    elements(name, outputs, inputs)?;
    let bytes = qweight.bytes(Dtype::I32)?;
    let (bits, along, shape) = (Bits::Four, Along::Columns, [inputs, outputs]);
    let packed = Packed::new(&qweight.name, bytes, stored, bits, along, shape)?;

    let groups = inputs / layout.granularity.length(name, inputs)?;
    let scales = Read::new(source, name, "scales")?;
    scales.expect_shape(&[groups, outputs])?;
    let (values, scale_type) = scales.floats()?;
    let zeros = match Read::optional(source, name, "qzeros") {
        Some(qzeros) => {
            let (bytes, stored) = (qzeros.bytes(Dtype::I32)?, qzeros.matrix()?);
            let shape = [groups, outputs];
            let zeros = Packed::new(&qzeros.name, bytes, stored, bits, along, shape)?;
            unpack_codes(outputs, groups, |o, g| zeros.get(g, place_of(o)))
        }
        None if layout.symmetric => vec![bits.middle(); outputs * groups],
        None => return Err(Error::MissingTensor { tensor: format!("{name}.qzeros") }),
    };
    QuantizedLinear::new(LinearParts {
        name: name.to_owned(),
        outputs,
        inputs,
        bits,
        granularity: layout.granularity,
        scale_type,
        codes: unpack_codes(outputs, inputs, |o, i| packed.get(i, place_of(o))),
        scales: transposed(&values, outputs),
        zeros,
        group_index: None,
    })
}
