//! `massval disrupt`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use massval::data::catalog::Spec;
use massval::eval::stats::Bootstrap;
use massval::eval::{Estimate, Experiment, Form, ModelTokens, RunOptions, Task};
use massval::models::tensorfile::atomic_write;
use massval::report::schema::DisruptResult;
use massval::report::{html, table};
use massval::{DisruptOptions, Run};

use super::arms::arms;
use super::kv::kv_arms;
use super::model::{Loaded, check_folder};
use crate::args::{Disrupt, TableFormat};
use crate::output::{
    Done, Failure, amount, duration, plural, print, print_json, style, tell, width,
};
use crate::progress::Progress;

/// Without `--task`: one task of each side.
const USUAL: [&str; 2] = ["passkey", "capitals"];
/// Tokens of a written answer there: the longest has three, and positions are few.
const SMALL_ANSWER: usize = 8;
/// Without arms, for a model trained by massval: channels of a head.
const SMALL_SIZES: [u16; 4] = [1, 2, 4, 8];

pub fn run(args: Disrupt) -> Done {
    if let Some(folder) = &args.out {
        check_folder(folder)?;
    }
    let loaded = Loaded::new(&args.model)?;
    let language = loaded.language();
    let checkpoint = loaded.model.checkpoint();
    let kv = kv_arms(&args.kv, checkpoint, args.intervention.seed)?;
    let usual: &[u16] = match (kv.is_empty(), &language) {
        (true, Some(_)) => &SMALL_SIZES,
        (true, None) => &[1],
        (false, _) => &[],
    };
    let mut arms = arms(&args.intervention, checkpoint, usual)?;
    arms.extend(kv);
    let tokens = ModelTokens::new(loaded.model.tokenizer()?, loaded.name());
    let tasks = tasks(&args, language.as_deref(), &tokens)?;
    let options = RunOptions::default().with_full_answers(args.full_answers);
    let decoders = BTreeMap::new();
    let experiment = Experiment { model: &loaded.model, tasks, arms, options, decoders };
    let mut options = DisruptOptions::default();
    let seed = args.intervention.seed;
    options.bootstrap = Bootstrap { level: args.confidence, seed, ..Bootstrap::default() };
    options.folder = args.out.clone();
    options.resume = args.resume;
    let run = Run { seed: Some(seed), ..loaded.run.clone() };
    if args.dry_run {
        let begun = Instant::now();
        let now = &mut || begun.elapsed().as_secs_f64();
        let estimate = massval::disrupt_estimate(&experiment, &run, &options, now)?;
        return plan(&experiment, &estimate);
    }
    let mut progress = Progress::new("items");
    let result = massval::disrupt(&experiment, &run, &options, &mut |done, all| {
        progress.at(done, all);
    })?;
    loaded.timing("disrupt", progress.finish());
    write(&args, &result)?;
    match (args.json, args.format) {
        (true, _) => print_json(&result),
        (_, TableFormat::Table) => {
            print(&table::disrupt_table(&result, width(), style()).trim_end())
        }
        (_, TableFormat::Markdown) => print(&table::disrupt_markdown(&result).trim_end()),
        (_, TableFormat::Csv) => print(&table::disrupt_csv(&result).trim_end()),
    }
}

/// The tasks of a small language: three that are answered from the context, one from the weights.
fn of_language(path: &Path) -> Result<Vec<Spec>, Failure> {
    let path = path.display();
    let specs = [
        format!("small_passkey:{path}:tokens=40"),
        format!("small_key_value:{path}"),
        format!("small_conflict:{path}"),
        format!("small_facts:{path}"),
    ];
    Ok(specs.iter().map(|spec| spec.parse()).collect::<Result<_, _>>()?)
}

fn tasks<'a>(
    args: &Disrupt,
    language: Option<&Path>,
    tokens: &'a ModelTokens<'a>,
) -> Result<Vec<Task<'a>>, Failure> {
    let specs = match (args.task.is_empty(), language) {
        (true, Some(language)) => of_language(language)?,
        (true, None) => USUAL.iter().map(|name| name.parse()).collect::<Result<Vec<Spec>, _>>()?,
        (false, _) => args.task.clone(),
    };
    let limit = args.limit.map(|limit| limit as usize);
    let mut tasks: Vec<Task<'a>> = Vec::new();
    for spec in &specs {
        let mut task = massval::task(spec, limit, Some(args.intervention.seed), tokens)?;
        task.form = Form { chat: args.chat, system: args.system.clone() };
        if args.task.is_empty() && language.is_some() {
            task.ask.write = task.ask.write.min(SMALL_ANSWER);
        }
        if let Some(most) = args.max_new_tokens
            && task.ask.write > 0
        {
            task.ask.write = most as usize;
        }
        // The same set with other options is another task: its options tell them apart.
        if tasks.iter().any(|other| other.name == task.name) {
            task.rename(&spec.to_string());
        }
        tasks.push(task);
    }
    let unused = args.full_answers || args.max_new_tokens.is_some();
    if unused && tasks.iter().all(|task| task.ask.write == 0) {
        let what = "--max-new-tokens and --full-answers are for written answers, but no task asks \
                    for one; leave them out";
        return Err(Failure::Work(what.to_owned()));
    }
    Ok(tasks)
}

/// What would be run, and what it needs.
fn plan(experiment: &Experiment<'_>, estimate: &Estimate) -> Done {
    print(&format_args!(
        "{} on {} in {}: about {} to read\n\
         memory: {} of weights, up to {} of activations and logits\n\
         disk: about {} of records with --out\n\
         time: about {}, an estimate from a few prompts of each task\n\
         arms:",
        plural(experiment.arms.len(), "arm"),
        plural(experiment.items(), "item"),
        plural(experiment.tasks.len(), "task"),
        plural(estimate.prompt_tokens, "token"),
        amount(estimate.weights, "B"),
        amount(estimate.working, "B"),
        amount(estimate.records, "B"),
        duration(estimate.seconds),
    ))?;
    for arm in &experiment.arms {
        match (&arm.intervention, &arm.kv) {
            (Some(intervention), _) => print(&format_args!("  {}: {intervention}", arm.name))?,
            (None, Some(kv)) => print(&format_args!("  {}: {kv}", arm.name))?,
            (None, None) => print(&format_args!("  {}: the model left alone", arm.name))?,
        }
    }
    Ok(())
}

fn write(args: &Disrupt, result: &DisruptResult) -> Done {
    let Some(folder) = &args.out else { return Ok(()) };
    let (json, page) = (folder.join("disrupt.json"), folder.join("disrupt.html"));
    let html = html::disrupt_page(result)?;
    result.write(&json)?;
    atomic_write(&page, |out| out.write_all(html.as_bytes()))?;
    if !args.json {
        tell(&format_args!("wrote {} and {}", json.display(), page.display()));
    }
    Ok(())
}
