//! `massval compare`.

use massval::data::catalog::Spec;
use massval::data::windows::{Tail, Windows};
use massval::eval::stats::Bootstrap;
use massval::eval::{Experiment, Form, ModelTokens, RunOptions, Task};
use massval::models::tensorfile::atomic_write;
use massval::quantize::{CalibrationOptions, CalibrationSet, Method, calibrate};
use massval::report::schema::{DisruptResult, PerplexityResult};
use massval::report::{html, table};
use massval::{DisruptOptions, PerplexityOptions, Run, WeightArmOptions};

use super::model::{Loaded, check_folder};
use crate::args::{Compare, TableFormat};
use crate::output::{Done, Failure, print, print_json, style, tell, width};
use crate::progress::Progress;

/// Without `--task`: three that are answered from the prompt, one from the weights.
const USUAL: [&str; 4] = ["passkey", "key_value", "conflict", "capitals"];

/// Tokens of a window, where nothing else is said.
const WINDOW: usize = 256;

pub fn run(args: Compare) -> Done {
    if let Some(folder) = &args.out {
        check_folder(folder)?;
    }
    let calibrated = args.method.iter().any(|&method| method != Method::Rtn);
    if calibrated != args.calibration.is_some() {
        let what = match calibrated {
            true => "gptq, awq and smoothquant need a text: add --calibration FILE",
            false => "--calibration is for gptq, awq and smoothquant; rtn reads nothing",
        };
        return Err(Failure::Work(what.to_owned()));
    }
    let loaded = Loaded::new(&args.model)?;
    let model = &loaded.model;
    let run = Run { seed: Some(args.seed), ..loaded.run.clone() };
    // Checkpoints that calibrated methods write, until their decoders are in memory.
    let folder = tempfile::tempdir()?;
    let mut asked = WeightArmOptions::new(args.group_size);
    asked.methods.clone_from(&args.method);
    asked.bits.clone_from(&args.bits);
    asked.findings.clone_from(&args.protect);
    asked.seed = args.seed;
    asked.folder = Some(folder.path().to_owned());
    if let Some(path) = &args.calibration {
        let set = CalibrationSet::File { path: path.clone(), field: None };
        let mut calibration = CalibrationOptions::new(set);
        calibration.samples = args.samples as usize;
        calibration.length = args.length as usize;
        asked.calibration = Some(calibrate(model, &calibration)?);
    }
    let mut progress = Progress::new("arms");
    let weights =
        massval::weight_arms(model, &run, &asked, &mut |done, all| progress.at(done, all))?;
    loaded.timing("round", progress.finish());

    let tokens = ModelTokens::new(model.tokenizer()?, loaded.name());
    let experiment = Experiment {
        model,
        tasks: tasks(&args, &tokens)?,
        arms: weights.arms.clone(),
        options: RunOptions::default(),
        decoders: weights.borrowed(),
    };
    let mut options = DisruptOptions::default();
    options.bootstrap = Bootstrap { seed: args.seed, ..Bootstrap::default() };
    options.folder.clone_from(&args.out);
    options.resume = args.resume;
    let text = text_options(&args, model.decoder().config().positions());
    let text = args.text.as_deref().zip(text.as_ref());
    let mut progress = Progress::new("items");
    let told = &mut |done, all| progress.at(done, all);
    let (tasks, perplexity) = massval::compare_weights(&experiment, &run, &options, text, told)?;
    loaded.timing("compare", progress.finish());
    write(&args, &tasks, perplexity.as_ref())?;
    show(&args, &tasks, perplexity.as_ref())
}

fn text_options(args: &Compare, positions: Option<usize>) -> Option<PerplexityOptions> {
    args.text.as_ref()?;
    let length = match args.window {
        Some(length) => length as usize,
        None => positions.map_or(WINDOW, |positions| positions.min(WINDOW)),
    };
    let mut windows = Windows::new(length);
    windows.tail = Tail::Keep;
    windows.limit = Some(args.windows as usize);
    let mut options = PerplexityOptions::new(windows);
    options.bootstrap = Bootstrap { seed: args.seed, ..Bootstrap::default() };
    Some(options)
}

fn tasks<'a>(args: &Compare, tokens: &'a ModelTokens<'a>) -> Result<Vec<Task<'a>>, Failure> {
    let specs = match args.task.is_empty() {
        true => USUAL.iter().map(|name| name.parse()).collect::<Result<Vec<Spec>, _>>()?,
        false => args.task.clone(),
    };
    let mut tasks: Vec<Task<'a>> = Vec::new();
    for spec in &specs {
        let mut task = massval::task(spec, Some(args.limit as usize), Some(args.seed), tokens)?;
        task.form = Form { chat: args.chat, system: None };
        if tasks.iter().any(|other| other.name == task.name) {
            task.rename(&spec.to_string());
        }
        tasks.push(task);
    }
    Ok(tasks)
}

fn write(args: &Compare, tasks: &DisruptResult, perplexity: Option<&PerplexityResult>) -> Done {
    let Some(folder) = &args.out else { return Ok(()) };
    let html = html::disrupt_page(tasks)?;
    tasks.write(folder.join("disrupt.json"))?;
    atomic_write(&folder.join("disrupt.html"), |out| out.write_all(html.as_bytes()))?;
    if let Some(perplexity) = perplexity {
        perplexity.write(folder.join("perplexity.json"))?;
    }
    if !args.json {
        tell(&format_args!("wrote the results to {}", folder.display()));
    }
    Ok(())
}

fn show(args: &Compare, tasks: &DisruptResult, perplexity: Option<&PerplexityResult>) -> Done {
    if args.json {
        return print_json(&serde_json::json!({ "tasks": tasks, "perplexity": perplexity }));
    }
    let (width, style) = (width(), style());
    let mut texts = Vec::new();
    match args.format {
        TableFormat::Table => {
            texts.extend(perplexity.map(|result| table::perplexity_table(result, width, style)));
            texts.push(table::disrupt_table(tasks, width, style));
        }
        TableFormat::Markdown => {
            texts.extend(perplexity.map(table::perplexity_markdown));
            texts.push(table::disrupt_markdown(tasks));
        }
        TableFormat::Csv => {
            texts.extend(perplexity.map(table::perplexity_csv));
            texts.push(table::disrupt_csv(tasks));
        }
    }
    print(&texts.join("\n").trim_end())
}
