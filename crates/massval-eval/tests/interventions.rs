//! Interventions on SmolLM2-135M-Instruct against the numbers that PyTorch gives on the same weights.

use std::path::PathBuf;

use burn::tensor::{DType, Device};
use massval_data::Dataset;
use massval_data::world::{Capitals, CapitalsOptions};
use massval_disrupt::{Intervention, Operator, Selection};
use massval_eval::{Arm, Experiment, RunOptions, Task, TextWindow, score_text};
use massval_hooks::{HookSet, Site};
use massval_models::Model;
use massval_models::tokenizer::SpecialTokens;

/// The model that `scripts/fetch-smollm2.sh` fetches; `None` where it was not.
fn smollm2() -> Option<Model> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("models/SmolLM2-135M-Instruct.Q4_1.gguf");
    if !path.exists() {
        let required = std::env::var_os("MASSVAL_REQUIRE_SMOLLM2").is_some();
        assert!(!required, "{} is missing: run scripts/fetch-smollm2.sh", path.display());
        eprintln!("skipped: run scripts/fetch-smollm2.sh first");
        return None;
    }
    Some(Model::load(&path, &Device::default(), DType::F32, &mut |_, _| {}).expect("the model"))
}

/// Perplexity of `fixtures/text/natural.txt`, all tokens but the first, one window. The expected values
/// were made with PyTorch 2.15 and transformers 5.23 on the same weights in f32.
#[test]
fn perplexities_are_pytorchs() {
    let Some(model) = smollm2() else { return };
    let text = include_str!("../../../fixtures/text/natural.txt");
    let tokens = model.tokenizer().unwrap().encode(text, SpecialTokens::None).unwrap();
    let scored = 1..tokens.len();
    let window = TextWindow { tokens, scored };

    let paper = |operator, selection| Some(Intervention::new(operator, selection));
    let joint = |selection| paper(Operator::JointMean, selection);
    let only = |site| joint(Selection::top(1)).map(|paper| paper.at(&[site]));
    let cases = [
        ("none", None, 27.37),
        ("top 1, mean", joint(Selection::top(1)), 57.6),
        ("top 2, mean", joint(Selection::top(2)), 1552.0),
        ("top 1, zero", paper(Operator::Zero, Selection::top(1)), 1466.0),
        ("bottom 1, mean", joint(Selection::BottomK { k: 1 }), 28.6),
        ("bottom 8, mean", joint(Selection::BottomK { k: 8 }), 31.4),
        ("top 1 of Q, mean", only(Site::RotQ), 27.8),
        ("top 1 of K, mean", only(Site::RotK), 51.7),
    ];
    let arm = |(name, intervention, _): &(&str, Option<Intervention>, f64)| match intervention {
        Some(intervention) => Arm::new(*name, intervention.clone()),
        None => Arm::none(),
    };
    let arms: Vec<Arm> = cases.iter().map(arm).collect();
    let scores = score_text(model.decoder(), &[window], &arms, &mut |_, _| {}).unwrap();
    for ((name, _, expected), score) in cases.iter().zip(&scores) {
        let found = score.perplexity();
        assert!((found / expected - 1.0).abs() < 0.01, "{name}: {found:.2}, not {expected}");
    }
    assert_eq!(scores[0].kl(), None);
    assert!(scores[2].kl() > scores[1].kl() && scores[1].kl() > scores[4].kl());
}

/// Alternatives that share a prompt's pass are as likely as each read with the prompt on its own.
#[test]
fn alternatives_after_one_pass_equal_passes_of_their_own() {
    let Some(model) = smollm2() else { return };
    let dataset = Capitals::new(CapitalsOptions::default()).unwrap();
    let items: Vec<_> = (0..3).map(|index| dataset.item(index).unwrap()).collect();
    let task = Task::new(Box::new(dataset), Some(3), 0).unwrap();
    let top = Intervention::new(Operator::JointMean, Selection::top(1));
    let experiment = Experiment {
        model: &model,
        tasks: vec![task],
        arms: vec![Arm::none(), Arm::new("top", top)],
        options: RunOptions::default(),
        decoders: Default::default(),
    };
    experiment.check().unwrap();
    let mut records = Vec::new();
    experiment
        .run(
            0,
            &mut |new| {
                records.extend_from_slice(new);
                Ok(())
            },
            &mut |_, _| {},
        )
        .unwrap();
    let order: Vec<_> = records.iter().map(|r| (r.index, r.arm.as_str())).collect();
    assert_eq!(order[..3], [(0, "none"), (0, "top"), (1, "none")], "all arms of an item together");

    let tokenizer = model.tokenizer().unwrap();
    let encode = |text: &str| tokenizer.encode(text, SpecialTokens::None).unwrap();
    for record in records.iter().filter(|record| record.arm == "none") {
        let item = &items[record.index];
        assert_eq!((record.kl, record.same_top), (None, None), "nothing to compare with");
        for (choice, found) in item.choices.iter().zip(&record.choices) {
            let (prompt, answer) = (encode(&item.prompt), encode(&choice.text));
            let mut hooks = HookSet::none();
            let expected: f32 = model
                .decoder()
                .continuation_log_probs(&prompt, &answer, &mut hooks)
                .unwrap()
                .iter()
                .sum();
            let apart = (found.log_prob - f64::from(expected)).abs();
            assert!(apart < 2e-3, "{}: {} against {expected}", choice.text, found.log_prob);
        }
    }
    assert!(records.iter().filter(|r| r.arm == "top").all(|r| r.kl.is_some_and(|kl| kl > 0.0)));
}
