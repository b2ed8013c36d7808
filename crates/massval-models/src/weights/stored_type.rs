//! How a tensor's numbers are stored on disk, and how many bytes they take.

use std::fmt;

use massval_quant::Bits;

/// The number format of a stored tensor: plain numbers, or blocks of quantized ones.
///
/// ```
/// use massval_models::weights::StoredType;
///
/// assert_eq!(StoredType::Q4K.to_string(), "Q4_K");
/// assert_eq!(StoredType::Q4K.bytes_for(512), Some(288)); // two blocks of 256
/// assert_eq!(StoredType::Q4K.bytes_for(100), None); // not a whole number of blocks
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoredType {
    /// IEEE 754, 64 bits.
    F64,
    /// IEEE 754, 32 bits.
    F32,
    /// IEEE 754, 16 bits.
    F16,
    /// The upper 16 bits of an IEEE 754 number of 32 bits.
    BF16,
    /// Eight bits, four of them exponent. Listed, not decoded: its scales lie in other tensors.
    F8E4M3,
    /// Eight bits, five of them exponent. Listed, not decoded: its scales lie in other tensors.
    F8E5M2,
    /// Signed, 64 bits.
    I64,
    /// Signed, 32 bits.
    I32,
    /// Signed, 16 bits.
    I16,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 64 bits.
    U64,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 8 bits.
    U8,
    /// One byte, 0 or 1.
    Bool,
    /// ggml: 32 numbers of 4 bits, one scale.
    Q4_0,
    /// ggml: 32 numbers of 4 bits, a scale and a minimum.
    Q4_1,
    /// ggml: 32 numbers of 5 bits, one scale.
    Q5_0,
    /// ggml: 32 numbers of 5 bits, a scale and a minimum.
    Q5_1,
    /// ggml: 32 numbers of 8 bits, one scale.
    Q8_0,
    /// ggml: 256 numbers of 4 bits, in eight groups with 6-bit scales and minima.
    Q4K,
    /// ggml: 256 numbers of 5 bits, in eight groups with 6-bit scales and minima.
    Q5K,
    /// ggml: 256 numbers of 6 bits, in sixteen groups with 8-bit scales.
    Q6K,
    /// Codes of so many bits with their scales, in tensors of their own: GPTQ's, AWQ's, compressed-tensors'.
    Packed(Bits),
}

impl StoredType {
    /// How many elements share one block: 1 for plain numbers.
    pub fn block_elements(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
            // What a whole number of bytes takes; the scales are not counted.
            Self::Packed(_) => 8,
            _ => 1,
        }
    }

    /// How many bytes one block takes.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F8E4M3 | Self::F8E5M2 | Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
            Self::Packed(bits) => bits.width() as usize,
        }
    }

    /// The bytes that `elements` elements take, or `None` where they fill no whole number of
    /// blocks or the count overflows.
    pub fn bytes_for(self, elements: u64) -> Option<u64> {
        let block = self.block_elements() as u64;
        if !elements.is_multiple_of(block) {
            return None;
        }
        (elements / block).checked_mul(self.block_bytes() as u64)
    }

    /// Whether [`Weights::read_f32`](super::Weights::read_f32) can decode this type.
    pub fn is_weight(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16) || self.is_quantized()
    }

    /// Whether the numbers are quantized in blocks.
    pub fn is_quantized(self) -> bool {
        self.block_elements() > 1
    }

    /// The type of a safetensors `dtype` string.
    pub(crate) fn from_safetensors(dtype: &str) -> Option<Self> {
        Some(match dtype {
            "F64" => Self::F64,
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::BF16,
            "F8_E4M3" => Self::F8E4M3,
            "F8_E5M2" => Self::F8E5M2,
            "I64" => Self::I64,
            "I32" => Self::I32,
            "I16" => Self::I16,
            "I8" => Self::I8,
            "U64" => Self::U64,
            "U32" => Self::U32,
            "U16" => Self::U16,
            "U8" => Self::U8,
            "BOOL" => Self::Bool,
            _ => return None,
        })
    }

    /// The type of a ggml type number, or the name of the one that is not supported.
    pub(crate) fn from_ggml(id: u32) -> Result<Self, String> {
        // Numbers and names of ggml.h, `enum ggml_type`.
        const NAMES: [&str; 40] = [
            "F32",
            "F16",
            "Q4_0",
            "Q4_1",
            "Q4_2",
            "Q4_3",
            "Q5_0",
            "Q5_1",
            "Q8_0",
            "Q8_1",
            "Q2_K",
            "Q3_K",
            "Q4_K",
            "Q5_K",
            "Q6_K",
            "Q8_K",
            "IQ2_XXS",
            "IQ2_XS",
            "IQ3_XXS",
            "IQ1_S",
            "IQ4_NL",
            "IQ3_S",
            "IQ2_S",
            "IQ4_XS",
            "I8",
            "I16",
            "I32",
            "I64",
            "F64",
            "IQ1_M",
            "BF16",
            "Q4_0_4_4",
            "Q4_0_4_8",
            "Q4_0_8_8",
            "TQ1_0",
            "TQ2_0",
            "IQ4_NL_4_4",
            "IQ4_NL_4_8",
            "IQ4_NL_8_8",
            "MXFP4",
        ];
        Ok(match id {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            12 => Self::Q4K,
            13 => Self::Q5K,
            14 => Self::Q6K,
            24 => Self::I8,
            25 => Self::I16,
            26 => Self::I32,
            27 => Self::I64,
            28 => Self::F64,
            30 => Self::BF16,
            _ => {
                return Err(match usize::try_from(id).ok().and_then(|id| NAMES.get(id)) {
                    Some(name) => (*name).to_owned(),
                    None => format!("number {id}"),
                });
            }
        })
    }
}

impl fmt::Display for StoredType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Packed(bits) => return f.pad(&format!("{bits} bits, packed")),
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::F8E4M3 => "F8_E4M3",
            Self::F8E5M2 => "F8_E5M2",
            Self::I64 => "I64",
            Self::I32 => "I32",
            Self::I16 => "I16",
            Self::I8 => "I8",
            Self::U64 => "U64",
            Self::U32 => "U32",
            Self::U16 => "U16",
            Self::U8 => "U8",
            Self::Bool => "BOOL",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
        };
        f.pad(name)
    }
}
