//! `massval logits`.

use serde_json::json;

use super::model::Loaded;
use crate::args::Logits;
use crate::output::{Done, print, print_json};
use crate::progress::Progress;

/// How many tokens are shown.
const SHOWN: usize = 5;

pub fn run(args: Logits) -> Done {
    let loaded = Loaded::new(&args.model)?;
    let input = loaded.input(&args.input)?;
    let provenance = massval::provenance(&loaded.run, loaded.model.checkpoint(), input)?;
    let mut progress = Progress::new("reading");
    let mut at = |done, all| progress.at(done, all);
    let last = massval::logits(
        loaded.model.decoder(),
        &provenance,
        args.all_positions,
        &args.out,
        &mut at,
    )?;
    loaded.timing("logits", progress.finish());
    let mut order: Vec<usize> = (0..last.len()).collect();
    order.sort_by(|&a, &b| last[b].total_cmp(&last[a]));
    let top: Vec<_> = order
        .into_iter()
        .take(SHOWN)
        .map(|id| {
            let tokenizer = loaded.model.tokenizer().ok();
            (id, tokenizer.map(|t| t.decode_one(id as u32)), last[id])
        })
        .collect();
    if args.json {
        let top: Vec<_> = top
            .iter()
            .map(|(id, piece, logit)| json!({"token": id, "piece": piece, "logit": logit}))
            .collect();
        let out = args.out.display().to_string();
        return print_json(&json!({"out": out, "provenance": provenance, "next": top}));
    }
    print(&format_args!("wrote {}; most likely next:", args.out.display()))?;
    for (id, piece, logit) in top {
        print(&format_args!("{logit:>9.3}  {id:>6}  {:?}", piece.unwrap_or_default()))?;
    }
    Ok(())
}
