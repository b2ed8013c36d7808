//! What names, globs and layer ranges select, and what a wrong one is answered.

use massval_hooks::{Error, HookPoint, ModelPoints, Site, aliases, select};
use proptest::prelude::*;

/// A model of 12 layers with every site.
fn full() -> ModelPoints {
    ModelPoints::new(12, &Site::ALL)
}

/// A model like GPT-2: no rotation, no QK-norm.
fn gpt2() -> ModelPoints {
    let absent = [Site::RotQ, Site::RotK, Site::QNormed, Site::KNormed];
    let sites: Vec<Site> = Site::ALL.into_iter().filter(|site| !absent.contains(site)).collect();
    ModelPoints::new(12, &sites)
}

/// A model like Gemma 2: norms behind attention and MLP.
fn gemma2() -> ModelPoints {
    ModelPoints::new(12, &Site::ALL).with_norms_behind()
}

fn chosen(pattern: &str) -> Vec<String> {
    select(&full(), pattern).unwrap().iter().map(ToString::to_string).collect()
}

fn refused(points: &ModelPoints, pattern: &str) -> String {
    select(points, pattern).unwrap_err().to_string()
}

fn point() -> impl Strategy<Value = HookPoint> {
    (0usize..Site::ALL.len(), 0usize..24).prop_map(|(site, layer)| {
        let site = Site::ALL[site];
        HookPoint::new(site.in_layer().then_some(layer), site).unwrap()
    })
}

proptest! {
    #[test]
    fn every_name_of_a_point_selects_exactly_it(point in point()) {
        let points = ModelPoints::new(24, &Site::ALL);
        for alias in aliases(point) {
            prop_assert_eq!(select(&points, &alias.name).unwrap(), [point], "{}", alias.name);
        }
        prop_assert_eq!(point.to_string().parse::<HookPoint>().unwrap(), point);
    }

    #[test]
    fn layers_may_be_counted_from_the_end(point in point(), layers in 24usize..40) {
        prop_assume!(point.layer.is_some());
        let layer = point.layer.unwrap();
        let negative = layer as i64 - layers as i64;
        for alias in aliases(point) {
            let name = alias.name.replacen(&format!(".{layer}"), &format!(".{negative}"), 1);
            let found = select(&ModelPoints::new(layers, &Site::ALL), &name).unwrap();
            prop_assert_eq!(found, [point], "{}", name);
        }
    }

    #[test]
    fn a_range_is_its_layers_one_by_one(first in 0usize..12, more in 0usize..12) {
        let last = (first + more).min(11);
        let one_by_one: Vec<String> =
            (first..=last).map(|layer| format!("blocks.{layer}.attn.hook_q")).collect();
        let (from, to) = (first as i64 - 12, last as i64 - 12);
        prop_assert_eq!(&chosen(&format!("blocks.{first}-{last}.attn.hook_q")), &one_by_one);
        prop_assert_eq!(&chosen(&format!("blocks.{from}-{to}.attn.hook_q")), &one_by_one);
        prop_assert_eq!(&chosen(&format!("blocks.{first}..={last}.attn.hook_q")), &one_by_one);
        let end = last + 1;
        prop_assert_eq!(&chosen(&format!("model.layers.{first}..{end}.self_attn.q_proj")), &one_by_one);
    }

    #[test]
    fn whatever_is_selected_is_in_the_model(pattern in "[a-z_.*?{},0-9-]{0,24}") {
        if let Ok(found) = select(&gpt2(), &pattern) {
            prop_assert!(!found.is_empty());
            prop_assert!(found.is_sorted_by(|a, b| a < b));
            prop_assert!(found.iter().all(|&point| gpt2().contains(point)));
        }
    }
}

#[test]
fn bare_sites_are_every_layer() {
    assert_eq!(chosen("rot_q").len(), 12);
    assert_eq!(chosen("logits"), ["hook_logits"]);
    assert_eq!(chosen("{q,k}").len(), 24);
    assert_eq!(chosen("rot_?").len(), 24);
    assert_eq!(chosen("*").len(), 12 * 17 + 3);
}

/// The table again, written down by hand: what people write, and the site they mean.
#[test]
fn names_mean_what_they_mean_elsewhere() {
    for (site, names) in [
        ("embed", "embed.hook_out model.embed_tokens transformer.wte gpt_neox.embed_in"),
        ("resid_pre", "blocks.3.hook_in"),
        ("q", "blocks.3.attn.q.hook_out model.layers.3.self_attn.q_proj"),
        ("k", "blocks.3.attn.k.hook_out model.layers.3.self_attn.k_proj"),
        ("v", "blocks.3.attn.v.hook_out model.layers.3.self_attn.v_proj"),
        ("q", "blocks.3.attn.qkv.q_hook_out"),
        ("k", "blocks.3.attn.qkv.k_hook_out"),
        ("v", "blocks.3.attn.qkv.v_hook_out"),
        ("q_normed", "blocks.3.attn.q_norm.hook_out model.layers.3.self_attn.q_norm"),
        ("k_normed", "blocks.3.attn.k_norm.hook_out model.layers.3.self_attn.k_norm"),
        ("rot_q", "blocks.3.attn.hook_rot_q"),
        ("rot_k", "blocks.3.attn.hook_rot_k"),
        ("attn_scores", "blocks.3.attn.hook_attn_scores"),
        ("pattern", "blocks.3.attn.hook_pattern"),
        ("z", "blocks.3.attn.hook_z blocks.3.attn.o.hook_in"),
        ("attn_out", "blocks.3.attn.hook_out blocks.3.attn.o.hook_out"),
        ("attn_out", "model.layers.3.self_attn model.layers.3.self_attn.o_proj"),
        ("attn_out", "transformer.h.3.attn transformer.h.3.attn.c_proj"),
        ("attn_out", "gpt_neox.layers.3.attention gpt_neox.layers.3.attention.dense"),
        ("resid_mid", "blocks.3.ln2.hook_in"),
        ("mlp_pre", "blocks.3.mlp.gate.hook_out model.layers.3.mlp.gate_proj"),
        ("mlp_pre", "transformer.h.3.mlp.c_fc gpt_neox.layers.3.mlp.dense_h_to_4h"),
        ("mlp_post", "blocks.3.mlp.out.hook_in"),
        ("mlp_post", "transformer.h.3.mlp.act gpt_neox.layers.3.mlp.act"),
        ("mlp_out", "blocks.3.mlp.hook_out blocks.3.mlp.out.hook_out"),
        ("mlp_out", "model.layers.3.mlp model.layers.3.mlp.down_proj"),
        ("mlp_out", "transformer.h.3.mlp transformer.h.3.mlp.c_proj"),
        ("mlp_out", "gpt_neox.layers.3.mlp gpt_neox.layers.3.mlp.dense_4h_to_h"),
        ("resid_post", "blocks.3.hook_out model.layers.3"),
        ("resid_post", "transformer.h.3 gpt_neox.layers.3"),
        ("ln_final", "ln_final.hook_out unembed.hook_in"),
        ("ln_final", "model.norm transformer.ln_f gpt_neox.final_layer_norm"),
        ("logits", "unembed.hook_out hook_unembed lm_head embed_out"),
    ] {
        let site: Site = site.parse().unwrap();
        let point = HookPoint::new(site.in_layer().then_some(3), site).unwrap();
        for name in names.split(' ') {
            assert_eq!(select(&full(), name).unwrap(), [point], "{name}");
        }
    }
}

#[test]
fn globs_and_alternations() {
    assert_eq!(
        chosen("blocks.{0,-1}.attn.hook_rot_{q,k}"),
        [
            "blocks.0.attn.hook_rot_q",
            "blocks.0.attn.hook_rot_k",
            "blocks.11.attn.hook_rot_q",
            "blocks.11.attn.hook_rot_k",
        ]
    );
    assert_eq!(chosen("blocks.*.attn.hook_rot_{q,k}").len(), 24);
    assert_eq!(chosen("blocks.{l}.attn.hook_q"), chosen("q"));
    assert_eq!(chosen("blocks.-4--1.hook_resid_post").len(), 4);
    assert_eq!(chosen("blocks.{2-5,9}.attn.hook_q").len(), 5);
    assert_eq!(chosen("blocks.2..5.attn.hook_q").len(), 3);
    assert_eq!(chosen("blocks.1?.attn.hook_q").len(), 2);
    assert_eq!(chosen("blocks.1*.attn.hook_q").len(), 3);
    assert_eq!(chosen("blocks.3.*").len(), 17);
    assert_eq!(chosen("*.hook_q"), chosen("q"));
}

#[test]
fn the_first_spelling_that_matches_counts() {
    // Sites before names: not also the many `hook_out` of TransformerLens 3.
    assert_eq!(chosen("*_out"), chosen("{attn_out,mlp_out}"));
    // Classic names before those of TransformerLens 3.
    assert_eq!(chosen("*attn*"), chosen("{attn_scores,attn_out}"));
    assert_eq!(chosen("blocks.0.hook_*").len(), 5);
    // Names of TransformerLens 3 before module paths: not also `gpt_neox.embed_in`.
    assert_eq!(chosen("*_in"), chosen("{resid_pre,z,resid_mid,mlp_post,ln_final}"));
    assert_eq!(chosen("model.layers.0.self_attn.?_proj").len(), 4);
}

#[test]
fn of_a_wildcard_the_model_needs_only_some() {
    let found = select(&gpt2(), "blocks.0.attn.hook_*").unwrap();
    let sites: Vec<&str> = found.iter().map(|point| point.site.name()).collect();
    assert_eq!(sites, ["q", "k", "v", "attn_scores", "pattern", "z"]);
}

#[test]
fn a_missing_site_says_why() {
    assert_eq!(
        refused(&gpt2(), "blocks.0.attn.hook_rot_q"),
        "`blocks.0.attn.hook_rot_q` is the site `rot_q`, but this model has no rotary positions \
         (RoPE)"
    );
    assert_eq!(
        refused(&gpt2(), "{q,q_normed}"),
        "`q_normed` is the site `q_normed`, but this model has no QK-norm"
    );
    assert!(matches!(select(&gpt2(), "rot_*"), Err(Error::MissingSite { .. })));
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    for (pattern, nearest) in [
        ("blocks.3.attn.hook_rotq", "blocks.3.attn.hook_rot_q"),
        ("rotq", "rot_q"),
        ("block.3.hook_resid_pre", "blocks.3.hook_resid_pre"),
        ("blocks.-1.hook_resid_pots", "blocks.-1.hook_resid_post"),
        ("blocks.*.attn.hook_patern", "blocks.*.attn.hook_pattern"),
        ("blocks.3.attn.q.hook_uot", "blocks.3.attn.q.hook_out"),
        ("model.layers.3.self_attn.qproj", "model.layers.3.self_attn.q_proj"),
        ("transformer.h.3.mlp.cproj", "transformer.h.3.mlp.c_proj"),
        ("hook_logit", "hook_logits"),
    ] {
        assert_eq!(
            refused(&full(), pattern),
            format!("unknown hook point `{pattern}`: did you mean `{nearest}`?")
        );
    }
    assert_eq!(refused(&full(), "what"), "unknown hook point `what`");
    assert_eq!(refused(&full(), ""), "unknown hook point ``");
}

#[test]
fn a_suggestion_exists_in_this_model() {
    assert_eq!(
        refused(&gpt2(), "blocks.3.attn.hook_rotq"),
        "unknown hook point `blocks.3.attn.hook_rotq`: did you mean `blocks.3.attn.hook_q`?"
    );
}

#[test]
fn every_alternative_must_select_something() {
    assert_eq!(
        refused(&full(), "blocks.0.attn.hook_{q,kk}"),
        "unknown hook point `blocks.0.attn.hook_kk`: did you mean `blocks.0.attn.hook_k`?"
    );
}

#[test]
fn a_layer_out_of_range_is_told_the_layers() {
    assert_eq!(
        refused(&full(), "blocks.12.attn.hook_q"),
        "`blocks.12.attn.hook_q` asks for layer 12: this model has 12 layers, 0 to 11 (or -12 to \
         -1)"
    );
    for pattern in ["blocks.-13.hook_in", "model.layers.8-12", "blocks.3..13.attn.hook_q"] {
        assert!(
            matches!(select(&full(), pattern), Err(Error::LayerOutOfRange { layers: 12, .. })),
            "{pattern}"
        );
    }
    // A wrong name is a wrong name in any layer.
    assert!(matches!(select(&full(), "block.99.hook_z"), Err(Error::UnknownHook { .. })));
    let none = ModelPoints::new(0, &Site::ALL);
    assert_eq!(
        refused(&none, "blocks.0.attn.hook_q"),
        "`blocks.0.attn.hook_q` asks for layer 0: this model has no layers"
    );
    assert_eq!(refused(&none, "q"), "`q` is the site `q`, but this model has no layers");
}

#[test]
fn a_place_without_hook_point_says_what_to_ask_for() {
    assert_eq!(
        refused(&gpt2(), "transformer.h.3.attn.c_attn"),
        "`transformer.h.3.attn.c_attn` is not a hook point: it gives Q, K and V in one tensor; \
         ask for `blocks.3.attn.hook_q`, `hook_k` or `hook_v`"
    );
    for pattern in ["model.layers.0.mlp.up_proj", "blocks.0.ln1.hook_scale", "hook_pos_embed"] {
        assert!(matches!(select(&full(), pattern), Err(Error::NotAHookPoint { .. })), "{pattern}");
    }
}

/// What the last projection gives is not what is added to the stream: its names must not stand for it.
#[test]
fn modules_before_a_norm_are_no_hook_points() {
    for name in [
        "model.layers.3.self_attn",
        "model.layers.3.self_attn.o_proj",
        "model.layers.3.mlp",
        "blocks.3.attn.hook_out",
        "blocks.3.ln2.hook_in",
    ] {
        let line = refused(&gemma2(), name);
        assert!(line.contains("norms behind attention and MLP"), "{line}");
        assert_eq!(select(&full(), name).unwrap().len(), 1);
    }
    assert!(refused(&gemma2(), "blocks.3.attn.hook_out").contains("`attn_out`"));
    let point = HookPoint::layer(3, Site::MlpOut);
    assert_eq!(select(&gemma2(), "blocks.3.hook_mlp_out").unwrap(), [point]);
    assert_eq!(gemma2().explain(point).aliases.len(), 1);
    assert!(full().explain(point).aliases.len() > 1);
    // A wildcard takes what else it finds.
    let found = select(&gemma2(), "model.layers.3*").unwrap();
    assert!(found.contains(&HookPoint::layer(3, Site::Q)) && !found.contains(&point));
}
