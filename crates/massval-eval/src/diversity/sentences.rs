//! Sentences of a lower-cased text: Punkt's procedure (Kiss and Strunk 2006) without what it learns.
//!
//! In lower-cased text most of what Punkt learned has no say: that a word follows in lower case is
//! always taken as a sign that no sentence begins after an abbreviation, an initial or a number.
//! What is left are the abbreviations, for which a list stands here.

/// English abbreviations that end in a full stop, without it.
const ABBREVIATIONS: &[&str] = &[
    "a.d", "a.m", "adm", "apr", "assn", "aug", "ave", "b.c", "blvd", "bros", "ca", "capt", "cf",
    "cmdr", "co", "col", "corp", "d.c", "dec", "dept", "dr", "e.g", "esp", "est", "etc", "feb",
    "fig", "fri", "ft", "gen", "gov", "hon", "i.e", "inc", "jan", "jr", "lt", "ltd", "maj",
    "messrs", "mon", "mr", "mrs", "ms", "mt", "nov", "oct", "p.m", "ph.d", "prof", "rep", "rev",
    "sen", "sept", "sgt", "sr", "st", "u.k", "u.n", "u.s", "u.s.a", "vs",
];

/// Cuts a lower-cased text into its sentences, without the blanks between them.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    // What decides stands in a word and the next one.
    let mut words = spans(text).into_iter().peekable();
    while let Some((from, to)) = words.next() {
        let next = words.peek().map(|&(from, to)| &text[from..to]);
        for end in breaks(&text[from..to], next) {
            let end = with_closing(text, from + end);
            if end > start {
                sentences.push(text[start..end].trim());
                start = end;
            }
        }
    }
    sentences.push(text[start..].trim());
    sentences.retain(|s| !s.is_empty());
    sentences
}

/// The end of a sentence with the quotes and brackets that close after it, if blanks, a dash or
/// nothing follow those.
fn with_closing(text: &str, end: usize) -> usize {
    let rest = text[end..].trim_start();
    let after = rest.trim_start_matches(['"', '\'', ')', ']', '}']);
    let closed = after.is_empty() || after.starts_with(char::is_whitespace);
    if after.len() < rest.len() && (closed || after.starts_with("--")) {
        text.len() - after.len()
    } else {
        end
    }
}

/// Where the words between white space begin and end.
fn spans(text: &str) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        match (start, c.is_whitespace()) {
            (None, false) => start = Some(at),
            (Some(from), true) => {
                spans.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    spans.extend(start.map(|from| (from, text.len())));
    spans
}

/// Where in a word sentences end: after its last mark that stands before punctuation or at the
/// word's end, and after a mark that begins it.
fn breaks(word: &str, next: Option<&str>) -> Vec<usize> {
    let marks = word.char_indices().filter(|(_, c)| is_mark(*c)).map(|(at, _)| at + 1);
    let mut ends: Vec<usize> = marks
        .filter(|&end| match word[end..].chars().next() {
            Some(c) => is_non_word(c),
            None => next.is_some(),
        })
        .collect();
    let inner = usize::from(ends.first() == Some(&1));
    let last = ends.len().saturating_sub(1);
    ends.drain(inner.min(last)..last);
    ends.retain(|&end| {
        let mut tokens = match word[end..].chars().next() {
            Some(c) => tokens(&word[..end + c.len_utf8()]),
            None => tokens(&word[..end]),
        };
        if end == word.len() {
            tokens.extend(next.map(self::tokens).unwrap_or_default());
        }
        tokens.windows(2).any(|pair| ends_sentence(&pair[0], &pair[1]))
    });
    ends
}

fn is_mark(c: char) -> bool {
    matches!(c, '.' | '?' | '!')
}

/// Characters that are no part of a word.
fn is_non_word(c: char) -> bool {
    matches!(c, ')' | '"' | ';' | '}' | ']' | '*' | ':' | '@' | '\'' | '(' | '{' | '[' | '?' | '!')
}

fn ends_sentence(token: &str, next: &str) -> bool {
    if matches!(token, "?" | "!") {
        return true;
    }
    let Some(stem) = token.strip_suffix('.') else { return false };
    if stem.ends_with('.') {
        return false;
    }
    let known = |stem: &str| ABBREVIATIONS.binary_search(&stem).is_ok();
    if known(stem) || stem.rsplit('-').next().is_some_and(known) {
        return false;
    }
    // After an initial or a number a lower-case word or punctuation goes on with the sentence.
    let mut letters = stem.chars();
    let initial = letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none();
    let goes_on = matches!(next, ";" | ":" | "," | "." | "?" | "!")
        || next.chars().next().is_some_and(char::is_lowercase);
    !((initial || is_number(stem)) && goes_on)
}

fn is_number(stem: &str) -> bool {
    let stem = stem.strip_prefix('-').unwrap_or(stem);
    let stem = stem.strip_prefix(['.', ',']).unwrap_or(stem);
    stem.starts_with(|c: char| c.is_ascii_digit())
        && stem.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '.' | '-'))
}

/// Punkt's tokens of a text without blanks: words with the full stops in them, and other punctuation.
fn tokens(word: &str) -> Vec<String> {
    let chars: Vec<char> = word.chars().collect();
    let run = |from: usize| {
        let c = chars[from];
        let len = chars[from..].iter().take_while(|x| **x == c).count();
        if matches!(c, '-' | '.') && len >= 2 { len } else { 0 }
    };
    let stops = |at: usize| at >= chars.len() || is_non_word(chars[at]) || run(at) > 0;
    let mut out = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let mut end = at + run(at).max(1);
        let begins_word = !"(\"`{[:;&#*@)}]-,".contains(chars[at]);
        if run(at) == 0 && begins_word {
            while !(stops(end) || chars[end] == ',' && stops(end + 1)) {
                end += 1;
            }
        }
        out.push(chars[at..end].iter().collect());
        at = end;
    }
    out
}
