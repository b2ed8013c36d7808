//! Generation: what ends a sequence, and what continues a cache.

mod common;

use std::ops::ControlFlow::{Break, Continue};

use burn::tensor::Tensor;
use common::{Expected, model};
use massval_hooks::HookSet;
use massval_models::{
    Batch, Decoder, Error, Finish, GenerateOptions, Generated, KvCache, LogitsAt,
};

const CASE: &str = "llama-gqa-tied";

/// Reads prompts: the cache that holds them, and the logits after each.
fn read(decoder: &Decoder, prompts: &[&[u32]]) -> (KvCache, Vec<f32>) {
    let mut cache = KvCache::new();
    let (batch, mut hooks) = (Batch::left_padded(prompts).unwrap(), HookSet::none());
    let logits = decoder.forward(&batch, Some(&mut cache), &mut hooks, LogitsAt::Last).unwrap();
    let logits: Tensor<3> = logits.unwrap();
    (cache, logits.try_into_data().unwrap().try_into_vec().unwrap())
}

/// Greedy answers of five tokens, each until `enough` says so.
fn continued(
    decoder: &Decoder,
    cache: &KvCache,
    logits: &[f32],
    enough: impl Fn(usize, &[u32]) -> bool,
) -> Vec<Generated> {
    let mut told = |row, tokens: &[u32]| -> Result<_, Error> {
        Ok(if enough(row, tokens) { Break(()) } else { Continue(()) })
    };
    let (mut cache, options) = (cache.clone(), GenerateOptions::greedy(5));
    let hooks = &mut HookSet::none();
    decoder.generate_after(&mut cache, logits.to_vec(), &options, hooks, &mut told).unwrap()
}

/// Two prompts of different lengths.
fn prompts() -> [Vec<u32>; 2] {
    let ids = Expected::of(CASE).ids("token_ids");
    [ids[0].clone(), ids[1][..3].to_vec()]
}

#[test]
fn a_cache_is_continued_as_its_prompts_are() {
    let (model, prompts) = (model(CASE), prompts());
    let prompts = [prompts[0].as_slice(), &prompts[1]];
    let (options, hooks) = (GenerateOptions::greedy(5), &mut HookSet::none());
    let whole = model.decoder().generate(&prompts, &options, hooks, &mut |_, _| {}).unwrap();
    let (cache, logits) = read(model.decoder(), &prompts);
    // Twice, since what is written into a copy must not reach the cache.
    for _ in 0..2 {
        assert_eq!(continued(model.decoder(), &cache, &logits, |_, _| false), whole);
    }
    assert!(whole.iter().all(|row| row.tokens.len() == 5 && row.finish == Finish::Length));
}

#[test]
fn a_sequence_that_has_enough_leaves_the_others_alone() {
    let (model, prompts) = (model(CASE), prompts());
    let (cache, logits) = read(model.decoder(), &[&prompts[0], &prompts[1]]);
    let whole = continued(model.decoder(), &cache, &logits, |_, _| false);
    let early =
        continued(model.decoder(), &cache, &logits, |row, tokens| row == 0 && tokens.len() == 2);
    assert_eq!(early[0].tokens, whole[0].tokens[..2]);
    assert_eq!(early[0].finish, Finish::Told);
    assert_eq!(early[1], whole[1]);
}

#[test]
fn who_is_told_may_fail_and_logits_must_fit() {
    let (model, [prompt, _]) = (model(CASE), prompts());
    let (cache, logits) = read(model.decoder(), &[&prompt]);
    let after = |logits: &[f32], told: &mut dyn FnMut(usize, &[u32]) -> Result<_, Error>| {
        let options = GenerateOptions::greedy(5);
        let (mut cache, hooks) = (cache.clone(), &mut HookSet::none());
        model.decoder().generate_after(&mut cache, logits.to_vec(), &options, hooks, told)
    };
    let what = "too many words".to_owned();
    let error = after(&logits, &mut |_, _| Err(Error::Input { what: what.clone() })).unwrap_err();
    assert_eq!(error.to_string(), what);
    let error = after(&logits[1..], &mut |_, _| Ok(Continue(()))).unwrap_err().to_string();
    assert!(error.contains("logits cannot follow"), "{error}");
}
