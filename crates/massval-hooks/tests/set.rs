//! A set of hooks in a run: order, replacement, accounting.

use burn::tensor::{DType, Device, Tensor};
use massval_hooks::{
    Activation, At, CacheAt, CacheHook, Error, Hook, HookFailure, HookPoint, HookSet, ModelPoints,
    Observe, Phase, Replace, Site,
};

const SITES: [Site; 4] = [Site::Embed, Site::ResidPre, Site::RotQ, Site::Logits];

fn points() -> ModelPoints {
    ModelPoints::new(2, &SITES)
}

fn hidden(value: f32) -> Activation {
    Activation::Hidden(Tensor::full([1, 2, 3], value, &Device::default()))
}

/// A forward pass that counts up from 1 in every entry of every point, and computes nothing that
/// is not wanted.
fn forward(hooks: &mut HookSet<'_>) -> Result<Vec<f32>, Error> {
    let mut out = Vec::new();
    for (i, point) in points().iter().enumerate() {
        if !hooks.wants(point) {
            continue;
        }
        let value = i as f32 + 1.0;
        let x = match point.site.dims().rank() {
            4 => Activation::Heads(Tensor::full([1, 2, 3, 4], value, &Device::default())),
            _ => hidden(value),
        };
        let x = hooks.fire(&At::new(point, Phase::Prefill, 0, None), x)?;
        out.push(first(&x));
    }
    Ok(out)
}

fn first(x: &Activation) -> f32 {
    let data = match x {
        Activation::Hidden(x) => x.clone().into_data(),
        Activation::Heads(x) => x.clone().into_data(),
    };
    data.iter::<f32>().next().unwrap()
}

fn scale(name: &str, add: f32, times: f32) -> impl Hook {
    Replace::new(name, move |_: &At<'_>, x: Activation| {
        Ok::<_, HookFailure>(match x {
            Activation::Hidden(x) => Activation::Hidden((x + add) * times),
            Activation::Heads(x) => Activation::Heads((x + add) * times),
        })
    })
}

#[test]
fn no_hooks_want_nothing() {
    let mut none = HookSet::none();
    let sites = Site::ALL.into_iter();
    let far = sites.filter(|site| site.in_layer()).map(|site| HookPoint::layer(usize::MAX, site));
    for point in ModelPoints::new(40, &Site::ALL).iter().chain(far) {
        assert!(!none.wants(point));
    }
    assert!(none.is_empty());
    assert!(forward(&mut none).unwrap().is_empty());
    let at = At::new(HookPoint::global(Site::Embed), Phase::Decode, 7, None);
    assert_eq!(first(&none.fire(&at, hidden(5.0)).unwrap()), 5.0);
    assert_eq!(none.finish().unwrap().total(), 0);
}

#[test]
fn a_set_wants_what_was_added_and_nothing_else() {
    let mut seen = Vec::new();
    let mut watch = Observe::new("watch", |at: &At<'_>, x: &Activation| {
        seen.push((at.point, first(x)));
        Ok(())
    });
    let mut hooks = HookSet::new(points());
    hooks.add(&["blocks.1.attn.hook_rot_q", "logits"], &mut watch).unwrap();
    let wanted = [HookPoint::layer(1, Site::RotQ), HookPoint::global(Site::Logits)];
    for point in points().iter() {
        assert_eq!(hooks.wants(point), wanted.contains(&point), "{point}");
    }
    forward(&mut hooks).unwrap();
    let report = hooks.finish().unwrap();
    assert_eq!(report.total(), 2);
    assert_eq!(seen, [(wanted[0], 5.0), (wanted[1], 6.0)]);
}

#[test]
fn hooks_are_called_in_the_order_of_their_adding() {
    let mut add = scale("add", 1.0, 1.0);
    let mut double = scale("double", 0.0, 2.0);
    let mut seen = Vec::new();
    let mut watch = Observe::new("watch", |_: &At<'_>, x: &Activation| {
        seen.push(first(x));
        Ok(())
    });
    let mut hooks = HookSet::new(points());
    let ids = [
        hooks.add(&["embed"], &mut add).unwrap(),
        hooks.add(&["hook_embed"], &mut double).unwrap(),
        hooks.add(&["embed.hook_out"], &mut watch).unwrap(),
    ];
    // (1 + 1) * 2, and not 1 * 2 + 1.
    assert_eq!(forward(&mut hooks).unwrap(), [4.0]);
    assert_eq!(forward(&mut hooks).unwrap(), [4.0]);
    let report = hooks.finish().unwrap();
    assert_eq!(ids.map(|id| report.of(id)), [2, 2, 2]);
    let names: Vec<&str> = report.iter().map(|fired| fired.hook.as_str()).collect();
    assert_eq!(names, ["add", "double", "watch"]);
    assert_eq!(seen, [4.0, 4.0]);
}

#[test]
fn a_point_that_several_patterns_select_is_called_once() {
    let mut watch = Observe::new("watch", |_: &At<'_>, _: &Activation| Ok(()));
    let mut hooks = HookSet::new(points());
    hooks.add(&["resid_pre", "blocks.0.hook_in", "blocks.*.hook_resid_pre"], &mut watch).unwrap();
    forward(&mut hooks).unwrap();
    assert_eq!(hooks.finish().unwrap().total(), 2);
}

#[test]
fn another_shape_or_type_is_refused() {
    let mut cut = Replace::new("cut", |_: &At<'_>, x: Activation| {
        Ok(Activation::Hidden(x.into_hidden()?.slice([0..1, 0..1, 0..3])))
    });
    let mut hooks = HookSet::new(points());
    hooks.add(&["logits"], &mut cut).unwrap();
    assert_eq!(
        forward(&mut hooks).unwrap_err().to_string(),
        "hook `cut` changed the shape at `hook_logits` from [1, 2, 3] to [1, 1, 3]"
    );
    let mut cast = Replace::new("cast", |_: &At<'_>, x: Activation| {
        Ok(Activation::Hidden(x.into_hidden()?.cast(DType::F64)))
    });
    let mut hooks = HookSet::new(points());
    hooks.add(&["blocks.0.hook_resid_pre"], &mut cast).unwrap();
    assert_eq!(
        forward(&mut hooks).unwrap_err().to_string(),
        "hook `cast` changed the type at `blocks.0.hook_resid_pre` from F32 to F64"
    );
}

#[test]
fn a_hook_that_fails_is_named_with_its_point() {
    let mut fails = Observe::new("fails", |_: &At<'_>, _: &Activation| Err("no such head".into()));
    let mut hooks = HookSet::new(points());
    hooks.add(&["blocks.1.attn.hook_rot_q"], &mut fails).unwrap();
    let error = forward(&mut hooks).unwrap_err();
    assert_eq!(
        error.to_string(),
        "hook `fails` failed at `blocks.1.attn.hook_rot_q`: no such head"
    );
    // A call that failed has not fired.
    assert!(matches!(hooks.finish(), Err(Error::NeverFired { .. })));
}

#[test]
fn the_rank_of_the_site_is_what_a_model_must_offer() {
    let mut watch = Observe::new("watch", |_: &At<'_>, _: &Activation| Ok(()));
    let mut hooks = HookSet::new(points());
    hooks.add(&["rot_q"], &mut watch).unwrap();
    let at = At::new(HookPoint::layer(0, Site::RotQ), Phase::Prefill, 0, None);
    assert_eq!(
        hooks.fire(&at, hidden(0.0)).unwrap_err().to_string(),
        "the model offered 3 axes at `blocks.0.attn.hook_rot_q`, which has [batch, heads, seq, \
         head_dim]"
    );
}

#[test]
fn a_hook_without_points_is_refused_and_leaves_no_trace() {
    let mut watch = Observe::new("watch", |_: &At<'_>, _: &Activation| Ok(()));
    let mut hooks = HookSet::new(points());
    assert_eq!(
        hooks.add(&[], &mut watch).unwrap_err().to_string(),
        "hook `watch` was given no hook point: it would never fire"
    );
    let mut watch = Observe::new("watch", |_: &At<'_>, _: &Activation| Ok(()));
    let outside = [HookPoint::layer(1, Site::RotQ), HookPoint::layer(2, Site::RotQ)];
    assert!(matches!(
        hooks.add_at(&outside, &mut watch),
        Err(Error::LayerOutOfRange { layer: 2, layers: 2, .. })
    ));
    let mut watch = Observe::new("watch", |_: &At<'_>, _: &Activation| Ok(()));
    let missing = [HookPoint::layer(0, Site::Z)];
    assert!(matches!(hooks.add_at(&missing, &mut watch), Err(Error::MissingSite { .. })));
    let mut watch = Observe::new("watch", |_: &At<'_>, _: &Activation| Ok(()));
    let misplaced = [HookPoint { layer: None, site: Site::RotQ }];
    assert!(matches!(hooks.add_at(&misplaced, &mut watch), Err(Error::Misplaced { .. })));
    assert!(hooks.is_empty());
    assert!(points().iter().all(|point| !hooks.wants(point)));
}

/// A hook that stays silent once gave results that nobody could tell from measured ones:
/// TransformerLens #1527 (hook points that a model never reaches), keras #23512 (calibration hooks
/// that were dead for months, so that GPTQ was plain rounding).
#[test]
fn a_hook_that_never_fires_is_an_error() {
    let mut norms = Observe::new("norms", |_: &At<'_>, _: &Activation| Ok(()));
    let mut other = Observe::new("other", |_: &At<'_>, _: &Activation| Ok(()));
    let mut hooks = HookSet::new(ModelPoints::new(5, &SITES));
    // The forward pass has two layers only, and no gap in them.
    hooks.add(&["resid_pre"], &mut norms).unwrap();
    hooks.add(&["blocks.4.hook_in", "embed"], &mut other).unwrap();
    forward(&mut hooks).unwrap();
    assert_eq!(hooks.report().total(), 3);
    assert_eq!(
        hooks.finish().unwrap_err().to_string(),
        "hook `norms` never fired at `blocks.2.hook_resid_pre`, `blocks.3.hook_resid_pre`, \
         `blocks.4.hook_resid_pre`; hook `other` never fired at `blocks.4.hook_resid_pre`"
    );
}

/// Keeps the first keys alone, where it is told to.
struct Cutter {
    cuts: bool,
}

impl CacheHook for Cutter {
    fn name(&self) -> &str {
        "cutter"
    }

    fn attend(
        &mut self,
        _: &CacheAt<'_>,
        keys: Tensor<4>,
        values: Tensor<4>,
    ) -> Result<(Tensor<4>, Tensor<4>), HookFailure> {
        Ok(if self.cuts { (keys.narrow(2, 0, 1), values) } else { (keys * 2.0, values) })
    }
}

#[test]
fn a_hook_on_the_cache_is_called_and_may_not_change_the_shape() {
    let x = || Tensor::<4>::ones([1, 2, 3, 4], &Device::flex());
    let at = CacheAt::new(5, 0, None);
    let mut cutter = Cutter { cuts: false };
    let mut hooks = HookSet::new(ModelPoints::new(6, &[Site::K]));
    assert!(!hooks.wants_cache() && hooks.is_empty());
    hooks.set_cache(&mut cutter);
    assert!(hooks.wants_cache() && !hooks.is_empty());
    let (keys, values) = hooks.fire_cache(&at, x(), x()).unwrap();
    assert_eq!((keys.max().into_scalar::<f32>(), values.max().into_scalar::<f32>()), (2.0, 1.0));
    hooks.finish().unwrap();

    cutter.cuts = true;
    let mut hooks = HookSet::none();
    hooks.set_cache(&mut cutter);
    let error = hooks.fire_cache(&at, x(), x()).unwrap_err().to_string();
    assert!(
        error.contains("cutter") && error.contains("layer 5") && error.contains("shape"),
        "{error}"
    );
    // What failed was not called.
    let error = hooks.finish().unwrap_err().to_string();
    assert!(error.contains("cutter") && error.contains("never"), "{error}");
}
