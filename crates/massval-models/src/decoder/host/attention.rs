//! Causal attention with grouped queries, block by block of queries.

use std::mem::MaybeUninit;

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::matrix::{Matrix, multiply};
use super::values::{Values, made};
use super::vector;

/// Queries that are attended together: a block looks at no key after its own end, which saves nearly half of
/// the work on long sequences, and its scores stay in the cache.
const QUERIES: usize = 64;

/// What a query attends to.
pub(crate) struct Attend<'a> {
    /// What scores are multiplied by.
    pub(crate) scale: f32,
    /// Row-major `[batch, keys]`, true for a token and false for padding; absent where all are tokens.
    pub(crate) real: Option<&'a [bool]>,
}

/// Causal attention: `q` is `[batch, heads, seq, head_dim]`, `k` and `v` have the KV heads and all keys, of which
/// the last `seq` are the queries' own. Returns `[batch, seq, heads * head_dim]`; `None` if a tensor is not plain.
///
/// The query heads of a KV head are stacked, so that K and V are neither repeated nor packed twice.
pub(super) fn attention(
    q: &Tensor<4>,
    k: &Tensor<4>,
    v: &Tensor<4>,
    attend: &Attend<'_>,
) -> Option<Tensor<3>> {
    let (q, k, v) = (Values::of(q)?, Values::of(k)?, Values::of(v)?);
    let ([batch, heads, seq, dim], [_, kv_heads, keys, _]) = (q.dims(), k.dims());
    if [q.strides()[3], k.strides()[3], v.strides()[3]] != [1; 3] {
        return None;
    }
    let shape = Shape { heads, kv_heads, seq, keys, dim };
    // Row-major `[batch, seq, heads, dim]`: a block of queries of one sequence is a slice of it.
    let sequence = |(row, out): (usize, &mut [MaybeUninit<f32>])| {
        let blocks = out.par_chunks_mut(QUERIES * heads * dim).enumerate();
        blocks.for_each_init(Scratch::default, |scratch, (index, out)| {
            let block = Block { row, from: index * QUERIES, out };
            shape.block(block, [&q, &k, &v], attend, scratch);
        });
    };
    // SAFETY: every block of every sequence is visited; `Shape::block` writes each head of each query.
    #[allow(unsafe_code, reason = "the output is written once; see SAFETY")]
    let z = unsafe {
        made([batch, seq, heads * dim], |out| {
            out.par_chunks_mut(seq * heads * dim).enumerate().for_each(sequence);
        })
    };
    Some(z)
}

struct Shape {
    heads: usize,
    kv_heads: usize,
    seq: usize,
    keys: usize,
    dim: usize,
}

/// Some queries of one sequence.
struct Block<'a> {
    row: usize,
    /// The first of them, counted within the pass.
    from: usize,
    /// `[queries, heads, dim]`.
    out: &'a mut [MaybeUninit<f32>],
}

/// Memory that a thread uses again and again.
#[derive(Default)]
struct Scratch {
    queries: Vec<f32>,
    scores: Vec<f32>,
    z: Vec<f32>,
}

impl Shape {
    fn block(
        &self,
        block: Block<'_>,
        [q, k, v]: [&Values<4>; 3],
        attend: &Attend<'_>,
        scratch: &mut Scratch,
    ) {
        let Self { heads, kv_heads, seq, keys, dim } = *self;
        let (groups, queries) = (heads / kv_heads, block.out.len() / (heads * dim));
        let seen = keys - seq + block.from;
        let shown = seen + queries;
        let stacked = groups * queries;
        let real = attend.real.and_then(|real| real.get(block.row * keys..(block.row + 1) * keys));
        for kv_head in 0..kv_heads {
            scratch.queries.clear();
            for head in kv_head * groups..(kv_head + 1) * groups {
                for query in block.from..block.from + queries {
                    let start = offset(q, [block.row, head, query]);
                    scratch.queries.extend_from_slice(&q.onwards()[start..start + dim]);
                }
            }
            let stack = contiguous(&scratch.queries, stacked, dim);
            let (keys, values) = (
                shown_rows(k, [block.row, kv_head, 0], shown),
                shown_rows(v, [block.row, kv_head, 0], shown),
            );
            let scores = product(&mut scratch.scores, &stack, &keys.transposed(), stacked * shown);
            for (index, row) in scores.chunks_exact_mut(shown).enumerate() {
                let query = seen + index % queries;
                let (row, hidden) = row.split_at_mut(query + 1);
                hidden.fill(0.0);
                if let Some(real) = real {
                    // Padding sees itself, so that no row is empty.
                    for (key, score) in row.iter_mut().enumerate() {
                        *score = if real[key] || key == query { *score } else { f32::NEG_INFINITY };
                    }
                }
                vector::softmax(row, attend.scale);
            }
            let pattern = contiguous(scores, stacked, shown);
            let z = product(&mut scratch.z, &pattern, &values, stacked * dim);
            for (index, z) in z.chunks_exact(dim).enumerate() {
                let (head, query) = (kv_head * groups + index / queries, index % queries);
                let start = (query * heads + head) * dim;
                for (out, z) in block.out[start..start + dim].iter_mut().zip(z) {
                    out.write(*z);
                }
            }
        }
    }
}

/// The first `shown` keys or values of a head.
pub(super) fn shown_rows<'a>(x: &'a Values<4>, head: [usize; 3], shown: usize) -> Matrix<'a> {
    let values = &x.onwards()[offset(x, head)..];
    Matrix::new(values, shown, x.dims()[3], x.strides()[2], 1).expect("a tensor fills its shape")
}

pub(super) fn contiguous(values: &[f32], rows: usize, columns: usize) -> Matrix<'_> {
    Matrix::new(values, rows, columns, columns, 1).expect("filled to this shape")
}

fn offset(x: &Values<4>, at: [usize; 3]) -> usize {
    at.iter().zip(x.strides()).map(|(index, stride)| index * stride).sum()
}

/// `a * b` in memory that is used again.
pub(super) fn product<'s>(
    scratch: &'s mut Vec<f32>,
    a: &Matrix<'_>,
    b: &Matrix<'_>,
    count: usize,
) -> &'s mut [f32] {
    scratch.clear();
    scratch.reserve(count);
    multiply(&mut scratch.spare_capacity_mut()[..count], a, b, false);
    // SAFETY: `multiply` has written all of them.
    #[allow(unsafe_code, reason = "the product is written once; see SAFETY")]
    unsafe {
        scratch.set_len(count);
    }
    scratch
}
