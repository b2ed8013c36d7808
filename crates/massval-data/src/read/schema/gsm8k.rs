//! GSM8K: problems whose answer ends in a number (Cobbe et al. 2021).

use super::unplaced;
use crate::read::record::{Record, cut};
use crate::{Gold, Item, Result};

pub(super) fn item(record: &Record) -> Result<Item> {
    let question = record.words("question")?;
    let answer = record.words("answer")?;
    let Some((_, last)) = answer.rsplit_once("####") else {
        return Err(record.error("answer", "has no `#### ` with the number after it"));
    };
    let number: String = last.trim().replace(['$', ','], "");
    if !is_number(&number) {
        let what = format!("`{}` after `####` is not a number", cut(last.trim()));
        return Err(record.error("answer", what));
    }
    Ok(unplaced(question, Gold::Number { number }, Vec::new()))
}

/// Digits, with a sign before and a fraction after them or not.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    }
}

#[cfg(test)]
mod tests {
    use super::is_number;

    #[test]
    fn numbers_are_told_from_words() {
        for number in ["18", "-5", "0.25", "-1.50", "007"] {
            assert!(is_number(number), "{number}");
        }
        for other in ["", "-", ".5", "5.", "1e3", "2/3", "18 eggs", "--1", "1.2.3", "٣"] {
            assert!(!is_number(other), "{other}");
        }
    }
}
