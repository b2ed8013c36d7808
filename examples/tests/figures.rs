//! The examples' figures, drawn for a small model with RoPE and one without.

use std::path::{Path, PathBuf};

use massval::DeviceName;
use massval_examples::{
    Drawing, FigureArgs, Session, SourceArgs, before_after_rope, emergence, heatmaps,
    key_cache_surfaces, largest_pair_energy_change,
};

/// A session on a fixture, with its figures in a folder of this test's own.
fn session(fixture: &str, test: &str) -> (Session, PathBuf) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let args = FigureArgs {
        model: root.join("fixtures/models").join(fixture),
        source: SourceArgs { text: None, prompt: None, tokens: Some((1..30).collect()) },
        max_tokens: Some(24),
        device: DeviceName::Cpu,
        layers: None,
        out: out.clone(),
    };
    (Session::load(&args).unwrap(), out)
}

/// Writes the drawing and checks that both files hold more than an empty frame.
fn check(session: &Session, out: &Path, drawing: &Drawing, svg_elements: (&str, usize)) {
    session.write(drawing).unwrap();
    let svg = std::fs::read_to_string(out.join(format!("{}.svg", drawing.name))).unwrap();
    let (element, least) = svg_elements;
    let found = svg.matches(element).count();
    assert!(found >= least, "{}: {found} of {element}", drawing.name);
    let png = std::fs::read(out.join(format!("{}.png", drawing.name))).unwrap();
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    let edge = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert!(edge(16) > 400 && edge(20) > 400, "{} x {}", edge(16), edge(20));
    assert!(png.len() > 8_000, "{} has {} bytes", drawing.name, png.len());
}

#[test]
fn heat_maps_and_emergence_are_drawn() {
    let (session, out) = session("llama-gqa-tied", "heatmaps");
    let scan = session.scan().unwrap();
    // The paper's layers 9 and 19 are not there: the middle one is drawn.
    let layers = session.layers(&[9, 19]).unwrap();
    assert_eq!(layers, [1]);
    let drawings = heatmaps("p1_fig2", &scan, &session.model_name(), &layers, Some(2.0)).unwrap();
    assert_eq!(drawings[0].name, "p1_fig2_llama-gqa-tied_layer1");
    // A cell for each channel of 4 query, 2 key and 2 value heads.
    check(&session, &out, &drawings[0], ("<rect", (4 + 2 + 2) * 16));
    for wrong in [0.0, -1.0, f32::NAN] {
        assert!(heatmaps("p1_fig2", &scan, "m", &layers, Some(wrong)).is_err());
    }
    let drawing = emergence(&scan, &session.model_name()).unwrap();
    check(&session, &out, &drawing, ("<circle", 3 * 3));
}

#[test]
fn rope_keeps_the_energy_of_each_pair_and_changes_the_norms() {
    let (session, out) = session("llama-gqa-tied", "rope");
    let scan = session.scan().unwrap();
    let drawings = before_after_rope(&scan, &session.model_name(), &[0, 2]).unwrap();
    assert_eq!(drawings.len(), 4);
    for drawing in &drawings {
        check(&session, &out, drawing, ("<rect", 2 * 2 * 16));
    }
    let change = largest_pair_energy_change(&scan).unwrap();
    assert!(change.relative < 1e-5, "{change:?}");
    let (before, after) = (scan.site(0, "k").unwrap(), scan.site(0, "rot_k").unwrap());
    let moved = |(a, b): (&f32, &f32)| (a - b).abs() > 0.01 * a;
    assert!(before.norms.iter().zip(&after.norms).any(moved));
}

#[test]
fn surfaces_show_the_keys_that_the_norms_are_of() {
    let (session, out) = session("llama-gqa-tied", "surface");
    let caches = session.key_caches(&[1]).unwrap();
    let [cache] = &caches[..] else { panic!("{} caches", caches.len()) };
    let scan = session.scan().unwrap();
    let norms = scan.site(1, "rot_k").unwrap();
    let column = |head: usize, channel: usize| {
        let at = |token: usize| (head * cache.tokens + token) * cache.head_dim + channel;
        (0..cache.tokens).map(|t| cache.values[at(t)].powi(2)).sum::<f32>().sqrt()
    };
    let norm = norms.head(1).unwrap()[5];
    assert!((column(1, 5) - norm).abs() < 1e-4 * norm);

    let drawings = key_cache_surfaces(cache, &session.model_name(), &[0, 1]).unwrap();
    for drawing in &drawings {
        check(&session, &out, drawing, ("<polygon", 23 * 15));
    }
    let error = key_cache_surfaces(cache, "m", &[2]).unwrap_err().to_string();
    assert_eq!(error, "there is no key head 2: the model has 2, counted from 0");
}

#[test]
fn a_model_without_rope_has_heat_maps_but_no_before_and_after() {
    let (session, out) = session("gpt2", "gpt2");
    let scan = session.scan().unwrap();
    let drawings = heatmaps("p1_fig2", &scan, "gpt2", &[0], None).unwrap();
    check(&session, &out, &drawings[0], ("<rect", 64));
    let error = before_after_rope(&scan, "gpt2", &[0]).unwrap_err().to_string();
    assert!(error.contains("has no RoPE"), "{error}");
    assert!(largest_pair_energy_change(&scan).is_err());
    assert_eq!(session.key_caches(&[0]).unwrap()[0].site.name(), "k");
}
