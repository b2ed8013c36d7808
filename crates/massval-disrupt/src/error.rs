//! What can be wrong with an intervention.

use massval_hooks::Site;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with an intervention.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something that was written is not a value of its kind.
    #[error("`{given}` is no {what}; known: {known}")]
    Unknown {
        /// The kind of value.
        what: &'static str,
        /// What was given.
        given: String,
        /// What there is.
        known: String,
    },
    /// A number that makes no sense.
    #[error("{name} = {value}: must be {expected}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// Two parts that exclude each other.
    #[error("{what}")]
    Contradiction {
        /// Which parts, and what to do.
        what: String,
    },
    /// A layer, head or channel that the model does not have.
    #[error("{what} {index} does not exist at {site}: the model has {count}, counted from 0")]
    OutOfRange {
        /// `layer`, `head` or `channel`.
        what: &'static str,
        /// What was asked for.
        index: i64,
        /// Where.
        site: Site,
        /// How many there are.
        count: usize,
    },
    /// Nothing was selected: the result would be the undisturbed model's under another name.
    #[error("the intervention \"{intervention}\" selects nothing{}", note(.hint))]
    SelectsNothing {
        /// Its sentence.
        intervention: String,
        /// What to change.
        hint: String,
    },
    /// The detector refused what it was given.
    #[error(transparent)]
    Detect(#[from] massval_detect::Error),
}

fn note(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!("; {hint}") }
}

impl Error {
    pub(crate) fn contradiction(what: impl Into<String>) -> Self {
        Self::Contradiction { what: what.into() }
    }
}
