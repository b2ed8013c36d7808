//! Channel norms of slices and views against the plain definition.

mod common;

use common::{slow_norms, worst};
use half::{bf16, f16};
use massval_detect::{
    Criterion, Element, Error, HeadsView, Layout, NormAccumulator, TokenSelection, channel_norms,
};
use proptest::prelude::*;

/// A tensor somewhere in a buffer, with the tokens to take.
#[derive(Debug, Clone)]
struct Case {
    data: Vec<f32>,
    shape: [usize; 4],
    strides: [usize; 4],
    mask: Option<Vec<bool>>,
    range: std::ops::Range<usize>,
}

impl Case {
    fn tokens(&self) -> TokenSelection<'_> {
        let tokens = TokenSelection::all().range(self.range.clone());
        match &self.mask {
            Some(mask) => tokens.mask(mask),
            None => tokens,
        }
    }

    fn at(&self, b: usize, h: usize, s: usize, d: usize) -> usize {
        let [sb, sh, ss, sd] = self.strides;
        b * sb + h * sh + s * ss + d * sd
    }
}

prop_compose! {
    /// Any order of the dimensions, with gaps between them, and now and then a broadcast one.
    fn case()(
        shape in [1usize..4, 1usize..5, 1usize..40, 1usize..20],
        order in Just([0usize, 1, 2, 3]).prop_shuffle(),
        gaps in [0usize..3, 0usize..3, 0usize..3, 0usize..3],
        broadcast in prop::option::weighted(0.2, 0usize..4),
        from in 0usize..10, length in 0usize..50,
        masked in any::<bool>(),
    )(
        data in prop::collection::vec(-4f32..4.0, 1 + shape.iter().zip(gaps).map(|(n, gap)| n + gap).product::<usize>()),
        mask in prop::collection::vec(any::<bool>(), shape[0] * shape[2]),
        shape in Just(shape), order in Just(order), gaps in Just(gaps), broadcast in Just(broadcast),
        range in Just(from..from + length), masked in Just(masked),
    ) -> Case {
        let mut strides = [0; 4];
        let mut step = 1;
        for dim in order {
            strides[dim] = step;
            step *= shape[dim] + gaps[dim];
        }
        if let Some(dim) = broadcast {
            strides[dim] = 0;
        }
        Case { data, shape, strides, mask: masked.then_some(mask), range }
    }
}

fn check<T: Element>(case: &Case, from: impl Fn(f32) -> T) -> Result<(), TestCaseError> {
    let data: Vec<T> = case.data.iter().map(|&x| from(x)).collect();
    let view = HeadsView::new(&data, case.shape, case.strides).expect("the case is valid");
    let tokens = case.tokens();
    let (count, expected) = slow_norms(case.shape, &tokens, |b, h, s, d| data[case.at(b, h, s, d)]);
    if count == 0 {
        prop_assert_eq!(channel_norms(&view, &tokens), Err(Error::NoTokens));
        return Ok(());
    }
    let norms = channel_norms(&view, &tokens).expect("tokens were selected");
    prop_assert_eq!(norms.tokens(), count);
    prop_assert!(worst(norms.values(), &expected) < 1e-7, "{:?}", worst(norms.values(), &expected));
    let array = HeadsView::try_from(view.as_array()).expect("it has heads");
    prop_assert_eq!(channel_norms(&array, &tokens).expect("the same"), norms);
    Ok(())
}

proptest! {
    #[test]
    fn any_strides_mask_and_range(case in case()) {
        check(&case, |x| x)?;
        check(&case, f64::from)?;
        check(&case, f16::from_f32)?;
        check(&case, bf16::from_f32)?;
    }

    #[test]
    fn chunks_and_merges_give_the_whole(
        case in case(),
        cuts in prop::collection::vec((0usize..40, any::<bool>()), 0..5),
    ) {
        let [batch, heads, seq, head_dim] = case.shape;
        let tokens = case.tokens();
        let view = HeadsView::new(&case.data, case.shape, case.strides).expect("valid");
        let mut cuts: Vec<(usize, bool)> =
            cuts.into_iter().map(|(at, left)| (at.min(seq), left)).chain([(0, true), (seq, true)]).collect();
        cuts.sort_unstable();
        let (mut left, mut right) = (NormAccumulator::new(heads, head_dim), NormAccumulator::new(heads, head_dim));
        for pair in cuts.windows(2) {
            let (from, to) = (pair[0].0, pair[1].0);
            let chunk = view.as_array();
            let chunk = HeadsView::try_from(chunk.slice(ndarray::s![.., .., from..to, ..])).expect("it has heads");
            let mask: Option<Vec<bool>> = case.mask.as_ref().map(|mask| {
                (0..batch).flat_map(|b| mask[b * seq + from..b * seq + to].iter().copied()).collect()
            });
            let mut tokens = TokenSelection::all().range(case.range.clone());
            if let Some(mask) = &mask {
                tokens = tokens.mask(mask);
            }
            let sums = if pair[0].1 { &mut left } else { &mut right };
            sums.push(&chunk, from, &tokens).expect("the same shape");
        }
        left.merge(&right).expect("the same shape");
        let whole = channel_norms(&view, &tokens);
        match (left.finish(), whole) {
            (Ok(merged), Ok(whole)) => {
                prop_assert_eq!(merged.tokens(), whole.tokens());
                let whole: Vec<f64> = whole.values().iter().map(|&x| f64::from(x)).collect();
                prop_assert!(worst(merged.values(), &whole) < 2e-7);
            }
            (merged, whole) => prop_assert_eq!(merged, whole),
        }
    }

    #[test]
    fn planted_massive_values_are_found_exactly(
        heads in 1usize..6,
        seq in 4usize..40,
        planted in prop::collection::btree_set((0usize..6, 0usize..64), 0..6),
        seed in 0u32..1000,
    ) {
        let head_dim = 64;
        // At most five of 64 channels, each 40 to 60 times the others: above five times the mean.
        let planted: Vec<(usize, usize)> = planted.into_iter().filter(|&(head, _)| head < heads).collect();
        let planted = &planted[..planted.len().min(5)];
        let noise = |at: usize| 0.8 + 0.4 * ((at as u32).wrapping_mul(2654435761).wrapping_add(seed) >> 16 & 255) as f32 / 255.0;
        let data: Vec<f32> = (0..heads * seq * head_dim)
            .map(|at| {
                let (head, channel) = (at / head_dim / seq, at % head_dim);
                let sign = if at % 3 == 0 { -1.0 } else { 1.0 };
                sign * noise(at) * if planted.contains(&(head, channel)) { 50.0 } else { 1.0 }
            })
            .collect();
        let view = HeadsView::contiguous(&data, [1, heads, seq, head_dim]).expect("valid");
        let norms = channel_norms(&view, &TokenSelection::all()).expect("tokens");
        let found: Vec<(usize, usize)> =
            Criterion::default().find(&norms).iter().map(|value| (value.head, value.channel)).collect();
        prop_assert_eq!(found, planted);
    }
}

/// One million tokens of one head with four channels, each adversarial in its own way.
fn million<T: Element>(from: impl Fn(f32) -> T) -> Vec<T> {
    (0..1_000_000)
        .flat_map(|s| {
            let first = if s == 0 { 30_000.0 } else { 0.01 };
            let growing = s as f32 * 1e-3;
            [0.1, first, growing, if s % 2 == 0 { 1e-3 } else { -7.0 }]
        })
        .map(from)
        .collect()
}

fn check_million<T: Element>(from: impl Fn(f32) -> T) {
    let data = million(from);
    let shape = [1, 1, 1_000_000, 4];
    let (_, expected) = slow_norms(shape, &TokenSelection::all(), |_, _, s, d| data[s * 4 + d]);
    let view = HeadsView::contiguous(&data, shape).expect("valid");
    let norms = channel_norms(&view, &TokenSelection::all()).expect("tokens");
    assert!(worst(norms.values(), &expected) < 1e-7);
    // The same numbers as four heads of one channel, tokens first.
    let view = HeadsView::from_layout(&data, &[1_000_000, 4, 1], Layout::Shd).expect("valid");
    let norms = channel_norms(&view, &TokenSelection::all()).expect("tokens");
    assert!(worst(norms.values(), &expected) < 1e-7);
}

#[test]
fn a_million_tokens_stay_exact() {
    check_million(|x| x);
    check_million(f16::from_f32);
    check_million(bf16::from_f32);
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let data: Vec<f32> = (0..4 * 3000 * 16).map(|i| (i as f32 * 0.7).sin()).collect();
    for layout in [Layout::Hsd, Layout::Shd] {
        let shape = if layout == Layout::Hsd { [4, 3000, 16] } else { [3000, 4, 16] };
        let view = HeadsView::from_layout(&data, &shape, layout).expect("valid");
        let norms = |threads| {
            let pool =
                rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| channel_norms(&view, &TokenSelection::all())).expect("tokens")
        };
        assert_eq!(norms(1), norms(3));
    }
}
