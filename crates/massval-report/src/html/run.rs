//! The run behind a result, as every page tells it.

use super::elements::push;
use super::escape::html;
use crate::schema::{InputIdentity, InputSource, Provenance};
use crate::words::{NONE, plural, short};

/// Most tokens that a page prints.
const MOST_TOKENS: usize = 2000;

/// What made the result, as a list that ends with `more`, with the tokens folded away.
pub(super) fn provenance(run: &Provenance, more: &[(&str, String)]) -> String {
    let model = &run.model;
    let mut out = "<dl>\n".to_owned();
    let mut item = |name: &str, value: &str| {
        push(&mut out, format_args!("<dt>{name}</dt><dd>{}</dd>\n", html(value)));
    };
    item("Command", &run.command.join(" "));
    item("Made by", &format!("massval {}", run.massval_version));
    item("Time", run.created.as_deref().unwrap_or("not recorded"));
    item("Model", &model.path_or_name);
    item("Architecture", &model.architecture);
    item("Revision", model.revision.as_deref().unwrap_or(NONE));
    let weights = format!(
        "{}, {} parameters, stored as {}",
        model.format,
        short(model.parameters as f64),
        model.dtype_stored
    );
    item("Weights", &weights);
    for file in &model.files {
        item("File", &format!("{}, {} bytes, BLAKE3 {}", file.name, file.bytes, file.blake3));
    }
    item(
        "Arithmetic",
        &format!("{}, {}, {}", run.device, run.dtype, plural(run.threads, "thread")),
    );
    item("Seed", &run.seed.map_or(NONE.to_owned(), |seed| seed.to_string()));
    item("Input", &input_words(&run.input));
    for (name, value) in more {
        item(name, value);
    }
    out += "</dl>\n";
    out + &tokens(&run.input)
}

fn input_words(input: &InputIdentity) -> String {
    let source = match input.source {
        InputSource::Text => "text file",
        InputSource::Prompt => "prompt",
        InputSource::Tokens => "token ids",
        InputSource::Tasks => "items of tasks",
    };
    let file = input.file.as_deref().map(|file| format!(" {file}")).unwrap_or_default();
    let tokens = match input.tokens.len() {
        0 => String::new(),
        count => format!(", {}", plural(count, "token")),
    };
    let with = |yes: bool| if yes { "with" } else { "without" };
    format!(
        "{source}{file}{tokens}, {} chat template, {} special tokens, SHA-256 {}",
        with(input.chat),
        with(input.special_tokens),
        input.sha256
    )
}

fn tokens(input: &InputIdentity) -> String {
    if input.tokens.is_empty() {
        return String::new();
    }
    let shown = input.tokens.len().min(MOST_TOKENS);
    let mut out = format!(
        "<details><summary>Tokens: {shown} of {}</summary>\n<p class=\"tokens\">",
        input.tokens.len()
    );
    for (position, id) in input.tokens.iter().take(shown).enumerate() {
        let piece = input.pieces.as_ref().and_then(|pieces| pieces.get(position));
        let text = piece.map_or_else(|| id.to_string(), |piece| piece.clone());
        push(
            &mut out,
            format_args!("<span title=\"position {position}, id {id}\">{}</span> ", html(&text)),
        );
    }
    out + "</p></details>\n"
}
