//! Every format: what is packed is unpacked, what is foreign is refused.

use proptest::prelude::*;
use safetensors::SafeTensors;

use super::*;
use crate::{LinearParts, ScaleType};

/// A linear of random codes that the format can hold.
fn linear(
    format: Format,
    seed: u64,
    size: [usize; 3],
    symmetric: bool,
) -> (QuantizedLinear, Layout) {
    let random = |i: usize| {
        let bits = (seed | 1).wrapping_mul(i as u64 + 17).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (bits >> 40) as usize
    };
    let bits = format.bits()[random(1) % format.bits().len()];
    let [outputs, groups, length] = size;
    // Whole words for every number of bits.
    let whole = if bits == Bits::Three { 32 } else { 16 };
    let words = matches!(format, Format::AwqGemm | Format::GptqV1 | Format::GptqV2);
    let outputs = if words { outputs * whole } else { outputs };
    let length = if words { length * whole } else { length };
    let inputs = groups * length;
    let granularity = match (groups, format) {
        (1, Format::IntQuantized) if random(2) % 2 == 0 => Granularity::Tensor,
        (1, _) => Granularity::Channel,
        _ => Granularity::group(length).expect("not 0"),
    };
    let scales = if granularity == Granularity::Tensor { 1 } else { outputs * groups };
    let max = usize::from(bits.max_code());
    let zero = |i: usize| match format {
        _ if symmetric => bits.middle(),
        Format::GptqV1 => (1 + random(i) % max) as u8,
        _ => (random(i) % (max + 1)) as u8,
    };
    let ordered = groups > 1
        && matches!(format, Format::PackQuantized | Format::GptqV1 | Format::GptqV2)
        && random(3) % 2 == 0;
    let parts = LinearParts {
        name: "model.layers.3.proj".into(),
        outputs,
        inputs,
        bits,
        granularity,
        scale_type: if words { ScaleType::F16 } else { ScaleType::Bf16 },
        codes: (0..outputs * inputs).map(|i| (random(i) % (max + 1)) as u8).collect(),
        scales: (0..scales).map(|i| (1 + random(i) % 64) as f32 / 64.0).collect(),
        zeros: (0..scales).map(zero).collect(),
        group_index: ordered.then(|| (0..inputs).map(|i| (i % groups) as u32).collect()),
    };
    let linear = QuantizedLinear::new(parts).expect("parts that fit");
    (linear, Layout { format, bits, granularity, symmetric })
}

fn any_format() -> impl Strategy<Value = Format> {
    proptest::sample::select(Format::ALL.to_vec())
}

proptest! {
    #[test]
    fn what_is_packed_is_unpacked(
        format in any_format(), seed in any::<u64>(), outputs in 1usize..5, groups in 1usize..4,
        length in 1usize..9, symmetric in any::<bool>(),
    ) {
        let (linear, layout) = linear(format, seed, [outputs, groups, length], symmetric);
        let tensors = layout.pack(&linear)?;
        let read = layout.unpack(linear.name(), &tensors)?;
        let wide = format == Format::PackQuantized && !symmetric;
        let linear = if wide { linear.with_scale_type(ScaleType::F32)? } else { linear };
        prop_assert_eq!(&read, &linear);
        for (at, value) in read.dequantize().into_iter().enumerate() {
            let (output, input) = (at / linear.inputs(), at % linear.inputs());
            let group = match layout.granularity {
                Granularity::Tensor => 0,
                _ => output * linear.groups() + linear.group_of(input),
            };
            let step = f32::from(linear.codes()[at]) - f32::from(linear.zeros()[group]);
            prop_assert_eq!(value, linear.scales()[group] * step);
        }
        // Through the bytes of a file.
        let names: Vec<(&str, &StoredTensor)> = tensors.iter().map(|t| (t.name(), t)).collect();
        let file = safetensors::serialize(names, None).expect("tensors that fit");
        let file = SafeTensors::deserialize(&file).expect("a whole file");
        prop_assert_eq!(layout.unpack(linear.name(), &file)?, linear);
    }

    #[test]
    fn a_linear_goes_through_all_formats_unchanged(seed in any::<u64>(), groups in 2usize..4) {
        let (linear, layout) = linear(Format::AwqGemm, seed, [2, groups, 1], false);
        // GPTQ's first format has no zero point 0.
        let linear = QuantizedLinear::new(LinearParts {
            name: linear.name().to_owned(),
            outputs: linear.outputs(),
            inputs: linear.inputs(),
            bits: linear.bits(),
            granularity: linear.granularity(),
            scale_type: linear.scale_type(),
            codes: linear.codes().to_vec(),
            scales: linear.scales().to_vec(),
            zeros: linear.zeros().iter().map(|&zero| zero.max(1)).collect(),
            group_index: None,
        })?;
        let mut read = linear.clone();
        for format in [Format::GptqV1, Format::PackQuantized, Format::GptqV2, Format::AwqGemm] {
            let layout = Layout { format, ..layout };
            read = layout.unpack(linear.name(), &layout.pack(&read)?)?;
        }
        prop_assert_eq!(read, linear);
    }

    #[test]
    fn broken_tensors_are_errors(
        format in any_format(), seed in any::<u64>(), which in 0usize..4, how in 0usize..4,
        symmetric in any::<bool>(),
    ) {
        let (linear, layout) = linear(format, seed, [2, 2, 4], symmetric);
        let mut tensors = layout.pack(&linear)?;
        let which = which % tensors.len();
        let broken = &tensors[which];
        // Without zero points AWQ's are in the middle, without an index groups are runs of neighbours.
        let symmetric_awq = format == Format::AwqGemm && symmetric;
        let optional = broken.name().ends_with("g_idx")
            || symmetric_awq && broken.name().ends_with("qzeros");
        let suffix = broken.name().rsplit('.').next().unwrap_or_default().to_owned();
        let (dtype, mut shape, mut bytes) =
            (broken.dtype(), broken.shape().to_vec(), broken.bytes().to_vec());
        match how {
            0 => {
                tensors.remove(which);
                prop_assert!(optional || layout.unpack(linear.name(), &tensors).is_err());
                return Ok(());
            }
            1 => shape.push(1),
            2 => {
                // A dimension too many of everything, its bytes included.
                shape[0] *= 2;
                bytes.extend(bytes.clone());
            }
            _ => {
                shape = vec![0; shape.len()];
                bytes = vec![];
            }
        }
        tensors[which] = StoredTensor::new(linear.name(), &suffix, dtype, &shape, bytes);
        let read = layout.unpack(linear.name(), &tensors);
        // A 1 at the end of a vector's shape is no harm.
        prop_assert!(read.is_err() || how == 1, "{suffix} {shape:?}");
    }
}

fn any_tensor() -> impl Strategy<Value = StoredTensor> {
    let suffix = proptest::sample::select(vec![
        "weight_packed",
        "weight_scale",
        "weight_shape",
        "weight_zero_point",
        "weight_g_idx",
        "weight",
        "qweight",
        "qzeros",
        "scales",
        "g_idx",
    ]);
    let dtype = proptest::sample::select(vec![
        safetensors::Dtype::I32,
        safetensors::Dtype::I64,
        safetensors::Dtype::I8,
        safetensors::Dtype::F16,
        safetensors::Dtype::F32,
    ]);
    let shape = prop::collection::vec(0usize..9, 0..3);
    (suffix, dtype, shape, any::<u64>()).prop_map(|(suffix, dtype, shape, seed)| {
        let count = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let small = |i: usize| (seed.wrapping_mul(i as u64 + 1) >> 56) as u8 & (seed % 4 * 5) as u8;
        StoredTensor::new("p", suffix, dtype, &shape, (0..count).map(small).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn hostile_tensors_are_read_or_refused(
        format in any_format(), tensors in prop::collection::vec(any_tensor(), 0..9),
        bits in proptest::sample::select(Bits::ALL.to_vec()), group in 0usize..9,
        symmetric in any::<bool>(),
    ) {
        let granularity = match group {
            0 => Granularity::Channel,
            _ => Granularity::group(group)?,
        };
        let layout = Layout { format, bits, granularity, symmetric };
        // Whatever comes out can be used.
        if let Ok(linear) = layout.unpack("p", &tensors) {
            prop_assert_eq!(linear.dequantize().len(), linear.outputs() * linear.inputs());
        }
    }
}

/// Numbers worked out by hand from the formats' definitions.
#[test]
fn words_hold_what_the_formats_say() -> Result<()> {
    let parts = |scale_type| LinearParts {
        name: "p".into(),
        outputs: 8,
        inputs: 8,
        bits: Bits::Four,
        granularity: Granularity::Channel,
        scale_type,
        // Row o holds o, o + 1, .. modulo 16.
        codes: (0..64u8).map(|i| (i / 8 + i % 8) % 16).collect(),
        scales: vec![0.5; 8],
        zeros: (1..9).collect(),
        group_index: None,
    };
    let linear = QuantizedLinear::new(parts(ScaleType::F16))?;
    let layout = |format| Layout {
        format,
        bits: Bits::Four,
        granularity: Granularity::Channel,
        symmetric: false,
    };
    let words = |format, name: &str| -> Result<Vec<u32>> {
        let tensors = layout(format).pack(&linear)?;
        let tensor = tensors.iter().find(|t| t.name() == name).expect("the tensor");
        Ok(tensor.bytes().as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect())
    };
    // Row 0 is 0..7, lowest nibble first.
    assert_eq!(words(Format::PackQuantized, "p.weight_packed")?[..2], [0x7654_3210, 0x8765_4321]);
    assert_eq!(words(Format::PackQuantized, "p.weight_zero_point")?, [0x8765_4321]);
    // Input 0 of the eight outputs is 0..7, too; in AWQ's order from the lowest nibble 0 2 4 6 1 3 5 7.
    assert_eq!(words(Format::AwqGemm, "p.qweight")?[0], 0x7531_6420);
    assert_eq!(words(Format::AwqGemm, "p.qzeros")?, [0x8642_7531]);
    // GPTQ's words run along inputs: word [0, 1] is output 1.
    assert_eq!(words(Format::GptqV1, "p.qweight")?[..2], [0x7654_3210, 0x8765_4321]);
    assert_eq!(words(Format::GptqV1, "p.qzeros")?, [0x7654_3210]);
    assert_eq!(words(Format::GptqV2, "p.qzeros")?, [0x8765_4321]);
    assert_eq!(words(Format::GptqV1, "p.g_idx")?, [0; 8]);

    let scale = words(Format::GptqV1, "p.scales")?[0] as u16;
    assert_eq!(half::f16::from_bits(scale).to_f32(), 0.5);
    Ok(())
}

#[test]
fn signed_bytes_are_codes_minus_the_middle() -> Result<()> {
    let parts = LinearParts {
        name: "p".into(),
        outputs: 1,
        inputs: 3,
        bits: Bits::Eight,
        granularity: Granularity::Channel,
        scale_type: ScaleType::F32,
        codes: vec![0, 128, 255],
        scales: vec![2.0],
        zeros: vec![128],
        group_index: None,
    };
    let (bits, granularity, symmetric) = (Bits::Eight, Granularity::Channel, true);
    let layout = Layout { format: Format::IntQuantized, bits, granularity, symmetric };
    let tensors = layout.pack(&QuantizedLinear::new(parts)?)?;
    assert_eq!(tensors[0].bytes(), [-128i8, 0, 127].map(|x| x as u8));
    assert_eq!(layout.unpack("p", &tensors)?.dequantize(), [-256.0, 0.0, 254.0]);
    Ok(())
}

#[test]
fn zero_points_may_be_bytes() -> Result<()> {
    for seed in 0..8 {
        let (linear, layout) = linear(Format::PackQuantized, seed, [3, 2, 4], false);
        let mut tensors = layout.pack(&linear)?;
        let at = tensors.iter().position(|t| t.name().ends_with("zero_point")).expect("written");
        let mut read = |bytes: Vec<u8>, shape: [usize; 2]| {
            let (name, dtype) = ("weight_zero_point", safetensors::Dtype::I8);
            tensors[at] = StoredTensor::new(linear.name(), name, dtype, &shape, bytes);
            layout.unpack(linear.name(), &tensors)
        };
        let middle = linear.bits().middle();
        let signed: Vec<u8> = linear.zeros().iter().map(|zero| zero.wrapping_sub(middle)).collect();
        assert_eq!(read(signed.clone(), [3, 2])?.dequantize(), linear.dequantize());
        assert!(read(signed.clone(), [2, 3]).is_err());
        // 8 is no zero point of 4 bits; of 8 bits every byte is one.
        let beyond = [&signed[1..], &[middle]].concat();
        assert_eq!(read(beyond, [3, 2]).is_err(), linear.bits() == Bits::Four);
    }
    Ok(())
}

#[test]
fn what_a_format_cannot_hold_is_refused() -> Result<()> {
    let (awq, layout) = linear(Format::AwqGemm, 5, [1, 2, 1], false);
    let format = |format| Layout { format, ..layout };
    let zero = (0..).map(|seed| linear(Format::GptqV2, seed, [1, 1, 1], false));
    let (zero, own) = zero.into_iter().find(|(l, _)| l.zeros().contains(&0)).expect("some seed");
    let error = Layout { format: Format::GptqV1, ..own }.pack(&zero).expect_err("zero point 0");
    assert!(error.to_string().contains("gptq-v2"), "{error}");
    assert!(Layout { symmetric: true, ..layout }.pack(&awq).is_err());
    assert!(Layout { bits: Bits::Eight, ..format(Format::GptqV2) }.pack(&awq).is_err());
    let wide = awq.clone().with_scale_type(ScaleType::F32)?;
    assert!(layout.pack(&wide).is_ok());
    let parts = |outputs: usize| LinearParts {
        name: "p".into(),
        outputs,
        inputs: 8,
        bits: Bits::Four,
        granularity: Granularity::Channel,
        scale_type: ScaleType::F32,
        codes: vec![1; outputs * 8],
        scales: vec![0.1; outputs],
        zeros: vec![8; outputs],
        group_index: None,
    };
    let rows =
        |format| Layout { granularity: Granularity::Channel, ..self::Layout { format, ..layout } };
    let (odd, inexact) = (QuantizedLinear::new(parts(7))?, QuantizedLinear::new(parts(8))?);
    for kind in [Format::AwqGemm, Format::GptqV1, Format::GptqV2] {
        assert!(rows(kind).pack(&odd.clone().with_scale_type(ScaleType::F16)?).is_err());
        assert!(rows(kind).pack(&inexact).is_err());
        assert!(rows(kind).pack(&inexact.clone().with_scale_type(ScaleType::F16)?).is_ok());
    }
    assert!(rows(Format::PackQuantized).pack(&odd).is_ok());
    Ok(())
}

#[test]
fn coarser_groups_are_written_as_finer_ones() -> Result<()> {
    let (coarse, layout) = linear(Format::AwqGemm, 8, [1, 1, 2], false);
    let finer = Layout { granularity: Granularity::group(8)?, ..layout };
    let read = finer.unpack(coarse.name(), &finer.pack(&coarse)?)?;
    assert_eq!((read.groups(), read.dequantize()), (coarse.inputs() / 8, coarse.dequantize()));
    let broken = Layout { granularity: Granularity::group(5)?, ..layout };
    assert!(matches!(broken.pack(&coarse), Err(Error::Group { .. })));
    Ok(())
}

#[test]
fn a_claimed_size_beyond_the_file_allocates_nothing() -> Result<()> {
    let (linear, layout) = linear(Format::PackQuantized, 3, [2, 1, 4], true);
    let mut tensors = layout.pack(&linear)?;
    let sizes = [i64::from(i32::MAX), i64::from(i32::MAX)];
    let bytes = sizes.iter().flat_map(|n| n.to_le_bytes()).collect();
    let at = tensors.iter().position(|t| t.name().ends_with("weight_shape")).expect("written");
    tensors[at] =
        StoredTensor::new(linear.name(), "weight_shape", safetensors::Dtype::I64, &[2], bytes);
    assert!(matches!(layout.unpack(linear.name(), &tensors), Err(Error::Stored { .. })));
    Ok(())
}

#[test]
fn formats_go_by_their_names() {
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
        let json = serde_json::to_value(format).expect("a name");
        assert_eq!(json, format.name());
    }
    assert!("gptq".parse::<Format>().is_err());
}

#[test]
fn an_input_scale_is_written_and_read() -> Result<()> {
    let quantizer = crate::ActivationQuantizer::with_scale(0.25)?;
    let stored = vec![pack_input_scale("p", &quantizer).expect("a fixed scale")];
    assert_eq!(input_scale("p", &stored)?, quantizer);
    assert!(matches!(input_scale("q", &stored), Err(Error::MissingTensor { .. })));
    let wrong = |value: f32, count: usize| {
        let values = std::iter::repeat_n(value, count);
        let tensor = StoredTensor::scales("p", "input_scale", &[count], ScaleType::F32, values);
        input_scale("p", &vec![tensor])
    };
    assert!(wrong(0.0, 1).is_err() && wrong(f32::NAN, 1).is_err() && wrong(1.0, 2).is_err());
    Ok(())
}
