//! `massval detect`.

use massval::detect::{PairLayout, RopeBands};
use massval::models::tensorfile;
use massval::report::schema::SkippedEntry;
use massval::report::table::detect_table;
use massval::{DetectOptions, Run};

use super::model::{command, now};
use crate::args::Detect;
use crate::output::{Done, Failure, one_line, print, print_json, style, tell, width};

/// How many skipped entries the line on standard error names.
const NAMED: usize = 5;

pub fn run(args: Detect) -> Done {
    let run = Run { command: command(), created: Some(now()), ..Run::default() };
    let options = DetectOptions {
        criterion: args.criterion.validate()?,
        layout: args.layout,
        skip_first: args.skip_first,
        bands: bands(&args)?,
        names: args.name.clone(),
    };
    let result = massval::detect_files(&args.tensors, &run, &options)?;
    if let Some(out) = &args.out {
        result.write(out)?;
        if !args.json {
            tell(&format_args!("wrote {}", out.display()));
        }
    }
    if !args.json && !result.skipped.is_empty() {
        tell(&format_args!("skipped {}", skipped(&result.skipped)));
    }
    match args.json {
        true => print_json(&result),
        false => print(&detect_table(&result, width(), style()).trim_end()),
    }
}

/// What was not judged, in one line: `2 entries: a.pt:step (no tensor), a.pt:ids (2 axes)`.
fn skipped(entries: &[SkippedEntry]) -> String {
    let named = entries.iter().take(NAMED).map(|e| format!("{} ({})", e.label(), e.why));
    let mut line = match entries.len() {
        1 => "1 entry: ".to_owned(),
        count => format!("{count} entries: "),
    };
    line.push_str(&named.collect::<Vec<_>>().join(", "));
    if let Some(more @ 1..) = entries.len().checked_sub(NAMED) {
        line.push_str(&format!(" and {more} more"));
    }
    one_line(&line)
}

/// The rotary pairs, for heads as wide as those of the first tensor with the layout's rank.
fn bands(args: &Detect) -> Result<Option<RopeBands>, Failure> {
    let Some(theta) = args.rope_theta else { return Ok(None) };
    for path in &args.tensors {
        let tensors = tensorfile::read(path)?.tensors;
        let heads = tensors.iter().find(|tensor| tensor.shape.len() == args.layout.rank());
        if let Some(&head_dim) = heads.and_then(|tensor| tensor.shape.last()) {
            let rotary = args.rotary_dim.unwrap_or(head_dim);
            return Ok(Some(RopeBands::new(head_dim, rotary, theta, PairLayout::HalfSplit)?));
        }
    }
    Ok(None)
}
