//! `massval capture`.

use std::io::IsTerminal;

use massval::CapturePlan;
use serde_json::json;

use super::model::Loaded;
use crate::args::Capture;
use crate::output::{Done, amount, plural, print, print_json, tell};
use crate::progress::Progress;

pub fn run(args: Capture) -> Done {
    let loaded = Loaded::new(&args.model)?;
    let input = loaded.input(&args.input)?;
    let decoder = loaded.model.decoder();
    let patterns: Vec<&str> = args.hooks.iter().map(String::as_str).collect();
    let plan = CapturePlan::new(decoder, &patterns, input.tokens.len())?;
    let size = format!(
        "{}, {}, {}",
        plural(plan.points().len(), "tensor"),
        amount(plan.bytes(), "B"),
        plural(input.tokens.len(), "token"),
    );
    if args.dry_run && !args.json {
        for (point, shape) in plan.points() {
            print(&format_args!("{point} {shape:?}"))?;
        }
        return print(&size);
    }
    if !args.dry_run {
        if std::io::stderr().is_terminal() {
            tell(&format_args!("capturing {size}"));
        }
        let provenance = massval::provenance(&loaded.run, loaded.model.checkpoint(), input)?;
        let mut progress = Progress::new("reading");
        massval::capture(decoder, &plan, &provenance, &args.out, &mut |done, all| {
            progress.at(done, all);
        })?;
        loaded.timing("capture", progress.finish());
    }
    match args.json {
        false => print(&format_args!("wrote {}: {size}", args.out.display())),
        true => {
            let points: Vec<_> = plan
                .points()
                .map(|(point, shape)| json!({"name": point.to_string(), "shape": shape}))
                .collect();
            let written = (!args.dry_run).then(|| args.out.display().to_string());
            print_json(&json!({"out": written, "bytes": plan.bytes(), "tensors": points}))
        }
    }
}
