//! Channel norms of burn tensors against the plain definition, on the default device of this build.
#![cfg(feature = "burn")]

mod common;

use burn::tensor::{DType, Device, Tensor, TensorData};
use common::{slow_norms, worst};
use massval_detect::tensor::{TensorNormAccumulator, channel_norms_tensor};
use massval_detect::{Error, HeadsView, TokenSelection, channel_norms};
use proptest::prelude::*;

fn tensor(data: Vec<f32>, shape: [usize; 4]) -> Tensor<4> {
    Tensor::from_data(TensorData::new(data, shape), &Device::default())
}

proptest! {
    // Every new shape is compiled anew on a GPU.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_shape_mask_range_and_chunks(
        shape in [1usize..3, 1usize..4, 1usize..150, 1usize..9],
        values in prop::collection::vec(-4f32..4.0, 2 * 3 * 150 * 8),
        mask in prop::option::of(prop::collection::vec(any::<bool>(), 2 * 150)),
        from in 0usize..20, length in 0usize..160,
        cut in 0usize..150,
        swapped in any::<bool>(),
    ) {
        let [batch, heads, seq, head_dim] = shape;
        let data = values[..shape.iter().product()].to_vec();
        let mask = mask.map(|mask| mask[..batch * seq].to_vec());
        let select = |part: Option<&'static [bool]>| {
            let tokens = TokenSelection::all().range(from..from + length);
            match part { Some(mask) => tokens.mask(mask), None => tokens }
        };
        let leak = |mask: Vec<bool>| -> &'static [bool] { mask.leak() };
        let tokens = select(mask.clone().map(leak));
        let (count, expected) =
            slow_norms(shape, &tokens, |b, h, s, d| data[((b * heads + h) * seq + s) * head_dim + d]);

        // The same numbers, stored tokens first or heads first.
        let mut x = tensor(data, shape);
        if swapped {
            x = (x.swap_dims(1, 2) + 0.0).swap_dims(1, 2);
        }
        let cut = cut.min(seq);
        let part = |range: std::ops::Range<usize>| {
            mask.as_ref().map(|mask| leak((0..batch).flat_map(|b| mask[b * seq..][range.clone()].to_vec()).collect()))
        };
        let (mut left, mut right) =
            (TensorNormAccumulator::new(heads, head_dim), TensorNormAccumulator::new(heads, head_dim));
        if cut > 0 {
            left.push(x.clone().narrow(2, 0, cut), 0, &select(part(0..cut))).expect("it fits");
        }
        if cut < seq {
            right.push(x.clone().narrow(2, cut, seq - cut), cut, &select(part(cut..seq))).expect("it fits");
        }
        left.merge(&right).expect("they fit");

        for norms in [channel_norms_tensor(x, &tokens), left.finish()] {
            if count == 0 {
                prop_assert_eq!(norms, Err(Error::NoTokens));
                continue;
            }
            let norms = norms.expect("tokens were selected");
            prop_assert_eq!(norms.tokens(), count);
            prop_assert!(worst(norms.values(), &expected) < 1e-6);
        }
    }
}

/// Adversarial for sums in `f32`: constants that round one way, and a first token that dwarfs the rest.
fn hard(s: usize) -> [f32; 4] {
    [
        0.1,
        if s == 0 { 30_000.0 } else { 0.01 },
        s as f32 * 1e-3,
        if s.is_multiple_of(2) { 1e-3 } else { -7.0 },
    ]
}

fn check_million(dtype: Option<DType>, chunk: usize) {
    const TOKENS: usize = 1_000_000;
    let mut sums = TensorNormAccumulator::new(1, 4);
    let mut expected = [0f64; 4];
    for start in (0..TOKENS).step_by(chunk) {
        let data: Vec<f32> = (start..(start + chunk).min(TOKENS)).flat_map(hard).collect();
        let mut x = tensor(data.clone(), [1, 1, data.len() / 4, 4]);
        let mut seen = data;
        if let Some(dtype) = dtype {
            x = x.cast(dtype);
            seen = x.clone().try_into_vec_as::<f32>().expect("numbers");
        }
        for (at, value) in seen.into_iter().enumerate() {
            expected[at % 4] += f64::from(value).powi(2);
        }
        sums.push(x, start, &TokenSelection::all()).expect("it fits");
    }
    let norms = sums.finish().expect("tokens");
    assert_eq!(norms.tokens(), TOKENS as u64);
    let error = worst(norms.values(), &expected.map(f64::sqrt));
    assert!(error < 1e-5, "{dtype:?} in chunks of {chunk}: {error:e}");
}

#[test]
fn a_million_tokens_stay_within_1e_5_at_once() {
    check_million(None, 1_000_000);
    for dtype in [DType::F16, DType::BF16] {
        if Device::default().supports_dtype(dtype) {
            check_million(Some(dtype), 1_000_000);
        }
    }
}

#[test]
fn a_million_tokens_stay_within_1e_5_in_chunks() {
    check_million(None, 4093);
    check_million(None, 997);
}

#[test]
fn padding_may_hold_anything() {
    let x = [1f32, f32::NAN, 2.0, f32::INFINITY];
    let mask = [true, false, true, false];
    let tokens = TokenSelection::all().mask(&mask);
    let norms =
        channel_norms_tensor(tensor(x.to_vec(), [1, 1, 4, 1]), &tokens).expect("two tokens");
    assert_eq!(
        norms,
        channel_norms(&HeadsView::contiguous(&x, [1, 1, 4, 1]).expect("valid"), &tokens)
            .expect("two")
    );
    let all = channel_norms_tensor(tensor(x.to_vec(), [1, 1, 4, 1]), &TokenSelection::all());
    assert_eq!(all, Err(Error::NonFiniteNorm { head: 0, channel: 0 }));
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut sums = TensorNormAccumulator::new(2, 4);
    let x = tensor(vec![1.0; 8], [1, 1, 2, 4]);
    assert!(matches!(
        sums.push(x, 0, &TokenSelection::all()),
        Err(Error::Mismatch { what: "heads", .. })
    ));
    let x = tensor(vec![1.0; 16], [1, 2, 2, 4]);
    assert!(sums.push(x.clone(), 0, &TokenSelection::all().mask(&[true; 3])).is_err());
    assert!(sums.merge(&TensorNormAccumulator::new(2, 3)).is_err());
    assert_eq!(sums.finish(), Err(Error::NoTokens));
    sums.push(x, 0, &TokenSelection::all()).expect("it fits");
    assert_eq!((sums.tokens(), sums.finish().expect("tokens").values()[0]), (2, 2f32.sqrt()));
}
