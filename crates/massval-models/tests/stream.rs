//! A model whose blocks are read layer by layer computes what the resident one computes, bit for bit.

mod common;

use std::path::Path;

use burn::tensor::DType;
use common::{Expected, cases, device, fixture, model};
use massval_hooks::{Activation, At, HookSet, Observe};
use massval_models::{
    Batch, Decoder, GenerateOptions, Job, KvCache, LogitsAt, Model, StreamOptions,
};
use proptest::prelude::*;

fn streamed(case: &str, options: StreamOptions) -> Model {
    let path = fixture("models").join(case);
    Model::stream(&path, &device(), DType::F32, options, &mut |_, _| {})
        .unwrap_or_else(|error| panic!("{case}: {error}"))
}

fn logits(decoder: &Decoder, ids: &[u32], cache: Option<&mut KvCache>) -> Vec<f32> {
    let batch = Batch::single(ids).unwrap();
    let logits = decoder.forward(&batch, cache, &mut HookSet::none(), LogitsAt::All);
    logits.unwrap().unwrap().into_data().try_into_vec().unwrap()
}

fn generated(decoder: &Decoder, ids: &[u32], tokens: usize) -> Vec<u32> {
    let options = GenerateOptions::greedy(tokens);
    let rows = decoder.generate(&[ids], &options, &mut HookSet::none(), &mut |_, _| {});
    rows.unwrap().remove(0).tokens
}

#[test]
fn every_family_is_the_same_bit_for_bit() {
    for case in &cases() {
        let (resident, streamed) = (model(case), streamed(case, StreamOptions::working(0)));
        let ids = Expected::of(case).ids("token_ids");
        let (whole, layers) = (resident.decoder(), resident.decoder().config().layers);
        let parts = streamed.decoder();
        assert!(parts.is_streamed() && !whole.is_streamed());
        assert_eq!(logits(whole, &ids[0], None), logits(parts, &ids[0], None), "{case}");
        assert_eq!(parts.blocks_read(), layers, "{case}");
        // With a cache, in two parts.
        let in_two = |decoder: &Decoder| {
            let mut cache = KvCache::new();
            let first = logits(decoder, &ids[1][..3], Some(&mut cache));
            [first, logits(decoder, &ids[1][3..], Some(&mut cache))].concat()
        };
        assert_eq!(in_two(whole), in_two(parts), "{case}");
        assert_eq!(streamed.checkpoint().bytes, resident.checkpoint().bytes);
    }
}

/// Jobs of several lengths, one that generates and one that fails: each as if it were alone.
#[test]
fn jobs_go_through_a_layer_together() {
    let folder = tempfile::tempdir().unwrap();
    for working in [u64::MAX, 100] {
        let options = StreamOptions::working(working).spilling_to(folder.path().to_owned());
        let streamed = streamed("llama-gqa-tied", options);
        let resident = model("llama-gqa-tied");
        let prompts: [&[u32]; 4] = [&[3, 4, 5], &[6, 7, 8, 9, 10, 11], &[12], &[13, 14, 15, 16]];
        fn jobs<'a>(prompts: &'a [&'a [u32]]) -> Vec<Job<'a, Vec<f32>>> {
            prompts
                .iter()
                .map(|ids| -> Job<'a, _> { Box::new(|decoder| logits(decoder, ids, None)) })
                .collect()
        }
        let alone = resident.decoder().together(jobs(&prompts));
        assert_eq!(streamed.decoder().together(jobs(&prompts)), alone);
        let layers = resident.decoder().config().layers;
        assert_eq!(streamed.decoder().blocks_read(), layers, "each block once for all jobs");

        let mixed = |decoder: &Decoder| {
            let jobs: Vec<Job<'_, Vec<u32>>> = vec![
                Box::new(|decoder| generated(decoder, prompts[0], 5)),
                Box::new(|decoder| {
                    let batch = Batch::single(&[1_000_000]).unwrap();
                    let at = LogitsAt::All;
                    let refused = decoder.forward(&batch, None, &mut HookSet::none(), at);
                    assert!(refused.is_err());
                    Vec::new()
                }),
                Box::new(|decoder| generated(decoder, prompts[1], 2)),
                Box::new(|_| vec![7]),
            ];
            decoder.together(jobs)
        };
        assert_eq!(mixed(streamed.decoder()), mixed(resident.decoder()));
        // Two prompts are read side by side, then one token after the other: 5 passes, not 7.
        assert_eq!(streamed.decoder().blocks_read(), layers * (1 + 5));
    }
}

/// A pass that ends early, after the last layer that somebody looks at, reads no further block.
#[test]
fn what_nobody_wants_is_not_read() {
    let streamed = streamed("llama-gqa-tied", StreamOptions::working(0));
    let decoder = streamed.decoder();
    let mut seen = 0;
    let mut look = Observe::new("look", |_: &At<'_>, _: &Activation| {
        seen += 1;
        Ok(())
    });
    let mut hooks = HookSet::new(decoder.hook_points());
    hooks.add(&["blocks.1.attn.hook_q"], &mut look).unwrap();
    let batch = Batch::single(&[3, 4, 5]).unwrap();
    decoder.forward(&batch, None, &mut hooks, LogitsAt::Nowhere).unwrap();
    assert_eq!(decoder.blocks_read(), 2);
    drop(hooks);
    assert_eq!(seen, 1);
}

#[test]
fn a_damaged_block_is_named_and_the_others_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let from = fixture("models/llama-mha-untied");
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(from.join(file), folder.path().join(file)).unwrap();
    }
    spoil(&folder.path().join("model.safetensors"), "model.layers.1.mlp.up_proj.weight");
    let options = StreamOptions::working(u64::MAX);
    let streamed =
        Model::stream(folder.path(), &device(), DType::F32, options, &mut |_, _| {}).unwrap();
    let refused = |decoder: &Decoder| {
        let batch = Batch::single(&[3, 4]).unwrap();
        let pass = decoder.forward(&batch, None, &mut HookSet::none(), LogitsAt::All);
        pass.unwrap_err().to_string()
    };
    let jobs: Vec<Job<'_, String>> = vec![Box::new(refused), Box::new(refused)];
    for error in streamed.decoder().together(jobs) {
        assert!(error.contains("model.layers.1.mlp.up_proj.weight"), "{error}");
    }
}

/// Writes a NaN into the middle of a tensor.
fn spoil(path: &Path, name: &str) {
    let mut bytes = std::fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let start = header[name]["data_offsets"][0].as_u64().unwrap() as usize + 8 + length;
    bytes[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Any mix of jobs with any number of passes each ends, and each computes what it computes alone.
    #[test]
    fn any_mix_of_jobs_ends(passes in prop::collection::vec(0usize..5, 1..7)) {
        let streamed = streamed("gpt2", StreamOptions::working(u64::MAX));
        let resident = model("gpt2");
        let run = |decoder: &Decoder| {
            let job = |(index, &passes): (usize, &usize)| -> Job<'_, Vec<f32>> {
                Box::new(move |decoder| {
                    let ids = [3 + index as u32, 9, 11];
                    (0..passes).flat_map(|_| logits(decoder, &ids, None)).collect()
                })
            };
            decoder.together(passes.iter().enumerate().map(job).collect())
        };
        prop_assert_eq!(run(streamed.decoder()), run(resident.decoder()));
        let most = passes.iter().max().copied().unwrap_or(0);
        prop_assert_eq!(streamed.decoder().blocks_read(), most * 2);
    }
}
