//! Channel norms of `[1, 32, 2048, 128]` on the CPU, against the read bandwidth measured in the same run.
//!
//! Criterion's figures are GB/s of input; the last lines print each as a share of the read bandwidth.

use std::hint::black_box;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData};
use criterion::{Criterion, Throughput};
use half::{bf16, f16};
use massval_detect::tensor::channel_norms_tensor;
use massval_detect::{Element, HeadsView, Layout, TokenSelection, channel_norms};
use rayon::prelude::*;

const HEADS: usize = 32;
const SEQ: usize = 2048;
const HEAD_DIM: usize = 128;
const LEN: usize = HEADS * SEQ * HEAD_DIM;

/// Reads everything once on all cores and does as little as possible with it.
fn read_all(data: &[f32]) -> u64 {
    let sum = |chunk: &[f32]| {
        pulp::Arch::new().dispatch(|| {
            chunk.chunks_exact(64).fold([0u32; 64], |mut lanes, values| {
                for (lane, value) in lanes.iter_mut().zip(values) {
                    *lane = lane.wrapping_add(value.to_bits());
                }
                lanes
            })
        })
    };
    data.par_chunks(1 << 16).map(|chunk| sum(chunk).into_iter().map(u64::from).sum::<u64>()).sum()
}

fn norms<T: Element>(data: &[T], layout: Layout) -> f32 {
    let shape = match layout {
        Layout::Bshd => [1, SEQ, HEADS, HEAD_DIM],
        _ => [1, HEADS, SEQ, HEAD_DIM],
    };
    let view = HeadsView::from_layout(data, &shape, layout).expect("the data fit");
    channel_norms(&view, &TokenSelection::all()).expect("finite data").values()[0]
}

/// Runs `read` and `run` in turn, so that both meet the same conditions; the best of each in bytes per second.
fn against<R>(read: impl Fn() -> u64, bytes: usize, run: impl Fn() -> R) -> (f64, f64) {
    let mut fastest = [Duration::MAX; 2];
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        let start = Instant::now();
        black_box(read());
        let middle = Instant::now();
        black_box(run());
        fastest = [fastest[0].min(middle - start), fastest[1].min(middle.elapsed())];
    }
    let [read, run] = fastest.map(|time| time.as_secs_f64());
    (4.0 * LEN as f64 / read, bytes as f64 / run)
}

fn main() {
    let wide: Vec<f32> = (0..LEN).map(|i| (i as f32 * 0.37).sin()).collect();
    let f16s: Vec<f16> = wide.iter().map(|&x| f16::from_f32(x)).collect();
    let bf16s: Vec<bf16> = wide.iter().map(|&x| bf16::from_f32(x)).collect();
    let device = Device::flex();
    let tensor =
        Tensor::<4>::from_data(TensorData::new(wide.clone(), [1, HEADS, SEQ, HEAD_DIM]), &device);
    let of_tensor = || {
        channel_norms_tensor(tensor.clone(), &TokenSelection::all()).expect("finite").values()[0]
    };

    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let mut group = criterion.benchmark_group("channel_norms [1, 32, 2048, 128]");
    group.throughput(Throughput::Bytes(4 * LEN as u64));
    group.bench_function("read", |b| b.iter(|| read_all(black_box(&wide))));
    group.bench_function("f32 bhsd", |b| b.iter(|| norms(black_box(&wide), Layout::Bhsd)));
    group.bench_function("f32 bshd", |b| b.iter(|| norms(black_box(&wide), Layout::Bshd)));
    group.bench_function("f32 burn flex", |b| b.iter(of_tensor));
    group.throughput(Throughput::Bytes(2 * LEN as u64));
    group.bench_function("f16 bhsd", |b| b.iter(|| norms(black_box(&f16s), Layout::Bhsd)));
    group.bench_function("bf16 bhsd", |b| b.iter(|| norms(black_box(&bf16s), Layout::Bhsd)));
    group.finish();
    criterion.final_summary();

    let report = |name: &str, bytes: usize, run: &dyn Fn() -> f32| {
        let (read, speed) = against(|| read_all(black_box(&wide)), bytes, run);
        println!(
            "{name:<14} {:>5.1} GB/s, reading {:>5.1} GB/s: {:.2}",
            speed / 1e9,
            read / 1e9,
            speed / read
        );
    };
    report("f32 bhsd", 4 * LEN, &|| norms(black_box(&wide), Layout::Bhsd));
    report("f32 bshd", 4 * LEN, &|| norms(black_box(&wide), Layout::Bshd));
    report("f16 bhsd", 2 * LEN, &|| norms(black_box(&f16s), Layout::Bhsd));
    report("bf16 bhsd", 2 * LEN, &|| norms(black_box(&bf16s), Layout::Bhsd));
    report("f32 burn flex", 4 * LEN, &of_tensor);
}
