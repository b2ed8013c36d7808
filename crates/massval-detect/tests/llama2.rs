//! The figures of *Massive Values in Self-Attention Modules* on the tensors that its repository ships:
//! Q, K and V of Llama-2-7b-chat, layer 10, 66 tokens, `f16`, `[batch, seq, head, dim]`.

use std::path::{Path, PathBuf};

use half::f16;
use massval_detect::{
    ChannelNorms, Criterion, HeadsView, Layout, PairLayout, RopeBands, SiteSummary, TokenSelection,
    channel_norms, summarize,
};

const SHAPE: [usize; 4] = [1, 66, 32, 128];
const BYTES: usize = 2 * 66 * 32 * 128;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn decode(bytes: &[u8]) -> Vec<f16> {
    assert_eq!(bytes.len(), BYTES);
    bytes.chunks_exact(2).map(|pair| f16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// The values of a tensor that `torch.save` wrote, where the paper's files are at hand.
fn saved(name: &str) -> Option<Vec<f16>> {
    let file = root().join("../shared/data/llama2-7b-chat-layer10").join(name);
    let Ok(file) = std::fs::File::open(&file) else {
        eprintln!("skipped: {} is not here", file.display());
        return None;
    };
    let mut archive = zip::ZipArchive::new(file).expect("a zip archive");
    let names = archive.file_names().flatten();
    let entry = names
        .map(|name| name.into_owned())
        .find(|name| name.ends_with("/data/0"))
        .expect("its values");
    let mut bytes = Vec::new();
    std::io::copy(&mut archive.by_name(&entry).expect("its values"), &mut bytes).expect("readable");
    Some(decode(&bytes))
}

fn analyse(values: &[f16]) -> (ChannelNorms, SiteSummary) {
    let view = HeadsView::from_layout(values, &SHAPE, Layout::Bshd).expect("66 tokens");
    let norms = channel_norms(&view, &TokenSelection::all()).expect("66 tokens");
    let bands = RopeBands::new(128, 128, 10_000.0, PairLayout::HalfSplit).expect("Llama-2's");
    let massive = Criterion::default().find(&norms);
    let summary = summarize(9, "rot_k", &norms, &massive, Some(&bands)).expect("they fit");
    (norms, summary)
}

/// One row of the table, with the precision it was printed in.
struct Row {
    mean: f64,
    max: f64,
    count: usize,
    heads_hit: usize,
    /// Least, median and largest ratio of a head's largest norm to its mean.
    ratios: [f64; 3],
    low_frequency_share: f64,
    /// Heads whose largest norm is that of a low-frequency channel.
    low_heads: usize,
}

fn check(values: &[f16], row: &Row) {
    let (norms, summary) = analyse(values);
    let close = |found: f64, expected: f64, digits: i32| {
        assert!((found - expected).abs() <= 0.5001 * 10f64.powi(-digits), "{found} for {expected}");
    };
    close(f64::from(summary.mean_norm), row.mean, 3);
    close(f64::from(summary.max_norm), row.max, 3);
    assert_eq!((summary.count, summary.heads_hit), (row.count, row.heads_hit));
    close(summary.low_frequency_share.expect("it rotates"), row.low_frequency_share, 3);

    let top = Criterion::TopK { k: 1 }.find(&norms);
    assert_eq!(top.iter().filter(|value| value.channel % 64 >= 32).count(), row.low_heads);
    let mut ratios: Vec<f64> = top.iter().map(|value| f64::from(value.ratio)).collect();
    ratios.sort_by(f64::total_cmp);
    let median = (ratios[15] + ratios[16]) / 2.0;
    for (found, expected) in [ratios[0], median, ratios[31]].into_iter().zip(row.ratios) {
        close(found, expected, 2);
    }
    close(f64::from(summary.top_ratio), row.ratios[2], 2);
}

const Q: Row = Row {
    mean: 7.513,
    max: 76.033,
    count: 48,
    heads_hit: 31,
    ratios: [4.35, 8.44, 10.75],
    low_frequency_share: 0.797,
    low_heads: 32,
};
const K: Row = Row {
    mean: 8.895,
    max: 99.171,
    count: 46,
    heads_hit: 31,
    ratios: [4.45, 8.74, 10.56],
    low_frequency_share: 0.795,
    low_heads: 32,
};
const V: Row = Row {
    mean: 2.874,
    max: 9.928,
    count: 0,
    heads_hit: 0,
    ratios: [1.28, 1.97, 3.79],
    low_frequency_share: 0.505,
    low_heads: 16,
};

#[test]
fn the_keys_that_are_kept_with_the_project() {
    let bytes =
        std::fs::read(root().join("fixtures/llama2-7b-chat-layer10/k.f16")).expect("the fixture");
    let values = decode(&bytes);
    check(&values, &K);
    let (norms, _) = analyse(&values);
    for (head, channel, norm) in
        [(5, 115, 99.17), (2, 115, 95.82), (10, 115, 94.23), (28, 52, 91.13)]
    {
        let found = norms.get(head, channel).expect("32 heads of 128");
        assert!(
            (found - norm).abs() < 0.0051,
            "head {head}, channel {channel}: {found} for {norm}"
        );
    }
}

#[test]
fn queries_keys_and_values_of_the_paper() {
    for (name, row) in [("q.pt", &Q), ("k.pt", &K), ("v.pt", &V)] {
        if let Some(values) = saved(name) {
            check(&values, row);
        }
    }
}
