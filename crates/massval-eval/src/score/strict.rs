//! The strict rules: one for each kind of right answer.
//!
//! | right answer | what is read |
//! |---|---|
//! | [`truth`] | the first standalone `yes`, `no`, `true` or `false` |
//! | [`sentiment`] | the first standalone `positive` or `negative` |
//! | [`digits`] | the first run of digits, which must be the right one to the digit |
//! | [`number`] | the last number, by value, with its sign |
//! | [`option`] | the option's letter where it is given as the answer, else the option's text at the end |
//! | [`text`] | whether the answer begins with one of the right texts |
//! | [`list`] | whether all items come in order, and F1 |
//!
//! They do not reason: "There is no doubt" says no, and a text that reaches the right answer by a
//! detour is wrong. What they read is stored, so that doubtful verdicts can be looked up.

use std::sync::LazyLock;

use regex::Regex;

use super::number::{ascii_digits, last_number};
use super::reference::f1;
use super::words::{Standalone, Word, first_standalone, words, words_after_articles};
use super::{Error, Verdict};

pub(crate) const TRUTH: [&str; 4] = ["yes", "no", "true", "false"];
pub(crate) const MOOD: [&str; 2] = ["positive", "negative"];

/// The first standalone `yes`, `no`, `true` or `false`; `not true` and `isn't true` are false.
/// Words that touch others by a hyphen, slash or apostrophe (`no-one`, `yes/no`) do not stand alone.
pub fn truth(truth: bool, answer: &str) -> Verdict {
    let said = first_standalone(answer, &TRUTH);
    let value = said.as_ref().map(|w| {
        let claim = matches!(w.text.as_str(), "yes" | "true");
        claim != (negated(w) && matches!(w.text.as_str(), "true" | "false"))
    });
    Verdict::new(value == Some(truth), said.as_ref().map(spoken))
}

/// The first standalone `positive` or `negative`; `not positive` is negative.
pub fn sentiment(positive: bool, answer: &str) -> Verdict {
    let said = first_standalone(answer, &MOOD);
    let value = said.as_ref().map(|w| (w.text == "positive") != negated(w));
    Verdict::new(value == Some(positive), said.as_ref().map(spoken))
}

fn negated(word: &Standalone) -> bool {
    word.before
        .as_deref()
        .is_some_and(|w| w == "not" || w.ends_with("n't") || w.ends_with("n\u{2019}t"))
}

fn spoken(word: &Standalone) -> String {
    if negated(word) { format!("not {}", word.text) } else { word.text.clone() }
}

/// The first run of digits (of any script) is the right one, leading zeros and all.
///
/// # Errors
/// [`Error::Gold`] if the right answer is not a run of ASCII digits.
pub fn digits(want: &str, answer: &str) -> Result<Verdict, Error> {
    if want.is_empty() || !want.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::Gold {
            what: format!("the right answer {want:?} is not a run of digits"),
        });
    }
    let answer = ascii_digits(answer);
    let run: String = answer
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    Ok(Verdict::new(run == want, (!run.is_empty()).then_some(run)))
}

/// The last number equals the right one in value: `-1,250.0` is `-1250`, `1/4` is `0.25`, `1e3` is
/// `1000`. A minus counts as a sign unless it follows a letter, digit or bracket; commas belong to
/// the number if they group by three or four digits.
///
/// # Errors
/// [`Error::Gold`] if the right answer holds no number.
pub fn number(want: &str, answer: &str) -> Result<Verdict, Error> {
    let want = last_number(want).and_then(|(_, value)| value).ok_or_else(|| Error::Gold {
        what: format!("the right answer {want:?} holds no number"),
    })?;
    let said = last_number(answer);
    let right = said.as_ref().is_some_and(|(_, value)| value.as_ref() == Some(&want));
    Ok(Verdict::new(right, said.map(|(text, _)| text)))
}

/// The letter after the words that announce it. A small letter must end there, or it is an article.
fn announced(words: &str) -> Regex {
    let pattern =
        format!(r"(?:{words})[\*\(\[]*(?:([A-H])(?:[^\w'’-]|$)|([a-h])(?:[\.:\)\]\}}\*,]|\s*$))");
    Regex::new(&pattern).expect("a valid pattern")
}

/// Where the letter is looked for, best place first: called the answer, or in `\boxed{}`; at the
/// very beginning; called the option or choice; with a closing bracket.
static LETTER: LazyLock<[Regex; 4]> = LazyLock::new(|| {
    [
        announced(r"(?:\b[Aa]nswer|ANSWER)(?:\s+is|\s+would be)?\s*:?\s*|\\boxed\{(?:\\text\{)?"),
        Regex::new(r"^\s*[\*\(\[]*([A-Ha-h])(?:[\.:\)\]\*,]|\s*$)").expect("a valid pattern"),
        announced(r"\b(?:[Oo]ption|[Cc]hoice)(?:\s+is|\s+would be)?\s*:?\s*"),
        Regex::new(r"(?:^|[^\w'’-])([A-H])\)").expect("a valid pattern"),
    ]
});

/// The letter that the answer gives, or failing any letter the option's text at its end.
///
/// Looked for in this order: the last letter called the answer; a letter that begins the answer;
/// the last letter called option or choice; the last capital letter with a closing bracket. The
/// options' letters are A to H, so that `I` stays a word.
///
/// # Errors
/// [`Error::Gold`] if the right answer has no letter from A to H.
pub fn option(letter: char, text: &str, answer: &str) -> Result<Verdict, Error> {
    let want = letter.to_ascii_uppercase();
    if !('A'..='H').contains(&want) {
        return Err(Error::Gold {
            what: format!("the option's letter {letter:?} is not one of A to H"),
        });
    }
    let found = LETTER
        .iter()
        .find_map(|pattern| pattern.captures_iter(answer).last())
        .and_then(|groups| groups.iter().skip(1).flatten().next())
        .map(|m| m.as_str().to_ascii_uppercase());
    if let Some(found) = found {
        return Ok(Verdict::new(found == want.to_string(), Some(found)));
    }
    let right = ends_with(answer, text);
    Ok(Verdict::new(right, right.then(|| text.trim().to_owned())))
}

/// Whether a text ends with another one, but for case, blanks and final punctuation, and without
/// cutting a word or a number.
fn ends_with(text: &str, end: &str) -> bool {
    let bare = |s: &str| {
        let s = s.trim().trim_end_matches(|c: char| c.is_whitespace() || ".!*\"'”".contains(c));
        s.to_lowercase()
    };
    let (text, end) = (bare(text), bare(end));
    if end.is_empty() {
        return false;
    }
    let Some(before) = text.strip_suffix(end.as_str()) else { return false };
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '.' | ',' | '-' | '\u{2212}' | '/');
    !(end.starts_with(char::is_alphanumeric) && before.ends_with(inside))
}

/// The answer begins with one of the right texts, on the boundary of a word: `Paris, in France` for
/// `Paris`, but neither `Parisian` nor `Paris-Nord`. Case, punctuation, and articles at the
/// beginning do not count; accents do.
///
/// # Errors
/// [`Error::Gold`] if no right text is given, or one without letters and digits.
pub fn text(wanted: &[String], answer: &str) -> Result<Verdict, Error> {
    let aliases = alias_words(wanted)?;
    let said = words_after_articles(answer);
    // The shortest, so that it stays the same when a longer one matches later.
    let matching = aliases.iter().zip(wanted).filter(|(alias, _)| begins_with(&said, alias));
    let found = matching.min_by_key(|(alias, _)| alias.len());
    Ok(Verdict::new(found.is_some(), found.map(|(_, text)| text.clone())))
}

/// The words of every right text.
pub(crate) fn alias_words(wanted: &[String]) -> Result<Vec<Vec<Word>>, Error> {
    if wanted.is_empty() {
        return Err(Error::Gold { what: "no right answer given".into() });
    }
    wanted
        .iter()
        .map(|alias| match words_after_articles(alias) {
            words if words.is_empty() => Err(Error::Gold {
                what: format!("the right answer {alias:?} has neither letters nor digits"),
            }),
            words => Ok(words),
        })
        .collect()
}

/// Whether words begin with others, and no hyphen ties the next word to them.
pub(crate) fn begins_with(said: &[Word], alias: &[Word]) -> bool {
    said.len() >= alias.len()
        && said.iter().zip(alias).all(|(a, b)| a.text == b.text)
        && !said.get(alias.len()).is_some_and(|next| next.joined)
}

/// What [`list`] finds.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct List {
    /// Whether every item comes, in order; other words may stand between.
    pub in_order: Verdict,
    /// F1 of the answer's items against the wanted ones, as bags.
    pub f1: f64,
}

/// Whether all items come in order, and F1 of the items.
///
/// For F1 the answer is cut at commas, semicolons and line ends (at spaces if it has none of
/// these), and freed from what leads up to the first colon, bullets, numbers, and `and`.
///
/// # Errors
/// [`Error::Gold`] if no item is given, or one without letters and digits.
pub fn list(wanted: &[String], answer: &str) -> Result<List, Error> {
    let wanted = alias_words(wanted)?;
    let said = words(answer);
    let mut rest = said.as_slice();
    let mut all = true;
    for item in &wanted {
        let same = |part: &[Word]| part.iter().zip(item).all(|(a, b)| a.text == b.text);
        match rest.windows(item.len()).position(same) {
            Some(at) => rest = &rest[at + item.len()..],
            None => {
                all = false;
                break;
            }
        }
    }
    let flat = |words: &[Word]| words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ");
    let wanted: Vec<String> = wanted.iter().map(|w| flat(w)).collect();
    let said: Vec<String> = pieces(answer)
        .into_iter()
        .map(|piece| flat(&words_after_articles(piece)))
        .filter(|piece| !piece.is_empty())
        .collect();
    let extracted = (!said.is_empty()).then(|| said.join(", "));
    Ok(List { in_order: Verdict::new(all, extracted), f1: f1(&wanted, &said) })
}

fn pieces(answer: &str) -> Vec<&str> {
    let cut = |c: char| matches!(c, ',' | ';' | '\n');
    let first_end = answer.find(cut).unwrap_or(answer.len());
    let lead = answer[..first_end].find(':').map_or(0, |at| at + 1);
    let answer = answer[lead..].trim();
    if !answer.contains(cut) {
        return answer.split_whitespace().collect();
    }
    answer
        .split(cut)
        .map(|piece| {
            let piece = piece.trim_start_matches(|c: char| c.is_whitespace() || "-*•".contains(c));
            let number = piece.trim_start_matches(|c: char| c.is_ascii_digit());
            let piece = match number.strip_prefix(['.', ')']) {
                Some(rest) if number.len() < piece.len() => rest,
                _ => piece,
            };
            let piece = piece.trim();
            piece.strip_prefix("and ").unwrap_or(piece)
        })
        .collect()
}
