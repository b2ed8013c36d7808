//! Coins that some people flip and others do not.

use super::yes_or_no;
use crate::read::record::{Record, cut};
use crate::{Item, Result};

pub(super) fn item(record: &Record) -> Result<Item> {
    let question = record.words("question")?;
    let answer = record.text("answer")?;
    let truth = match answer.trim().to_ascii_lowercase().as_str() {
        "yes" => true,
        "no" => false,
        _ => {
            let what = format!("`{}` is neither yes nor no", cut(answer));
            return Err(record.error("answer", what));
        }
    };
    Ok(yes_or_no(question, truth))
}
