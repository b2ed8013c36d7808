//! What a reader may be asked to do otherwise.

use serde::{Deserialize, Serialize};

use super::{Format, Schema};
use crate::{Error, Result};

/// What a reader may be asked to do otherwise. An option that the schema does not have is an error.
///
/// ```
/// use massval_data::read::{Options, Unanswerable};
/// let mut options = Options::default();
/// options.unanswerable = Some(Unanswerable::Skip);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Options {
    /// The format; told by the file where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// AQuA-RAT only: whether the prompt lists the options after the question. It does where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options_in_prompt: Option<bool>,
    /// SQuAD only: what becomes of questions that the context does not answer. They are refused
    /// where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanswerable: Option<Unanswerable>,
}

/// What becomes of questions without an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unanswerable {
    /// The set is refused.
    #[default]
    Refuse,
    /// They are left out, and [`FileSet::skipped`](super::FileSet::skipped) counts them.
    Skip,
}

impl Options {
    /// Whether AQuA's options stand in the prompt.
    pub(crate) fn options_in_prompt(&self) -> bool {
        self.options_in_prompt.unwrap_or(true)
    }

    /// What becomes of SQuAD's questions without an answer.
    pub(crate) fn unanswerable(&self) -> Unanswerable {
        self.unanswerable.unwrap_or_default()
    }

    /// # Errors
    /// [`Error::Options`] for one that `schema` does not have.
    pub(crate) fn check(&self, schema: Schema) -> Result<()> {
        let only = [
            ("options_in_prompt", self.options_in_prompt.is_some(), Schema::Aqua),
            ("unanswerable", self.unanswerable.is_some(), Schema::Squad),
        ];
        for (name, given, owner) in only {
            if given && schema != owner {
                return Err(Error::Options {
                    task: schema.to_string(),
                    what: format!("the option `{name}` belongs to `{owner}`; leave it out"),
                });
            }
        }
        Ok(())
    }
}
