//! On a small model: a run ends at its first batch if an intervention selects nothing; what a run would take.

use std::path::Path;

use burn::tensor::{DType, Device};
use massval_data::world::{Capitals, CapitalsOptions};
use massval_disrupt::{Intervention, Operator, Selection};
use massval_eval::{Arm, Experiment, Record, RunOptions, Task, TextWindow, score_text};
use massval_models::Model;

fn model() -> Model {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let path = fixtures.join("gguf-llama/f32.gguf");
    Model::load(&path, &Device::default(), DType::F32, &mut |_, _| {}).expect("the fixture")
}

fn zero(selection: &str) -> Intervention {
    Intervention::new(Operator::Zero, selection.parse::<Selection>().expect("a selection"))
}

fn experiment(model: &Model, interventions: Vec<Intervention>) -> Experiment<'_> {
    let capitals = Capitals::new(CapitalsOptions::default()).unwrap();
    let arms = interventions.into_iter().map(|arm| Arm::new(arm.to_string(), arm));
    Experiment {
        model,
        tasks: vec![Task::new(Box::new(capitals), Some(20), 4).unwrap()],
        arms: std::iter::once(Arm::none()).chain(arms).collect(),
        options: RunOptions::default(),
        decoders: Default::default(),
    }
}

/// Tokens of each prompt of the experiment.
fn lengths(model: &Model) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut see = |records: &[Record]| {
        lengths.extend(records.iter().map(|record| record.prompt_tokens));
        Ok(())
    };
    experiment(model, Vec::new()).run(0, &mut see, &mut |_, _| {}).unwrap();
    lengths
}

#[test]
fn no_batch_follows_the_first() {
    let model = model();
    let experiment = experiment(&model, vec![zero("top-k:1"), zero("head-mean:1000")]);
    let (mut batches, mut told) = (0, Vec::new());
    let mut count = |_: &[_]| {
        batches += 1;
        Ok(())
    };
    let error = experiment.run(0, &mut count, &mut |done, _| told.push(done)).unwrap_err();
    assert!(error.to_string().contains("meets head-mean:1000; lower"), "{error}");
    assert_eq!((batches, told), (0, vec![0]));
}

#[test]
fn no_window_follows_the_first() {
    let model = model();
    let window = TextWindow { tokens: vec![3, 1, 4, 1, 5], scored: 1..5 };
    let arms = [Arm::none(), Arm::new("zero", zero("head-mean:1000"))];
    let mut told = Vec::new();
    let windows = [window.clone(), window];
    let error = score_text(model.decoder(), &windows, &arms, &mut |done, _| told.push(done));
    assert!(error.unwrap_err().to_string().contains("lower its threshold"));
    assert_eq!(told, [0]);
}

#[test]
fn positions_beyond_every_prompt_are_told_before_anything_is_computed() {
    let model = model();
    let at = |positions: &str| Intervention {
        positions: positions.parse().expect("positions"),
        ..zero("top-k:1")
    };
    let error = experiment(&model, vec![at("900..1000")]).check().unwrap_err().to_string();
    assert!(error.contains("lie outside every prompt"), "{error}");
    // Within one prompt of twenty is enough.
    let longest = lengths(&model).into_iter().max().expect("items");
    experiment(&model, vec![at(&format!("{}..1000", longest - 1))]).check().unwrap();
    experiment(&model, vec![at(&format!("{longest}..1000"))]).check().unwrap_err();
}

/// With a clock that goes on by a second whenever it is looked at, every timed arm takes one.
#[test]
fn time_is_scaled_by_tokens_and_arms() {
    let model = model();
    let lengths = lengths(&model);
    let arms = ["top-k:1", "bottom-k:1", "random-k:1"].map(zero);
    let experiment = experiment(&model, arms.to_vec());
    let mut clock = 0.0;
    let mut now = || {
        clock += 1.0;
        clock
    };
    let estimate = experiment.estimate(&mut now).unwrap();
    let all: usize = lengths.iter().sum();
    assert_eq!(estimate.prompt_tokens, all * 4);
    // A batch, of which 512 tokens at most are read; four arms of a second each.
    let mut read = 0;
    for length in &lengths[..16] {
        if read + length <= 512 {
            read += length;
        }
    }
    let expected = 4.0 * all as f64 / read as f64;
    assert!((estimate.seconds - expected).abs() < 1e-9, "{} {expected}", estimate.seconds);
    assert!(clock < 8.5, "three of the arms are timed, not more");
}
