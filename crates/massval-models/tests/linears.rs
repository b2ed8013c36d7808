//! Linears by their names, and walks from one to the next.

mod common;

use common::{Expected, cases, model};
use massval_hooks::HookSet;
use massval_models::{
    Batch, Decoder, InputRounding, LinearAt, LinearGroup, LinearRole, LogitsAt, MlpKind,
};
use massval_quant::ActivationQuantizer;

fn logits(decoder: &Decoder, ids: &[u32]) -> Vec<f32> {
    let batch = Batch::single(ids).unwrap();
    let logits = decoder.forward(&batch, None, &mut HookSet::none(), LogitsAt::All);
    logits.unwrap().unwrap().into_data().try_into_vec().unwrap()
}

#[test]
fn a_linear_replaced_by_itself_changes_nothing_and_by_another_does() {
    for case in &cases() {
        let model = model(case);
        let decoder = model.decoder();
        let ids = &Expected::of(case).ids("token_ids")[0];
        let expected = logits(decoder, ids);
        let mut same = decoder.clone();
        for at in decoder.config().linears() {
            let weight = decoder.linear_weight(at).unwrap();
            let [outputs, inputs] = decoder.config().linear_shape(at.role);
            assert_eq!(weight.len(), outputs * inputs, "{case} {at}");
            same.set_linear_weight(at, &weight).unwrap();
            assert!(same.set_linear_weight(at, &weight[1..]).is_err());
        }
        assert_eq!(logits(&same, ids), expected, "{case}");
        for role in [LinearRole::V, LinearRole::AttnOut] {
            let at = LinearAt::new(0, role);
            let mut other = decoder.clone();
            let weight = decoder.linear_weight(at).unwrap();
            other.set_linear_weight(at, &vec![0.0; weight.len()]).unwrap();
            assert_ne!(logits(&other, ids), expected, "{case} {at}");
        }
        assert_eq!(logits(decoder, ids), expected, "{case}: the decoder that was cloned");
        for at in [
            LinearAt::new(99, LinearRole::Q),
            LinearAt { expert: Some(0), ..LinearAt::new(0, LinearRole::Q) },
        ] {
            assert!(decoder.linear_weight(at).is_err());
        }
    }
}

/// The stream behind the last block, as a walk leaves it.
fn walked(decoder: &Decoder, ids: &[&[u32]], mut at: impl FnMut(&mut massval_models::Walk<'_>)) {
    let batches = ids.iter().map(|ids| Batch::single(ids).unwrap()).collect();
    let mut walk = decoder.walk(batches).unwrap();
    assert!(walk.go_on().is_err());
    while walk.enter().unwrap() {
        assert!(walk.enter().is_err());
        while walk.group().is_some() {
            at(&mut walk);
            walk.go_on().unwrap();
        }
    }
    assert_eq!(walk.layer(), decoder.config().layers);
}

/// What a linear reads times its weight is what the hook behind it sees: checked where there is one.
#[test]
fn a_walk_reads_what_the_pass_reads() {
    use massval_hooks::{Activation, At, Observe};
    for case in &cases() {
        let model = model(case);
        let decoder = model.decoder();
        if matches!(decoder.config().mlp, MlpKind::Experts { .. }) {
            continue;
        }
        let ids = Expected::of(case).ids("token_ids");
        let mut seen: Vec<Vec<f32>> = Vec::new();
        let mut look = Observe::new("mlp_post", |_: &At<'_>, x: &Activation| {
            if let Activation::Hidden(x) = x {
                seen.push(x.clone().into_data().try_into_vec().unwrap());
            }
            Ok(())
        });
        let mut hooks = HookSet::new(decoder.hook_points());
        hooks.add(&["blocks.*.mlp.hook_post"], &mut look).unwrap();
        let batch = Batch::single(&ids[0]).unwrap();
        decoder.forward(&batch, None, &mut hooks, LogitsAt::Nowhere).unwrap();
        hooks.finish().unwrap();
        let mut walks: Vec<Vec<f32>> = Vec::new();
        walked(decoder, &[&ids[0], &ids[1]], |walk| {
            let rows: Vec<_> = walk.inputs().map(Result::unwrap).collect();
            assert_eq!(rows.len(), 2);
            if walk.group() == Some(LinearGroup::Down) {
                walks.push(rows[0].clone());
            }
        });
        assert_eq!(walks, seen, "{case}");
    }
}

#[test]
fn a_walk_goes_on_with_what_was_put_in() {
    let model = model("llama-gqa-tied");
    let decoder = model.decoder();
    let ids = Expected::of("llama-gqa-tied").ids("token_ids");
    let last = |replaced: bool| {
        let mut inputs = Vec::new();
        walked(decoder, &[&ids[0]], |walk| {
            if replaced && (walk.layer(), walk.group()) == (0, Some(LinearGroup::Down)) {
                let weight = walk.weight(LinearRole::Down).unwrap();
                walk.set_weight(LinearRole::Down, &vec![0.0; weight.len()]).unwrap();
            }
            inputs = walk.inputs().next().unwrap().unwrap();
        });
        inputs
    };
    assert_ne!(last(true), last(false));
}

#[test]
fn inputs_are_rounded_where_they_shall_be() {
    let model = model("llama-gqa-tied");
    let ids = &Expected::of("llama-gqa-tied").ids("token_ids")[0];
    let plain = logits(model.decoder(), ids);
    let rounded = |scale: f32| {
        let mut rounding = InputRounding::default();
        let quantizer = ActivationQuantizer::with_scale(scale).unwrap();
        LinearGroup::ALL.iter().for_each(|&group| rounding.insert(1, group, quantizer));
        logits(&model.decoder().clone().with_input_rounding(rounding), ids)
    };
    let apart = |a: &[f32]| a.iter().zip(&plain).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let (fine, coarse) = (apart(&rounded(0.05)), apart(&rounded(2.0)));
    assert!(0.0 < fine && fine < coarse, "{fine} {coarse}");
    let none = model.decoder().clone().with_input_rounding(InputRounding::default());
    assert_eq!(logits(&none, ids), plain);
}
