//! IMDB: film reviews and their mood (Maas et al. 2011).

use super::{right_and_wrong, unplaced};
use crate::read::record::Record;
use crate::{Gold, Item, Result};

pub(super) fn item(record: &Record) -> Result<Item> {
    let text = record.words("text")?;
    let positive = match record.integer("label")? {
        0 => false,
        1 => true,
        -1 => {
            let what = "-1, as in the unlabelled part of the set; use its train or test part";
            return Err(record.error("label", what));
        }
        other => {
            let what = format!("{other} is neither 0 (negative) nor 1 (positive)");
            return Err(record.error("label", what));
        }
    };
    let (right, wrong) = if positive { ("Positive", "Negative") } else { ("Negative", "Positive") };
    Ok(unplaced(text, Gold::Sentiment { positive }, right_and_wrong(right, wrong)))
}
