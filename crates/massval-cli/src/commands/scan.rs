//! `massval scan`.

use std::time::Instant;

use massval::report::schema::ScanResult;
use massval::report::{html, table};
use massval::{ScanOptions, models::tensorfile::atomic_write};

use super::model::{Loaded, check_folder};
use crate::args::Scan;
use crate::memory;
use crate::output::{
    Done, Failure, amount, duration, plural, print, print_json, style, tell, width,
};
use crate::progress::Progress;

pub fn run(args: Scan) -> Done {
    check_folder(&args.out)?;
    if args.dry_run {
        return plan(&args);
    }
    let loaded = Loaded::new(&args.model)?;
    let input = loaded.input(&args.input)?;
    let mut options = ScanOptions { criterion: args.criterion, ..ScanOptions::default() };
    options.skip_first = args.skip_first;
    if args.no_activations {
        options.activations = None;
    }
    let mut progress = Progress::new("reading");
    let result =
        massval::scan_run(&loaded.model, &loaded.run, input, &options, &mut |done, all| {
            progress.at(done, all);
        })?;
    loaded.timing("scan", progress.finish());
    write(&args, &result)?;
    match args.json {
        true => print_json(&result),
        false => print(&table::scan_table(&result, width(), style())?.trim_end()),
    }
}

/// What it would take.
fn plan(args: &Scan) -> Done {
    let loaded = Loaded::planned(&args.model)?;
    let tokens = loaded.input(&args.input)?.tokens;
    let limit = memory::limit(args.model.memory_limit);
    let begun = Instant::now();
    let now = &mut || begun.elapsed().as_secs_f64();
    let plan = massval::scan_plan(&loaded.model, &tokens, limit.as_ref(), now)?;
    if args.json {
        return print_json(&plan);
    }
    let how = if plan.streamed { "read layer by layer" } else { "all in memory" };
    print(&format_args!(
        "{} to read, once\n\
         memory: {}; {} of weights, {how}\n\
         disk: {} of checkpoint to read, about {} of results to write\n\
         time: about {}, an estimate from one layer",
        plural(plan.tokens, "token"),
        amount(plan.memory, "B"),
        amount(plan.weights, "B"),
        amount(plan.read, "B"),
        amount(plan.results, "B"),
        duration(plan.seconds),
    ))
}

/// Writes both files, or none.
fn write(args: &Scan, result: &ScanResult) -> Done {
    let (json, page) = (args.out.join("scan.json"), args.out.join("scan.html"));
    let html = html::scan_page(result)?;
    std::fs::create_dir_all(&args.out)
        .map_err(|error| Failure::Work(format!("{}: {error}", args.out.display())))?;
    result.write(&json)?;
    if let Err(error) = atomic_write(&page, |out| out.write_all(html.as_bytes())) {
        // Half a result is none; the error that matters is the page's.
        let _ = std::fs::remove_file(&json);
        return Err(error.into());
    }
    if !args.json {
        tell(&format_args!("wrote {} and {}", json.display(), page.display()));
    }
    Ok(())
}
