//! The rounder on tensors against one sequence at a time, and in a model against hooks at the sites.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};
use massval_eval::{KeptChannels, KvRounder, KvRounding, KvTally};
use massval_hooks::{Activation, At, CacheAt, CacheHook, HookFailure, HookSet, Replace};
use massval_models::{Batch, Decoder, KvCache, LogitsAt, Model};
use massval_quant::{Bits, CacheShape, KvAxis, KvScheme, OutlierShare, ProtectedRows};
use proptest::prelude::*;

fn model() -> Model {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let path = fixtures.join("gguf-llama/f32.gguf");
    Model::load(&path, &Device::default(), DType::F32, &mut |_, _| {}).expect("the fixture")
}

fn per_token(bits: Bits) -> KvScheme {
    KvScheme::new(bits, KvAxis::PerToken)
}

fn per_channel(bits: Bits, group: usize) -> KvScheme {
    KvScheme::new(bits, KvAxis::PerChannel).groups(group).expect("a group")
}

fn keys(scheme: KvScheme) -> KvRounding {
    KvRounding { keys: Some(scheme), ..KvRounding::default() }
}

fn read(x: Tensor<4>) -> Vec<f32> {
    x.into_data().convert::<f32>().try_into_vec().expect("f32")
}

fn scheme() -> impl Strategy<Value = KvScheme> {
    let group = prop_oneof![Just(2usize), Just(4)];
    (any::<bool>(), group, 0usize..4, 0usize..3, any::<bool>()).prop_map(
        |(channels, group, residual, first_tokens, outliers)| {
            let axis = if channels { KvAxis::PerChannel } else { KvAxis::PerToken };
            let outliers = OutlierShare::new(if outliers { 0.2 } else { 0.0 }).expect("a share");
            let plain = KvScheme::new(Bits::Two, axis).groups(group).expect("a group");
            KvScheme { residual, first_tokens, outliers, ..plain }
        },
    )
}

/// What one sequence, alone and without padding, has in its cache after passes of these lengths.
fn alone(
    scheme: &KvScheme,
    all: &[f32],
    heads: usize,
    dim: usize,
    passes: &[usize],
    kept: &[bool],
) -> Vec<f32> {
    let tokens = all.len() / heads / dim;
    let mut out = all.to_vec();
    let (mut held, mut done) = (0, 0);
    for pass in passes {
        held += pass;
        let settled = scheme.settled(held);
        let fresh = settled.start.max(done)..settled.end;
        done = settled.end.max(done);
        if fresh.is_empty() {
            continue;
        }
        let shape = CacheShape { heads, tokens, head_dim: dim };
        scheme.round(&mut out, shape, fresh, Some(kept)).expect("finite numbers");
    }
    out
}

proptest! {
    /// Two sequences of other lengths, padded on the left in every pass, end like each of them alone.
    #[test]
    fn a_padded_batch_is_rounded_like_each_sequence_alone(
        scheme in scheme(), lengths in prop::collection::vec((1usize..9, 1usize..9), 1..4),
        seed in any::<u64>(),
    ) {
        const HEADS: usize = 2;
        const DIM: usize = 4;
        let mut config = model().decoder().config().clone();
        (config.kv_heads, config.head_dim) = (HEADS, DIM);
        let flags: Vec<bool> = (0..HEADS * DIM).map(|i| (seed >> i) & 3 == 0).collect();
        let rows = (0..HEADS * DIM).filter(|&i| flags[i]).collect();
        let layers = BTreeMap::from([(0, ProtectedRows::new(rows))]);
        let kept = KeptChannels { what: "some".into(), source: None, layers };
        let rounding = KvRounding { kept: Some(kept), ..keys(scheme) };
        let mut rounder = KvRounder::new(rounding, &config)?;

        let number = |i: usize| ((i as u64 * 2_654_435_761 + seed % 977) % 1000) as f32 / 100.0 - 3.0;
        // [head][token][channel] of each sequence.
        let totals = [lengths.iter().map(|l| l.0).sum::<usize>(), lengths.iter().map(|l| l.1).sum()];
        let own: Vec<Vec<f32>> = (0..2)
            .map(|row| (0..HEADS * totals[row] * DIM).map(|i| number(i + 7919 * row)).collect())
            .collect();
        let device = Device::default();
        let (mut cache, mut mask): (Option<Tensor<4>>, [Vec<bool>; 2]) = (None, [vec![], vec![]]);
        let mut done = [0, 0];
        for &(a, b) in &lengths {
            let width = a.max(b);
            let start = mask[0].len();
            let mut pass = vec![9.0; 2 * HEADS * width * DIM];
            for (row, length) in [a, b].into_iter().enumerate() {
                mask[row].extend(vec![false; width - length]);
                mask[row].extend(vec![true; length]);
                for head in 0..HEADS {
                    let from = (head * totals[row] + done[row]) * DIM;
                    let to = ((row * HEADS + head) * width + width - length) * DIM;
                    pass[to..to + length * DIM].copy_from_slice(&own[row][from..from + length * DIM]);
                }
                done[row] += length;
            }
            let pass = TensorData::new(pass, [2, HEADS, width, DIM]);
            let pass = Tensor::<4>::from_data(pass, &device);
            let all = match cache {
                Some(cache) => Tensor::cat(vec![cache, pass], 2),
                None => pass,
            };
            let real: Vec<bool> = mask.concat();
            let at = CacheAt::new(0, start, Some(&real));
            let (keys, values) = rounder.attend(&at, all.clone(), all.clone()).expect("rounds");
            prop_assert_eq!(read(values), read(all), "values were not to be rounded");
            cache = Some(keys);
        }
        let held = mask[0].len();
        let cache = read(cache.expect("a pass"));
        for row in 0..2 {
            let passes: Vec<usize> = lengths.iter().map(|l| [l.0, l.1][row]).collect();
            let expected = alone(&scheme, &own[row], HEADS, DIM, &passes, &flags);
            let real: Vec<usize> = (0..held).filter(|&column| mask[row][column]).collect();
            for head in 0..HEADS {
                for (token, &column) in real.iter().enumerate() {
                    let found = &cache[((row * HEADS + head) * held + column) * DIM..][..DIM];
                    let wanted = &expected[(head * totals[row] + token) * DIM..][..DIM];
                    // Outliers of a channel are those of the tokens that are rounded together.
                    prop_assert_eq!(found, wanted, "row {}, head {}, token {}", row, head, token);
                }
            }
            for column in (0..held).filter(|&column| !mask[row][column]) {
                let found = &cache[(row * HEADS * held + column) * DIM..][..DIM];
                prop_assert_eq!(found, &[9.0; DIM][..], "padding was rounded");
            }
        }
    }
}

/// Logits after each of the passes, and all keys and values at the end.
fn logits(decoder: &Decoder, passes: &[&[&[u32]]], hooks: &mut HookSet<'_>) -> Vec<Vec<f32>> {
    let mut cache = KvCache::new();
    let mut run = |prompts: &&[&[u32]]| {
        let batch = Batch::left_padded(prompts).unwrap();
        let out = decoder.forward(&batch, Some(&mut cache), hooks, LogitsAt::Last).unwrap();
        out.unwrap().into_data().convert::<f32>().try_into_vec::<f32>().unwrap()
    };
    passes.iter().map(&mut run).collect()
}

fn apart(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

const FIRST: &[u32] = &[3, 1, 4, 1, 5, 9, 2, 6, 5];
const SECOND: &[u32] = &[2, 7, 1, 8];

/// Rounding each token by itself is what a hook at the site does, too: before RoPE, after it, and at V.
#[test]
fn in_a_model_it_does_what_a_hook_at_the_site_does() {
    let model = model();
    let decoder = model.decoder();
    let passes: &[&[&[u32]]] = &[&[FIRST, SECOND], &[&[6], &[1]], &[&[6, 2], &[7]]];
    let scheme = per_token(Bits::Three).groups(8).unwrap();
    let plain = logits(decoder, passes, &mut HookSet::none());
    for (site, rounding) in [
        ("rot_k", keys(scheme)),
        ("k", KvRounding { before_rope: true, ..keys(scheme) }),
        ("v", KvRounding { values: Some(scheme), ..KvRounding::default() }),
    ] {
        let mut at_site = Replace::new("round", |_: &At<'_>, x: Activation| {
            let x = x.into_heads()?;
            let [batch, heads, tokens, head_dim] = x.dims();
            let mut values = read(x.clone());
            let shape = CacheShape { heads: batch * heads, tokens, head_dim };
            scheme.round(&mut values, shape, 0..tokens, None)?;
            let data = TensorData::new(values, [batch, heads, tokens, head_dim]);
            Ok::<_, HookFailure>(Activation::Heads(Tensor::from_data(data, &x.device())))
        });
        let mut hooks = HookSet::new(decoder.hook_points());
        hooks.add(&[site], &mut at_site).unwrap();
        let expected = logits(decoder, passes, &mut hooks);
        hooks.finish().unwrap();

        let mut rounder = KvRounder::new(rounding, decoder.config()).unwrap();
        let mut hooks = HookSet::new(decoder.hook_points());
        hooks.set_cache(&mut rounder);
        let found = logits(decoder, passes, &mut hooks);
        hooks.finish().unwrap();
        for ((found, expected), plain) in found.iter().zip(&expected).zip(&plain) {
            assert!(apart(found, expected) < 1e-4, "{site}: {}", apart(found, expected));
            assert!(apart(found, plain) > 1e-3, "{site}: nothing was rounded");
        }
    }
}

/// A batch gives what its sequences give alone, with windows, groups over tokens and a decode in several passes.
#[test]
fn batches_and_padding_change_nothing() {
    let model = model();
    let decoder = model.decoder();
    let scheme = KvScheme { residual: 2, first_tokens: 1, ..per_channel(Bits::Two, 2) };
    let values = KvScheme { axis: KvAxis::PerToken, ..scheme };
    for before_rope in [false, true] {
        let rounding = KvRounding { values: Some(values), before_rope, ..keys(scheme) };
        let run = |passes: &[&[&[u32]]]| {
            let mut rounder = KvRounder::new(rounding.clone(), decoder.config()).unwrap();
            let mut hooks = HookSet::new(decoder.hook_points());
            hooks.set_cache(&mut rounder);
            (logits(decoder, passes, &mut hooks), rounder.take_tally())
        };
        let (both, tally) =
            run(&[&[FIRST, SECOND], &[&[6], &[1]], &[&[2, 5], &[7]], &[&[1], &[2]]]);
        let (first, one) = run(&[&[FIRST], &[&[6]], &[&[2, 5]], &[&[1]]]);
        let (second, two) = run(&[&[SECOND], &[&[1]], &[&[7]], &[&[2]]]);
        let vocab = decoder.config().vocab_size;
        for ((both, first), second) in both.iter().zip(&first).zip(&second) {
            assert!(apart(&both[..vocab], first) < 1e-4, "{}", apart(&both[..vocab], first));
            assert!(apart(&both[vocab..], second) < 1e-4, "{}", apart(&both[vocab..], second));
        }
        assert_eq!(tally.keys.entries, one.keys.entries + two.keys.entries);
        assert_eq!(tally.values.entries, one.values.entries + two.values.entries);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let config = model().decoder().config().clone();
    let refused = |rounding: KvRounding, said: &str| {
        let error = KvRounder::new(rounding, &config).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    };
    refused(KvRounding::default(), "neither keys nor values");
    refused(keys(KvScheme::new(Bits::Two, KvAxis::PerChannel)), "needs groups");
    refused(keys(per_token(Bits::Two).groups(5).unwrap()), "divisor of 16");
    let values = KvRounding { values: Some(per_token(Bits::Two)), ..KvRounding::default() };
    refused(KvRounding { before_rope: true, ..values }, "keys are not rounded");
    for (layer, row) in [(2, 0), (0, 16)] {
        let layers = BTreeMap::from([(layer, ProtectedRows::new([row].into()))]);
        let kept = KeptChannels { what: "massive".into(), source: None, layers };
        let rounding = KvRounding { kept: Some(kept), ..keys(per_token(Bits::Two)) };
        refused(rounding, "2 layers of 16 key channels");
    }
    let nothing = keys(KvScheme { residual: 100, ..per_token(Bits::Two) });
    assert!(nothing.check(&KvTally::default()).is_err());
}

#[test]
fn a_rounding_survives_json() {
    let layers = BTreeMap::from([(1, ProtectedRows::new([3, 11].into()))]);
    let kept = KeptChannels { what: "massive".into(), source: Some("scan.json".into()), layers };
    let rounding =
        KvRounding { kept: Some(kept), before_rope: true, ..keys(per_channel(Bits::Four, 32)) };
    let value = serde_json::to_value(&rounding).unwrap();
    assert_eq!(serde_json::from_value::<KvRounding>(value).unwrap(), rounding);
    assert!(serde_json::from_str::<KvRounding>(r#"{"key":null}"#).is_err());
    let said = rounding.to_string();
    assert!(said.ends_with("before RoPE, 2 massive channels exact"), "{said}");
}
