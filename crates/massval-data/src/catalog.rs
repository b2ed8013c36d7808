//! Sets by name: from a text such as `passkey:tokens=512,depths=50` to the set.
//!
//! A [`Spec`] is what one types, and what results hold:
//!
//! ```text
//! NAME                            capitals
//! NAME:OPTION=VALUE,..            key_value:pairs=20,form=lines
//! NAME:FILE                       gsm8k:data/test.jsonl
//! NAME:FILE:OPTION=VALUE,..       aqua:data/dev.json:options_in_prompt=false
//! ```
//!
//! - What follows the name is a file up to the first `:` behind which an option begins: letters,
//!   digits, `_` or `-`, then `=`. A file may have `:` and `=` in its path; one whose path itself begins
//!   like an option is written with `./` before it.
//! - A value goes on to the next `,` behind which an option begins. So lists and texts may have
//!   commas: `passkey:depths=0,50,100,digits=12`.
//! - Some sets are generated without a file and read with one: `cities` and `cities:cities.csv`. Those of
//!   the small language are generated either way; the file is a
//!   [`LanguageConfig`](crate::language::LanguageConfig): `small_facts:language.json`.
//!
//! Names and options are checked when a spec is parsed; files, and what depends on a tokenizer, when it
//! is [opened](open).
//!
//! ```
//! use massval_data::catalog::{Spec, open};
//!
//! let spec: Spec = "capitals:form=question,wrong=3".parse()?;
//! let set = open(&spec, Some(7), None)?;
//! assert_eq!(set.identity()["options"]["seed"], 7);
//! assert!(set.item(0)?.prompt.starts_with("Question: What is the capital of "));
//!
//! let error = "capitals:from=question".parse::<Spec>().unwrap_err().to_string();
//! assert!(error.contains("did you mean `form`?"));
//! # Ok::<(), massval_data::Error>(())
//! ```

mod entry;
mod options;
mod source;
mod spec;
#[cfg(test)]
mod tests;

pub use entry::{Entry, entries};
pub use spec::Spec;

use crate::{Dataset, Encode, Result};

/// Opens the set that `spec` names.
///
/// `seed` is for sets that have one and whose spec does not say it. A set that counts tokens
/// ([`Entry::tokenizer`]) keeps `tokenizer`; the others do not need one.
///
/// # Errors
/// [`Error::Options`](crate::Error::Options) for options out of range, and where a tokenizer is
/// missing; what reading the file meets.
pub fn open<'a>(
    spec: &Spec,
    seed: Option<u64>,
    tokenizer: Option<&'a dyn Encode>,
) -> Result<Box<dyn Dataset + 'a>> {
    let source = spec.entry().kind.source().with(spec.entry().name, spec.options(), seed)?;
    source.open(spec.entry().name, spec.path(), tokenizer)
}

/// The name among `known` that `name` was meant to be, if one is alike.
fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let alike = |known: &str| strsim::jaro_winkler(name, known);
    let near = known.into_iter().filter(|known| alike(known) >= 0.75);
    near.max_by(|a, b| alike(a).total_cmp(&alike(b)))
}

/// What to say of a name that is none of `known`.
fn hint<'k>(name: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> String {
    let all: Vec<&str> = known.clone().into_iter().collect();
    match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`? There are {}", all.join(", ")),
        None => format!("there are {}", all.join(", ")),
    }
}
