//! The loop: rows, loss, gradients, update, and now and then a measurement and a checkpoint.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Device};
use massval_data::language::{Language, Rows};
use massval_hooks::HookSet;
use massval_models::{Batch, Decoder, LogitsAt, cross_entropy};
use serde_json::{Value, json};

use crate::checkpoint::{Beside, Checkpoints, Numbers, write_json};
use crate::log::{Entry, Log};
use crate::measure::{Questions, inputs, measure, targets};
use crate::{Error, Measurement, Result, TrainConfig, init, model, optimizer, variance};

/// What a run tells while it goes on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A step was made.
    Step {
        /// Counted from 1.
        step: usize,
        /// Of so many.
        steps: usize,
        /// Nats per token.
        loss: f64,
    },
    /// The model was measured.
    Measured(Measurement),
    /// The state after a step is on the disk.
    Saved {
        /// The step.
        step: usize,
    },
}

/// A run in its folder.
///
/// The folder holds `train.json` (the config), `log.jsonl`, `checkpoints/` and, at the end, `model/`: a Hugging Face
/// folder in f16.
pub struct Trainer {
    config: TrainConfig,
    hf_config: Value,
    language: Language,
    questions: Questions,
    sink: Option<u32>,
    folder: PathBuf,
    checkpoints: Checkpoints,
    decoder: Decoder,
    optimizer: ModuleOptimizer,
    step: usize,
    log: Log,
}

impl Trainer {
    /// Begins a run in a folder, or goes on with the one that is there, from its last checkpoint, bit for bit.
    ///
    /// # Errors
    /// [`Error::Config`] or [`Error::Data`] for a config that cannot be; [`Error::Resume`] for a folder with another
    /// run's checkpoints, or with other files and none of a run; [`Error::Io`].
    pub fn new(config: TrainConfig, folder: &Path, device: &Device) -> Result<Self> {
        config.validate()?;
        let language = Language::new(config.language.clone())?;
        let words = language.vocabulary().len();
        let sink = config.model.sink.then_some(words as u32);
        let hf_config = model::hf_config(&config, words + usize::from(config.model.sink));
        let questions = Questions::new(&language, &config, sink)?;

        let checkpoints = Checkpoints::new(folder);
        let saved = checkpoints.load(&config, device)?;
        if saved.is_none() {
            check_folder(folder)?;
        }
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
        checkpoints.clear()?;
        write_json(&folder.join("train.json"), &json!(config))?;
        let (decoder, state, step) = match saved {
            Some((decoder, state, step)) => (decoder, Some(state), step),
            None => (init::initialise(model::blank(&hf_config, device)?, &config), None, 0),
        };
        let decoder = init::on_tape(decoder);
        let mut optimizer = optimizer::optimizer(&config.optimizer, &decoder);
        if let Some(state) = state {
            optimizer = optimizer.from_bytes(Bytes::from_bytes_vec(state)).map_err(|error| {
                let what = format!("the optimizer's state of step {step} is damaged: {error}");
                Error::resume(checkpoints.folder(), what)
            })?;
        }
        let log = Log::open(&folder.join("log.jsonl"), step)?;
        let folder = folder.to_owned();
        Ok(Self {
            config,
            hf_config,
            language,
            questions,
            sink,
            folder,
            checkpoints,
            decoder,
            optimizer,
            step,
            log,
        })
    }

    /// Steps made so far.
    #[must_use]
    pub fn step(&self) -> usize {
        self.step
    }

    /// The config.
    #[must_use]
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The model as it is, off the tape.
    #[must_use]
    pub fn decoder(&self) -> Decoder {
        self.decoder.valid()
    }

    /// Trains to the end, and writes the model. Returns the folder that it is in.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if the loss or a gradient is no number; [`Error::Io`] if a checkpoint cannot be written:
    /// those before it stay.
    pub fn run(&mut self, tell: &mut dyn FnMut(Event)) -> Result<PathBuf> {
        if self.step == 0 {
            self.measure(tell)?;
        }
        while self.step < self.config.steps {
            let loss = self.advance()?;
            tell(Event::Step { step: self.step, steps: self.config.steps, loss });
            let last = self.step == self.config.steps;
            if last || self.step.is_multiple_of(self.config.measure_every) {
                self.measure(tell)?;
            }
            if last || self.step.is_multiple_of(self.config.checkpoint_every) {
                self.save()?;
                tell(Event::Saved { step: self.step });
            }
        }
        self.export()
    }

    /// Makes one step and logs it. Returns the loss before the update, in nats per token.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn advance(&mut self) -> Result<f64> {
        let step = self.step + 1;
        let TrainConfig { batch, parts, steps, .. } = self.config;
        let rows = self.language.rows(self.step * batch, batch)?;
        let (loss, mut gradients) = self.gradients(&rows, batch / parts)?;
        let not_finite =
            |what| Error::NotFinite { step, what, kept: self.checkpoints.folder().to_owned() };
        if !loss.is_finite() {
            return Err(not_finite("loss"));
        }
        let norm = optimizer::clip(&self.decoder, &mut gradients, self.config.optimizer.clip);
        if !norm.is_finite() {
            return Err(not_finite("gradient"));
        }
        let rate = self.config.optimizer.rate(step, steps);
        let mut decoder = self.optimizer.step(rate, self.decoder.clone(), gradients);
        if let Some(target) = &self.config.mitigations.target_variance
            && step.is_multiple_of(target.every)
        {
            decoder = variance::rescale(decoder, target);
        }
        self.decoder = decoder;
        self.step = step;
        self.log.push(&Entry::Step { step, loss, rate, gradient: norm })?;
        Ok(loss)
    }

    /// The loss of all rows, and its gradients, computed `at_once` rows at a time.
    fn gradients(&self, rows: &Rows, at_once: usize) -> Result<(f64, GradientsParams)> {
        let total: f32 = rows.weights.iter().sum();
        let mut sum = 0.0;
        let mut gathered = GradientsAccumulator::new();
        let ids = rows.ids.chunks(at_once * (rows.sequence + 1));
        for (ids, weights) in ids.zip(rows.weights.chunks(at_once * rows.sequence)) {
            let inputs = inputs(ids, rows.sequence, self.sink);
            let slices: Vec<&[u32]> = inputs.iter().map(Vec::as_slice).collect();
            let batch = Batch::left_padded(&slices)?;
            let at = LogitsAt::From(usize::from(self.sink.is_some()));
            let logits = self.decoder.forward(&batch, None, &mut HookSet::none(), at)?;
            let Some(logits) = logits else { unreachable!("logits were asked for") };
            let share = weights.iter().sum::<f32>() / total;
            let loss = cross_entropy(logits, &targets(ids, rows.sequence), weights)? * share;
            sum += f64::from(loss.clone().into_scalar::<f32>());
            let gradients = GradientsParams::from_grads(loss.backward(), &self.decoder);
            if ids.len() == rows.ids.len() {
                return Ok((sum, gradients));
            }
            gathered.accumulate(&self.decoder, gradients);
        }
        Ok((sum, gathered.grads()))
    }

    fn measure(&mut self, tell: &mut dyn FnMut(Event)) -> Result<()> {
        let found = measure(&self.decoder(), &self.language, &self.questions, self.step)?;
        self.log.push(&Entry::Measurement(found.clone()))?;
        tell(Event::Measured(found));
        Ok(())
    }

    fn beside(&self) -> Beside<'_> {
        Beside { config: &self.hf_config, language: &self.language, sink: self.sink }
    }

    /// Writes a checkpoint now.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn save(&self) -> Result<()> {
        let decoder = self.decoder();
        self.checkpoints.save(&decoder, &self.optimizer, &self.config, self.step, &self.beside())
    }

    /// Writes `model/`: the model as others load it, in f16.
    fn export(&self) -> Result<PathBuf> {
        let folder = self.folder.join("model");
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        self.beside().save(&self.decoder(), &folder, Numbers::F16)?;
        Ok(folder)
    }
}

/// Refuses a folder that holds something else.
fn check_folder(folder: &Path) -> Result<()> {
    let ours = ["train.json", "log.jsonl", "checkpoints", "model"];
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    let strange = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| !ours.contains(&name.as_str()));
    match strange {
        None => Ok(()),
        Some(name) => {
            let what =
                format!("holds {name}, and no run; name a folder that is empty or not there");
            Err(Error::resume(folder, what))
        }
    }
}
