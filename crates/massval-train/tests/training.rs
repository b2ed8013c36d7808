//! Trainings of a few steps, from the first weights to the files that they leave.

use std::fs;
use std::path::Path;

use burn::tensor::{DType, Device};
use massval_data::Encode;
use massval_data::language::{Language, LanguageConfig};
use massval_hooks::HookSet;
use massval_models::tokenizer::SpecialTokens;
use massval_models::{Batch, LogitsAt, Model};
use massval_train::{
    Entry, Error, Event, ModelConfig, Norm, OptimizerConfig, Position, TargetVariance, TrainConfig,
    Trainer, read_log,
};

fn small() -> TrainConfig {
    let tiny = TrainConfig::tiny();
    TrainConfig {
        steps: 12,
        batch: 4,
        model: ModelConfig {
            layers: 2,
            d_model: 16,
            heads: 2,
            kv_heads: 2,
            d_mlp: 32,
            ..tiny.model
        },
        optimizer: OptimizerConfig { warmup: 4, ..tiny.optimizer },
        language: LanguageConfig { sequence: 40, ..tiny.language },
        measure_every: 6,
        measure_items: 4,
        checkpoint_every: 4,
        ..tiny
    }
}

fn trainer(config: TrainConfig, folder: &Path) -> Trainer {
    Trainer::new(config, folder, &Device::flex()).unwrap()
}

fn finished(config: TrainConfig, folder: &Path) -> Trainer {
    let mut trainer = trainer(config, folder);
    trainer.run(&mut |_| {}).unwrap();
    trainer
}

fn logits(model: &massval_models::Decoder, ids: &[u32]) -> Vec<f32> {
    let batch = Batch::single(ids).unwrap();
    let logits = model.forward(&batch, None, &mut HookSet::none(), LogitsAt::All).unwrap().unwrap();
    logits.into_data().try_into_vec().unwrap()
}

#[test]
fn the_loss_falls() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { steps: 60, batch: 8, ..small() };
    let mut losses = Vec::new();
    trainer(config, folder.path())
        .run(&mut |event| {
            if let Event::Step { loss, .. } = event {
                losses.push(loss);
            }
        })
        .unwrap();
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (first, last) = (mean(&losses[..5]), mean(&losses[55..]));
    assert!(last < 0.85 * first, "{first} {last}");
}

#[test]
fn a_run_that_is_resumed_ends_bit_for_bit_where_the_other_does() {
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = small();
    let expected = finished(config.clone(), whole.path());

    // Killed after step 6: the checkpoint of step 4 is what stays.
    let mut first = trainer(config.clone(), broken.path());
    for step in 1..=6 {
        first.advance().unwrap();
        if step == 4 {
            first.save().unwrap();
        }
    }
    drop(first);
    // A kill in the middle of a checkpoint leaves a folder without a name of its own.
    fs::create_dir(broken.path().join("checkpoints/.unfinished1a2b")).unwrap();
    let mut second = trainer(config, broken.path());
    assert_eq!(second.step(), 4);
    second.run(&mut |_| {}).unwrap();

    let tensors = |trainer: &Trainer| trainer.decoder().named_tensors().unwrap();
    assert_eq!(tensors(&expected), tensors(&second));
    let bytes = |folder: &Path| fs::read(folder.join("model/model.safetensors")).unwrap();
    assert_eq!(bytes(whole.path()), bytes(broken.path()));
    let steps = |folder: &Path| -> Vec<Entry> {
        let log = read_log(&folder.join("log.jsonl")).unwrap();
        log.into_iter().filter(|entry| matches!(entry, Entry::Step { .. })).collect()
    };
    assert_eq!(steps(whole.path()), steps(broken.path()));
    let kept = fs::read_dir(broken.path().join("checkpoints")).unwrap();
    let mut kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name()).collect();
    kept.sort();
    assert_eq!(kept, ["step-00000008", "step-00000012"]);
}

#[test]
fn parts_of_a_step_add_up_to_it() {
    let (one, four) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut whole = trainer(small(), one.path());
    let mut parts = trainer(TrainConfig { parts: 4, ..small() }, four.path());
    for _ in 0..3 {
        let (a, b) = (whole.advance().unwrap(), parts.advance().unwrap());
        assert!((a - b).abs() < 1e-4 * a, "{a} {b}");
    }
}

/// An architecture, and what makes a config one of it.
type Variant<'a> = (&'a str, &'a dyn Fn(&mut ModelConfig));

/// Each variant trains, and what it leaves loads as any other checkpoint and says the same, up to f16.
#[test]
fn every_variant_trains_and_loads() {
    let rope = Position::Rope { theta: 1e3, fraction: 1.0 };
    let llama = |m: &mut ModelConfig| {
        (m.norm, m.gated, m.bias, m.kv_heads, m.position) =
            (Norm::RmsNorm, true, false, 1, Position::Rope { theta: 1e4, fraction: 1.0 });
    };
    let variants: [Variant<'_>; 9] = [
        ("gpt2", &|m| m.position = Position::Learned),
        ("gpt_neox", &|m| m.position = rope),
        ("gpt_neox", &|m| m.position = Position::Rope { theta: 1e4, fraction: 0.5 }),
        ("llama", &llama),
        ("massval", &|m| m.position = Position::None),
        ("massval", &|m| m.position = Position::Alibi),
        ("massval", &|m| m.norm = Norm::DynamicTanh),
        ("massval", &|m| m.kv_bias = true),
        ("gpt_neox", &|m| m.sink = true),
    ];
    for (architecture, change) in variants {
        let folder = tempfile::tempdir().unwrap();
        let mut config = TrainConfig { steps: 8, ..small() };
        change(&mut config.model);
        config.mitigations.target_variance =
            Some(TargetVariance { std: 0.02, every: 4, ratio: 1.2 });
        let sink = config.model.sink;
        let trained = finished(config, folder.path());
        let path = folder.path().join("model");
        let model = Model::load(&path, &Device::flex(), DType::F32, &mut |_, _| {}).unwrap();
        assert_eq!(model.decoder().config().architecture, architecture);

        let text = "the pass key is 4 7 1 .";
        let language = Language::read(&path.join("language.json")).unwrap();
        let ids = model.tokenizer().unwrap().encode(text, SpecialTokens::AsModel).unwrap();
        let words: Vec<u32> = language
            .vocabulary()
            .encode(text, true)
            .unwrap()
            .iter()
            .map(|token| token.id)
            .collect();
        let expected: Vec<u32> =
            sink.then_some(language.vocabulary().len() as u32).into_iter().chain(words).collect();
        assert_eq!(ids, expected, "{architecture}");

        let (found, right) = (logits(model.decoder(), &ids), logits(&trained.decoder(), &ids));
        let apart = found.iter().zip(&right).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(apart < 2e-2, "{architecture}: {apart}");
    }
}

#[test]
fn another_config_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    finished(TrainConfig { steps: 5, ..small() }, folder.path());
    let refused = |config: TrainConfig| {
        let Err(error) = Trainer::new(config, folder.path(), &Device::flex()) else {
            panic!("it was gone on with")
        };
        assert!(matches!(error, Error::Resume { .. }));
        error.to_string()
    };
    let base = TrainConfig { steps: 5, ..small() };
    let message = refused(TrainConfig { seed: 9, ..base.clone() });
    assert!(message.contains("the run has seed = 0, and 9 is asked for"), "{message}");
    let mut other = base.clone();
    other.language.seed = 3;
    let message = refused(other);
    assert!(message.contains("language.seed = 0, and 3 is asked for"), "{message}");
    // How it is looked at decides nothing.
    trainer(TrainConfig { measure_every: 1, measure_disrupted: 2, ..base }, folder.path());
}

#[test]
fn a_folder_with_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "do not touch").unwrap();
    let Err(error) = Trainer::new(small(), folder.path(), &Device::flex()) else {
        panic!("it was used")
    };
    assert!(error.to_string().contains("holds thesis.tex, and no run"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_loss_that_is_no_number_stops_and_keeps_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = small();
    config.optimizer = OptimizerConfig {
        learning_rate: 1e30,
        final_rate: 1e30,
        warmup: 0,
        clip: 1e30,
        ..config.optimizer
    };
    let mut trainer = trainer(config, folder.path());
    trainer.save().unwrap();
    let error = trainer.run(&mut |_| {}).unwrap_err();
    let Error::NotFinite { step, .. } = &error else { panic!("{error}") };
    assert!((1..=6).contains(step), "{step}");
    assert!(error.to_string().contains("is not finite; the checkpoints in"), "{error}");
    assert!(folder.path().join("checkpoints/step-00000000/optimizer.bpk").exists());
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_those_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = trainer(small(), folder.path());
    trainer.advance().unwrap();
    trainer.save().unwrap();
    trainer.advance().unwrap();
    // Where the next one would be, there is a file.
    let taken = folder.path().join("checkpoints/step-00000002");
    fs::write(&taken, "").unwrap();
    assert!(matches!(trainer.save(), Err(Error::Io { .. })));
    fs::remove_file(&taken).unwrap();
    let left = fs::read_dir(folder.path().join("checkpoints")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["step-00000001"]);
    assert_eq!(self::trainer(small(), folder.path()).step(), 1);
}
