//! Words of an answer, for comparing texts.

use std::sync::LazyLock;

use regex::Regex;

static ARTICLES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(a|an|the)\b").expect("a valid pattern"));

/// The words of a text as SQuAD's evaluation normalises it: lower case, ASCII punctuation deleted,
/// articles deleted, split at whitespace (Rajpurkar et al. 2016).
pub(crate) fn squad(text: &str) -> Vec<String> {
    let mut text = text.to_lowercase();
    text.retain(|c| !c.is_ascii_punctuation());
    ARTICLES.replace_all(&text, " ").split_whitespace().map(str::to_owned).collect()
}

/// A word of [`words`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// In lower case, without apostrophes and the full stops of initials.
    pub text: String,
    /// Whether a hyphen ties it to the word before: `Guinea-Bissau`.
    pub joined: bool,
    /// Whether nothing that may follow the text can change it.
    pub fixed: bool,
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}')
}

pub(crate) fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}' | '\u{2011}')
}

/// Runs of letters and digits, in lower case. An apostrophe inside a word and the full stop after a
/// single letter vanish (`D.C.` is `dc`), so that spellings with and without them agree.
pub(crate) fn words(text: &str) -> Vec<Word> {
    let mut out: Vec<Word> = Vec::new();
    let mut word = String::new();
    let mut joined = false;
    // What stands right before the character at hand, in the original text.
    let mut before: [Option<char>; 2] = [None, None];
    let mut end = |word: &mut String, joined: bool, fixed: bool| {
        if !word.is_empty() {
            out.push(Word { text: std::mem::take(word).to_lowercase(), joined, fixed });
        }
    };
    for c in text.chars() {
        let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        if c.is_alphanumeric() {
            if word.is_empty() {
                joined = before[0].is_some_and(is_hyphen) && letter(before[1]);
            }
            word.push(c);
        } else {
            let initial =
                c == '.' && before[0].is_some_and(char::is_alphabetic) && !letter(before[1]);
            if !(initial || is_apostrophe(c) && letter(before[0])) {
                end(&mut word, joined, true);
            }
        }
        before = [Some(c), before[0]];
    }
    end(&mut word, joined, false);
    out
}

/// [`words`] without the articles it begins with.
pub(crate) fn words_after_articles(text: &str) -> Vec<Word> {
    let mut words = words(text);
    let articles =
        words.iter().take_while(|w| matches!(w.text.as_str(), "a" | "an" | "the")).count();
    words.drain(..articles);
    words
}

/// A standalone word: no letter, digit, or joint (hyphen, slash, apostrophe) with a letter or digit
/// touches it.
pub(crate) struct Standalone {
    /// In lower case.
    pub text: String,
    /// The standalone word right before it, only spaces between.
    pub before: Option<String>,
    /// Whether nothing that may follow the text can change it.
    pub fixed: bool,
}

/// The first standalone word that is one of `wanted`.
pub(crate) fn first_standalone(text: &str, wanted: &[&str]) -> Option<Standalone> {
    let joint = |c: char| is_apostrophe(c) || is_hyphen(c) || c == '/';
    let mut before = None;
    let mut chars = text.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        if !c.is_alphanumeric() {
            if !c.is_whitespace() {
                before = None;
            }
            continue;
        }
        // The whole of what is joined together, `isn't` or `yes/no`, is one word.
        let mut end = start + c.len_utf8();
        let mut after = None;
        while let Some(&(at, c)) = chars.peek() {
            if c.is_alphanumeric() {
                end = at + c.len_utf8();
            } else if !joint(c) || text[..at].chars().next_back().is_some_and(joint) {
                after = Some(c);
                break;
            }
            chars.next();
        }
        let word = text[start..end].to_lowercase();
        if wanted.contains(&word.as_str()) {
            // A joint at the end may yet join: `no-` before `one`.
            let fixed = after.is_some();
            return Some(Standalone { text: word, before, fixed });
        }
        before = Some(word);
    }
    None
}
