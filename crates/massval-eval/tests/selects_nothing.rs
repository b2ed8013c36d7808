//! An intervention that selects nothing ends a run at its first batch, or before.

use std::path::Path;

use burn::tensor::{DType, Device};
use massval_data::world::{Capitals, CapitalsOptions};
use massval_disrupt::{Intervention, Operator, Selection};
use massval_eval::{Arm, Experiment, RunOptions, Task, TextWindow, score_text};
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
    }
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
    let arms = [None, Some(zero("head-mean:1000"))];
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
    let capitals = experiment(&model, Vec::new());
    let lengths = |experiment: &Experiment<'_>| {
        let mut lengths = Vec::new();
        let mut see = |records: &[massval_eval::Record]| {
            lengths.extend(records.iter().map(|record| record.prompt_tokens));
            Ok(())
        };
        experiment.run(0, &mut see, &mut |_, _| {}).unwrap();
        lengths
    };
    let longest = lengths(&capitals).into_iter().max().expect("items");
    experiment(&model, vec![at(&format!("{}..1000", longest - 1))]).check().unwrap();
    experiment(&model, vec![at(&format!("{longest}..1000"))]).check().unwrap_err();
}
