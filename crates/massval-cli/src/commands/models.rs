//! `massval models`.

use massval::ArchitectureRecord;

use crate::args::Models;
use crate::output::{Done, plural, print, print_json, wrap};

pub fn run(args: Models) -> Done {
    let all = massval::architectures()?;
    if args.json {
        return print_json(&all);
    }
    for record in &all {
        print(&line(record))?;
    }
    let note = "Parity: the largest absolute differences from transformers, in f32 on the CPU; \
                docs/parity.md has them site by site.";
    print(&format_args!("\n{}", wrap(note, 0)))
}

fn line(record: &ArchitectureRecord) -> String {
    let traits = &record.traits;
    let parity = match &record.parity {
        Some(parity) => format!(
            "logits {:.0e}, sites {:.0e}, {}",
            parity.logits,
            parity.sites,
            plural(parity.cases.len(), "case")
        ),
        None => "none on record".to_owned(),
    };
    let mut text = record.name.clone();
    for (name, value) in [
        ("positions", traits.position.join(", ")),
        ("norm", traits.norm.join(", ")),
        ("attention", traits.attention.join(", ")),
        ("block", traits.block.join(", ")),
        ("MLP", traits.mlp.join(", ")),
        ("parity", parity),
    ] {
        text.push_str(&format!("\n  {name:<10} {}", wrap(&value, 13)));
    }
    text
}
