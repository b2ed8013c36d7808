//! True and false questions out of facts that one supplies.
//!
//! A fact is a subject, a relation and an object: France, capital, Paris. Every fact becomes a pair of
//! questions, one with its object and one with an object of another fact of the same relation, so
//! that the false question is as plausible as the true one, and half of the answers are yes.
//!
//! The file is a CSV with the columns `subject`, `relation` and `object`, and, if one likes,
//! `template`, how the relation is asked for:
//!
//! ```csv
//! subject,relation,object,template
//! France,capital,Paris,
//! Peru,capital,Lima,
//! Hamlet,author,Shakespeare,Did {object} write {subject}?
//! Faust,author,Goethe,
//! ```
//!
//! ```
//! use massval_data::synthesis::{Facts, KnowledgeQa, KnowledgeQaOptions};
//! use massval_data::{Dataset, Gold};
//!
//! let csv = "subject,relation,object\nFrance,capital,Paris\nPeru,capital,Lima\n";
//! let facts = Facts::from_reader(csv.as_bytes(), "facts.csv")?;
//! let set = KnowledgeQa::new(&facts, KnowledgeQaOptions::default())?;
//! assert_eq!(set.len(), Some(4));
//! let (yes, no) = (set.item(0)?, set.item(1)?);
//! assert!(["Is Paris the capital of France?", "Is Lima the capital of Peru?"].contains(&&*yes.prompt));
//! assert_eq!((yes.gold, no.gold), (Gold::Truth { truth: true }, Gold::Truth { truth: false }));
//! # Ok::<(), massval_data::Error>(())
//! ```

mod facts;
mod knowledge;
mod template;

pub use facts::{Fact, Facts};
pub use knowledge::{KnowledgeQa, KnowledgeQaOptions};

/// `text` without the blanks around it, and with one blank for any run of blanks within.
fn tidy(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What two spellings of the same have in common: letter case aside, blanks as in [`tidy`].
fn fold(text: &str) -> String {
    tidy(&text.to_lowercase())
}
