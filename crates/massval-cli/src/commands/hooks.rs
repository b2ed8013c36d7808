//! `massval hooks`.

use massval::hooks::{explain, select};

use crate::args::Hooks;
use crate::output::{Done, print, print_json, wrap};
use crate::source::Source;

pub fn run(args: Hooks) -> Done {
    let config = Source::new(&args.name)?.inspect()?.config;
    let available = config.hook_points();
    let mut points = Vec::new();
    for pattern in &args.patterns {
        points.extend(select(&available, pattern)?);
    }
    if args.patterns.is_empty() {
        points.extend(available.iter());
    }
    let explained: Vec<_> = points.iter().map(|point| available.explain(*point)).collect();
    if args.json {
        return print_json(&explained);
    }
    if args.patterns.is_empty() {
        // One line for each site: the layers differ in nothing but their number.
        for point in available.iter().filter(|point| point.layer.unwrap_or(0) == 0) {
            let name = point.to_string().replacen("blocks.0.", "blocks.{l}.", 1);
            print(&format_args!("{name:<34} {}", explain(point).dims))?;
        }
        let layers = format!("0 to {}", config.layers - 1);
        return print(&format_args!("\nlayers l: {layers}; `massval hooks MODEL GLOB` explains"));
    }
    for explanation in explained {
        print(&format_args!("{}  {}", explanation.point, explanation.dims))?;
        print(&format_args!("  {}", wrap(explanation.description, 2)))?;
        for alias in explanation.aliases.iter().skip(1) {
            print(&format_args!("  also {}", alias.name))?;
        }
    }
    Ok(())
}
