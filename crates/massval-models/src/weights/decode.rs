//! Stored bytes to `f32`: casts and dequantization, in parallel, as they lie or transposed.

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use rayon::prelude::*;

use super::gguf::quants;
use super::stored_type::StoredType;

/// Elements one task decodes: large enough to pay for the task, small enough to balance, and
/// a multiple of every block.
const TASK: usize = 1 << 15;
/// Rows and columns of a tile of a transposition: 64 KB of `f32`, well inside a core's L2.
/// The columns are whole blocks of every format.
const TILE_ROWS: usize = 64;
const TILE_COLUMNS: usize = 256;
/// Numbers of a cache line.
const PADDING: usize = 16;

/// Decodes one slice of whole blocks; `None` for a type that is not a weight's.
fn kernel(dtype: StoredType) -> Option<quants::Kernel> {
    Some(match dtype {
        StoredType::F64 => f64_to_f32,
        StoredType::F32 => f32_to_f32,
        StoredType::F16 => f16_to_f32,
        StoredType::BF16 => bf16_to_f32,
        StoredType::Q4_0 => quants::q4_0,
        StoredType::Q4_1 => quants::q4_1,
        StoredType::Q5_0 => quants::q5_0,
        StoredType::Q5_1 => quants::q5_1,
        StoredType::Q8_0 => quants::q8_0,
        StoredType::Q4K => quants::q4_k,
        StoredType::Q5K => quants::q5_k,
        StoredType::Q6K => quants::q6_k,
        _ => return None,
    })
}

/// Decodes a whole tensor of `elements` elements, in the order it is stored.
///
/// `None` if the type is no weight's or `bytes` does not hold that many.
pub(crate) fn decode(dtype: StoredType, bytes: &[u8], elements: usize) -> Option<Vec<f32>> {
    let kernel = kernel(dtype)?;
    if dtype.bytes_for(elements as u64) != Some(bytes.len() as u64) {
        return None;
    }
    let mut out = vec![0.0; elements];
    let task_bytes = TASK / dtype.block_elements() * dtype.block_bytes();
    out.par_chunks_mut(TASK)
        .zip(bytes.par_chunks(task_bytes))
        .for_each(|(out, bytes)| kernel(bytes, out));
    Some(out)
}

/// Decodes a `[rows, columns]` tensor to `[columns, rows]`, row-major both.
///
/// Column `r` of the result is row `source_row(r)` of the file, which must lie below `rows`.
/// `None` as for [`decode`], or if the rows are no whole number of blocks.
pub(crate) fn decode_transposed(
    dtype: StoredType,
    bytes: &[u8],
    [rows, columns]: [usize; 2],
    source_row: impl Fn(usize) -> usize + Sync,
) -> Option<Vec<f32>> {
    let kernel = kernel(dtype)?;
    let elements = rows.checked_mul(columns)?;
    let row_bytes = usize::try_from(dtype.bytes_for(columns as u64)?).ok()?;
    if elements == 0 || bytes.len() != row_bytes.checked_mul(rows)? {
        return None;
    }
    let block = |column: usize| column / dtype.block_elements() * dtype.block_bytes();
    let mut out = vec![0.0; elements];
    // A task owns some rows of the result, so that tasks never write to the same line.
    out.par_chunks_mut(TILE_COLUMNS * rows).enumerate().for_each(|(task, out)| {
        let first = task * TILE_COLUMNS;
        let width = out.len() / rows;
        let segment = block(first)..block(first + width);
        // Rows that lie a power of two apart would share a few places of the cache.
        let stride = width + PADDING;
        let mut tile = vec![0.0; TILE_ROWS * stride];
        for top in (0..rows).step_by(TILE_ROWS) {
            let height = TILE_ROWS.min(rows - top);
            for (row, numbers) in (top..top + height).zip(tile.chunks_exact_mut(stride)) {
                let row_start = source_row(row) * row_bytes;
                kernel(&bytes[row_start..][segment.clone()], &mut numbers[..width]);
            }
            for (column, out) in out.chunks_exact_mut(rows).enumerate() {
                for (offset, x) in out[top..top + height].iter_mut().enumerate() {
                    *x = tile[offset * stride + column];
                }
            }
        }
    });
    Some(out)
}

/// Decoded numbers `[rows, columns]` as [`decode_transposed`] gives them.
pub(crate) fn transposed(
    values: &[f32],
    [rows, columns]: [usize; 2],
    source_row: impl Fn(usize) -> usize + Sync,
) -> Option<Vec<f32>> {
    if rows.checked_mul(columns)? != values.len() || values.is_empty() {
        return None;
    }
    let mut out = vec![0.0; values.len()];
    out.par_chunks_mut(rows).enumerate().for_each(|(column, out)| {
        for (row, x) in out.iter_mut().enumerate() {
            *x = values[source_row(row) * columns + column];
        }
    });
    Some(out)
}

fn f64_to_f32(bytes: &[u8], out: &mut [f32]) {
    let (numbers, _) = bytes.as_chunks::<8>();
    for (x, &bytes) in out.iter_mut().zip(numbers) {
        *x = f64::from_le_bytes(bytes) as f32;
    }
}

fn f32_to_f32(bytes: &[u8], out: &mut [f32]) {
    let (numbers, _) = bytes.as_chunks::<4>();
    for (x, &bytes) in out.iter_mut().zip(numbers) {
        *x = f32::from_le_bytes(bytes);
    }
}

fn bf16_to_f32(bytes: &[u8], out: &mut [f32]) {
    let (numbers, _) = bytes.as_chunks::<2>();
    for (x, &bytes) in out.iter_mut().zip(numbers) {
        *x = f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16);
    }
}

fn f16_to_f32(bytes: &[u8], out: &mut [f32]) {
    // The file gives no alignment; a copy of a few numbers at a time does, and lets `half` use
    // the processor's own conversion.
    let mut bits = [0u16; 256];
    let (numbers, _) = bytes.as_chunks::<2>();
    for (numbers, out) in numbers.chunks(bits.len()).zip(out.chunks_mut(bits.len())) {
        for (bits, &bytes) in bits.iter_mut().zip(numbers) {
            *bits = u16::from_le_bytes(bytes);
        }
        let halves: &[f16] = bits.reinterpret_cast();
        let count = numbers.len().min(out.len());
        halves[..count].convert_to_f32_slice(&mut out[..count]);
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    /// Numbers whose bytes exercise every kernel, without NaN in the scales.
    fn bytes(dtype: StoredType, elements: usize) -> Vec<u8> {
        let count = dtype.bytes_for(elements as u64).unwrap() as usize;
        (0..count).map(|i| ((i * 37 + i / 251) % 120) as u8).collect()
    }

    const ALL: [StoredType; 12] = [
        StoredType::F64,
        StoredType::F32,
        StoredType::F16,
        StoredType::BF16,
        StoredType::Q4_0,
        StoredType::Q4_1,
        StoredType::Q5_0,
        StoredType::Q5_1,
        StoredType::Q8_0,
        StoredType::Q4K,
        StoredType::Q5K,
        StoredType::Q6K,
    ];

    #[test]
    fn a_transposed_tensor_is_the_transpose_of_the_tensor() {
        for dtype in ALL {
            let block = dtype.block_elements();
            for (rows, columns) in [(1, block), (3, 2 * block), (130, 3 * 256), (65, 256 + block)] {
                let bytes = bytes(dtype, rows * columns);
                let plain = decode(dtype, &bytes, rows * columns).unwrap();
                let transposed = decode_transposed(dtype, &bytes, [rows, columns], |r| r).unwrap();
                for row in 0..rows {
                    for column in 0..columns {
                        let (a, b) =
                            (plain[row * columns + column], transposed[column * rows + row]);
                        assert_eq!(a.to_bits(), b.to_bits(), "{dtype} [{row}, {column}]");
                    }
                }
            }
        }
    }

    #[test]
    fn a_transposition_takes_rows_in_the_order_it_is_told() {
        let bytes: Vec<u8> =
            [1f32, 2., 3., 4., 5., 6.].iter().flat_map(|x| x.to_le_bytes()).collect();
        let reversed = decode_transposed(StoredType::F32, &bytes, [3, 2], |r| 2 - r).unwrap();
        assert_eq!(reversed, [5., 3., 1., 6., 4., 2.]);
    }

    #[test]
    fn more_than_one_task_gives_what_one_gives() {
        let elements = 3 * TASK + 256;
        for dtype in ALL {
            let bytes = bytes(dtype, elements);
            let mut expected = vec![0.0; elements];
            kernel(dtype).unwrap()(&bytes, &mut expected);
            assert_eq!(decode(dtype, &bytes, elements).unwrap(), expected, "{dtype}");
        }
    }

    #[test]
    fn every_half_becomes_the_float_it_stands_for() {
        let bits: Vec<u16> = (0..=u16::MAX).collect();
        let bytes: Vec<u8> = bits.iter().flat_map(|b| b.to_le_bytes()).collect();
        let halves = decode(StoredType::F16, &bytes, bits.len()).unwrap();
        let brains = decode(StoredType::BF16, &bytes, bits.len()).unwrap();
        for (i, &bits) in bits.iter().enumerate() {
            let (half, brain) = (f16::from_bits(bits), bf16::from_bits(bits));
            if half.is_nan() {
                assert!(halves[i].is_nan());
            } else {
                assert_eq!(f64::from(halves[i]), half.to_f64());
            }
            if brain.is_nan() {
                assert!(brains[i].is_nan());
            } else {
                assert_eq!(f64::from(brains[i]), brain.to_f64());
            }
        }
    }

    #[test]
    fn what_does_not_fit_gives_nothing() {
        assert_eq!(decode(StoredType::F32, &[0; 8], 3), None);
        assert_eq!(decode(StoredType::I32, &[0; 8], 2), None);
        assert_eq!(decode(StoredType::Q4_0, &[0; 18], 31), None);
        assert_eq!(decode_transposed(StoredType::Q4_0, &[0; 36], [4, 16], |r| r), None);
        assert_eq!(decode_transposed(StoredType::F32, &[0; 8], [3, 1], |r| r), None);
    }
}
