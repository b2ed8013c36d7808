//! compressed-tensors' tensors.
//!
//! `pack-quantized`: `weight_packed` `[out, words]`, packed along inputs; `weight_scale` `[out, groups]`, in f32 if
//! asymmetric; `weight_shape` `[2]`; if asymmetric `weight_zero_point` `[words, groups]`, packed along outputs (signed
//! bytes `[out, groups]` are read, too); if groups are out of order `weight_g_idx` `[in]`. `int-quantized`: `weight` as
//! signed bytes `[out, in]`, `weight_scale` `[out, groups]` or `[1]`, if asymmetric `weight_zero_point` as signed
//! bytes; `input_scale` `[1]` for static activations. Signed values are codes minus the middle.

use safetensors::Dtype;

use super::bitpack::{Along, Packed, along_columns, along_rows, unpack as unpack_codes, words};
use super::tensors::{Read, StoredTensor, TensorSource};
use super::{Format, Layout};
use crate::linear::LinearParts;
use crate::weight::elements;
use crate::{ActivationQuantizer, Bits, Error, Granularity, QuantizedLinear, Result, ScaleType};

pub(super) fn pack(linear: &QuantizedLinear, layout: &Layout) -> Result<Vec<StoredTensor>> {
    let (name, bits) = (linear.name(), linear.bits());
    let (outputs, inputs, groups) = (linear.outputs(), linear.inputs(), linear.groups());
    let packed = along_columns(bits, outputs, inputs, |o, i| linear.codes()[o * inputs + i]);
    let shape = [outputs, words(bits, inputs).unwrap_or_default()];
    let sizes = [outputs, inputs].iter().flat_map(|&n| (n as i64).to_le_bytes()).collect();
    // transformers computes weights with zero points in the type of their scales, whatever the model's is.
    let scale_type = if layout.symmetric { linear.scale_type() } else { ScaleType::F32 };
    let mut tensors = vec![
        StoredTensor::new(name, "weight_packed", Dtype::I32, &shape, packed),
        scales(linear, scale_type),
        StoredTensor::new(name, "weight_shape", Dtype::I64, &[2], sizes),
    ];
    if !layout.symmetric {
        check_zeros(linear, layout.format)?;
        let zeros = along_rows(bits, outputs, groups, |o, g| linear.zeros()[o * groups + g]);
        let shape = [words(bits, outputs).unwrap_or_default(), groups];
        tensors.push(StoredTensor::new(name, "weight_zero_point", Dtype::I32, &shape, zeros));
    }
    if let Some(index) = linear.group_index() {
        let index = index.iter().copied();
        tensors.push(StoredTensor::integers(name, "weight_g_idx", index, inputs));
    }
    Ok(tensors)
}

/// What `weight_shape` says.
pub(super) fn shape(name: &str, source: &dyn TensorSource) -> Result<[usize; 2]> {
    let shape = Read::new(source, name, "weight_shape")?;
    shape.expect_shape(&[2])?;
    let sizes = shape.indices()?;
    let [outputs, inputs] = sizes[..] else { return Err(shape.wrong("does not hold two sizes")) };
    Ok([outputs as usize, inputs as usize])
}

pub(super) fn unpack(
    name: &str,
    layout: &Layout,
    source: &dyn TensorSource,
) -> Result<QuantizedLinear> {
    let bits = layout.bits;
    let [outputs, inputs] = shape(name, source)?;
    elements(name, outputs, inputs)?;
    let packed = Read::new(source, name, "weight_packed")?;
    let (bytes, stored) = (packed.bytes(Dtype::I32)?, packed.matrix()?);
    let along = Along::Columns;
    let packed = Packed::new(&packed.name, bytes, stored, bits, along, [outputs, inputs])?;
    let (groups, scales, scale_type) = read_scales(name, layout, source, [outputs, inputs])?;
    let zeros = if layout.symmetric {
        vec![bits.middle(); outputs * groups]
    } else {
        read_zeros(&Read::new(source, name, "weight_zero_point")?, bits, [outputs, groups])?
    };
    let group_index = match Read::optional(source, name, "weight_g_idx") {
        Some(index) => {
            index.expect_shape(&[inputs])?;
            Some(index.indices()?)
        }
        None => None,
    };
    QuantizedLinear::new(LinearParts {
        name: name.to_owned(),
        outputs,
        inputs,
        bits,
        granularity: layout.granularity,
        scale_type,
        codes: unpack_codes(outputs, inputs, |o, i| packed.get(o, i)),
        scales,
        zeros,
        group_index,
    })
}

/// Zero points in packed words, or as bytes: what loaders of several programs make room for.
fn read_zeros(stored: &Read<'_>, bits: Bits, [outputs, groups]: [usize; 2]) -> Result<Vec<u8>> {
    if stored.dtype() != Dtype::I8 {
        let (bytes, matrix) = (stored.bytes(Dtype::I32)?, stored.matrix()?);
        let shape = [outputs, groups];
        let packed = Packed::new(&stored.name, bytes, matrix, bits, Along::Rows, shape)?;
        return Ok(unpack_codes(outputs, groups, |o, g| packed.get(o, g)));
    }
    stored.expect_shape(&[outputs, groups])?;
    let zero = |&byte: &u8| {
        let code = i16::from(byte.cast_signed()) + i16::from(bits.middle());
        let code = u8::try_from(code).ok().filter(|&code| code <= bits.max_code());
        code.ok_or_else(|| {
            stored.wrong(format!("holds {}, no code of {bits} bits", byte.cast_signed()))
        })
    };
    stored.bytes(Dtype::I8)?.iter().map(zero).collect()
}

pub(super) fn pack_bytes(linear: &QuantizedLinear, layout: &Layout) -> Result<Vec<StoredTensor>> {
    let name = linear.name();
    if linear.group_index().is_some() {
        return Err(Error::NotRepresentable {
            tensor: name.to_owned(),
            format: layout.format.name(),
            what: "groups out of order".to_owned(),
            hint: "quantize with static groups",
        });
    }
    let signed = |codes: &[u8]| codes.iter().map(|code| code ^ 0x80).collect::<Vec<u8>>();
    let shape = [linear.outputs(), linear.inputs()];
    let mut tensors = vec![
        StoredTensor::new(name, "weight", Dtype::I8, &shape, signed(linear.codes())),
        scales(linear, linear.scale_type()),
    ];
    if !layout.symmetric {
        let shape = scale_shape(linear.granularity(), linear.outputs(), linear.groups());
        let zeros = signed(linear.zeros());
        tensors.push(StoredTensor::new(name, "weight_zero_point", Dtype::I8, &shape, zeros));
    }
    Ok(tensors)
}

pub(super) fn unpack_bytes(
    name: &str,
    layout: &Layout,
    source: &dyn TensorSource,
) -> Result<QuantizedLinear> {
    let weight = Read::new(source, name, "weight")?;
    let [outputs, inputs] = weight.matrix()?;
    elements(name, outputs, inputs)?;
    let unsigned = |bytes: &[u8]| bytes.iter().map(|byte| byte ^ 0x80).collect::<Vec<u8>>();
    let codes = unsigned(weight.bytes(Dtype::I8)?);
    let (groups, scales, scale_type) = read_scales(name, layout, source, [outputs, inputs])?;
    let zeros = if layout.symmetric {
        vec![Bits::Eight.middle(); scales.len()]
    } else {
        let zeros = Read::new(source, name, "weight_zero_point")?;
        zeros.expect_shape(&scale_shape(layout.granularity, outputs, groups))?;
        unsigned(zeros.bytes(Dtype::I8)?)
    };
    QuantizedLinear::new(LinearParts {
        name: name.to_owned(),
        outputs,
        inputs,
        bits: Bits::Eight,
        granularity: layout.granularity,
        scale_type,
        codes,
        scales,
        zeros,
        group_index: None,
    })
}

/// The tensor `input_scale` of a linear whose inputs have a fixed scale; none for other quantizers.
pub fn pack_input_scale(name: &str, quantizer: &ActivationQuantizer) -> Option<StoredTensor> {
    let scale = quantizer.scale()?;
    let values = std::iter::once(scale);
    Some(StoredTensor::scales(name, "input_scale", &[1], ScaleType::F32, values))
}

/// The quantizer that a linear's `input_scale` stands for.
///
/// # Errors
/// [`Error::MissingTensor`] if there is none, [`Error::Stored`] if it is not a single number,
/// [`Error::Parameter`] if it is not a positive one.
pub fn input_scale(name: &str, source: &dyn TensorSource) -> Result<ActivationQuantizer> {
    let scale = Read::new(source, name, "input_scale")?;
    scale.expect_shape(&[1])?;
    let (values, _) = scale.floats()?;
    ActivationQuantizer::with_scale(values.first().copied().unwrap_or_default())
}

fn scale_shape(granularity: Granularity, outputs: usize, groups: usize) -> Vec<usize> {
    match granularity {
        Granularity::Tensor => vec![1],
        Granularity::Channel | Granularity::Group(_) => vec![outputs, groups],
    }
}

fn scales(linear: &QuantizedLinear, scale_type: ScaleType) -> StoredTensor {
    let shape = scale_shape(linear.granularity(), linear.outputs(), linear.groups());
    let values = linear.scales().iter().copied();
    StoredTensor::scales(linear.name(), "weight_scale", &shape, scale_type, values)
}

fn read_scales(
    name: &str,
    layout: &Layout,
    source: &dyn TensorSource,
    [outputs, inputs]: [usize; 2],
) -> Result<(usize, Vec<f32>, ScaleType)> {
    let groups = inputs / layout.granularity.length(name, inputs)?;
    let scales = Read::new(source, name, "weight_scale")?;
    scales.expect_shape(&scale_shape(layout.granularity, outputs, groups))?;
    let (values, scale_type) = scales.floats()?;
    Ok((groups, values, scale_type))
}

/// Refuses zero points beyond the last code, which only GPTQ's first format can say.
fn check_zeros(linear: &QuantizedLinear, format: Format) -> Result<()> {
    match linear.zeros().iter().find(|&&zero| zero > linear.bits().max_code()) {
        None => Ok(()),
        Some(zero) => Err(Error::NotRepresentable {
            tensor: linear.name().to_owned(),
            format: format.name(),
            what: format!("the zero point {zero}"),
            hint: "write gptq-v1",
        }),
    }
}
