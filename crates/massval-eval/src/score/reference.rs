//! The reference's rules, bug for bug.

use std::collections::HashMap;
use std::sync::LazyLock;

use massval_data::Gold;
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::number::ascii_digits;
use super::words::squad;
use super::{Error, Verdict, kind};

/// How the scripts of *Massive Values in Self-Attention Modules* judge a task.
///
/// The rules are repeated with their mistakes; each names those that change results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReferenceRule {
    /// Cities, sports, art, technology, celebrities, knowledge conflict. In the lower-cased answer,
    /// any of `yes`, `true`, `correct`, `right`, `ok` *anywhere, inside words too,* means true;
    /// failing that, any of `no`, `false`, `incorrect`, `wrong` means false; failing that the
    /// answer is wrong. So "incorrect" and "Tokyo" mean true, "I do not know" means false.
    ///
    /// The tasks compare the outcome by equality (cities) or containment (the others), which is the
    /// same, as an answer without any keyword cannot contain `True` or `False`.
    CheckSentence,
    /// GSM8K: the last match of `\d+(?:,\d{3})*(?:\.\d+)?`, as a float, of the answer and of the
    /// right answer. Signs, exponents and fractions are lost, a remark's number counts.
    LastNumber,
    /// AQuA: the right option's text occurs anywhere in the answer. The letter alone is wrong; short
    /// texts occur by chance.
    OptionText,
    /// IMDB: the right one of `positive` and `negative` occurs in the lower-cased answer and the
    /// other one does not.
    OneMood,
    /// Passkey: the digits occur anywhere in the answer, inside longer runs, too.
    PasskeySubstring,
    /// Passkey, the deprecated metric: the first run of digits is the right one.
    PasskeyFirstDigits,
    /// SQuAD as its own evaluation does it: the best F1 of words over the right answers, after
    /// [normalising](super::Metric::ExactMatch). Not one of the paper's tasks.
    Squad,
}

impl ReferenceRule {
    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::CheckSentence => "check_sentence",
            Self::LastNumber => "last_number",
            Self::OptionText => "option_text",
            Self::OneMood => "one_mood",
            Self::PasskeySubstring => "passkey_substring",
            Self::PasskeyFirstDigits => "passkey_first_digits",
            Self::Squad => "squad",
        }
    }

    pub(crate) fn judge(self, gold: &Gold, answer: &str) -> Result<Verdict, Error> {
        Ok(match (self, gold) {
            (Self::CheckSentence, Gold::Truth { truth }) => check_sentence(*truth, answer),
            (Self::LastNumber, Gold::Number { number }) => last_number(number, answer)?,
            (Self::OptionText, Gold::Option { text, .. }) => substring(text, answer)?,
            (Self::OneMood, Gold::Sentiment { positive }) => one_mood(*positive, answer),
            (Self::PasskeySubstring, Gold::Digits { digits }) => substring(digits, answer)?,
            (Self::PasskeyFirstDigits, Gold::Digits { digits }) => {
                let first = DIGITS.find(answer).map(|m| m.as_str().to_owned());
                Verdict::new(first.as_deref() == Some(digits.as_str()), first)
            }
            (Self::Squad, Gold::Text { answers }) => best_f1(answers, answer)?,
            _ => {
                let wants = match self {
                    Self::CheckSentence => "yes or no",
                    Self::LastNumber => "a number",
                    Self::OptionText => "an option",
                    Self::OneMood => "positive or negative",
                    Self::PasskeySubstring | Self::PasskeyFirstDigits => "a run of digits",
                    Self::Squad => "a text",
                };
                return Err(Error::Rule { rule: self.name(), wants, kind: kind(gold) });
            }
        })
    }
}

static DIGITS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d+").expect("a valid pattern"));
static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\d+(?:,\d{3})*(?:\.\d+)?").expect("a valid pattern"));

const TRUE: [&str; 5] = ["yes", "true", "correct", "right", "ok"];
const FALSE: [&str; 4] = ["no", "false", "incorrect", "wrong"];

fn check_sentence(truth: bool, answer: &str) -> Verdict {
    let lower = answer.to_lowercase();
    let said = if TRUE.iter().any(|w| lower.contains(w)) {
        Some(true)
    } else if FALSE.iter().any(|w| lower.contains(w)) {
        Some(false)
    } else {
        None
    };
    let text = said.map(|said| if said { "True" } else { "False" }.to_owned());
    Verdict::new(said == Some(truth), text)
}

/// Python's `\d` and `float` take the digits of every script.
fn reference_number(text: &str) -> Option<(String, f64)> {
    let found = NUMBER.find_iter(text).last()?.as_str();
    let value = ascii_digits(found).replace(',', "").parse().ok()?;
    Some((found.to_owned(), value))
}

fn last_number(number: &str, answer: &str) -> Result<Verdict, Error> {
    let (_, want) = reference_number(number).ok_or_else(|| Error::Gold {
        what: format!("the right answer {number:?} holds no number"),
    })?;
    let found = reference_number(answer);
    let right = found.as_ref().is_some_and(|(_, value)| *value == want);
    Ok(Verdict::new(right, found.map(|(text, _)| text)))
}

fn substring(want: &str, answer: &str) -> Result<Verdict, Error> {
    if want.is_empty() {
        return Err(Error::Gold {
            what: "the right answer is empty: every answer holds it".into(),
        });
    }
    let right = answer.contains(want);
    Ok(Verdict::new(right, right.then(|| want.to_owned())))
}

fn one_mood(positive: bool, answer: &str) -> Verdict {
    let lower = answer.to_lowercase();
    let said = match (lower.contains("positive"), lower.contains("negative")) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    };
    let text = said.map(|said| if said { "positive" } else { "negative" }.to_owned());
    Verdict::new(said == Some(positive), text)
}

/// The best F1 over the right answers.
pub(crate) fn best_f1(answers: &[String], answer: &str) -> Result<Verdict, Error> {
    if answers.is_empty() {
        return Err(Error::Gold { what: "no right answer given".into() });
    }
    let said = squad(answer);
    let score = answers.iter().map(|want| f1(&squad(want), &said)).fold(0.0, f64::max);
    Ok(Verdict { score, extracted: (!said.is_empty()).then(|| said.join(" ")) })
}

/// F1 of two bags. Two empty bags agree, an empty one agrees with no other (as in SQuAD 2.0).
pub(crate) fn f1<T: std::hash::Hash + Eq>(want: &[T], said: &[T]) -> f64 {
    if want.is_empty() || said.is_empty() {
        return f64::from(u8::from(want.is_empty() && said.is_empty()));
    }
    let mut left: HashMap<&T, usize> = HashMap::new();
    for item in want {
        *left.entry(item).or_default() += 1;
    }
    let mut common = 0usize;
    for item in said {
        if let Some(n) = left.get_mut(item).filter(|n| **n > 0) {
            *n -= 1;
            common += 1;
        }
    }
    2.0 * common as f64 / (want.len() + said.len()) as f64
}
