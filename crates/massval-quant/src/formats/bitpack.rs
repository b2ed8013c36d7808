//! Codes packed into 32-bit words, lowest bits first, without gaps.
//!
//! 2, 4 and 8 bits never cross a word. 3 bits do: 32 codes fill three words.

use rayon::prelude::*;

use crate::{Bits, Error, Result};

/// How many codes fill how many words exactly.
const fn chunk(bits: Bits) -> (usize, usize) {
    match bits {
        Bits::Two => (16, 1),
        Bits::Three => (32, 3),
        Bits::Four => (8, 1),
        Bits::Eight => (4, 1),
    }
}

/// Words that `count` codes take; `None` beyond a `usize`.
pub(super) fn words(bits: Bits, count: usize) -> Option<usize> {
    Some(count.checked_mul(bits.width() as usize)?.div_ceil(32))
}

/// The words of at most one chunk of codes.
fn pack_chunk(bits: Bits, codes: impl Iterator<Item = u8>) -> [u32; 3] {
    let mut packed = 0u128;
    for (i, code) in codes.enumerate() {
        packed |= u128::from(code) << (i as u32 * bits.width());
    }
    std::array::from_fn(|word| (packed >> (32 * word)) as u32)
}

/// Packs `[rows, columns]` along columns: `[rows, words]`, as little-endian bytes.
pub(super) fn along_columns(
    bits: Bits,
    rows: usize,
    columns: usize,
    code: impl Fn(usize, usize) -> u8 + Sync,
) -> Vec<u8> {
    let (codes, _) = chunk(bits);
    let words = words(bits, columns).unwrap_or_default();
    let row_bytes = |row: usize| {
        let mut bytes = Vec::with_capacity(4 * words + 8);
        for start in (0..columns).step_by(codes) {
            let packed =
                pack_chunk(bits, (start..columns.min(start + codes)).map(|c| code(row, c)));
            bytes.extend(packed.iter().flat_map(|word| word.to_le_bytes()).take(4 * chunk(bits).1));
        }
        bytes.truncate(4 * words);
        bytes
    };
    (0..rows).into_par_iter().flat_map_iter(row_bytes).collect()
}

/// Packs `[rows, columns]` along rows: `[words, columns]`, as little-endian bytes.
pub(super) fn along_rows(
    bits: Bits,
    rows: usize,
    columns: usize,
    code: impl Fn(usize, usize) -> u8 + Sync,
) -> Vec<u8> {
    let (codes, chunk_words) = chunk(bits);
    let mut packed = vec![0u8; words(bits, rows).unwrap_or_default() * columns * 4];
    packed.par_chunks_mut((chunk_words * columns * 4).max(1)).enumerate().for_each(|(i, bytes)| {
        let start = i * codes;
        for column in 0..columns {
            let chunk = pack_chunk(bits, (start..rows.min(start + codes)).map(|r| code(r, column)));
            for (word, bytes) in chunk.iter().zip(bytes.chunks_exact_mut(columns * 4)) {
                bytes[column * 4..][..4].copy_from_slice(&word.to_le_bytes());
            }
        }
    });
    packed
}

/// The dimension that codes are packed along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Along {
    Rows,
    Columns,
}

/// Packed codes `[rows, columns]`, readable one by one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed<'a> {
    bytes: &'a [u8],
    bits: Bits,
    along: Along,
    /// Words from one row of words to the next.
    stride: usize,
    rows: usize,
    columns: usize,
}

impl<'a> Packed<'a> {
    /// Codes `[rows, columns]` in words of the shape `stored`.
    ///
    /// # Errors
    /// [`Error::Stored`] naming `tensor` if the words are not just as many as the codes take.
    pub(super) fn new(
        tensor: &str,
        bytes: &'a [u8],
        stored: [usize; 2],
        bits: Bits,
        along: Along,
        [rows, columns]: [usize; 2],
    ) -> Result<Self> {
        let expected = match along {
            Along::Rows => words(bits, rows).map(|words| [words, columns]),
            Along::Columns => words(bits, columns).map(|words| [rows, words]),
        };
        let count = stored[0].checked_mul(stored[1]).and_then(|count| count.checked_mul(4));
        if expected != Some(stored) || count != Some(bytes.len()) {
            let reason = format!(
                "words {stored:?} do not hold {rows} x {columns} codes of {bits} bits packed along \
                 {along:?}; is the config of another checkpoint?"
            );
            return Err(Error::Stored { tensor: tensor.to_owned(), reason });
        }
        Ok(Self { bytes, bits, along, stride: stored[1], rows, columns })
    }

    /// One code.
    ///
    /// # Panics
    /// Outside `[rows, columns]`.
    #[inline]
    pub(super) fn get(&self, row: usize, column: usize) -> u8 {
        assert!(row < self.rows && column < self.columns, "a code outside the tensor");
        let width = self.bits.width() as usize;
        let (at, first, step) = match self.along {
            Along::Rows => (row * width, column, self.stride),
            Along::Columns => (column * width, row * self.stride, 1),
        };
        let word = |index: usize| {
            let byte = 4 * (first + index * step);
            let bytes = self.bytes[byte..][..4].try_into().unwrap_or_default();
            u64::from(u32::from_le_bytes(bytes))
        };
        let (index, shift) = (at / 32, at % 32);
        let mut value = word(index) >> shift;
        if shift + width > 32 {
            value |= word(index + 1) << (32 - shift);
        }
        value as u8 & self.bits.max_code()
    }
}

/// All codes `[outputs, inputs]`, row after row.
pub(super) fn unpack(
    outputs: usize,
    inputs: usize,
    code: impl Fn(usize, usize) -> u8 + Sync,
) -> Vec<u8> {
    let mut codes = vec![0; outputs * inputs];
    codes.par_chunks_exact_mut(inputs.max(1)).enumerate().for_each(|(output, row)| {
        row.iter_mut().enumerate().for_each(|(input, to)| *to = code(output, input));
    });
    codes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A bit at a time, from the lowest.
    fn plain(bits: Bits, codes: &[u8]) -> Vec<u32> {
        let mut words = vec![0u32; words(bits, codes.len()).expect("small")];
        for (i, code) in codes.iter().enumerate() {
            for bit in 0..bits.width() as usize {
                let at = i * bits.width() as usize + bit;
                words[at / 32] |= u32::from(code >> bit & 1) << (at % 32);
            }
        }
        words
    }

    fn numbers(bytes: &[u8]) -> Vec<u32> {
        bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
    }

    proptest! {
        #[test]
        fn packing_is_dense_and_unpacking_undoes_it(
            rows in 1usize..70, columns in 1usize..70, seed in any::<u64>(),
            bits in proptest::sample::select(Bits::ALL.to_vec()),
        ) {
            let code = |r: usize, c: usize| {
                (seed.wrapping_mul((r * 71 + c) as u64 + 1) >> 50) as u8 & bits.max_code()
            };
            let across = along_columns(bits, rows, columns, code);
            let down = along_rows(bits, rows, columns, code);
            let plain_across: Vec<u32> = (0..rows)
                .flat_map(|r| plain(bits, &(0..columns).map(|c| code(r, c)).collect::<Vec<_>>()))
                .collect();
            prop_assert_eq!(numbers(&across), plain_across);
            let words_down = words(bits, rows).expect("small");
            for c in 0..columns {
                let plain = plain(bits, &(0..rows).map(|r| code(r, c)).collect::<Vec<_>>());
                let column: Vec<u32> = numbers(&down).into_iter().skip(c).step_by(columns).collect();
                prop_assert_eq!(column, plain);
            }
            let words_across = words(bits, columns).expect("small");
            let shape = [rows, columns];
            let a = Packed::new("a", &across, [rows, words_across], bits, Along::Columns, shape)?;
            let b = Packed::new("b", &down, [words_down, columns], bits, Along::Rows, shape)?;
            for (r, c) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
                prop_assert_eq!((a.get(r, c), b.get(r, c)), (code(r, c), code(r, c)));
            }
        }
    }

    #[test]
    fn words_that_do_not_hold_the_codes_are_refused() {
        let new = |stored, shape| {
            Packed::new("w", &[0; 16], stored, Bits::Four, Along::Columns, shape).map(|_| ())
        };
        assert!(new([2, 2], [2, 16]).is_ok() && new([2, 2], [2, 9]).is_ok());
        for (stored, shape) in [
            ([2, 2], [2, 17]),
            ([2, 2], [2, 8]),
            ([2, 2], [3, 16]),
            ([2, 3], [2, 24]),
            ([usize::MAX, 2], [usize::MAX, 16]),
            ([2, 2], [2, usize::MAX]),
        ] {
            assert!(new(stored, shape).is_err(), "{stored:?} {shape:?}");
        }
    }
}
