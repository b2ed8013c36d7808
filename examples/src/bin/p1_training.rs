//! P1's claim as an experiment: the same GPT-2 on the same text from the same seeds, with learned positions, with RoPE
//! and with none, and the massive values watched as they emerge.
//!
//! P1 compares families of models, which differ in much besides their positions. Here nothing else differs. With
//! `--arms` the mitigations of P0 and P2 join: kv-bias, sink, dyt, tvr, lir, kv-bias+tvr, dyt+tvr, each on top of RoPE.
//!
//! Each run is a folder of its own under `--out`, and goes on where it was interrupted. While it trains, the tasks are
//! also asked with `--k` channels of each head disrupted, the largest and drawn ones. At the end the curves are drawn,
//! the mean over the seeds and their range, and every model is disrupted once more: a table of accuracies with their
//! intervals.
//!
//! ```text
//! cargo run --bin p1_training -- --preset tiny --seeds 3
//! ```

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use massval::DeviceName;
use massval::models::tensorfile::atomic_write;
use massval::report::figure::{Curve, CurvePanel, curves};
use massval::train::{Accuracy, Entry, Measurement, TrainConfig};
use massval_examples::{Disrupted, TrainingArm, disrupted};

/// Where massive values come from: training with and without RoPE (P1)
#[derive(Parser)]
struct Cli {
    /// What is trained: small, about a million parameters; tiny, to see it run
    #[arg(long, default_value = "small", value_name = "NAME", value_parser = ["small", "tiny"])]
    preset: String,
    /// The arms, separated by commas
    #[arg(long, default_value = "learned,rope,none", value_name = "ARMS", value_delimiter = ',')]
    arms: Vec<TrainingArm>,
    /// Seeds of each arm, from 0
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Steps, in place of the preset's
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Channels of each head to disrupt, at every measurement and at the end
    #[arg(long, default_value_t = 8, value_name = "K")]
    k: usize,
    /// Where to compute: cpu, wgpu, vulkan, cuda, cuda:N
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    device: DeviceName,
    /// Folder for the runs, the figures and the table
    #[arg(long, default_value = "training", value_name = "DIR")]
    out: PathBuf,
}

/// An arm, and the measurements of each of its seeds.
type Measured = (TrainingArm, Vec<Vec<Measurement>>);

fn main() -> ExitCode {
    let cli = Cli::parse();
    massval_examples::run(|| {
        let mut preset = TrainConfig::preset(&cli.preset).unwrap_or_default();
        if let Some(steps) = cli.steps {
            preset.steps = steps;
            preset.optimizer.warmup = preset.optimizer.warmup.min(steps / 2);
        }
        preset.measure_disrupted = cli.k;
        let device = cli.device.open()?;
        let mut measured: Vec<Measured> = Vec::new();
        let mut table: Vec<Disrupted> = Vec::new();
        for &arm in &cli.arms {
            let mut seeds = Vec::new();
            for seed in 0..cli.seeds {
                let folder = cli.out.join(format!("{}-{seed}", arm.name()));
                let log = arm.train(&preset, seed, &folder, &device)?;
                seeds.push(log.into_iter().filter_map(measurement).collect());
                table.extend(disrupted(arm, seed, &folder, cli.k, &device)?);
            }
            measured.push((arm, seeds));
        }
        let title = format!("{}, {} seeds", cli.preset, cli.seeds);
        let figure = curves(&title, &panels(&measured))?;
        let path = |name: &str| cli.out.join(name);
        figure.write_svg(path("p1_training.svg"))?;
        figure.write_png(path("p1_training.png"))?;
        let json = serde_json::to_string_pretty(&table).unwrap_or_default();
        atomic_write(&path("p1_training.json"), |out| out.write_all(json.as_bytes()))?;
        print_table(&cli, &table);
        for name in ["p1_training.svg", "p1_training.png", "p1_training.json"] {
            println!("{}", path(name).display());
        }
        Ok(())
    })
}

fn measurement(entry: Entry) -> Option<Measurement> {
    match entry {
        Entry::Measurement(measurement) => Some(measurement),
        _ => None,
    }
}

/// The mean over the seeds of an arm, and their range, at each step.
fn line(arm: &Measured, value: &dyn Fn(&Measurement) -> Option<f64>) -> Curve {
    let (arm, seeds) = arm;
    let steps = seeds.first().map_or(0, Vec::len);
    let point = |index: usize| {
        let values: Vec<f64> = seeds.iter().filter_map(|seed| value(seed.get(index)?)).collect();
        let step = seeds.first()?.get(index)?.step as f64;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let low = values.iter().copied().reduce(f64::min)?;
        Some((step, mean, low, values.iter().copied().fold(low, f64::max)))
    };
    Curve::with_band(arm.name(), (0..steps).filter_map(point).collect::<Vec<_>>())
}

fn panels(measured: &[Measured]) -> Vec<CurvePanel> {
    let panel = |title: &str, value: &dyn Fn(&Measurement) -> Option<f64>| {
        let lines = measured.iter().map(|arm| line(arm, value));
        CurvePanel::new(title, lines.filter(|line| !line.points.is_empty()).collect())
    };
    let right = |tasks: &[Accuracy], name: &str| {
        let found = tasks.iter().find(|accuracy| accuracy.task == name)?;
        Some(100.0 * found.correct as f64 / found.items.max(1) as f64)
    };
    let task = |name: &'static str| move |m: &Measurement| right(&m.tasks, name);
    let under = |selection: &'static str, name: &'static str| {
        move |m: &Measurement| {
            let found = m.disrupted.iter().find(|arm| arm.selection.starts_with(selection))?;
            right(&found.tasks, name)
        }
    };
    let top = |site: &'static str| {
        move |m: &Measurement| {
            let of = m.sites.iter().filter(|measure| measure.site == site);
            of.map(|measure| f64::from(measure.top_ratio)).reduce(f64::max)
        }
    };
    let massive = |m: &Measurement| {
        let of = m.sites.iter().filter(|measure| ["q", "k"].contains(&measure.site.as_str()));
        Some(of.map(|measure| measure.massive[1] as f64).sum())
    };
    let slow = |m: &Measurement| {
        let shares: Vec<f64> = m.sites.iter().filter_map(|site| site.low_frequency_share).collect();
        (!shares.is_empty()).then(|| 100.0 * shares.iter().sum::<f64>() / shares.len() as f64)
    };
    let largest =
        |m: &Measurement| m.largest_activation.iter().map(|x| f64::from(*x)).reduce(f64::max);
    vec![
        panel("loss on rows not trained on (nats per token)", &|m| Some(m.loss)),
        panel("largest absolute value of the residual stream", &largest),
        panel("facts, from the weights (% right)", &task("facts")),
        panel("facts, the largest channels disrupted", &under("top", "facts")),
        panel("pass keys, from the context (% right)", &task("passkey")),
        panel("pass keys, the largest channels disrupted", &under("top", "passkey")),
        panel("key-value, from the context (% right)", &task("key-value")),
        panel("key-value, the largest channels disrupted", &under("top", "key-value")),
        panel("pass keys, drawn channels disrupted", &under("random", "passkey")),
        panel("key-value, drawn channels disrupted", &under("random", "key-value")),
        panel("largest norm of Q over its head's mean", &top("q")),
        panel("largest norm of K over its head's mean", &top("k")),
        panel("largest norm of V over its head's mean", &top("v")),
        panel("massive values of Q and K at lambda 3", &massive),
        panel("share of squared norm in slow pairs (%)", &slow),
        panel("facts, drawn channels disrupted", &under("random", "facts")),
    ]
}

fn print_table(cli: &Cli, table: &[Disrupted]) {
    println!(
        "accuracy (%) with {} channels of each head disrupted, Wilson intervals of 95 %",
        cli.k
    );
    println!("{:<12} {:<5} {:<16} {:<16} {:>20}", "arm", "seed", "disrupted", "task", "accuracy");
    for row in table {
        let [low, high] = row.interval.map(|end| 100.0 * end);
        let accuracy = format!("{:.1} [{low:.1}-{high:.1}]", 100.0 * row.accuracy);
        let Disrupted { arm, seed, intervention, task, .. } = row;
        println!("{arm:<12} {seed:<5} {intervention:<16} {task:<16} {accuracy:>20}");
    }
}
