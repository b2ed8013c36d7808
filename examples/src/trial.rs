//! An experiment: a loaded model, the arms it is put under, the tasks it is asked, and what is left
//! of it in files.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;

use massval::data::catalog::Spec;
use massval::data::windows::{Tail, Windows};
use massval::disruption::{Intervention, Operator, Selection};
use massval::eval::stats::Bootstrap;
use massval::eval::{Arm, Experiment, Form, ModelTokens, RunOptions, Task};
use massval::models::tensorfile::atomic_write;
use massval::models::{Batch, Model};
use massval::quantize::{CalibrationOptions, CalibrationRecord, CalibrationSet, calibrate};
use massval::report::figure::Figure;
use massval::report::schema::{DisruptResult, PerplexityResult};
use massval::report::table::{self, TableStyle};
use massval::{DisruptOptions, PerplexityOptions, Result, Run, WeightArmOptions};

use crate::session::{load, model_name, run};
use crate::{Drawing, ExperimentArgs};

/// Tokens of a window of text, where nothing else is said and the model has as many positions.
const WINDOW: usize = 1024;

/// Columns of the tables that are printed.
const WIDTH: usize = 100;

/// A task, and what results call it.
#[derive(Debug, Clone)]
pub struct NamedTask {
    /// Unique within an experiment.
    pub name: String,
    /// The set and its options.
    pub spec: Spec,
}

impl NamedTask {
    /// The task that `spec` describes, as for `massval disrupt --task`.
    ///
    /// # Errors
    /// If there is no such set, or it has no such option.
    pub fn new(name: impl Into<String>, spec: &str) -> Result<Self> {
        Ok(Self { name: name.into(), spec: spec.parse()? })
    }

    /// Tasks that are answered in writing, two contextual ones and a parametric one: the paper's
    /// GSM8K, AQuA-RAT and IMDB have to be brought as files.
    ///
    /// # Errors
    /// None in practice.
    pub fn answered() -> Result<Vec<Self>> {
        Ok(vec![
            Self::new("arithmetic", "arithmetic")?,
            Self::new("list recall", "list_recall")?,
            // Without alternatives to compare, capitals are written.
            Self::new("capitals", "capitals:wrong=0")?,
        ])
    }
}

/// A model that has been loaded, with an experiment's arguments.
#[derive(Debug)]
pub struct Trial {
    args: ExperimentArgs,
    model: Model,
}

/// A result for people and for other programs.
struct Tables {
    printed: String,
    markdown: String,
    csv: String,
}

/// The paper's rows and a control: the model left alone, and the joint mean in the `k` channels of
/// each head of Q and K that have the smallest norm, that are drawn from all but the largest, and
/// that have the largest.
#[must_use]
pub fn arms(k: usize, seed: u64) -> Vec<Arm> {
    let under = |name: &str, selection| {
        let intervention = Intervention::new(Operator::JointMean, selection);
        Arm::new(name, Intervention { seed, ..intervention })
    };
    vec![
        Arm::none(),
        under("non-massive", Selection::BottomK { k }),
        under("matched random", Selection::RandomK { k }),
        under("massive", Selection::top(k)),
    ]
}

/// The same for each of `sizes`, by the kind of channel: smallest, drawn, largest.
#[must_use]
pub fn arms_over(sizes: &[usize], seed: u64) -> Vec<Arm> {
    let base = Intervention::new(Operator::JointMean, Selection::top(1));
    let base = Intervention { seed, ..base };
    let sizes = || sizes.iter().copied();
    let mut selections: Vec<Selection> = sizes().map(|k| Selection::BottomK { k }).collect();
    selections.extend(sizes().map(|k| Selection::RandomK { k }));
    selections.extend(sizes().map(Selection::top));
    massval::arms(&base, &[Operator::JointMean], &selections)
}

impl Trial {
    /// Makes the output folder and loads the model.
    ///
    /// # Errors
    /// If the folder cannot be made or the model not be loaded.
    pub fn load(args: &ExperimentArgs) -> Result<Self> {
        let model = load(&args.model, args.device, &args.out)?;
        Ok(Self { args: args.clone(), model })
    }

    /// How many tokens the model can read, if there is a limit.
    #[must_use]
    pub fn positions(&self) -> Option<usize> {
        self.model.decoder().config().positions()
    }

    /// The tasks that were asked for, or `usual`. Tasks of one set are told apart by their options.
    ///
    /// # Errors
    /// What `usual` meets.
    pub fn tasks(&self, usual: impl FnOnce() -> Result<Vec<NamedTask>>) -> Result<Vec<NamedTask>> {
        let asked = &self.args.tasks;
        let named = |spec: &Spec| {
            let set = spec.entry().name;
            let alike = asked.iter().filter(|other| other.entry().name == set).count();
            let name = if alike > 1 { spec.to_string() } else { set.to_owned() };
            NamedTask { name, spec: spec.clone() }
        };
        if asked.is_empty() { usual() } else { Ok(asked.iter().map(named).collect()) }
    }

    /// Runs the arms on the tasks. With `answer_tokens`, answers are written to their end or to so
    /// many tokens, and their variety and perplexity are measured; else only until they are decided.
    ///
    /// # Errors
    /// What [`massval::task`] and [`massval::disrupt`] refuse: items that do not fit the model, a
    /// folder of another run.
    pub fn disrupt(
        &self,
        tasks: &[NamedTask],
        arms: Vec<Arm>,
        answer_tokens: Option<usize>,
    ) -> Result<DisruptResult> {
        let tokens = ModelTokens::new(self.model.tokenizer()?, self.model_name());
        let tasks = self.made(tasks, &tokens, answer_tokens)?;
        let options = RunOptions::default().with_full_answers(answer_tokens.is_some());
        let decoders = BTreeMap::new();
        let experiment = Experiment { model: &self.model, tasks, arms, options, decoders };
        let options = self.disrupt_options();
        massval::disrupt(&experiment, &self.run(), &options, &mut progress("items"))
    }

    fn made<'a>(
        &self,
        tasks: &[NamedTask],
        tokens: &'a ModelTokens<'a>,
        answer_tokens: Option<usize>,
    ) -> Result<Vec<Task<'a>>> {
        let ExperimentArgs { limit, seed, chat, .. } = self.args;
        let mut made = Vec::with_capacity(tasks.len());
        for NamedTask { name, spec } in tasks {
            let mut task = massval::task(spec, Some(limit as usize), Some(seed), tokens)?;
            task.form = Form { chat, system: None };
            if let Some(most) = answer_tokens
                && task.ask.write > 0
            {
                task.ask.write = most;
            }
            task.rename(name);
            made.push(task);
        }
        Ok(made)
    }

    fn disrupt_options(&self) -> DisruptOptions {
        let mut options = DisruptOptions::default();
        options.bootstrap = self.bootstrap();
        options.folder = self.args.run.clone();
        options.resume = self.args.resume;
        options
    }

    /// Perplexity of a text file under the arms, in windows of `window` tokens side by side.
    ///
    /// # Errors
    /// What [`massval::perplexity`] refuses: a text too short, windows longer than the model reads.
    pub fn perplexity(
        &self,
        text: &Path,
        window: Option<usize>,
        arms: &[Arm],
    ) -> Result<PerplexityResult> {
        let options = self.windows(window);
        let progress = &mut progress("windows");
        massval::perplexity(&self.model, &self.run(), text, arms, &options, progress)
    }

    /// Runs arms with rounded weights on the tasks, and measures the perplexity of a text file.
    ///
    /// # Errors
    /// What [`massval::weight_arms`] and [`massval::compare_weights`] refuse.
    pub fn compare_weights(
        &self,
        tasks: &[NamedTask],
        options: &WeightArmOptions,
        text: &Path,
    ) -> Result<(DisruptResult, Option<PerplexityResult>)> {
        let run = self.run();
        let weights = massval::weight_arms(&self.model, &run, options, &mut progress("arms"))?;
        let tokens = ModelTokens::new(self.model.tokenizer()?, self.model_name());
        let experiment = Experiment {
            model: &self.model,
            tasks: self.made(tasks, &tokens, None)?,
            arms: weights.arms.clone(),
            options: RunOptions::default(),
            decoders: weights.borrowed(),
        };
        let text_options = self.windows(None);
        let text = Some((text, &text_options));
        let progress = &mut progress("items");
        massval::compare_weights(&experiment, &run, &self.disrupt_options(), text, progress)
    }

    /// A text to calibrate with.
    ///
    /// # Errors
    /// If it cannot be read, or is too short.
    pub fn calibration(
        &self,
        path: &Path,
        samples: usize,
        length: usize,
    ) -> Result<(Vec<Batch>, CalibrationRecord)> {
        let set = CalibrationSet::File { path: path.to_owned(), field: None };
        let mut options = CalibrationOptions::new(set);
        (options.samples, options.length) = (samples, length);
        calibrate(&self.model, &options)
    }

    /// What the model is called in titles: its file or folder.
    #[must_use]
    pub fn model_name(&self) -> String {
        model_name(&self.model)
    }

    /// Prints the table of a result, writes its figure as SVG and PNG, and the result beside them as
    /// Markdown, CSV and JSON, all named after `figure_name`, the model and `part`.
    ///
    /// # Errors
    /// If something cannot be drawn or written.
    pub fn write(
        &self,
        figure_name: &str,
        part: &str,
        figure: Figure,
        result: &DisruptResult,
    ) -> Result<()> {
        let tables = Tables {
            printed: table::disrupt_table(result, WIDTH, TableStyle::default()),
            markdown: table::disrupt_markdown(result),
            csv: table::disrupt_csv(result),
        };
        let drawing = Drawing::new(figure_name, &self.model_name(), part, figure);
        self.save(&drawing, &tables, |json| Ok(result.write(json)?))
    }

    /// The same for the perplexity of a text.
    ///
    /// # Errors
    /// If something cannot be drawn or written.
    pub fn write_perplexity(
        &self,
        figure_name: &str,
        part: &str,
        figure: Figure,
        result: &PerplexityResult,
    ) -> Result<()> {
        let tables = Tables {
            printed: table::perplexity_table(result, WIDTH, TableStyle::default()),
            markdown: table::perplexity_markdown(result),
            csv: table::perplexity_csv(result),
        };
        let drawing = Drawing::new(figure_name, &self.model_name(), part, figure);
        self.save(&drawing, &tables, |json| Ok(result.write(json)?))
    }

    fn save(
        &self,
        drawing: &Drawing,
        tables: &Tables,
        write_json: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        println!("{}\n", tables.printed.trim_end());
        drawing.write(&self.args.out)?;
        let path = |extension: &str| self.args.out.join(format!("{}.{extension}", drawing.name));
        for (path, text) in [(path("md"), &tables.markdown), (path("csv"), &tables.csv)] {
            atomic_write(&path, |out| out.write_all(text.as_bytes()))?;
            println!("{}", path.display());
        }
        let path = path("json");
        write_json(&path)?;
        println!("{}", path.display());
        Ok(())
    }

    /// A text in windows side by side.
    fn windows(&self, window: Option<usize>) -> PerplexityOptions {
        let usual = || self.positions().map_or(WINDOW, |positions| positions.min(WINDOW));
        let mut windows = Windows::new(window.unwrap_or_else(usual));
        windows.tail = Tail::Keep;
        let mut options = PerplexityOptions::new(windows);
        options.bootstrap = self.bootstrap();
        options
    }

    fn bootstrap(&self) -> Bootstrap {
        Bootstrap { seed: self.args.seed, ..Bootstrap::default() }
    }

    fn run(&self) -> Run {
        let typed = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
        Run { command: typed.collect(), seed: Some(self.args.seed), ..run(self.args.device) }
    }
}

/// Tells on standard error how far the work is, if a person watches.
fn progress(things: &'static str) -> impl FnMut(usize, usize) {
    let watched = std::io::stderr().is_terminal();
    move |done, all| {
        if watched {
            let end = if done == all { '\n' } else { '\r' };
            eprint!("{done} of {all} {things}{end}");
        }
    }
}
