//! The row order of Llama's query and key projections in GGUF files.
//!
//! llama.cpp rotates neighbouring channels, so its converter reorders the rows of `q_proj` and
//! `k_proj` within each head: Hugging Face's row `p * D/2 + j` (half `p`, pair `j` of a head of
//! `D` channels) is stored as row `2 * j + p` (`convert_hf_to_gguf.py`, `permute`). Channel
//! numbers mean nothing until that is undone.

/// The row of the file that holds row `row` of the Hugging Face order, in heads of `head_dim`.
pub(crate) fn stored_row(row: usize, head_dim: usize) -> usize {
    let half = head_dim / 2;
    let (head, channel) = (row / head_dim, row % head_dim);
    head * head_dim + 2 * (channel % half) + channel / half
}

/// Brings the rows of a permuted weight or bias back into Hugging Face order.
///
/// `data` is `[heads * head_dim, columns]`, row-major; a bias has `columns = 1`. Gives `None`
/// if the length is no whole number of heads, or `head_dim` is odd or zero.
///
/// ```
/// use massval_models::weights::unpermute_rows;
///
/// // One head of four channels, stored as 0 2 1 3.
/// assert_eq!(unpermute_rows(&[0., 2., 1., 3.], 4, 1), Some(vec![0., 1., 2., 3.]));
/// ```
pub fn unpermute_rows(data: &[f32], head_dim: usize, columns: usize) -> Option<Vec<f32>> {
    let head = head_dim.checked_mul(columns)?;
    if head == 0 || !head_dim.is_multiple_of(2) || !data.len().is_multiple_of(head) {
        return None;
    }
    let mut out = Vec::with_capacity(data.len());
    for row in 0..data.len() / columns {
        let stored = stored_row(row, head_dim) * columns;
        out.extend_from_slice(data.get(stored..stored + columns)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// llama.cpp's `permute`: `reshape(heads, 2, D/2, in).swapaxes(1, 2)`.
    fn permute(data: &[f32], heads: usize, head_dim: usize, columns: usize) -> Vec<f32> {
        let mut out = Vec::new();
        for head in 0..heads {
            for pair in 0..head_dim / 2 {
                for half in 0..2 {
                    let row = head * head_dim + half * (head_dim / 2) + pair;
                    out.extend_from_slice(&data[row * columns..(row + 1) * columns]);
                }
            }
        }
        out
    }

    #[test]
    fn undoes_the_permutation_of_the_converter() {
        for (heads, head_dim, columns) in [(1, 2, 1), (3, 8, 5), (9, 64, 1), (2, 6, 4)] {
            let natural: Vec<f32> = (0..heads * head_dim * columns).map(|i| i as f32).collect();
            let stored = permute(&natural, heads, head_dim, columns);
            assert_eq!(unpermute_rows(&stored, head_dim, columns), Some(natural));
        }
    }

    #[test]
    fn refuses_what_is_no_whole_number_of_heads() {
        for (len, head_dim, columns) in
            [(8, 3, 1), (7, 4, 1), (8, 0, 1), (8, 4, 0), (8, usize::MAX, 2)]
        {
            assert_eq!(unpermute_rows(&vec![0.; len], head_dim, columns), None);
        }
    }
}
