//! Items that ask what a model of the small language has learned.

mod conflict;
mod facts;
mod key_value;
mod passkey;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use conflict::{SmallConflict, SmallConflictOptions};
pub use facts::{FactSplit, SmallFacts, SmallFactsOptions};
pub use key_value::{SmallKeyValue, SmallKeyValueOptions};
pub use passkey::{SmallPasskey, SmallPasskeyOptions};

use super::Language;
use super::question::Question;
use crate::identity::Identity;
use crate::{Choice, Error, Gold, Item, Result, Role};

/// Whether items ask for what training uses in this role, or for what is kept from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// What training uses; the texts are new all the same.
    #[default]
    Trained,
    /// What training never uses.
    HeldOut,
}

impl Split {
    fn held_out(self) -> bool {
        self == Self::HeldOut
    }
}

/// What cannot be asked for.
fn refuse<T>(task: &str, what: impl Into<String>) -> Result<T> {
    Err(Error::Options { task: task.to_owned(), what: what.into() })
}

/// Says that nothing is held out, or training would use nothing.
fn none<T>(task: &str, what: &str) -> Result<T> {
    refuse(task, format!("the language has no such {what}; its `held_out` decides"))
}

/// Refuses prompts of so many words where they and their answer would be longer than what training
/// showed; `<s>` counts, too.
fn check_room(task: &str, language: &Language, words: usize, advice: &str) -> Result<()> {
    let (tokens, most) = (words + 1, language.config().sequence);
    if tokens > most {
        let what = format!("prompts and answers of {tokens} tokens; rows have {most}; {advice}");
        return refuse(task, what);
    }
    Ok(())
}

/// Refuses more wrong alternatives than there are.
fn check_wrong(task: &str, wrong: usize, most: usize) -> Result<()> {
    if wrong > most {
        let what = format!("{wrong} wrong alternatives are asked for, at most {most} can be had");
        return refuse(task, what);
    }
    Ok(())
}

/// The item of a question.
fn item(identity: &Identity, index: usize, question: &Question, gold: Gold) -> Item {
    let mut item = Item::new(index, identity.item_id(index), question.prompt.as_str(), gold);
    item.evidence = Some(question.evidence.clone());
    item
}

fn choice(text: &str, role: Role) -> Choice {
    Choice::new(format!(" {text}"), role)
}
