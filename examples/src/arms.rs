//! The arms of the training experiment: what differs between them, and how one is trained and disrupted.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use burn::tensor::Device;
use massval::eval::{Experiment, ModelTokens, RunOptions};
use massval::models::Model;
use massval::train::{
    Entry, Error, Event, Norm, Position, TargetVariance, TrainConfig, Trainer, read_log,
};
use massval::{DisruptOptions, Result, Run};
use serde::Serialize;

use crate::trial;

/// Tokens of a written answer: the longest has three, and positions are few.
const ANSWER: usize = 8;

/// What is different from the preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainingArm {
    /// Learned positions.
    Learned,
    /// Rotary positions.
    Rope,
    /// No positions.
    None,
    /// Rotary positions and a mitigation of P0 or P2.
    RopeWith(&'static str),
}

/// Mitigations by their names, and their hybrids.
const MITIGATIONS: [&str; 7] = ["kv-bias", "sink", "dyt", "tvr", "lir", "kv-bias+tvr", "dyt+tvr"];

impl FromStr for TrainingArm {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "learned" => return Ok(Self::Learned),
            "rope" => return Ok(Self::Rope),
            "none" => return Ok(Self::None),
            _ => {}
        }
        let known = || {
            format!(
                "no arm is called {name}; known are learned, rope, none, {}",
                MITIGATIONS.join(", ")
            )
        };
        let found = MITIGATIONS.into_iter().find(|mitigation| *mitigation == name);
        found.map(Self::RopeWith).ok_or_else(known)
    }
}

impl TrainingArm {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Rope => "rope",
            Self::None => "none",
            Self::RopeWith(mitigation) => mitigation,
        }
    }

    /// Its config: the preset's but for what makes the arm.
    #[must_use]
    pub fn config(self, preset: &TrainConfig, seed: u64) -> TrainConfig {
        let mut config = TrainConfig { seed, ..preset.clone() };
        config.model.position = match self {
            Self::Learned => Position::Learned,
            Self::None => Position::None,
            Self::Rope | Self::RopeWith(_) => Position::Rope { theta: 10_000.0, fraction: 1.0 },
        };
        if let Self::RopeWith(mitigations) = self {
            for mitigation in mitigations.split('+') {
                match mitigation {
                    "kv-bias" => config.model.kv_bias = true,
                    "sink" => config.model.sink = true,
                    "dyt" => config.model.norm = Norm::DynamicTanh,
                    "lir" => config.mitigations.layer_index_init = true,
                    // The paper's targets are half of its init, for DyT all of it.
                    _ => {
                        let std = config.model.init_std
                            * if mitigations.contains("dyt") { 1.0 } else { 0.5 };
                        let target = TargetVariance { std, ..TargetVariance::default() };
                        config.mitigations.target_variance = Some(target);
                    }
                }
            }
        }
        config
    }

    /// Trains it in a folder, or goes on with what is there. Returns the log.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub fn train(
        self,
        preset: &TrainConfig,
        seed: u64,
        folder: &Path,
        device: &Device,
    ) -> Result<Vec<Entry>, Error> {
        let mut trainer = Trainer::new(self.config(preset, seed), folder, device)?;
        trainer.run(&mut |event| {
            if let Event::Measured(measurement) = event {
                eprintln!(
                    "{} seed {seed}: step {}, loss {:.3}",
                    self.name(),
                    measurement.step,
                    measurement.loss
                );
            }
        })?;
        read_log(&folder.join("log.jsonl"))
    }
}

/// A trained model under an intervention: right answers of a task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Disrupted {
    /// The arm of the training.
    pub arm: String,
    /// Its seed.
    pub seed: u64,
    /// What was disrupted: `none`, `non-massive`, `matched random`, `massive`.
    pub intervention: String,
    /// The task.
    pub task: String,
    /// Right answers, of 100.
    pub accuracy: f64,
    /// The ends of its Wilson interval.
    pub interval: [f64; 2],
    /// Items.
    pub items: usize,
}

/// Disrupts `k` channels of each head of a trained model, while it answers from the context and from its weights.
///
/// # Errors
/// As [`massval::disrupt`].
pub fn disrupted(
    arm: TrainingArm,
    seed: u64,
    folder: &Path,
    k: usize,
    device: &Device,
) -> Result<Vec<Disrupted>> {
    let path = folder.join("model");
    let model = Model::load(&path, device, massval::dtype("f32")?, &mut |_, _| {})?;
    let tokens = ModelTokens::new(model.tokenizer()?, arm.name());
    let language = path.join("language.json");
    let mut tasks = Vec::new();
    for spec in ["small_passkey:FILE:tokens=40", "small_key_value:FILE", "small_facts:FILE"] {
        let spec = spec.replace("FILE", &language.display().to_string()).parse()?;
        let mut task = massval::task(&spec, Some(200), Some(0), &tokens)?;
        task.ask.write = task.ask.write.min(ANSWER);
        tasks.push(task);
    }
    let sites = match model.decoder().config().rope() {
        Some(_) => [massval::hooks::Site::RotQ, massval::hooks::Site::RotK],
        None => [massval::hooks::Site::Q, massval::hooks::Site::K],
    };
    let mut arms = trial::arms(k, seed);
    for arm in &mut arms {
        arm.intervention = arm.intervention.take().map(|intervention| intervention.at(&sites));
    }
    let (options, decoders) = (RunOptions::default(), BTreeMap::new());
    let experiment = Experiment { model: &model, tasks, arms, options, decoders };
    let run = Run { dtype: "f32".to_owned(), threads: 1, ..Run::default() };
    let result = massval::disrupt(&experiment, &run, &DisruptOptions::default(), &mut |_, _| {})?;
    let found = result.cells.iter().map(|cell| Disrupted {
        arm: arm.name().to_owned(),
        seed,
        intervention: cell.arm.clone(),
        task: cell.task.clone(),
        accuracy: cell.score.accuracy,
        interval: [cell.score.interval.low, cell.score.interval.high],
        items: cell.score.n,
    });
    Ok(found.collect())
}
