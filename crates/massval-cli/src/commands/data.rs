//! `massval data`.

mod balance;
mod list;

use std::io;
use std::path::Path;

use massval::data::catalog::{self, Spec};
use massval::data::{Dataset, Encode, Item};
use massval::eval::ModelTokens;
use massval::models::tensorfile::atomic_write;
use massval::models::tokenizer::Tokenizer;
use massval::models::weights::Weights;
use serde_json::{Value, json};

use crate::args::Data;
use crate::output::{Done, Failure, plural, print, print_json, tell};
use crate::progress::Progress;
use balance::Balance;

pub fn run(args: Data) -> Done {
    let Some(spec) = &args.spec else { return list::run(args.json) };
    let entry = spec.entry();
    if args.seed.is_some() && !entry.options()?.contains_key("seed") {
        return Err(Failure::Work(format!("{}: it has no seed; leave --seed out", entry.name)));
    }
    let tokenizer = args.tokenizer.as_deref().map(load).transpose()?;
    let tokens = tokenizer.as_ref().zip(args.tokenizer.as_deref());
    let tokens = tokens.map(|(tokenizer, path)| ModelTokens::new(tokenizer, name(path)));
    let tokens = tokens.as_ref().map(|tokens| tokens as &dyn Encode);
    if entry.tokenizer && tokens.is_none() {
        let what = "its prompts are measured in tokens; name a model with --tokenizer";
        return Err(Failure::Work(format!("{}: {what}", entry.name)));
    }
    let set = catalog::open(spec, args.seed, tokens)?;
    let count = count(&*set, args.limit.map(|limit| limit as usize))?;

    let mut balance = Balance::default();
    let mut items = (0..count).map(|index| {
        let item = item(&*set, index, tokens)?;
        balance.add(&item.gold);
        Ok(item)
    });
    let mut printed = None;
    match &args.out {
        Some(out) => write(out, items, count)?,
        None if args.json => printed = Some(items.collect::<Result<Vec<_>, Failure>>()?),
        None => items.try_for_each(|item| print(&serde_json::to_string(&item?)?))?,
    }

    let summary = format!("{} of {spec}, gold: {balance}", plural(count, "item"));
    match (&args.out, args.json) {
        (_, true) => {
            let mut value = describe(spec, &*set);
            value["count"] = json!(count);
            value["gold"] = json!(balance);
            value["out"] = json!(args.out.as_ref().map(|out| out.display().to_string()));
            if let Some(items) = printed {
                value["items"] = json!(items);
            }
            print_json(&value)
        }
        (Some(out), false) => print(&format_args!("wrote {}: {summary}", out.display())),
        (None, false) => {
            tell(&summary);
            Ok(())
        }
    }
}

/// How many items are wanted.
fn count(set: &dyn Dataset, limit: Option<usize>) -> Result<usize, Failure> {
    let what = match (set.len(), limit) {
        (Some(len), Some(limit)) if limit > len => {
            format!("{limit} items asked for, but there are {len}")
        }
        (None, None) => "there is no end to its items; say how many with --limit".to_owned(),
        (_, Some(limit)) => return Ok(limit),
        (Some(len), None) => return Ok(len),
    };
    Err(Failure::Work(format!("{}: {what}", set.name())))
}

fn item(set: &dyn Dataset, index: usize, tokens: Option<&dyn Encode>) -> Result<Item, Failure> {
    let mut item = set.item(index)?;
    if let Some(tokens) = tokens {
        item.locate(tokens)?;
    }
    Ok(item)
}

/// Writes all items to a file, or leaves none behind.
fn write(out: &Path, mut items: impl Iterator<Item = Result<Item, Failure>>, count: usize) -> Done {
    let mut progress = Progress::new("items");
    let mut failed = None;
    let written = atomic_write(out, |out| {
        for done in 0..count {
            let item = match items.next() {
                Some(Ok(item)) => item,
                Some(Err(failure)) => {
                    failed = Some(failure);
                    return Err(io::Error::other("an item failed"));
                }
                None => break,
            };
            serde_json::to_writer(&mut *out, &item)?;
            out.write_all(b"\n")?;
            progress.at(done + 1, count);
        }
        Ok(())
    });
    progress.finish();
    // An item that failed is not the fault of the file.
    match failed {
        Some(failure) => Err(failure),
        None => written.map_err(Failure::from),
    }
}

/// What decides the items.
fn describe(spec: &Spec, set: &dyn Dataset) -> Value {
    json!({
        "massval_version": env!("CARGO_PKG_VERSION"),
        "spec": spec,
        "set": set.name(),
        "side": set.side(),
        "description": spec.entry().description,
        "identity": set.identity(),
        "available": set.len(),
    })
}

/// A model's tokenizer, without its weights.
fn load(path: &Path) -> Result<Tokenizer, Failure> {
    let beside = || path.parent().unwrap_or(Path::new(""));
    if path.is_dir() {
        return Ok(Tokenizer::from_folder(path)?);
    }
    if path.ends_with("tokenizer.json") {
        return Ok(Tokenizer::from_folder(beside())?);
    }
    match Weights::open(path)?.gguf() {
        Some(metadata) => Ok(Tokenizer::from_gguf(path, metadata)?),
        None => Ok(Tokenizer::from_folder(beside())?),
    }
}

/// What names the tokenizer in the identity of a set.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
