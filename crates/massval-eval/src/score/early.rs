//! When a generation need not go on.

use massval_data::Gold;

use super::number::ascii_digits;
use super::strict;
use super::words::{first_standalone, is_hyphen, words_after_articles};
use super::{ReferenceRule, Verdict, score};

/// Whether no continuation of `answer` can change anything in [`score`] of it, so that the
/// generation can stop here without a trace in the results.
///
/// Rules that read the *last* number, an option's letter or a list are never decided, nor is a rule
/// that looks for the right answer anywhere until it has found it. What a wrong gold or rule would
/// make [`score`] refuse is not decided.
///
/// `answer` may end in U+FFFD, for a character of which some bytes are still to come.
///
/// ```
/// use massval_data::Gold;
/// use massval_eval::score::{ReferenceRule, decided};
///
/// let gold = Gold::Digits { digits: "123".into() };
/// assert!(!decided(&gold, " 123", None));
/// assert!(decided(&gold, " 123.", None));
/// assert!(decided(&gold, " 99.", None));
/// // The reference takes the key wherever it comes.
/// assert!(!decided(&gold, " 99.", Some(ReferenceRule::PasskeySubstring)));
/// ```
pub fn decided(gold: &Gold, answer: &str, rule: Option<ReferenceRule>) -> bool {
    let answer = answer.trim_end_matches('\u{FFFD}');
    let Ok(scores) = score(gold, answer, rule) else { return false };
    let reference = match (rule, &scores.reference) {
        (Some(rule), Some(verdict)) => reference_decided(rule, verdict, answer),
        _ => true,
    };
    reference && strict_decided(gold, answer)
}

fn reference_decided(rule: ReferenceRule, verdict: &Verdict, answer: &str) -> bool {
    match rule {
        // A keyword for true stays; one for false can still be outweighed.
        ReferenceRule::CheckSentence => verdict.extracted.as_deref() == Some("True"),
        ReferenceRule::OptionText | ReferenceRule::PasskeySubstring => verdict.is_right(),
        ReferenceRule::PasskeyFirstDigits => first_digits_end(answer),
        ReferenceRule::OneMood => {
            let lower = answer.to_lowercase();
            strict::MOOD.iter().all(|mood| lower.contains(mood))
        }
        ReferenceRule::LastNumber | ReferenceRule::Squad => false,
    }
}

fn strict_decided(gold: &Gold, answer: &str) -> bool {
    match gold {
        Gold::Text { answers } => text_decided(answers, answer),
        Gold::Conflict { context, memory } => {
            text_decided(context, answer) && text_decided(memory, answer)
        }
        Gold::Digits { .. } => first_digits_end(answer),
        Gold::Truth { .. } => first_standalone(answer, &strict::TRUTH).is_some_and(|w| w.fixed),
        Gold::Sentiment { .. } => first_standalone(answer, &strict::MOOD).is_some_and(|w| w.fixed),
        _ => false,
    }
}

/// Whether something that is no digit follows the first run of digits.
fn first_digits_end(answer: &str) -> bool {
    // Both notions of a digit, ours and the pattern `\d`, take these for digits; a numeral that
    // only one of them knows ends nothing.
    let answer = ascii_digits(answer);
    let mut rest = answer.chars().skip_while(|c| !c.is_numeric()).skip_while(|c| c.is_numeric());
    let first = answer.chars().find(|c| c.is_numeric());
    first.is_some_and(|c| c.is_ascii_digit()) && rest.next().is_some()
}

/// Whether it is settled if the answer begins with one of the texts.
fn text_decided(wanted: &[String], answer: &str) -> bool {
    let Ok(aliases) = strict::alias_words(wanted) else { return false };
    let said = words_after_articles(answer);
    let fixed = said.iter().take_while(|w| w.fixed).count();
    // While a longer one is open and a shorter one matches, the shorter one stays what is read.
    let mut open = false;
    for alias in &aliases {
        let checked = fixed.min(alias.len());
        let agrees = said.iter().zip(alias).take(checked).all(|(a, b)| a.text == b.text);
        let next = said.get(alias.len());
        if !agrees || next.is_some_and(|next| next.joined) {
            continue;
        }
        // Neither the last word nor a hyphen after it can still tie something to it.
        let closed = next.is_some() || !answer.ends_with(is_hyphen);
        if fixed >= alias.len() && closed {
            return true;
        }
        open = true;
    }
    !open
}
