//! `massval perplexity`.

use massval::data::windows::{Bos, Preset, Protocol, Tail, Windows};
use massval::disruption::{Positions, When};
use massval::eval::stats::Bootstrap;
use massval::report::table;
use massval::{PerplexityOptions, Run};

use super::arms::arms;
use super::kv::kv_arms;
use super::model::{Loaded, check_file};
use crate::args::{InterventionArgs, Perplexity, TableFormat};
use crate::output::{Done, Failure, print, print_json, style, tell, width};
use crate::progress::Progress;

/// Tokens of a window, where nothing else is said.
const WINDOW: usize = 1024;

pub fn run(args: Perplexity) -> Done {
    if let Some(path) = &args.out {
        check_file(path)?;
    }
    check(&args.intervention)?;
    let loaded = Loaded::new(&args.model)?;
    let config = loaded.model.decoder().config();
    let checkpoint = loaded.model.checkpoint();
    let mut arms = arms(&args.intervention, checkpoint, &[])?;
    arms.extend(kv_arms(&args.kv, checkpoint, args.intervention.seed)?);
    let mut options = PerplexityOptions::new(windows(&args, config.positions())?);
    options.text.field = args.field.clone();
    let seed = args.intervention.seed;
    options.bootstrap = Bootstrap { seed, ..Bootstrap::default() };
    let run = Run { seed: Some(seed), ..loaded.run.clone() };
    let mut progress = Progress::new("windows");
    let result =
        massval::perplexity(&loaded.model, &run, &args.text, &arms, &options, &mut |done, all| {
            progress.at(done, all);
        })?;
    loaded.timing("perplexity", progress.finish());
    if let Some(path) = &args.out {
        result.write(path)?;
        if !args.json {
            tell(&format_args!("wrote {}", path.display()));
        }
    }
    match (args.json, args.format) {
        (true, _) => print_json(&result),
        (_, TableFormat::Table) => {
            print(&table::perplexity_table(&result, width(), style()).trim_end())
        }
        (_, TableFormat::Markdown) => print(&table::perplexity_markdown(&result).trim_end()),
        (_, TableFormat::Csv) => print(&table::perplexity_csv(&result).trim_end()),
    }
}

/// Refuses what makes sense for prompts and answers alone.
fn check(args: &InterventionArgs) -> Done {
    let what = match (args.when, &args.positions) {
        (When::Decode, _) => "--when decode: a text is read, and nothing is written; use prefill",
        (_, Positions::Evidence) => {
            "--positions evidence: a text has none; use all, first or a span"
        }
        _ => return Ok(()),
    };
    Err(Failure::Work(what.to_owned()))
}

fn windows(args: &Perplexity, positions: Option<usize>) -> Result<Windows, Failure> {
    let length = match args.window {
        Some(length) => length as usize,
        None => positions.map_or(WINDOW, |positions| positions.min(WINDOW)),
    };
    if let Some(rule) = &args.rule {
        let unknown = || Failure::Work(format!("no rule is called {rule}"));
        let preset = Preset::ALL.into_iter().find(|p| p.name() == rule).ok_or_else(unknown)?;
        let protocol = match args.protocol.as_str() {
            "locuslab" => Protocol::Locuslab,
            "bluorion-bos" => Protocol::BluorionBos,
            _ => Protocol::Bluorion,
        };
        return Ok(preset.windows(protocol, length));
    }
    let mut windows = Windows::new(length);
    windows.stride = args.stride.map(|stride| stride as usize);
    windows.bos = if args.bos { Bos::Window } else { Bos::None };
    windows.tail = Tail::Keep;
    windows.limit = args.windows.map(|limit| limit as usize);
    Ok(windows)
}
