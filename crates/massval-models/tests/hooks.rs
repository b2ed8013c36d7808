//! What hooks may rely on in a forward pass.

mod common;

use common::{Expected, model};
use massval_hooks::{Activation, At, Hook, HookFailure, HookSet, Observe, Phase, Replace};
use massval_models::{Batch, GenerateOptions, KvCache, LogitsAt};

fn batch(case: &str) -> Batch {
    Batch::single(&Expected::of(case).ids("token_ids")[0]).unwrap()
}

fn logits(hooks: &mut HookSet<'_>, case: &str) -> Vec<f32> {
    let out = model(case).decoder().forward(&batch(case), None, hooks, LogitsAt::Last).unwrap();
    out.unwrap().into_data().convert::<f32>().try_into_vec().unwrap()
}

#[test]
fn a_pass_without_logits_ends_where_the_last_hook_is() {
    let case = "llama-gqa-tied";
    let model = model(case);
    let mut fired = Vec::new();
    let mut look = Observe::new("look", |at: &At<'_>, _: &Activation| {
        fired.push(at.point.to_string());
        Ok(())
    });
    let mut hooks = HookSet::new(model.decoder().hook_points());
    hooks.add(&["blocks.1.attn.hook_rot_k", "blocks.0.hook_mlp_out"], &mut look).unwrap();
    let out = model.decoder().forward(&batch(case), None, &mut hooks, LogitsAt::Nowhere).unwrap();
    hooks.finish().unwrap();
    assert!(out.is_none());
    assert_eq!(fired, ["blocks.0.hook_mlp_out", "blocks.1.attn.hook_rot_k"]);
}

/// Replaced by itself nothing changes; replaced by zeros everything behind it does.
#[test]
fn replacing_a_site_reaches_the_logits() {
    for (case, sites) in [
        (
            "llama-gqa-tied",
            vec!["q", "k", "v", "rot_q", "rot_k", "z", "attn_out", "mlp_pre", "mlp_post"],
        ),
        (
            "gpt2",
            vec!["q", "k", "v", "attn_scores", "pattern", "resid_pre", "resid_mid", "mlp_out"],
        ),
    ] {
        let plain = logits(&mut HookSet::none(), case);
        for site in sites {
            let points = model(case).decoder().hook_points();
            let mut same = Replace::new("same", |_: &At<'_>, x: Activation| Ok(x));
            let mut hooks = HookSet::new(points.clone());
            hooks.add(&[site], &mut same).unwrap();
            let kept = logits(&mut hooks, case);
            let apart = plain.iter().zip(&kept).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-5, "{case} {site}: {apart}");

            let mut zero = Replace::new("zero", |_: &At<'_>, x: Activation| {
                Ok(match x {
                    Activation::Heads(x) => Activation::Heads(x.zeros_like()),
                    Activation::Hidden(x) => Activation::Hidden(x.zeros_like()),
                })
            });
            let mut hooks = HookSet::new(points);
            hooks.add(&[site], &mut zero).unwrap();
            let changed = logits(&mut hooks, case);
            let apart = plain.iter().zip(&changed).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart > 1e-3, "{case} {site}: the change did not reach the logits");
        }
    }
}

#[test]
fn generation_tells_prefill_from_decoding() {
    let model = model("gpt2-rope");
    let mut phases = Vec::new();
    let mut look = Observe::new("look", |at: &At<'_>, x: &Activation| {
        phases.push((at.phase, at.start, x.dims()[2]));
        Ok(())
    });
    let mut hooks = HookSet::new(model.decoder().hook_points());
    hooks.add(&["blocks.0.attn.hook_q"], &mut look).unwrap();
    let options = GenerateOptions::greedy(3);
    model.decoder().generate(&[&[1, 2, 3, 4]], &options, &mut hooks, &mut |_, _| {}).unwrap();
    hooks.finish().unwrap();
    assert_eq!(phases, [(Phase::Prefill, 0, 4), (Phase::Decode, 4, 1), (Phase::Decode, 5, 1)]);
}

#[test]
fn a_failing_hook_names_itself_and_empties_the_cache() {
    let model = model("gpt2");
    let mut fail = Observe::new("watchdog", |_: &At<'_>, _: &Activation| Err("too warm".into()));
    let mut hooks = HookSet::new(model.decoder().hook_points());
    hooks.add(&["blocks.1.attn.hook_k"], &mut fail).unwrap();
    let mut cache = KvCache::new();
    let error = model
        .decoder()
        .forward(&batch("gpt2"), Some(&mut cache), &mut hooks, LogitsAt::Last)
        .unwrap_err()
        .to_string();
    assert!(error.contains("watchdog") && error.contains("too warm"), "{error}");
    assert!(error.contains("blocks.1.attn.hook_k"), "{error}");
    assert!(cache.is_empty());
}

/// TransformerLens #385: scores below a finite mask constant made a model look at the future.
#[test]
fn scores_of_minus_110208_do_not_show_the_future() {
    let case = "llama-gqa-tied";
    let model = model(case);
    let mut sink = Replace::new("sink", |_: &At<'_>, x: Activation| {
        Ok(Activation::Heads(x.into_heads()? - 110_208.0))
    });
    let mut future = 0.0f32;
    let mut look = Observe::new("look", |_: &At<'_>, x: &Activation| {
        let pattern = x.as_heads()?.clone();
        let [_, heads, seq, keys] = pattern.dims();
        let values: Vec<f32> = pattern.into_data().try_into_vec().map_err(|e| format!("{e:?}"))?;
        for (at, p) in values.iter().enumerate().take(heads * seq * keys) {
            let (query, key) = ((at / keys) % seq, at % keys);
            if key > query {
                future = future.max(*p);
            }
        }
        Ok(())
    });
    let mut hooks = HookSet::new(model.decoder().hook_points());
    hooks.add(&["attn_scores"], &mut sink).unwrap();
    hooks.add(&["pattern"], &mut look).unwrap();
    model.decoder().forward(&batch(case), None, &mut hooks, LogitsAt::Last).unwrap();
    hooks.finish().unwrap();
    assert_eq!(future, 0.0);
}

/// Zeroes what it sees; the cache keeps it or not.
struct Zero {
    enters_cache: bool,
}

impl Hook for Zero {
    fn name(&self) -> &str {
        "zero"
    }

    fn apply(&mut self, at: &At<'_>, x: Activation) -> Result<Activation, HookFailure> {
        Ok(match at.phase {
            Phase::Prefill => Activation::Heads(x.into_heads()?.zeros_like()),
            Phase::Decode => x,
        })
    }

    fn enters_cache(&self) -> bool {
        self.enters_cache
    }
}

/// In the last layer a change of the keys reaches later tokens through the cache alone.
#[test]
fn a_change_can_be_kept_out_of_the_cache() {
    let model = common::model("llama-gqa-tied");
    let decoder = model.decoder();
    let after_prompt = |site: &str, hook: Option<&mut Zero>| {
        let mut hooks = HookSet::new(decoder.hook_points());
        if let Some(hook) = hook {
            hooks.add(&[&format!("blocks.-1.attn.hook_{site}")], hook).unwrap();
        }
        let mut cache = KvCache::new();
        let mut pass = |ids: &[u32]| -> Vec<f32> {
            let batch = Batch::single(ids).unwrap();
            let logits = decoder.forward(&batch, Some(&mut cache), &mut hooks, LogitsAt::Last);
            logits.unwrap().unwrap().into_data().convert::<f32>().try_into_vec().unwrap()
        };
        (pass(&[1, 5, 9, 3, 7]), pass(&[4]))
    };
    let (prompt, next) = after_prompt("rot_k", None);
    // Values of zero change the prompt's logits; keys of zero let each query look at all alike.
    for site in ["k", "rot_k", "v"] {
        let kept_out = after_prompt(site, Some(&mut Zero { enters_cache: false }));
        assert!(apart(&kept_out.0, &prompt) > 1e-3, "{site}: the prompt sees the change");
        assert!(apart(&kept_out.1, &next) < 1e-5, "{site}: the next token does not");
        let cached = after_prompt(site, Some(&mut Zero { enters_cache: true }));
        assert_eq!(cached.0, kept_out.0, "{site}");
        assert!(apart(&cached.1, &next) > 1e-3, "{site}: cached, the next token sees it");
    }
}

fn apart(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
