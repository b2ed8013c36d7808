//! `massval scan`.

use massval::report::schema::ScanResult;
use massval::report::{html, table};
use massval::{ScanOptions, models::tensorfile::atomic_write};

use super::model::Loaded;
use crate::args::Scan;
use crate::output::{Done, Failure, print, print_json, style, tell, width};
use crate::progress::Progress;

pub fn run(args: Scan) -> Done {
    std::fs::create_dir_all(&args.out)
        .map_err(|error| Failure::Work(format!("{}: {error}", args.out.display())))?;
    let loaded = Loaded::new(&args.model)?;
    let input = loaded.input(&args.input)?;
    let provenance = massval::provenance(&loaded.run, loaded.model.checkpoint(), input)?;
    let mut options = ScanOptions { criterion: args.criterion.clone(), ..ScanOptions::default() };
    options.skip_first = args.skip_first;
    if args.no_activations {
        options.activations = None;
    }
    let mut progress = Progress::new("reading");
    let result = massval::scan(&loaded.model, provenance, &options, &mut |done, all| {
        progress.at(done, all);
    })?;
    loaded.timing("scan", progress.finish());
    write(&args, &result)?;
    match args.json {
        true => print_json(&result),
        false => print(&table::scan_table(&result, width(), style())?),
    }
}

fn write(args: &Scan, result: &ScanResult) -> Done {
    let (json, page) = (args.out.join("scan.json"), args.out.join("scan.html"));
    result.write(&json)?;
    let html = html::scan_page(result)?;
    atomic_write(&page, |out| out.write_all(html.as_bytes()))?;
    if !args.json {
        tell(&format_args!("wrote {} and {}", json.display(), page.display()));
    }
    Ok(())
}
