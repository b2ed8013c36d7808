//! The list of all sets.

use massval::data::Side;
use massval::data::catalog::{Entry, entries};
use serde_json::{Value, json};

use crate::output::{Done, Failure, print, print_json, wrap};

/// The column of the descriptions.
const COLUMN: usize = 26;

pub fn run(json: bool) -> Done {
    if json {
        return print_json(&entries().iter().map(value).collect::<Result<Vec<_>, _>>()?);
    }
    for (side, title) in [
        (Side::Contextual, "contextual: what the answer needs is in the prompt"),
        (Side::Parametric, "parametric: what the answer needs is in the weights"),
    ] {
        print(&title)?;
        for entry in entries().iter().filter(|entry| entry.side == side) {
            print(&lines(entry)?)?;
        }
        print(&"")?;
    }
    let rest = "`massval data SPEC` prints the items of a set: `massval data capitals --limit 3`";
    print(&wrap(rest, 0))
}

fn value(entry: &Entry) -> Result<Value, Failure> {
    let mut value = serde_json::to_value(entry)?;
    value["options"] = json!(entry.options()?);
    Ok(value)
}

/// A set's name, what an item of it is, and what it needs and takes.
fn lines(entry: &Entry) -> Result<String, Failure> {
    let name = format!("{}{}", entry.name, if entry.file { ":FILE" } else { "" });
    let options = entry.options()?;
    let options: Vec<&str> = options.keys().map(String::as_str).collect();
    let needs = if entry.tokenizer { "needs a tokenizer; " } else { "" };
    let takes = format!("{needs}options {}", options.join(", "));
    let indent = " ".repeat(COLUMN);
    Ok(format!(
        "  {name:<width$}{}\n{indent}{}",
        wrap(entry.description, COLUMN),
        wrap(&takes, COLUMN),
        width = COLUMN - 2
    ))
}
