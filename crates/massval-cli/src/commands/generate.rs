//! `massval generate`.

use massval::hooks::HookSet;
use massval::models::{Finish, GenerateOptions, Sampling};
use serde_json::json;

use super::model::Loaded;
use crate::args::Generate;
use crate::output::{Done, Failure, print, print_json, tell};
use crate::progress::Progress;

pub fn run(args: Generate) -> Done {
    let mut loaded = Loaded::new(&args.model)?;
    let input = loaded.input(&args.input)?;
    let stop = match loaded.model.tokenizer() {
        Ok(tokenizer) if !args.ignore_eos => tokenizer.eos_ids().to_vec(),
        _ => Vec::new(),
    };
    let mut options = GenerateOptions::greedy(args.max_new_tokens as usize).with_stop(&stop);
    if let Some(temperature) = args.temperature {
        let (top_k, top_p, seed) = (args.top_k.map(|k| k as usize), args.top_p, args.seed);
        options = options.with_sampling(Sampling::Random { temperature, top_k, top_p, seed });
        loaded.run.seed = Some(seed);
    }
    let mut progress = Progress::new("writing");
    let mut done = 0;
    let generated = loaded.model.decoder().generate(
        &[&input.tokens],
        &options,
        &mut HookSet::none(),
        &mut |_, _| {
            done += 1;
            progress.at(done, options.max_new_tokens);
        },
    )?;
    loaded.timing("generate", progress.finish());
    let generated =
        generated.into_iter().next().ok_or_else(|| Failure::Work("nothing came back".into()))?;
    let tokenizer = loaded.model.has_tokenizer().then(|| loaded.model.tokenizer()).transpose()?;
    let text = tokenizer.map(|t| t.decode(&generated.tokens, true)).transpose()?;
    if args.json {
        let provenance = massval::provenance(&loaded.run, loaded.model.checkpoint(), input)?;
        return print_json(&json!({
            "text": text,
            "tokens": generated.tokens,
            "finish": generated.finish,
            "options": options,
            "provenance": provenance,
        }));
    }
    match text {
        Some(text) => print(&text)?,
        None => print(&format_args!("{:?}", generated.tokens))?,
    }
    if generated.finish == Finish::Positions {
        tell(&"massval: stopped: the model has no more positions");
    }
    Ok(())
}
