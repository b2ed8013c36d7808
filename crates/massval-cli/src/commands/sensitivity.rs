//! `massval sensitivity`.

use massval::data::windows::{Tail, Windows};
use massval::eval::stats::Bootstrap;
use massval::models::tensorfile::atomic_write;
use massval::quant::WeightScheme;
use massval::quant::recipe::Recipe;
use massval::report::schema::SensitivityResult;
use massval::report::{html, table};
use massval::{PerplexityOptions, Run, SensitivityOf, SensitivityOptions};

use super::model::{Loaded, check_folder};
use crate::args::{Sensitivity, TableFormat};
use crate::output::{Done, Failure, print, print_json, style, tell, width};
use crate::progress::Progress;

/// Tokens of a window, where nothing else is said.
const WINDOW: usize = 256;

pub fn run(args: Sensitivity) -> Done {
    if args.format == TableFormat::Markdown {
        let what = "there is no Markdown of it; use --format table or csv, or --json";
        return Err(Failure::Work(what.to_owned()));
    }
    if args.by.as_deref() == Some("kl") && !args.measure {
        return Err(Failure::Work("--by kl needs the damage: add --measure".to_owned()));
    }
    if let Some(folder) = &args.out {
        check_folder(folder)?;
    }
    let scheme = WeightScheme::new(args.bits, args.group_size);
    let treatment = massval::treatment(args.keep_bits)?;
    let loaded = Loaded::new(&args.model)?;
    let positions = loaded.model.decoder().config().positions();
    let length = match args.window {
        Some(length) => length as usize,
        None => positions.map_or(WINDOW, |positions| positions.min(WINDOW)),
    };
    let mut windows = Windows::new(length);
    windows.tail = Tail::Keep;
    windows.limit = Some(args.windows as usize);
    let mut text = PerplexityOptions::new(windows);
    text.text.field = args.field.clone();
    text.bootstrap = Bootstrap { seed: args.seed, ..Bootstrap::default() };
    let mut options = SensitivityOptions::new(scheme);
    options.criterion = args.criterion;
    options.measure = args.measure;
    if args.linears {
        options.of = SensitivityOf::Linears;
    }
    let run = Run { seed: Some(args.seed), ..loaded.run.clone() };
    let mut progress = Progress::new("windows");
    let told = &mut |done, all| progress.at(done, all);
    let result = massval::sensitivity(&loaded.model, &run, &args.text, &text, &options, told)?;
    loaded.timing("sensitivity", progress.finish());
    let recipe = match args.keep {
        Some(keep) => {
            let by = args.by.as_deref();
            let keep = keep as usize;
            Some(massval::sensitivity_recipe(&result, &scheme, by, keep, treatment)?)
        }
        None => None,
    };
    write(&args, &result, recipe.as_ref())?;
    match (args.json, args.format) {
        (true, _) => print_json(&result),
        (_, TableFormat::Csv) => print(&table::sensitivity_csv(&result).trim_end()),
        (_, _) => print(&table::sensitivity_table(&result, width(), style()).trim_end()),
    }
}

fn write(args: &Sensitivity, result: &SensitivityResult, recipe: Option<&Recipe>) -> Done {
    let Some(folder) = &args.out else { return Ok(()) };
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::Work(format!("{}: {error}", folder.display())))?;
    let (json, page) = (folder.join("sensitivity.json"), folder.join("sensitivity.html"));
    let html = html::sensitivity_page(result)?;
    result.write(&json)?;
    atomic_write(&page, |out| out.write_all(html.as_bytes()))?;
    let mut wrote = vec![json, page];
    if let Some(recipe) = recipe {
        for (name, text) in [
            ("recipe.json", recipe.json()?),
            ("llm-compressor.yaml", recipe.llm_compressor()),
            ("gptqmodel.json", recipe.gptqmodel()?),
        ] {
            let path = folder.join(name);
            atomic_write(&path, |out| out.write_all(text.as_bytes()))?;
            wrote.push(path);
        }
    }
    if !args.json {
        let wrote: Vec<String> = wrote.iter().map(|path| path.display().to_string()).collect();
        tell(&format_args!("wrote {}", wrote.join(", ")));
    }
    Ok(())
}
