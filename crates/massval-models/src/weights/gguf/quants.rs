//! ggml's block formats, decoded to `f32` exactly as ggml does (`ggml-quants.c`,
//! `dequantize_row_*`): the same operations on the same numbers in the same order.
//!
//! Scales `d` and minima `m` are little-endian `f16`.

use half::f16;

/// Decodes whole blocks of one format; `out` holds `blocks * elements` numbers.
pub(crate) type Kernel = fn(blocks: &[u8], out: &mut [f32]);

fn scale(bytes: [u8; 2]) -> f32 {
    f16::from_le_bytes(bytes).to_f32()
}

/// Runs `decode` over pairs of one block of `BYTES` bytes and its `ELEMENTS` numbers.
#[inline(always)]
fn each_block<const BYTES: usize, const ELEMENTS: usize>(
    blocks: &[u8],
    out: &mut [f32],
    decode: impl Fn(&[u8; BYTES], &mut [f32; ELEMENTS]),
) {
    let (blocks, _) = blocks.as_chunks::<BYTES>();
    let (out, _) = out.as_chunks_mut::<ELEMENTS>();
    for (block, numbers) in blocks.iter().zip(out) {
        decode(block, numbers);
    }
}

/// `x = (q - 8) d`: d, 16 bytes of nibbles; low nibbles are the first half.
pub(crate) fn q4_0(blocks: &[u8], out: &mut [f32]) {
    each_block::<18, 32>(blocks, out, |block, out| {
        let d = scale([block[0], block[1]]);
        for j in 0..16 {
            let q = block[2 + j];
            out[j] = f32::from((q & 0x0f) as i8 - 8) * d;
            out[j + 16] = f32::from((q >> 4) as i8 - 8) * d;
        }
    });
}

/// `x = q d + m`: d, m, 16 bytes of nibbles.
pub(crate) fn q4_1(blocks: &[u8], out: &mut [f32]) {
    each_block::<20, 32>(blocks, out, |block, out| {
        let d = scale([block[0], block[1]]);
        let m = scale([block[2], block[3]]);
        for j in 0..16 {
            let q = block[4 + j];
            out[j] = f32::from(q & 0x0f) * d + m;
            out[j + 16] = f32::from(q >> 4) * d + m;
        }
    });
}

/// `x = (q - 16) d`: d, 32 fifth bits, 16 bytes of nibbles.
pub(crate) fn q5_0(blocks: &[u8], out: &mut [f32]) {
    each_block::<22, 32>(blocks, out, |block, out| {
        let d = scale([block[0], block[1]]);
        let high = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
        for j in 0..16 {
            let q = block[6 + j];
            let (low_half, high_half) = fifth_bits(high, j);
            out[j] = f32::from(((q & 0x0f) | low_half) as i8 - 16) * d;
            out[j + 16] = f32::from(((q >> 4) | high_half) as i8 - 16) * d;
        }
    });
}

/// `x = q d + m`: d, m, 32 fifth bits, 16 bytes of nibbles.
pub(crate) fn q5_1(blocks: &[u8], out: &mut [f32]) {
    each_block::<24, 32>(blocks, out, |block, out| {
        let d = scale([block[0], block[1]]);
        let m = scale([block[2], block[3]]);
        let high = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
        for j in 0..16 {
            let q = block[8 + j];
            let (low_half, high_half) = fifth_bits(high, j);
            out[j] = f32::from((q & 0x0f) | low_half) * d + m;
            out[j + 16] = f32::from((q >> 4) | high_half) * d + m;
        }
    });
}

/// The fifth bits, as 0 or 16, of numbers `j` and `j + 16` of a block.
#[inline(always)]
fn fifth_bits(high: u32, j: usize) -> (u8, u8) {
    (((high >> j) << 4) as u8 & 0x10, (high >> (j + 12)) as u8 & 0x10)
}

/// `x = q d`: d, 32 signed bytes.
pub(crate) fn q8_0(blocks: &[u8], out: &mut [f32]) {
    each_block::<34, 32>(blocks, out, |block, out| {
        let d = scale([block[0], block[1]]);
        for (x, &q) in out.iter_mut().zip(&block[2..]) {
            *x = f32::from(q as i8) * d;
        }
    });
}

/// The 6-bit scale and minimum of group `j` (of eight) of a K-quant block.
#[inline(always)]
fn group_scale(j: usize, packed: &[u8; 12]) -> (f32, f32) {
    let (d, m) = if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        (
            (packed[j + 4] & 0x0f) | ((packed[j - 4] >> 6) << 4),
            (packed[j + 4] >> 4) | ((packed[j] >> 6) << 4),
        )
    };
    (f32::from(d), f32::from(m))
}

/// `x = (d s) q - (m' n)`: d, m', 12 bytes of 6-bit (s, n) for eight groups of 32, nibbles.
pub(crate) fn q4_k(blocks: &[u8], out: &mut [f32]) {
    each_block::<144, 256>(blocks, out, |block, out| {
        let d = scale([block[0], block[1]]);
        let min = scale([block[2], block[3]]);
        let scales = array::<12>(&block[4..]);
        let (nibbles, _) = block[16..].as_chunks::<32>();
        let (out, _) = out.as_chunks_mut::<64>();
        for (pair, (q, out)) in nibbles.iter().zip(out).enumerate() {
            let (s1, n1) = group_scale(2 * pair, scales);
            let (s2, n2) = group_scale(2 * pair + 1, scales);
            let (d1, m1, d2, m2) = (d * s1, min * n1, d * s2, min * n2);
            for l in 0..32 {
                out[l] = d1 * f32::from(q[l] & 0x0f) - m1;
                out[l + 32] = d2 * f32::from(q[l] >> 4) - m2;
            }
        }
    });
}

/// As [`q4_k`], with a plane of fifth bits before the nibbles.
pub(crate) fn q5_k(blocks: &[u8], out: &mut [f32]) {
    each_block::<176, 256>(blocks, out, |block, out| {
        let d = scale([block[0], block[1]]);
        let min = scale([block[2], block[3]]);
        let scales = array::<12>(&block[4..]);
        let high = array::<32>(&block[16..]);
        let (nibbles, _) = block[48..].as_chunks::<32>();
        let (out, _) = out.as_chunks_mut::<64>();
        for (pair, (q, out)) in nibbles.iter().zip(out).enumerate() {
            let (s1, n1) = group_scale(2 * pair, scales);
            let (s2, n2) = group_scale(2 * pair + 1, scales);
            let (d1, m1, d2, m2) = (d * s1, min * n1, d * s2, min * n2);
            for l in 0..32 {
                let fifth = high[l] >> (2 * pair);
                out[l] = d1 * f32::from((q[l] & 0x0f) + ((fifth & 1) << 4)) - m1;
                out[l + 32] = d2 * f32::from((q[l] >> 4) + ((fifth & 2) << 3)) - m2;
            }
        }
    });
}

/// `x = (d s) (q - 32)`: low nibbles, upper 2 bits, sixteen signed scales s of groups of 16, d.
pub(crate) fn q6_k(blocks: &[u8], out: &mut [f32]) {
    each_block::<210, 256>(blocks, out, |block, out| {
        let d = scale([block[208], block[209]]);
        let (low, _) = block[..128].as_chunks::<64>();
        let (high, _) = block[128..192].as_chunks::<32>();
        let (scales, _) = block[192..208].as_chunks::<8>();
        let (out, _) = out.as_chunks_mut::<128>();
        for (((low, high), scales), out) in low.iter().zip(high).zip(scales).zip(out) {
            for (group, scale) in scales.iter().enumerate() {
                // Groups come in the order of their bits: 32 numbers share two scales.
                let (part, offset) = (group / 2, (group % 2) * 16);
                let ds = d * f32::from(*scale as i8);
                for l in offset..offset + 16 {
                    let nibbles = low[l + 32 * (part % 2)];
                    let nibble = if part < 2 { nibbles & 0x0f } else { nibbles >> 4 };
                    let q = nibble | (((high[l] >> (2 * part)) & 3) << 4);
                    out[part * 32 + l] = ds * f32::from(q as i8 - 32);
                }
            }
        }
    });
}

/// The first `N` bytes of a slice that is known to be long enough.
#[inline(always)]
fn array<const N: usize>(bytes: &[u8]) -> &[u8; N] {
    bytes.first_chunk().unwrap_or(&[0; N])
}
