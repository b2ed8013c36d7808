//! `massval detect`.

use massval::detect::{PairLayout, RopeBands};
use massval::models::tensorfile;
use massval::report::table::detect_table;
use massval::{DetectOptions, Run};

use super::model::{command, now};
use crate::args::Detect;
use crate::output::{Done, Failure, print, print_json, style, tell, width};

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
    match args.json {
        true => print_json(&result),
        false => print(&detect_table(&result, width(), style()).trim_end()),
    }
}

/// The rotary pairs, for heads as wide as those of the first tensor with the layout's rank.
fn bands(args: &Detect) -> Result<Option<RopeBands>, Failure> {
    let Some(theta) = args.rope_theta else { return Ok(None) };
    for path in &args.tensors {
        let tensors = tensorfile::read(path)?;
        let heads = tensors.iter().find(|tensor| tensor.shape.len() == args.layout.rank());
        if let Some(&head_dim) = heads.and_then(|tensor| tensor.shape.last()) {
            let rotary = args.rotary_dim.unwrap_or(head_dim);
            return Ok(Some(RopeBands::new(head_dim, rotary, theta, PairLayout::HalfSplit)?));
        }
    }
    Ok(None)
}
