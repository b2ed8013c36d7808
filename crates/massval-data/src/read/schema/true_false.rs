//! Questions about the world to say yes or no to (P1's sports, art, technology and celebrity sets).
//!
//! The sets were written by a model and hold labels that their own `correct_fact` contradicts.
//! They are read as they are: repairing them would make another set.

use super::yes_or_no;
use crate::read::record::Record;
use crate::{Item, Result};

pub(super) fn item(record: &Record) -> Result<Item> {
    Ok(yes_or_no(record.words("question")?, record.flag("answer")?))
}
