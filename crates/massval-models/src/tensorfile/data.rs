//! The numbers of a dumped tensor, in the type they were dumped in.

use half::{bf16, f16};

use crate::weights::StoredType;

/// A tensor's numbers, row-major.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TensorData {
    /// IEEE 754, 64 bits.
    F64(Vec<f64>),
    /// IEEE 754, 32 bits.
    F32(Vec<f32>),
    /// IEEE 754, 16 bits.
    F16(Vec<f16>),
    /// The upper half of an IEEE 754 number of 32 bits.
    BF16(Vec<bf16>),
    /// Integers and bools of any width, such as token ids.
    I64(Vec<i64>),
}

/// The order of a number's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl TensorData {
    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::F64(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::F16(v) => v.len(),
            Self::BF16(v) => v.len(),
            Self::I64(v) => v.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How the numbers are stored when written.
    pub fn dtype(&self) -> StoredType {
        match self {
            Self::F64(_) => StoredType::F64,
            Self::F32(_) => StoredType::F32,
            Self::F16(_) => StoredType::F16,
            Self::BF16(_) => StoredType::BF16,
            Self::I64(_) => StoredType::I64,
        }
    }

    /// The numbers of `bytes`, which must be whole numbers of type `dtype`.
    ///
    /// # Errors
    /// A reason, for a type that has no place here, for an integer above `i64`, and for a bool
    /// that is neither 0 nor 1.
    pub(super) fn from_bytes(
        dtype: StoredType,
        bytes: &[u8],
        order: ByteOrder,
    ) -> Result<Self, String> {
        if !bytes.len().is_multiple_of(dtype.block_bytes()) {
            return Err(format!("{} bytes are no whole number of {dtype}", bytes.len()));
        }
        let integers = |integers: Vec<i64>| Ok(Self::I64(integers));
        match dtype {
            StoredType::F64 => Ok(Self::F64(numbers(bytes, order, f64::from_le_bytes))),
            StoredType::F32 => Ok(Self::F32(numbers(bytes, order, f32::from_le_bytes))),
            StoredType::F16 => Ok(Self::F16(numbers(bytes, order, f16::from_le_bytes))),
            StoredType::BF16 => Ok(Self::BF16(numbers(bytes, order, bf16::from_le_bytes))),
            StoredType::I64 => integers(numbers(bytes, order, i64::from_le_bytes)),
            StoredType::I32 => integers(numbers(bytes, order, |b| i32::from_le_bytes(b).into())),
            StoredType::I16 => integers(numbers(bytes, order, |b| i16::from_le_bytes(b).into())),
            StoredType::I8 => integers(numbers(bytes, order, |b| i8::from_le_bytes(b).into())),
            StoredType::U32 => integers(numbers(bytes, order, |b| u32::from_le_bytes(b).into())),
            StoredType::U16 => integers(numbers(bytes, order, |b| u16::from_le_bytes(b).into())),
            StoredType::U8 => integers(numbers(bytes, order, |b| u8::from_le_bytes(b).into())),
            StoredType::U64 => numbers(bytes, order, u64::from_le_bytes)
                .into_iter()
                .map(|n| i64::try_from(n).map_err(|_| format!("the integer {n} is above 2^63")))
                .collect::<Result<_, _>>()
                .map(Self::I64),
            StoredType::Bool => match bytes.iter().find(|byte| **byte > 1) {
                Some(byte) => Err(format!("{byte} is no bool")),
                None => integers(bytes.iter().map(|&byte| byte.into()).collect()),
            },
            _ => Err(format!("{dtype} numbers are not read from tensor files")),
        }
    }

    /// The numbers as little-endian bytes.
    pub(super) fn write(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        match self {
            Self::F64(v) => write(v, |x| x.to_le_bytes(), out),
            Self::F32(v) => write(v, |x| x.to_le_bytes(), out),
            Self::F16(v) => write(v, |x| x.to_le_bytes(), out),
            Self::BF16(v) => write(v, |x| x.to_le_bytes(), out),
            Self::I64(v) => write(v, |x| x.to_le_bytes(), out),
        }
    }
}

fn numbers<T, const N: usize>(
    bytes: &[u8],
    order: ByteOrder,
    read: impl Fn([u8; N]) -> T,
) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    match order {
        ByteOrder::Little => chunks.iter().map(|&chunk| read(chunk)).collect(),
        ByteOrder::Big => chunks
            .iter()
            .map(|&chunk| {
                let mut swapped = chunk;
                swapped.reverse();
                read(swapped)
            })
            .collect(),
    }
}

fn write<T: Copy, const N: usize>(
    numbers: &[T],
    bytes: impl Fn(T) -> [u8; N],
    out: &mut dyn std::io::Write,
) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(N * 4096);
    for numbers in numbers.chunks(4096) {
        buffer.clear();
        buffer.extend(numbers.iter().flat_map(|&x| bytes(x)));
        out.write_all(&buffer)?;
    }
    Ok(())
}
