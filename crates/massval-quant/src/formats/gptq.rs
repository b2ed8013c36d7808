//! GPTQ's tensors: `qweight`, `qzeros`, `scales`, `g_idx`.
//!
//! `qweight` is `[in * bits / 32, out]`, packed along inputs; `qzeros` `[groups, out * bits / 32]`, packed
//! along outputs; `scales` `[groups, out]`; `g_idx` `[in]` says the group of each input. The first format
//! stores zero points minus one.

use safetensors::Dtype;

use super::bitpack::{Along, Packed, along_columns, along_rows};
use super::tensors::{Read, StoredTensor, TensorSource, transposed};
use super::{Format, Layout};
use crate::linear::LinearParts;
use crate::weight::elements;
use crate::{Bits, Error, QuantizedLinear, Result, ScaleType};

pub(super) fn pack(linear: &QuantizedLinear, format: Format) -> Result<Vec<StoredTensor>> {
    let (name, bits) = (linear.name(), linear.bits());
    let (outputs, inputs, groups) = (linear.outputs(), linear.inputs(), linear.groups());
    let refuse = |what: String, hint| {
        let (tensor, format) = (name.to_owned(), format.name());
        Err(Error::NotRepresentable { tensor, format, what, hint })
    };
    let whole = match bits {
        Bits::Three => 32,
        _ => 32 / bits.width() as usize,
    };
    if inputs % whole != 0 || outputs % whole != 0 {
        let what = format!("[{outputs}, {inputs}] at {bits} bits");
        return refuse(what, "inputs and outputs must fill whole 32-bit words: ignore this linear");
    }
    half_scales(linear, format)?;
    let stored = |group: usize, output: usize| {
        let zero = linear.zeros()[output * groups + group];
        if format == Format::GptqV1 { zero.checked_sub(1) } else { Some(zero) }
    };
    for (output, group) in (0..outputs).flat_map(|o| (0..groups).map(move |g| (o, g))) {
        if stored(group, output).is_none_or(|zero| zero > bits.max_code()) {
            let zero = linear.zeros()[output * groups + group];
            let what = format!("the zero point {zero} of row {output}, group {group}");
            return refuse(what, "write gptq-v2, or quantize with nonzero zero points");
        }
    }
    let words = |count: usize| count * bits.width() as usize / 32;
    let qweight = along_rows(bits, inputs, outputs, |i, o| linear.codes()[o * inputs + i]);
    let qzeros = along_columns(bits, groups, outputs, |g, o| stored(g, o).unwrap_or_default());
    let scales =
        (0..groups).flat_map(|g| (0..outputs).map(move |o| linear.scales()[o * groups + g]));
    let index = (0..inputs).map(|input| linear.group_of(input) as u32);
    Ok(vec![
        StoredTensor::new(name, "qweight", Dtype::I32, &[words(inputs), outputs], qweight),
        StoredTensor::new(name, "qzeros", Dtype::I32, &[groups, words(outputs)], qzeros),
        StoredTensor::scales(name, "scales", &[groups, outputs], ScaleType::F16, scales),
        StoredTensor::integers(name, "g_idx", index, inputs),
    ])
}

/// What the shape of `qweight` says.
pub(super) fn shape(name: &str, bits: Bits, source: &dyn TensorSource) -> Result<[usize; 2]> {
    let qweight = Read::new(source, name, "qweight")?;
    let [words, outputs] = qweight.matrix()?;
    let codes = words.checked_mul(32).map(|stored| stored / bits.width() as usize);
    Ok([outputs, codes.ok_or_else(|| qweight.wrong("is too large"))?])
}

pub(super) fn unpack(
    name: &str,
    layout: &Layout,
    source: &dyn TensorSource,
) -> Result<QuantizedLinear> {
    let bits = layout.bits;
    let [outputs, inputs] = shape(name, bits, source)?;
    let qweight = Read::new(source, name, "qweight")?;
    let stored = qweight.matrix()?;
    elements(name, outputs, inputs)?;
    let bytes = qweight.bytes(Dtype::I32)?;
    let shape = [inputs, outputs];
    let packed = Packed::new(&qweight.name, bytes, stored, bits, Along::Rows, shape)?;

    let groups = inputs / layout.granularity.length(name, inputs)?;
    let scales = Read::new(source, name, "scales")?;
    scales.expect_shape(&[groups, outputs])?;
    let (values, scale_type) = scales.floats()?;
    let qzeros = Read::new(source, name, "qzeros")?;
    let (bytes, stored) = (qzeros.bytes(Dtype::I32)?, qzeros.matrix()?);
    let zeros = Packed::new(&qzeros.name, bytes, stored, bits, Along::Columns, [groups, outputs])?;
    let zero = |group: usize, output: usize| {
        let zero = zeros.get(group, output);
        let added = u8::from(layout.format == Format::GptqV1);
        zero.checked_add(added).ok_or_else(|| qzeros.wrong("holds the zero point 256"))
    };
    let zeros = (0..outputs).flat_map(|o| (0..groups).map(move |g| (g, o)));
    let zeros: Vec<u8> = zeros.map(|(g, o)| zero(g, o)).collect::<Result<_>>()?;
    let group_index = match Read::optional(source, name, "g_idx") {
        Some(index) => {
            index.expect_shape(&[inputs])?;
            Some(index.indices()?)
        }
        None => None,
    };
    let linear = QuantizedLinear::new(LinearParts {
        name: name.to_owned(),
        outputs,
        inputs,
        bits,
        granularity: layout.granularity,
        scale_type,
        codes: super::bitpack::unpack(outputs, inputs, |o, i| packed.get(i, o)),
        scales: transposed(&values, outputs),
        zeros,
        group_index,
    })?;
    if layout.symmetric && !linear.is_symmetric() {
        return Err(qzeros.wrong("has zero points, though the config says `sym`"));
    }
    Ok(linear)
}

/// Refuses scales that half precision would change.
pub(super) fn half_scales(linear: &QuantizedLinear, format: Format) -> Result<()> {
    let exact = |&scale: &f32| half::f16::from_f32(scale).to_f32() == scale;
    if linear.scale_type() == ScaleType::F16 || linear.scales().iter().all(exact) {
        return Ok(());
    }
    Err(Error::NotRepresentable {
        tensor: linear.name().to_owned(),
        format: format.name(),
        what: format!("scales of type {}", linear.scale_type()),
        hint: "quantize with f16 scales, or round them",
    })
}
