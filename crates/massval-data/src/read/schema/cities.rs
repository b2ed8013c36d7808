//! Statements about cities, asked as questions.

use super::yes_or_no;
use crate::read::record::{Record, cut};
use crate::{Item, Result};

pub(super) fn item(record: &Record) -> Result<Item> {
    let statement = record.words("statement")?;
    record.words("city")?;
    let Some(question) = question(statement) else {
        let what = format!("`{}` has no word `is` to ask with", cut(statement));
        return Err(record.error("statement", what));
    };
    Ok(yes_or_no(question, record.flag("label")?))
}

/// "The city of X is in Y." as "Is the city of X in Y?": the first `is` comes to the front, the
/// first letter becomes small, and the last full stop a question mark (P1, `run_datasets.py`).
fn question(statement: &str) -> Option<String> {
    let mut words: Vec<&str> = statement.split_whitespace().collect();
    let is = words.iter().position(|word| *word == "is")?;
    words.remove(is);
    let rest = words.join(" ");
    let mut letters = rest.chars();
    let first = letters.next()?.to_lowercase();
    let rest = letters.as_str();
    let rest = rest.strip_suffix('.').unwrap_or(rest);
    Some(format!("Is {first}{rest}?"))
}

#[cfg(test)]
mod tests {
    use super::question;

    #[test]
    fn statements_become_questions() {
        let cases = [
            ("The city of Krasnodar is in Russia.", Some("Is the city of Krasnodar in Russia?")),
            ("The city of St. Louis is in Isle is.", Some("Is the city of St. Louis in Isle is?")),
            ("It is", Some("Is it?")),
            ("The city of Paris was in France.", None),
            ("is", None),
        ];
        for (statement, wanted) in cases {
            assert_eq!(question(statement).as_deref(), wanted, "{statement}");
        }
    }
}
