//! `massval inspect`.

use massval::detect::PairLayout;
use massval::models::{Checkpoint, PositionEncoding, Traits};

use crate::args::Inspect;
use crate::output::{Done, Failure, amount, plural, print, print_json, wrap};
use crate::source::Source;

pub fn run(args: Inspect) -> Done {
    let checkpoint = Source::new(&args.name)?.inspect()?;
    match args.json {
        true => print_json(&checkpoint)?,
        false => print(&text(&checkpoint))?,
    }
    match checkpoint.report.is_clean() {
        true => Ok(()),
        false => {
            let path = checkpoint.path.display();
            Err(Failure::Work(format!("{path}: {}", checkpoint.report)))
        }
    }
}

fn text(checkpoint: &Checkpoint) -> String {
    let config = &checkpoint.config;
    let position = match &config.position {
        PositionEncoding::Rope(rope) => {
            let scaling = rope.scaling().map(|s| format!(", {} scaling", s.name()));
            format!(
                "RoPE, {}, theta {}, {} of {} channels{}",
                match rope.layout() {
                    PairLayout::HalfSplit => "half-split",
                    PairLayout::Interleaved => "interleaved",
                },
                rope.theta(),
                rope.rotary_dim(),
                config.head_dim,
                scaling.unwrap_or_default()
            )
        }
        PositionEncoding::Learned { positions, .. } => format!("learned, {positions}"),
        PositionEncoding::Alibi(_) => "ALiBi".to_owned(),
        _ => "none".to_owned(),
    };
    let stored: Vec<String> =
        checkpoint.stored.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let parameters = config.parameters();
    let mut lines = vec![
        ("architecture", config.architecture.clone()),
        ("parameters", amount(parameters, "").trim_end().to_owned()),
        ("layers", config.layers.to_string()),
        ("width", format!("{} (MLP {})", config.d_model, config.d_mlp)),
        (
            "heads",
            format!(
                "{} of queries, {} of keys and values, {} channels",
                config.heads, config.kv_heads, config.head_dim
            ),
        ),
        ("positions", position),
        ("built of", built_of(&config.traits())),
        ("longest", config.max_positions.map_or("unknown".to_owned(), |n| format!("{n} tokens"))),
        (
            "vocabulary",
            format!("{}{}", config.vocab_size, if config.tied_head { ", head tied" } else { "" }),
        ),
        (
            "stored as",
            format!(
                "{}, {} in {}",
                checkpoint.format,
                amount(checkpoint.bytes, "B"),
                plural(checkpoint.files.len(), "file")
            ),
        ),
        ("tensors", stored.join(", ")),
        ("in f32", amount(parameters.saturating_mul(4), "B")),
        ("report", checkpoint.report.to_string()),
    ];
    if !checkpoint.unread_fields.is_empty() {
        lines.push(("not read", format!("config fields {}", checkpoint.unread_fields.join(", "))));
    }
    if !checkpoint.skipped.is_empty() {
        lines.push(("skipped", format!("no tensors: {}", checkpoint.skipped.join(", "))));
    }
    if let Some(hub) = &checkpoint.hub {
        lines.insert(0, ("from the hub", format!("{} at {}", hub.name, hub.commit)));
    }
    let line = |(name, value): (&str, String)| format!("{name:<13} {}", wrap(&value, 14));
    lines.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What tells this decoder from others, besides its sizes and positions.
fn built_of(traits: &Traits) -> String {
    let parts = [&traits.norm, &traits.attention, &traits.block, &traits.mlp];
    parts.map(|words| words.join(", ")).join("; ")
}
