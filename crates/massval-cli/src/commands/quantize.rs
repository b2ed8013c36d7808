//! `massval quantize`.

use std::path::Path;
use std::time::Instant;

use massval::data::windows::{Tail, Windows};
use massval::models::Model;
use massval::quant::smooth::Alpha;
use massval::quant::{ActivationScheme, Bits, ColumnOrder, Granularity};
use massval::quantize::{
    CalibrationOptions, CalibrationSet, Method, QuantizeOptions, QuantizeResult, Score, Smoothing,
    calibrate, protected_channels, read_recipe,
};
use massval::{PerplexityOptions, Run};

use super::model::{Loaded, check_folder};
use crate::args::{AlphaArg, CalibrationArgs, Quantize, quantized_format};
use crate::memory;
use crate::output::{Done, Failure, amount, duration, plural, print, print_json, tell};
use crate::progress::Progress;

/// Shares that a search for SmoothQuant's alpha tries.
const ALPHAS: [f32; 9] = [0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9];
/// How perplexity is measured for the model card.
const SCORED: (usize, usize) = (256, 16);

pub fn run(args: Quantize) -> Done {
    check_folder(&args.out)?;
    let loaded = match args.dry_run {
        true => Loaded::planned(&args.model)?,
        false => Loaded::new(&args.model)?,
    };
    let options = options(&args, &loaded.model)?;
    let set = set(&args.calibration);
    let calibration = match set {
        Some(set) if options.needs_calibration() => {
            let mut read = CalibrationOptions::new(set);
            read.samples = args.calibration.samples as usize;
            let positions = loaded.model.decoder().config().positions().unwrap_or(usize::MAX);
            read.length = match args.calibration.length {
                Some(length) => length as usize,
                None => read.length.min(positions),
            };
            read.chat = args.calibration.chat;
            read.seed = args.calibration.seed;
            Some(calibrate(&loaded.model, &read)?)
        }
        Some(_) => {
            let what = format!("{} reads no text; leave it out", args.method);
            return Err(Failure::Work(what));
        }
        None if options.needs_calibration() => {
            let what =
                format!("{} needs a text to calibrate with: give --text or --task", args.method);
            return Err(Failure::Work(what));
        }
        None => None,
    };
    if args.dry_run {
        return plan(&args, &loaded.model, &options, calibration);
    }
    let run = Run { seed: Some(args.calibration.seed), ..loaded.run.clone() };
    let mut progress = Progress::new("blocks");
    let mut score = |folder: &Path| match &args.score {
        Some(text) => scores(&loaded, folder, text).map_err(|failure| match failure {
            Failure::Work(line) => massval::Error::Input(line),
            Failure::Closed => massval::Error::Input("standard output was closed".to_owned()),
        }),
        None => Ok(Vec::new()),
    };
    let told = &mut |done, all| progress.at(done, all);
    let (model, out, resume) = (&loaded.model, &args.out, args.resume);
    let result = massval::quantize::quantize(
        model,
        &run,
        &options,
        calibration,
        out,
        resume,
        &mut score,
        told,
    )?;
    loaded.timing("quantize", progress.finish());
    match args.json {
        true => print_json(&result),
        false => {
            tell(&format_args!("wrote {}", args.out.display()));
            print(&summary(&result))
        }
    }
}

fn options(args: &Quantize, model: &Model) -> Result<QuantizeOptions, Failure> {
    let smooth = args.method == Method::SmoothQuant;
    let recipe = match &args.recipe {
        Some(path) => Some(read_recipe(path, model.checkpoint())?),
        None => None,
    };
    let bits = args.bits.or(recipe.as_ref().map(|recipe| recipe.bits));
    let bits = bits.unwrap_or(if smooth { Bits::Eight } else { Bits::Four });
    let activations = match args.activations.as_deref() {
        Some("static") => Some(ActivationScheme::per_tensor()),
        Some("dynamic") => Some(ActivationScheme::per_token()),
        None if smooth => Some(ActivationScheme::per_token()),
        _ => None,
    };
    let granularity = match (args.group_size, activations) {
        (Some(granularity), _) => granularity,
        (None, Some(_)) => Granularity::Channel,
        (None, None) => Granularity::group(128)?,
    };
    let format = quantized_format(&args.format, bits, activations.is_some());
    let mut options = QuantizeOptions::new(args.method, bits, granularity, format);
    options.activations = activations;
    if let Some(recipe) = &recipe {
        options = options.with_recipe(recipe);
    }
    if args.asymmetric {
        options.scheme = options.scheme.asymmetric();
    }
    if args.range == "mse" {
        options.scheme = options.scheme.searched();
    }
    options.smoothing = match args.alpha {
        AlphaArg::One(alpha) => Smoothing::Alpha(alpha),
        AlphaArg::Search => {
            Smoothing::Search(ALPHAS.iter().map(|&a| Alpha::new(a)).collect::<Result<_, _>>()?)
        }
    };
    if args.no_clip {
        options.clip = None;
    }
    options.gptq.damping = args.damping;
    if args.act_order {
        options.gptq.order = ColumnOrder::Activation;
    }
    options.gptq.static_groups = args.static_groups;
    options.ignore.clone_from(&args.ignore);
    options.shard_bytes = args.shard_size;
    options.protection = args.protect_as;
    if let Some(findings) = &args.protect {
        options.protect = protected_channels(findings, model.checkpoint())?;
    }
    Ok(options)
}

fn set(args: &CalibrationArgs) -> Option<CalibrationSet> {
    let file =
        args.text.clone().map(|path| CalibrationSet::File { path, field: args.field.clone() });
    let task = || args.task.clone().map(CalibrationSet::Task);
    file.or_else(task).or_else(|| args.tokens.clone().map(CalibrationSet::Tokens))
}

/// Perplexity of the model and of what was made of it.
fn scores(loaded: &Loaded, folder: &Path, text: &Path) -> Result<Vec<Score>, Failure> {
    let (length, count) = SCORED;
    let mut windows = Windows::new(length);
    windows.limit = Some(count);
    windows.tail = Tail::Keep;
    let options = PerplexityOptions::new(windows);
    let arms = [massval::eval::Arm::none()];
    let device = loaded.run.device.open()?;
    let dtype = massval::dtype(&loaded.run.dtype)?;
    let limit = memory::limit(None);
    let after = massval::load(folder, &device, dtype, limit.as_ref(), &mut |_, _| {})?;
    let measured = |model: &Model| -> Result<f64, Failure> {
        let result =
            massval::perplexity(model, &loaded.run, text, &arms, &options, &mut |_, _| {})?;
        Ok(result.arms.first().map_or(f64::NAN, |arm| arm.perplexity))
    };
    let name = text.file_name().unwrap_or(text.as_os_str()).to_string_lossy();
    Ok(vec![Score {
        text: format!("{name}, {count} windows of {length} tokens"),
        base: measured(&loaded.model)?,
        quantized: measured(&after)?,
    }])
}

/// What it would take.
fn plan(
    args: &Quantize,
    model: &Model,
    options: &QuantizeOptions,
    calibration: Option<(Vec<massval::models::Batch>, massval::quantize::CalibrationRecord)>,
) -> Done {
    let batches = calibration.map(|(batches, _)| batches).unwrap_or_default();
    let limit = memory::limit(args.model.memory_limit);
    let begun = Instant::now();
    let now = &mut || begun.elapsed().as_secs_f64();
    let plan = massval::quantize::quantize_plan(model, options, &batches, limit.as_ref(), now)?;
    if args.json {
        return print_json(&plan);
    }
    let how = if plan.streamed { "read block by block" } else { "all in memory" };
    print(&format_args!(
        "{} to quantize, calibrated with {}\n\
         memory: {}, the model {how}; {} of it activations\n\
         disk: {} of checkpoint, {} while it is put together\n\
         time: about {}, an estimate from one block",
        plural(plan.linears, "linear"),
        plural(plan.tokens, "token"),
        amount(plan.memory, "B"),
        amount(plan.activations, "B"),
        amount(plan.checkpoint, "B"),
        amount(plan.disk, "B"),
        duration(plan.seconds),
    ))
}

fn summary(result: &QuantizeResult) -> String {
    use std::fmt::Write;
    let [before, after] = result.bytes;
    let count = |bits| result.linears.iter().filter(|l| !l.float && l.bits == bits).count();
    let others = Bits::ALL.map(|bits| match count(Some(bits)) {
        0 => String::new(),
        count => format!(", {count} of {bits} bits"),
    });
    let mut text = format!(
        "{} of {} bits{} by {}: {} of weights, before {}",
        plural(count(None), "linear"),
        result.options.scheme.bits,
        others.concat(),
        result.options.method,
        amount(after, "B"),
        amount(before, "B"),
    );
    let mut errors: Vec<(&str, f64)> = result
        .linears
        .iter()
        .map(|linear| (linear.name.as_str(), linear.output_error.unwrap_or(linear.weight_error)))
        .collect();
    errors.sort_by(|a, b| b.1.total_cmp(&a.1));
    let of = match result.linears.iter().any(|linear| linear.output_error.is_some()) {
        true => "outputs",
        false => "weights",
    };
    let _ = write!(text, "\nlargest errors of {of}, as a share of their power:");
    for (name, error) in errors.iter().take(5) {
        let _ = write!(text, "\n  {error:.2e}  {name}");
    }
    let raised = result.linears.iter().filter(|l| l.damping.is_some_and(|(_, raised)| raised > 0));
    if let count @ 1.. = raised.count() {
        let _ = write!(text, "\ndamping had to be raised for {}", plural(count, "linear"));
    }
    for score in &result.scores {
        let _ = write!(
            text,
            "\nperplexity of {}: {:.3}, before {:.3}",
            score.text, score.quantized, score.base
        );
    }
    text
}
