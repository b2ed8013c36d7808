//! `massval scan`.

use massval::report::schema::ScanResult;
use massval::report::{html, table};
use massval::{ScanOptions, models::tensorfile::atomic_write};

use super::model::{Loaded, check_folder};
use crate::args::Scan;
use crate::output::{Done, Failure, print, print_json, style, tell, width};
use crate::progress::Progress;

pub fn run(args: Scan) -> Done {
    check_folder(&args.out)?;
    let loaded = Loaded::new(&args.model)?;
    let input = loaded.input(&args.input)?;
    let provenance = massval::provenance(&loaded.run, loaded.model.checkpoint(), input)?;
    let mut options = ScanOptions { criterion: args.criterion, ..ScanOptions::default() };
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
        false => print(&table::scan_table(&result, width(), style())?.trim_end()),
    }
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
