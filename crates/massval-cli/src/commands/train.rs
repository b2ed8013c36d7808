//! `massval train`.

use std::fs;
use std::path::Path;
use std::time::Instant;

use massval::train::{
    Event, Measurement, Norm, Position, TargetVariance, TrainConfig, Trainer, read_log,
};
use massval::{Run, TrainingRecord, training_figure};

use super::model::{check_folder, command, now};
use crate::args::{Mitigation, Train, TrainPositions};
use crate::output::{Done, Failure, amount, duration, print, print_json, tell};
use crate::progress::Progress;

/// Steps from which `--dry-run` judges the time.
const TRIED: usize = 5;

pub fn run(args: Train) -> Done {
    check_folder(&args.out)?;
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads));
        pool.build_global()?;
    }
    let config = config(&args)?;
    let begun = args.out.join("checkpoints").exists();
    match (args.resume, begun) {
        (true, false) => {
            let what = "has no checkpoints to go on from; leave --resume out";
            return Err(Failure::Work(format!("{}: {what}", args.out.display())));
        }
        (false, true) => {
            let what = "holds a run; --resume goes on with it, another --out begins anew";
            return Err(Failure::Work(format!("{}: {what}", args.out.display())));
        }
        _ => {}
    }
    if args.dry_run {
        return plan(config, args.device);
    }
    let device = args.device.open()?;
    let mut trainer = Trainer::new(config, &args.out, &device)?;
    let parameters = trainer.decoder().config().parameters();
    let mut progress = Progress::new("steps");
    let mut last: Option<Measurement> = None;
    let model = trainer.run(&mut |event| match event {
        Event::Step { step, steps, .. } => progress.at(step, steps),
        Event::Measured(measurement) => last = Some(measurement),
        _ => {}
    })?;
    progress.finish();
    let entries = read_log(&args.out.join("log.jsonl"))?;
    let measured = entries.iter().rev().find_map(|entry| match entry {
        massval::train::Entry::Measurement(measurement) => Some(measurement.clone()),
        _ => None,
    });
    let last = last.or(measured).ok_or_else(|| {
        Failure::Work(format!("{}: the log has no measurement", args.out.display()))
    })?;
    let run = Run {
        command: command(),
        created: Some(now()),
        threads: rayon::current_num_threads(),
        seed: Some(trainer.config().seed),
        device: args.device,
        dtype: "f32".to_owned(),
    };
    let record = TrainingRecord::new(&run, trainer.config(), parameters, last);
    let (file, figure) = (args.out.join("training.json"), args.out.join("training.svg"));
    record.write(&file)?;
    let name = trainer.config().model.position.name();
    training_figure("Training", &[(name, entries.as_slice())])?.write_svg(&figure)?;
    if args.json {
        return print_json(&record);
    }
    print(&record.summary())?;
    tell(&format_args!("wrote {}, {} and {}", model.display(), file.display(), figure.display()));
    Ok(())
}

/// What the arguments ask for.
fn config(args: &Train) -> Result<TrainConfig, Failure> {
    let read = |path: &Path| -> Result<TrainConfig, Failure> {
        let wrong = |what: String| Failure::Work(format!("{}: {what}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
    };
    let own = args.out.join("train.json");
    let mut config = match (&args.config, &args.preset) {
        (Some(path), _) => read(path)?,
        (None, Some(name)) => TrainConfig::preset(name).unwrap_or_default(),
        (None, None) if args.resume && own.exists() => read(&own)?,
        (None, None) => TrainConfig::default(),
    };
    let theta = match config.model.position {
        Position::Rope { theta, .. } => theta,
        _ => 10_000.0,
    };
    match args.position {
        Some(TrainPositions::Rope) => {
            config.model.position = Position::Rope { theta, fraction: 1.0 }
        }
        Some(TrainPositions::Learned) => config.model.position = Position::Learned,
        Some(TrainPositions::Alibi) => config.model.position = Position::Alibi,
        Some(TrainPositions::None) => config.model.position = Position::None,
        None => {}
    }
    if let Some(asked) = args.theta {
        match &mut config.model.position {
            Position::Rope { theta, .. } => *theta = asked,
            other => {
                let what = format!("--theta: {} positions have no base", other.name());
                return Err(Failure::Work(what));
            }
        }
    }
    for mitigation in &args.mitigate {
        match mitigation {
            Mitigation::KvBias => config.model.kv_bias = true,
            Mitigation::Sink => config.model.sink = true,
            Mitigation::Dyt => config.model.norm = Norm::DynamicTanh,
            Mitigation::Tvr => {
                config.mitigations.target_variance.get_or_insert(TargetVariance::default());
            }
            Mitigation::Lir => config.mitigations.layer_index_init = true,
        }
    }
    if let Some(steps) = args.steps {
        config.steps = steps;
        config.optimizer.warmup = config.optimizer.warmup.min(steps / 2);
    }
    config.seed = args.seed.unwrap_or(config.seed);
    Ok(config)
}

/// What would be trained, and what it needs.
fn plan(config: TrainConfig, device: massval::DeviceName) -> Done {
    let folder = tempfile::tempdir()?;
    let mut trainer = Trainer::new(config, folder.path(), &device.open()?)?;
    let decoder = trainer.decoder();
    let parameters = decoder.config().parameters();
    trainer.advance()?;
    let begun = Instant::now();
    for _ in 0..TRIED {
        trainer.advance()?;
    }
    let step = begun.elapsed().as_secs_f64() / TRIED as f64;
    let config = trainer.config();
    let rows = (config.batch / config.parts) as u64;
    let model = &config.model;
    // Of a block: what its linear layers read and write, and of the head its logits and their gradient.
    let of_token =
        model.layers * (10 * model.d_model + 3 * model.d_mlp) + 3 * decoder.config().vocab_size;
    let activations = 4 * rows * config.positions() as u64 * of_token as u64;
    print(&format_args!(
        "{} parameters, {} positions: {} steps of {} rows of {} tokens\n\
         memory: {} of weights, gradients and moments, about {} of activations\n\
         disk: about {} of checkpoints, and the model\n\
         time: about {}, from {TRIED} steps",
        parameters,
        model.position.name(),
        config.steps,
        config.batch,
        config.language.sequence,
        amount(16 * parameters, "B"),
        amount(activations, "B"),
        amount(3 * 12 * parameters, "B"),
        duration(step * config.steps as f64),
    ))
}
