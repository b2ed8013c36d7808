//! Every operation here against burn's own.

use burn::nn::{LayerNormConfig, LinearConfig, RmsNormConfig};
use burn::tensor::{Bool, Device, Distribution, Tensor, TensorData, activation};

use super::*;

fn random<const D: usize>(dims: [usize; D]) -> Tensor<D> {
    Tensor::random(dims, Distribution::Default, &Device::flex())
}

fn assert_close<const D: usize>(found: Tensor<D>, right: Tensor<D>) {
    assert_eq!(found.dims(), right.dims());
    let apart = (found - right).abs().max().into_scalar::<f32>();
    assert!(apart < 1e-5, "{apart}");
}

#[test]
fn linear_layers_equal_burns() {
    for (bias, dims) in [(true, [2, 5, 24]), (false, [1, 1, 24]), (true, [3, 1, 24])] {
        let layer = LinearConfig::new(24, 40).with_bias(bias).init(&Device::flex());
        let x = random(dims);
        assert_close(linear(&layer, &x).expect("plain"), layer.forward(x));
    }
}

#[test]
fn a_transposed_matrix_and_a_part_of_a_tensor_are_read_where_they_lie() {
    let (x, weight) = (random([2, 7, 24]), random([40, 24]));
    let part = x.narrow(1, 3, 1);
    let right = part.clone().matmul(weight.clone().transpose().unsqueeze());
    assert_close(times(&part, &weight.transpose()).expect("plain"), right);
}

#[test]
fn rows_that_no_one_stride_leads_through_are_left_to_burn() {
    let x = random([2, 7, 24]).narrow(1, 3, 2);
    assert!(times(&x, &random([24, 8])).is_none());
}

#[test]
fn sums_and_gates_equal_burns_and_leave_others_copies_alone() {
    let (a, b) = (random([3, 50, 200]), random([3, 50, 200]));
    let held = a.clone();
    let right = a.clone() + b.clone();
    assert_close(add(a, &b).expect("plain"), right);
    let gated = activation::silu(held.clone()) * b.clone();
    assert_close(silu_times(held, &b).expect("plain"), gated);
}

#[test]
fn norms_equal_burns() {
    let rms = RmsNormConfig::new(200).with_epsilon(1e-5).init(&Device::flex());
    let layer = LayerNormConfig::new(200).with_epsilon(1e-5).init(&Device::flex());
    let x = random([3, 50, 200]) + 0.5;
    let beta = layer.beta.as_ref().map(|beta| beta.val());
    let normed = norm(&x, &layer.gamma.val(), beta.as_ref(), 1e-5, true);
    assert_close(normed.expect("plain"), layer.forward(x.clone()));
    assert_close(norm(&x, &rms.gamma.val(), None, 1e-5, false).expect("plain"), rms.forward(x));
}

#[test]
fn heads_turn_in_either_order_of_memory() {
    let (batch, heads, seq, dim, pairs) = (2, 3, 5, 8, 3);
    let angles: Vec<f32> = (0..batch * seq * pairs).map(|i| i as f32 * 0.1).collect();
    let (cos, sin): (Vec<f32>, Vec<f32>) = angles.iter().map(|a| (a.cos(), a.sin())).unzip();
    let by_head = random([batch, heads, seq, dim]);
    let by_token = by_head.clone().swap_dims(1, 2) * 1.0;
    let by_token = by_token.reshape([batch, seq, heads * dim]);
    let by_token = by_token.reshape([batch, seq, heads, dim]).swap_dims(1, 2);
    let table = |values: &[f32]| {
        let data = TensorData::new(values.to_vec(), [batch, 1, seq, pairs]);
        Tensor::<4>::from_data(data, &Device::flex())
    };
    let (a, b) = (by_head.clone().narrow(3, 0, pairs), by_head.clone().narrow(3, pairs, pairs));
    let rest = by_head.clone().narrow(3, 2 * pairs, dim - 2 * pairs);
    let (c, s) = (table(&cos), table(&sin));
    let first = a.clone() * c.clone() - b.clone() * s.clone();
    let right = Tensor::cat(vec![first, b * c + a * s, rest], 3);
    for x in [by_head, by_token] {
        assert_close(rotate(x, &cos, &sin, pairs).expect("plain"), right.clone());
    }
}

/// Blocks of queries against the plain formula: with a cache before them, grouped heads, and padding.
#[test]
fn attention_equals_the_plain_formula() {
    let (heads, kv_heads, dim) = (6, 2, 8);
    for (batch, seq, keys) in [(1, 1, 300), (2, 64, 64), (2, 65, 65), (1, 150, 161), (3, 5, 9)] {
        let q = random([batch, heads, seq, dim]);
        let (k, v) = (random([batch, kv_heads, keys, dim]), random([batch, kv_heads, keys, dim]));
        for padded in [false, true] {
            let real: Vec<bool> =
                (0..batch * keys).map(|i| !padded || i % keys >= i / keys * 2).collect();
            let hidden: Vec<bool> = (0..batch * seq * keys)
                .map(|i| {
                    let (row, query, key) =
                        (i / (seq * keys), keys - seq + i / keys % seq, i % keys);
                    key > query || (!real[row * keys + key] && key != query)
                })
                .collect();
            let hidden = TensorData::new(hidden, [batch, 1, seq, keys]);
            let hidden = Tensor::<4, Bool>::from_data(hidden, &Device::flex());
            let repeat = |x: &Tensor<4>| {
                let x: Tensor<5> = x.clone().unsqueeze_dim(2);
                x.expand([batch, kv_heads, heads / kv_heads, keys, dim])
                    .reshape([batch, heads, keys, dim])
            };
            let scores = q.clone().matmul(repeat(&k).swap_dims(2, 3)) * 0.35;
            let pattern = activation::softmax(scores.mask_fill(hidden, f32::NEG_INFINITY), 3);
            let right = pattern.matmul(repeat(&v)).swap_dims(1, 2);
            let attend = Attend { scale: 0.35, real: padded.then_some(real.as_slice()) };
            let found = attention(&q, &k, &v, &attend).expect("plain");
            assert_close(found, right.reshape([batch, seq, heads * dim]));
        }
    }
}

#[test]
fn other_types_are_given_back() {
    let half = random([1, 2, 4]).cast(burn::tensor::DType::F16);
    assert!(add(half.clone(), &half).is_err());
    assert!(silu_times(half.clone(), &half).is_err());
    assert!(times(&half, &random([4, 4])).is_none());
}
