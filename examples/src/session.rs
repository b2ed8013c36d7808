//! A loaded model with its input, and what the figures need to know of both.

use std::fs;
use std::path::Path;

use massval::hooks::{Activation, At, HookFailure, HookPoint, HookSet, Observe, Site};
use massval::models::{Batch, LogitsAt, Model};
use massval::report::schema::{InputIdentity, ScanResult};
use massval::{DeviceName, Error, Prompt, PromptOptions, Result, Run, ScanOptions};

use crate::{Drawing, FigureArgs};

/// A model that has been loaded and a text that has been tokenized, with the example's arguments.
#[derive(Debug)]
pub struct Session {
    args: FigureArgs,
    model: Model,
    input: InputIdentity,
}

/// The keys of one layer as attention sees them, of one sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyCache {
    /// `rot_k`, or `k` in a model without RoPE.
    pub site: Site,
    /// Layer, counted from 0.
    pub layer: usize,
    /// Key heads.
    pub heads: usize,
    /// Tokens.
    pub tokens: usize,
    /// Channels per head.
    pub head_dim: usize,
    /// Row-major `[heads, tokens, head_dim]`.
    pub values: Vec<f32>,
}

impl Session {
    /// Makes the output folder, loads the model and tokenizes the input.
    ///
    /// # Errors
    /// If the folder cannot be made, the model not be loaded, or the input not be read.
    pub fn load(args: &FigureArgs) -> Result<Self> {
        let model = load(&args.model, args.device, &args.out)?;
        let source = &args.source;
        let prompt = match (&source.text, &source.prompt, &source.tokens) {
            (Some(file), ..) => Prompt::File(file.clone()),
            (_, Some(text), _) => Prompt::Text(text.clone()),
            (.., tokens) => Prompt::Tokens(tokens.clone().unwrap_or_default()),
        };
        let max_tokens = args.max_tokens.map(|n| n as usize);
        let options = PromptOptions { max_tokens, ..PromptOptions::default() };
        let input = massval::tokenize(&model, &prompt, &options)?;
        Ok(Self { args: args.clone(), model, input })
    }

    /// The layers that were asked for. Otherwise those of `paper` that the model has, or its
    /// middle layer if it has none of them.
    ///
    /// # Errors
    /// [`Error::Input`] if the model has no such layer.
    pub fn layers(&self, paper: &[usize]) -> Result<Vec<usize>> {
        let count = self.model.decoder().config().layers;
        match &self.args.layers {
            Some(asked) => check_below("layer", asked, count),
            None => {
                let known = paper.iter().copied().filter(|layer| *layer < count);
                let known: Vec<usize> = known.collect();
                Ok(if known.is_empty() { vec![count / 2] } else { known })
            }
        }
    }

    /// Whether the model turns its queries and keys.
    #[must_use]
    pub fn has_rope(&self) -> bool {
        self.model.decoder().config().rope().is_some()
    }

    /// Channel norms and massive values of every layer.
    ///
    /// # Errors
    /// If the model cannot read the input.
    pub fn scan(&self) -> Result<ScanResult> {
        let run = run(self.args.device);
        let provenance = massval::provenance(&run, self.model.checkpoint(), self.input.clone())?;
        let options = ScanOptions { activations: None, ..ScanOptions::default() };
        massval::scan(&self.model, provenance, &options, &mut |_, _| {})
    }

    /// The keys of `layers`, after RoPE where the model has it.
    ///
    /// # Errors
    /// If the model cannot read the input.
    pub fn key_caches(&self, layers: &[usize]) -> Result<Vec<KeyCache>> {
        let decoder = self.model.decoder();
        let site = if self.has_rope() { Site::RotK } else { Site::K };
        let mut caches = Vec::new();
        let mut keep = Observe::new("key cache", |at: &At<'_>, x: &Activation| {
            let keys = x.as_heads()?;
            let [_, heads, tokens, head_dim] = keys.dims();
            let values = keys.clone().try_into_vec_as::<f32>();
            let values = values.map_err(|error| HookFailure::from(format!("{error:?}")))?;
            let layer = at.point.layer.unwrap_or_default();
            caches.push(KeyCache { site, layer, heads, tokens, head_dim, values });
            Ok(())
        });
        let points: Vec<HookPoint> = layers.iter().map(|l| HookPoint::layer(*l, site)).collect();
        let mut hooks = HookSet::new(decoder.hook_points());
        hooks.add_at(&points, &mut keep)?;
        let batch = Batch::single(&self.input.tokens)?;
        decoder.forward(&batch, None, &mut hooks, LogitsAt::Nowhere)?;
        hooks.finish()?;
        Ok(caches)
    }

    /// What the model is called in titles: its file or folder.
    #[must_use]
    pub fn model_name(&self) -> String {
        model_name(&self.model)
    }

    /// Writes a drawing as `NAME.svg` and `NAME.png` into the output folder, and prints both paths.
    ///
    /// # Errors
    /// If it cannot be drawn or written.
    pub fn write(&self, drawing: &Drawing) -> Result<()> {
        drawing.write(&self.args.out)
    }
}

/// Makes the output folder and loads the model.
pub(crate) fn load(model: &Path, device: DeviceName, out: &Path) -> Result<Model> {
    fs::create_dir_all(out).map_err(|source| Error::Io { path: out.to_owned(), source })?;
    Ok(Model::load(model, &device.open()?, massval::dtype("f32")?, &mut |_, _| {})?)
}

/// What results say of the run.
pub(crate) fn run(device: DeviceName) -> Run {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Run { threads, device, dtype: "f32".to_owned(), ..Run::default() }
}

/// What a model is called in titles: its file or folder.
pub(crate) fn model_name(model: &Model) -> String {
    let path = &model.checkpoint().path;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    name.strip_suffix(".gguf").unwrap_or(&name).to_owned()
}

/// `asked`, if all of it counts something that the model has.
pub(crate) fn check_below(thing: &str, asked: &[usize], count: usize) -> Result<Vec<usize>> {
    match asked.iter().find(|index| **index >= count) {
        None => Ok(asked.to_vec()),
        Some(index) => {
            let what =
                format!("there is no {thing} {index}: the model has {count}, counted from 0");
            Err(Error::Input(what))
        }
    }
}
