//! What the commands that run a model have in common.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use massval::models::{Model, StreamOptions};
use massval::report::schema::InputIdentity;
use massval::{Prompt, PromptOptions, Run};

use clap::CommandFactory;
use clap::error::ErrorKind;

use crate::args::{Cli, InputArgs, ModelArgs};
use crate::memory;
use crate::output::{Done, Failure, tell};
use crate::progress::Progress;
use crate::source::Source;

/// A loaded model, and the record of the run so far.
pub struct Loaded {
    pub model: Model,
    pub run: Run,
    source: Source,
    timings: bool,
}

impl Loaded {
    /// Loads the model, or opens it to be read layer by layer if there is not enough memory.
    pub fn new(args: &ModelArgs) -> Result<Self, Failure> {
        Self::with(args, false)
    }

    /// Opens the model, and leaves its blocks where they are.
    pub fn planned(args: &ModelArgs) -> Result<Self, Failure> {
        Self::with(args, true)
    }

    fn with(args: &ModelArgs, planned: bool) -> Result<Self, Failure> {
        if let Some(threads) = args.threads {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads));
            pool.build_global()?;
        }
        let device = args.device.open()?;
        let source = Source::new(&args.name)?;
        let name = match args.dtype.as_str() {
            "stored" => massval::stored_dtype(&source.inspect()?),
            name => name,
        };
        let dtype = massval::dtype(name)?;
        let mut progress = Progress::new("loading");
        let told = &mut |done, all| progress.at(done, all);
        let model = match planned {
            true => {
                let options = StreamOptions::working(0);
                Model::stream(source.path(), &device, dtype, options, told)?
            }
            false => {
                let limit = memory::limit(args.memory_limit);
                massval::load(source.path(), &device, dtype, limit.as_ref(), told)?
            }
        };
        let model = source.signed(model);
        let run = Run {
            command: command(),
            created: Some(now()),
            threads: rayon::current_num_threads(),
            seed: None,
            device: args.device,
            dtype: name.to_owned(),
        };
        let loaded = Self { model, run, source, timings: args.timings };
        loaded.timing("load", progress.finish());
        Ok(loaded)
    }

    /// The tokens that the arguments ask for.
    pub fn input(&self, args: &InputArgs) -> Result<InputIdentity, Failure> {
        let prompt = match (&args.source.text, &args.source.prompt, &args.source.tokens) {
            (Some(file), ..) => Prompt::File(file.clone()),
            (_, Some(text), _) => Prompt::Text(text.clone()),
            (.., Some(tokens)) => Prompt::Tokens(tokens.clone()),
            _ => match self.source.sample()? {
                Some(tokens) if !args.chat => Prompt::Tokens(tokens),
                _ => nothing_to_read(),
            },
        };
        let options = PromptOptions {
            chat: args.chat,
            special_tokens: !args.no_special_tokens,
            max_tokens: args.max_tokens.map(|n| n as usize),
        };
        Ok(massval::tokenize(&self.model, &prompt, &options)?)
    }

    /// What the model is called: its own name, or that of its folder or file.
    pub fn name(&self) -> String {
        let checkpoint = self.model.checkpoint();
        let path = &checkpoint.path;
        let file = || path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        checkpoint.name.clone().unwrap_or_else(file)
    }

    /// The small language that the model was trained on, if massval trained it.
    pub fn language(&self) -> Option<PathBuf> {
        self.source.language()
    }

    /// Tells the seconds of a step, if asked for.
    pub fn timing(&self, step: &str, seconds: f64) {
        if self.timings {
            tell(&format_args!("massval: {step} {seconds:.3} s"));
        }
    }
}

/// Ends the program as clap does where an argument is missing.
fn nothing_to_read() -> ! {
    let what = "nothing to read: one of --text FILE, --prompt TEXT, --tokens IDS is needed";
    Cli::command().error(ErrorKind::MissingRequiredArgument, what).exit()
}

/// The command line as typed.
pub fn command() -> Vec<String> {
    std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect()
}

/// The time, RFC 3339.
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Finds out before the long work that no folder can be at `path`.
pub fn check_folder(path: &Path) -> Done {
    let there = path.ancestors().find_map(|part| std::fs::metadata(part).ok().map(|at| (part, at)));
    match there {
        Some((part, at)) if !at.is_dir() => {
            let what = format!("{}: {} is not a folder", path.display(), part.display());
            Err(Failure::Work(what))
        }
        _ => Ok(()),
    }
}

/// Finds out before the long work that no file can be at `path`.
pub fn check_file(path: &Path) -> Done {
    let wrong = |what: String| Err(Failure::Work(format!("{}: {what}", path.display())));
    match path.parent() {
        _ if path.is_dir() => wrong("is a folder; name a file in it".to_owned()),
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            wrong(format!("{} is not a folder", folder.display()))
        }
        _ => Ok(()),
    }
}
