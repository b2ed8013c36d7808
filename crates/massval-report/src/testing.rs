//! The results that the tests of this crate look at, all of SmolLM2-135M-Instruct: four layers of
//! a scan, a small disruption experiment, and the sensitivity of six layers.

mod experiment;
mod sensitivity;

use massval_detect::{ChannelNorms, Criterion, Finding, Layout, summarize};

use crate::schema::{
    DetectResult, FileHash, ResultKind, SCHEMA_VERSION, ScanResult, TensorSource, TensorVerdict,
};

pub(crate) use experiment::{disrupt, perplexity, wilson};
pub(crate) use sensitivity::{only_told, sensitivity};

/// The fixture made by `tests/fixtures/make_scan.py`.
pub(crate) fn scan() -> ScanResult {
    let text = include_str!("../tests/fixtures/scan.json");
    serde_json::from_str(text).expect("the fixture follows the schema")
}

/// The fixture's rotated queries of layer 0, as if they had been dumped.
pub(crate) fn detect() -> DetectResult {
    let scan = scan();
    let site = scan.site(0, "rot_q").expect("the fixture has rotated queries");
    let norms = ChannelNorms::new(site.heads, site.head_dim, 200, site.norms.clone())
        .expect("norms of the fixture");
    let massive = Criterion::default().find(&norms);
    let tensor = TensorVerdict {
        source: TensorSource {
            file: FileHash { name: "q.safetensors".into(), bytes: 460_800, blake3: "0".repeat(64) },
            tensor: Some("blocks.0.attn.hook_rot_q".into()),
            shape: vec![1, 9, 200, 64],
            dtype: "f32".into(),
            layout: Layout::Bhsd,
        },
        tokens: 200,
        heads: 9,
        head_dim: 64,
        summary: summarize(0, "q", &norms, &massive, None).expect("a summary"),
        findings: massive.iter().map(|value| Finding::new(0, "q", value, None)).collect(),
        norms: norms.values().to_vec(),
    };
    DetectResult {
        schema_version: SCHEMA_VERSION,
        kind: ResultKind::Detect,
        massval_version: "0.1.0".into(),
        command: vec!["massval".into(), "detect".into(), "q.safetensors".into()],
        created: None,
        criterion: Criterion::default(),
        tensors: vec![tensor],
        skipped: Vec::new(),
    }
}
