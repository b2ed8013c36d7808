//! Causal attention. The pattern is computed again on the way back: it costs less than it takes to keep.

use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::super::attention::{Attend, contiguous as matrix, product, shown_rows};
use super::super::matrix::{Strided, accumulate};
use super::super::values::Values;
use super::super::vector;
use super::{Differentiable, contiguous, inside, plain, recorded, tracked, values_of};

/// As [`attention`](super::super::attention), without padding.
pub(in super::super) fn attention(
    [q, k, v]: [&Tensor<4>; 3],
    attend: &Attend<'_>,
) -> Option<Tensor<3>> {
    if attend.real.is_some() {
        return None;
    }
    let (q, k, v) = (tracked(q)?, tracked(k)?, tracked(v)?);
    let out =
        super::super::attention::attention(&values_of(&q), &values_of(&k), &values_of(&v), attend)?;
    let kept = || Kept {
        q: q.primitive().clone(),
        k: k.primitive().clone(),
        v: v.primitive().clone(),
        scale: attend.scale,
    };
    Some(recorded([&q, &k, &v], out, kept))
}

#[derive(Debug, Clone)]
struct Kept {
    q: FlexTensor,
    k: FlexTensor,
    v: FlexTensor,
    scale: f32,
}

/// Memory that a thread uses again and again.
#[derive(Default)]
struct Scratch {
    pattern: Vec<f32>,
    scores: Vec<f32>,
}

impl Differentiable<3> for Kept {
    fn gradients(self, out: FlexTensor, _: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let heads = |x: FlexTensor| Values::<4>::of(&plain(x)).expect("a tensor in host memory");
        let (q, k, v) = (heads(self.q), heads(self.k), heads(self.v));
        let out = Values::of(&plain::<3>(contiguous(out))).expect("a gradient in host memory");
        let ([batch, heads, seq, dim], [_, kv_heads, keys, _]) = (q.dims(), k.dims());
        let sizes = Sizes { heads, kv_heads, seq, keys, dim };
        let out = out.contiguous().unwrap_or_default();
        // Row-major `[batch, seq, heads, dim]`, the order in which projections read and write heads.
        let mut of_q = vec![0.0f32; batch * seq * heads * dim];
        let mut of_k = vec![0.0f32; batch * keys * kv_heads * dim];
        let mut of_v = of_k.clone();
        of_q.par_chunks_mut(seq * heads * dim)
            .zip(of_k.par_chunks_mut(keys * kv_heads * dim))
            .zip(of_v.par_chunks_mut(keys * kv_heads * dim))
            .zip(out.par_chunks(seq * heads * dim))
            .enumerate()
            .for_each_init(Scratch::default, |scratch, (row, (((of_q, of_k), of_v), out))| {
                let to = To { of_q, of_k, of_v };
                sizes.sequence(row, [&q, &k, &v], out, to, self.scale, scratch);
            });
        let back = |values: Vec<f32>, seq: usize, heads: usize| {
            let data = TensorData::new(values, [batch, seq, heads, dim]);
            let tensor = Tensor::<4>::from_data(data, &burn::tensor::Device::flex());
            Some(inside(tensor.swap_dims(1, 2)))
        };
        [back(of_q, seq, heads), back(of_k, keys, kv_heads), back(of_v, keys, kv_heads)]
    }
}

#[derive(Clone, Copy)]
struct Sizes {
    heads: usize,
    kv_heads: usize,
    seq: usize,
    keys: usize,
    dim: usize,
}

/// The gradients of one sequence, filled with zeros.
struct To<'a> {
    of_q: &'a mut [f32],
    of_k: &'a mut [f32],
    of_v: &'a mut [f32],
}

impl Sizes {
    fn sequence(
        self,
        row: usize,
        [q, k, v]: [&Values<4>; 3],
        out: &[f32],
        to: To<'_>,
        scale: f32,
        scratch: &mut Scratch,
    ) {
        let Self { heads, kv_heads, seq, keys, dim } = self;
        let groups = heads / kv_heads;
        for head in 0..heads {
            let kv_head = head / groups;
            let queries = shown_rows(q, [row, head, 0], seq);
            let (seen_keys, values) =
                (shown_rows(k, [row, kv_head, 0], keys), shown_rows(v, [row, kv_head, 0], keys));
            let out = Strided { start: head * dim, stride: heads * dim }.of(out, seq, dim);
            let count = seq * keys;
            let pattern = product(&mut scratch.pattern, &queries, &seen_keys.transposed(), count);
            for (query, row) in pattern.chunks_exact_mut(keys).enumerate() {
                let (row, hidden) = row.split_at_mut(keys - seq + query + 1);
                hidden.fill(0.0);
                vector::softmax(row, scale);
            }
            // Of the pattern, then, in its place, of the scores.
            let scores = product(&mut scratch.scores, &out, &values.transposed(), count);
            for (scores, pattern) in scores.chunks_exact_mut(keys).zip(pattern.chunks_exact(keys)) {
                vector::softmax_back(scores, pattern, scale);
            }
            let (pattern, scores) = (matrix(pattern, seq, keys), matrix(scores, seq, keys));
            let kv = Strided { start: kv_head * dim, stride: kv_heads * dim };
            accumulate(to.of_v, kv, &pattern.transposed(), &out);
            accumulate(to.of_k, kv, &scores.transposed(), &queries);
            let q_place = Strided { start: head * dim, stride: heads * dim };
            accumulate(to.of_q, q_place, &scores, &seen_keys);
        }
    }
}
