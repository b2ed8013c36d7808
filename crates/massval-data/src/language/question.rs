//! Questions whose answer stands in the text before them. Documents and items are made of the same.

use std::ops::Range;

/// A text that ends where its answer begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// All before the answer, without a space at its end.
    pub(super) prompt: String,
    /// The bytes of `prompt` that hold the answer.
    pub(super) evidence: Range<usize>,
    /// The answer, one or more words.
    pub(super) answer: String,
}

const PASSKEY: &str = "the pass key is {} . remember it .";
const ASK_PASSKEY: &str = "what is the pass key ? the pass key is";
const PAIRS: &str = "pairs :";
/// Asks for the value of the key behind it.
pub(super) const FIND: &str = "find";
/// Says that a sentence holds in this document, whatever the world says.
pub(super) const TODAY: &str = "today";
/// Begins a list of words that will be said again.
pub(super) const SAY: &str = "say :";
/// Begins its repetition.
pub(super) const AGAIN: &str = "again :";

/// What sentences are made of beside names and the words of plain ones: each word of it is a token. `{}`
/// is a gap.
pub(super) const PATTERNS: [&str; 8] =
    [PASSKEY, ASK_PASSKEY, PAIRS, ",", FIND, TODAY, "say : again :", "near the"];

impl Question {
    /// A pass key told among sentences, after the first `place` of them.
    pub(super) fn passkey(key: &str, noise: &[String], place: usize) -> Self {
        Self::among(noise, place, &PASSKEY.replace("{}", key), ASK_PASSKEY, key)
    }

    /// Keys with values, of which the key at `place` is asked for. `None` if there is no such pair.
    pub(super) fn key_value(pairs: &[(&str, &str)], place: usize) -> Option<Self> {
        let (key, value) = pairs.get(place)?;
        let mut prompt = PAIRS.to_owned();
        let mut evidence = 0..0;
        for (at, (key, value)) in pairs.iter().enumerate() {
            prompt += if at == 0 { " " } else { " , " };
            let start = prompt.len();
            prompt = prompt + key + " " + value;
            if at == place {
                evidence = start..prompt.len();
            }
        }
        prompt = prompt + " . " + FIND + " " + key;
        Some(Self { prompt, evidence, answer: (*value).to_owned() })
    }

    /// A sentence that overrides what `asked` asks for, told among others after the first `place`.
    pub(super) fn conflict(asked: &str, answer: &str, noise: &[String], place: usize) -> Self {
        Self::among(noise, place, &format!("{TODAY} {asked} {answer} ."), asked, answer)
    }

    fn among(noise: &[String], place: usize, evidence: &str, question: &str, answer: &str) -> Self {
        let (before, after) = noise.split_at(place.min(noise.len()));
        let mut prompt = String::new();
        for sentence in before {
            prompt = prompt + sentence + " ";
        }
        let start = prompt.len();
        prompt += evidence;
        let evidence = start..prompt.len();
        for sentence in after {
            prompt = prompt + " " + sentence;
        }
        prompt = prompt + " " + question;
        Self { prompt, evidence, answer: answer.to_owned() }
    }

    /// Words of the question, its answer and the full stop behind it.
    pub(super) fn words(&self) -> usize {
        self.prompt.split(' ').count() + self.answer.split(' ').count() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise() -> Vec<String> {
        ["the cat sees the lamp .", "the dogs hide the pen ."].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_pass_key_stands_where_it_is_told_to() {
        let question = Question::passkey("4 7 1", &noise(), 1);
        assert_eq!(
            question.prompt,
            "the cat sees the lamp . the pass key is 4 7 1 . remember it . the dogs hide the pen . \
             what is the pass key ? the pass key is"
        );
        assert_eq!(
            &question.prompt[question.evidence.clone()],
            "the pass key is 4 7 1 . remember it ."
        );
        assert_eq!((question.answer.as_str(), question.words()), ("4 7 1", 12 + 11 + 10 + 4));
        assert!(Question::passkey("4", &noise(), 0).prompt.starts_with("the pass key is 4 ."));
        assert!(
            Question::passkey("4", &noise(), 9).prompt.contains("the pen . the pass key is 4 .")
        );
    }

    #[test]
    fn the_pair_asked_for_is_the_evidence() {
        let pairs = [("bell", "cup"), ("jar", "net")];
        let question = Question::key_value(&pairs, 1).unwrap();
        assert_eq!(question.prompt, "pairs : bell cup , jar net . find jar");
        assert_eq!(
            (&question.prompt[question.evidence], question.answer.as_str()),
            ("jar net", "net")
        );
        assert_eq!(Question::key_value(&pairs, 2), None);
    }

    #[test]
    fn today_overrides() {
        let question = Question::conflict("the capital of a is", "b", &noise()[..1], 0);
        assert_eq!(
            question.prompt,
            "today the capital of a is b . the cat sees the lamp . the capital of a is"
        );
        assert_eq!(&question.prompt[question.evidence], "today the capital of a is b .");
    }
}
